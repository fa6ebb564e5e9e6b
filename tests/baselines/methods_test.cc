// SPDX-License-Identifier: Apache-2.0
// Methods by name: what is accepted, and what is said of the rest.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "baselines/methods.h"
#include "core/base/check.h"
#include "core/retrieval/hyperplanes.h"
#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

std::string ErrorOf(const std::string& spec, const MethodOptions& options = {}) {
  static const ItemTable kTable = IntegerItems(10, 4, 8);
  try {
    MakeMethod(spec, kTable, options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(MakeMethod, ListsTheMethodsWhenTheNameIsUnknown) {
  for (const char* spec : {"", "etta:64", "ETA:64", " eta:64", "eta64", ":64"}) {
    const std::string error = ErrorOf(spec);
    EXPECT_NE(error.find(Cat("'", spec, "'")), std::string::npos) << error;
    for (const char* name :
         {"exact", "eta", "faiss_exact", "faiss_binary", "sim_hard", "sim_soft", "recent"}) {
      EXPECT_NE(error.find(name), std::string::npos) << error;
    }
  }
}

TEST(MakeMethod, RefusesMalformedSpecs) {
  for (const std::string spec : {"exact:",
                                 "exact:1",
                                 "eta",
                                 "eta:",
                                 "eta:0",
                                 "eta:-1",
                                 "eta:+8",
                                 "eta: 8",
                                 "eta:8 ",
                                 "eta:08",
                                 "eta:8.0",
                                 "eta:0x8",
                                 "eta:4097",
                                 "eta:99999999999999999999",
                                 "eta:8:heap",
                                 "eta:8+rerank",
                                 "eta:8+rerank:",
                                 "eta:8+rerank:0",
                                 "eta:8+rerank:65",
                                 "eta:8+rerank:4:4",
                                 "eta:8:rerank:4",
                                 "eta:8+rerank_i16:4",
                                 "eta+rerank:4",
                                 "eta+rerank:8:4",
                                 "exact+rerank:4",
                                 "eta:BITS",
                                 "faiss_exact:1",
                                 "faiss_binary",
                                 "faiss_binary:0",
                                 "faiss_binary:8:",
                                 "faiss_binary:8:best",
                                 "faiss_binary:8:heap:1",
                                 "faiss_pq4",
                                 "faiss_pq4:0",
                                 "faiss_pq4:12",
                                 "faiss_pq4:1032",
                                 "faiss_pq4:24",  // 6 sub-quantisers for 4 dimensions
                                 "faiss_pq4:8+rerank:2",
                                 "faiss_pq4:8+refine:0",
                                 "faiss_pq4:8+refine:65",
                                 "faiss_opq4:24",
                                 "faiss_sq8:8",
                                 "faiss_rabitq:4",
                                 "sim_hard:1",
                                 "sim_soft",
                                 "sim_soft:",
                                 "sim_soft:pq",
                                 "sim_soft:ivf:0",
                                 "sim_soft:ivf:x",
                                 "sim_soft:hnsw:",
                                 "sim_soft:hnsw:4294967296",
                                 "sim_soft:ivf:1:1",
                                 "sim_soft:ivfpq:0",
                                 "sim_soft:ivfpq:1:1",
                                 "recent:5"}) {
    const std::string error = ErrorOf(spec);
    EXPECT_EQ(error.find(Cat("method '", spec, "': ")), 0u) << error;
  }
  EXPECT_NE(ErrorOf("eta:8", {.threads = 0}), "no error");
}

TEST(MakeMethod, AcceptsTheLimitsOfBits) {
  for (const char* spec : {"eta:1", "eta:4096", "faiss_binary:1", "faiss_binary:4096:single"}) {
    EXPECT_EQ(ErrorOf(spec), "no error");
  }
}

TEST(MakeMethod, UsesLoadedHyperplanesOfTheSameWidthOnly) {
  const Problem problem(NormalItems(kItems, 24, 4), 1000, 40, 7);
  const Hyperplanes loaded =
      Hyperplanes::FromMatrix(Hyperplanes::Make(HyperplaneKind::kGaussian, 24, 64, 77).matrix());
  const MethodOptions options{.seed = 1, .loaded = &loaded};
  const Lists expected = problem.Run("eta:64", 50, {.seed = 77});
  ExpectSame(problem.Run("eta:64", 50, options), expected);
  ExpectSame(Sorted(problem.Run("faiss_binary:64", 50, options)), Sorted(expected));
  EXPECT_TRUE(problem.Run("eta:64", 50, {.seed = 1}) != expected);
  ExpectSame(problem.Run("eta:32", 50, options), problem.Run("eta:32", 50, {.seed = 1}));
  EXPECT_NE(ErrorOf("eta:64", options).find("dimension 24"), std::string::npos);
}

TEST(MakeMethod, UsesLoadedCodebooksOfTheSameWidthOnly) {
  const Problem problem(NormalItems(kItems, 24, 4), 1000, 40, 7);
  const auto loaded = Pq4Codebooks::Train(problem.items, 64, {.seed = 77});
  const MethodOptions options{.seed = 1, .loaded_pq4 = &loaded};
  for (const std::string method : {"pq4:64", "pq4:64+rerank:2", "pq4:64+rerank_i8:2"}) {
    const Lists expected = problem.Run(method, 50, {.seed = 77});
    ExpectSame(problem.Run(method, 50, options), expected);
    EXPECT_TRUE(problem.Run(method, 50, {.seed = 1}) != expected) << method;
  }
  ExpectSame(problem.Run("pq4:32", 50, options), problem.Run("pq4:32", 50, {.seed = 1}));
  EXPECT_NE(ErrorOf("pq4:64", options).find("'pq4:64': the loaded codebooks have dimension 24"),
            std::string::npos);
}

TEST(MakeMethod, HasHyperplanesOfItsOwn) {
  const Problem problem(NormalItems(kItems, 24, 4), 1000, 40, 7);
  for (const std::string spec : {"eta_norm:64", "eta_asym:64", "eta_norm:64+rerank:2"}) {
    const Lists own = problem.Run(spec, 50, {});
    ExpectSame(problem.Run(spec, 50, {.hyperplanes = HyperplaneKind::kOrthogonal}), own);
    EXPECT_TRUE(problem.Run(spec, 50, {.hyperplanes = HyperplaneKind::kGaussian}) != own) << spec;
  }
  for (const std::string spec : {"eta:64", "eta_asym_plain:64", "eta:64+rerank:2"}) {
    const Lists own = problem.Run(spec, 50, {});
    ExpectSame(problem.Run(spec, 50, {.hyperplanes = HyperplaneKind::kGaussian}), own);
    EXPECT_TRUE(problem.Run(spec, 50, {.hyperplanes = HyperplaneKind::kItq}) != own) << spec;
  }
}

TEST(SplitMethods, SplitsAndChecks) {
  EXPECT_EQ(SplitMethods("exact"), std::vector<std::string>{"exact"});
  EXPECT_EQ(SplitMethods("exact,eta:64"), (std::vector<std::string>{"exact", "eta:64"}));
  for (const char* list : {"", ",", "exact,", ",exact", "exact,,recent", "eta:8,exact,eta:8"}) {
    EXPECT_THROW(SplitMethods(list), std::invalid_argument) << list;
  }
}

TEST(MethodsHelp, HasALineForEachForm) {
  std::istringstream help(MethodsHelp());
  std::string line;
  for (const std::string& form : MethodForms()) {
    ASSERT_TRUE(std::getline(help, line)) << form;
    EXPECT_TRUE(line.starts_with(form + ' ')) << line;
    EXPECT_EQ(line.find_first_not_of(' ', form.size()), 27u) << line;
    EXPECT_LE(line.size(), 120u) << line;
  }
  // What this FAISS lacks, in brackets, so that nobody takes it for a method.
  while (std::getline(help, line)) EXPECT_TRUE(line.starts_with("(no ")) << line;
}

TEST(MakeMethod, SaysWhyAMethodIsMissing) {
  const std::vector<std::string> forms = MethodForms();
  if (std::ranges::find(forms, "faiss_rabitq") != forms.end()) {
    EXPECT_EQ(ErrorOf("faiss_rabitq"), "no error");
    EXPECT_EQ(MethodsHelp().find("(no "), std::string::npos);
    return;
  }
  const std::string error = ErrorOf("faiss_rabitq");
  EXPECT_EQ(error.find("method 'faiss_rabitq': FAISS has RaBitQ from 1.11 on, this is "), 0u)
      << error;
  EXPECT_NE(MethodsHelp().find("(no faiss_rabitq: "), std::string::npos);
}

// A malformed spec is told the forms of its own method, and only those.
TEST(MakeMethod, ShowsTheFormsOfTheMethod) {
  for (const std::string& form : MethodForms()) {
    const std::string name = form.substr(0, form.find(':'));
    const std::string error = ErrorOf(name + ":x:x:x:x");
    EXPECT_NE(error.find(form), std::string::npos) << error;
    for (const std::string& other : MethodForms()) {
      if (other.substr(0, other.find(':')) == name) continue;
      EXPECT_EQ((error + ' ').find(Cat(' ', other, ' ')), std::string::npos) << error;
    }
  }
}

}  // namespace
}  // namespace eta::test
