// SPDX-License-Identifier: Apache-2.0
// What methods cost in memory: the calculator of docs/memory.md prints what they count themselves.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "baselines/methods.h"
#include "core/base/check.h"
#include "tests/support/method_problem.h"
#include "tests/support/temp_folder.h"

namespace eta::test {
namespace {

// The shell text of the page, with the values of a small case.
std::string Calculator(size_t length, size_t items, size_t dim, size_t bits) {
  std::ifstream file(ETA_SOURCE_DIR "/docs/memory.md");
  std::ostringstream page;
  page << file.rdbuf();
  std::string text = page.str();
  const size_t begin = text.find("```sh\n") + 6;
  text = text.substr(begin, text.find("```", begin) - begin);
  const auto set = [&](const std::string& from, size_t value) {
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), from.substr(0, from.find('=') + 1) + std::to_string(value));
  };
  set("-v N=100e6", 1);
  set("-v L=1024", length);
  set("-v M=10e6", items);
  set("-v D=64", dim);
  set("-v m=64", bits);
  return text;
}

// By method: bytes of a user and bytes shared.
std::map<std::string, std::pair<size_t, size_t>> Calculate(const std::string& text) {
  const TempFolder folder;
  std::ofstream(folder / "calculator.sh") << text;
  const std::string command = Cat("sh ", (folder / "calculator.sh").string());
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::map<std::string, std::pair<size_t, size_t>> rows;
  char line[512];
  while (std::fgets(line, sizeof(line), pipe.get()) != nullptr) {
    std::istringstream words(line);
    std::string name, word;
    size_t user = 0, shared = 0;
    words >> name >> user;
    for (int i = 0; i < 5; ++i) words >> word;  // "bytes a user X GB,"
    words >> shared;
    rows[name] = {user, shared};
  }
  return rows;
}

TEST(Memory, IsWhatThePageCalculates) {
  // Whole blocks and not, dimensions that fill groups of 4 and bits that fill bytes, and not.
  for (const auto& [length, items, dim, bits] :
       {std::array<size_t, 4>{1024, 500, 64, 64}, {1000, 700, 18, 40}, {65, 300, 32, 128}}) {
    const Problem problem(NormalItems(items, dim, 3), length, 1, 5);
    const auto rows = Calculate(Calculator(length, items, dim, bits));
    EXPECT_EQ(rows.size(), 10u);
    for (const auto& [name, bytes] : rows) {
      SCOPED_TRACE(Cat(name, ", dim ", dim));
      const bool has_bits = name.starts_with("eta") || name == "pq4";
      const auto retriever = MakeMethod(has_bits ? Cat(name, ':', bits) : name, problem.items, {});
      EXPECT_EQ(retriever->Prepare(problem.history)->user_bytes(), bytes.first);
      const size_t shared = retriever->shared_bytes(items * dim * sizeof(float));
      if (name == "pq4") {  // codebooks may have a rotation, and rows are padded
        EXPECT_GE(shared, bytes.second);
        EXPECT_LE(shared, bytes.second + 4 * dim * dim + 64 * bits);
      } else {
        EXPECT_EQ(shared, bytes.second);
      }
    }
  }
}

// Nobody is spared: each method costs at least the ids and the item embeddings.
TEST(Memory, CountsIdsAndEmbeddingsForEveryMethod) {
  const Problem problem(NormalItems(kItems, 16, 3), 320, 1, 5);
  constexpr size_t kEmbeddings = kItems * 16 * sizeof(float);
  const auto user = [&](const std::string& spec) {
    return MakeMethod(spec, problem.items, {})->Prepare(problem.history)->user_bytes();
  };
  const auto shared = [&](const std::string& spec) {
    return MakeMethod(spec, problem.items, {})->shared_bytes(kEmbeddings);
  };
  for (const std::string& spec : SpecsOfAllForms()) {
    EXPECT_GE(user(spec), 320u * 4) << spec;
    EXPECT_GE(shared(spec), kEmbeddings) << spec;
  }
  EXPECT_EQ(user("recent"), 320u * 4);
  EXPECT_EQ(shared("recent"), kEmbeddings);
  EXPECT_EQ(shared("faiss_exact"), kEmbeddings);
  EXPECT_EQ(user("eta:24+rerank_i8:3"), user("eta:24"));
  EXPECT_EQ(shared("eta:24+rerank:3"), shared("eta:24"));
  EXPECT_EQ(shared("eta:24+rerank_i8:3"), shared("eta:24") + kItems * (16 + 4));
  EXPECT_EQ(shared("faiss_binary:24"), shared("eta:24"));
  EXPECT_EQ(shared("eta_asym_plain:24"), shared("eta:24") + kItems * 24);
  EXPECT_EQ(shared("sim_hard"), kEmbeddings + kItems * 4);
}

}  // namespace
}  // namespace eta::test
