// SPDX-License-Identifier: Apache-2.0
// Items, a history and candidates to try methods on.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "baselines/methods.h"
#include "core/base/random.h"
#include "core/data/items.h"
#include "core/retrieval/retriever.h"
#include "tests/support/retrieval_test_util.h"

namespace eta::test {

inline constexpr size_t kItems = 500;
inline constexpr int32_t kCategories = 7;

// Small integers: float32 sums of their products are exact in any order, and many are equal.
inline ItemTable IntegerItems(size_t items, size_t dim, uint64_t seed) {
  Random random(seed);
  ItemTable table;
  table.embeddings = Matrix<float>(items, dim);
  for (float& x : table.embeddings.values) x = static_cast<float>(random.Below(7)) - 3;
  for (size_t i = 0; i < items; ++i) {
    table.categories.push_back(static_cast<int32_t>(random.Below(kCategories)) - 2);
  }
  return table;
}

inline ItemTable NormalItems(size_t items, size_t dim, uint64_t seed) {
  ItemTable table = IntegerItems(items, dim, seed);
  Random random(seed, 1);
  for (float& x : table.embeddings.values) x = static_cast<float>(random.Normal());
  return table;
}

// Items are drawn with replacement, so a long list repeats many.
inline std::vector<int32_t> DrawItems(size_t n, size_t items, uint64_t seed) {
  Random random(seed, 2);
  std::vector<int32_t> list(n);
  for (int32_t& id : list) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
  return list;
}

inline Lists Retrieve(const Retriever& retriever, const PreparedHistory& history,
                      const std::vector<int32_t>& candidates, size_t k) {
  return Retrieve(retriever, history, candidates, k, *retriever.NewScratch());
}

// Reports the first difference only: whole lists are thousands of numbers.
inline void ExpectSame(const Lists& actual, const Lists& expected, const std::string& what = "") {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t b = 0; b < actual.size(); ++b) {
    ASSERT_EQ(actual[b], expected[b]) << what << " candidate " << b;
  }
}

// A history and candidates, drawn from the items.
struct Problem {
  ItemTable items;
  std::vector<int32_t> history;
  std::vector<int32_t> candidates;

  Problem(ItemTable table, size_t n, size_t num_candidates, uint64_t seed)
      : items(std::move(table)),
        history(DrawItems(n, items.size(), seed)),
        candidates(DrawItems(num_candidates, items.size(), seed + 1)) {}

  // What the method that `spec` names returns for them.
  Lists Run(const std::string& spec, size_t k, const MethodOptions& options = {}) const {
    const auto retriever = MakeMethod(spec, items, options);
    return Retrieve(*retriever, *retriever->Prepare(history), candidates, k);
  }
};

// The share of what `exact` returned that `returned` has too.
inline double MeanRecall(const Lists& returned, const Lists& exact) {
  size_t hits = 0, total = 0;
  for (size_t b = 0; b < exact.size(); ++b) {
    total += exact[b].size();
    for (const int32_t position : returned[b]) {
      hits += static_cast<size_t>(std::ranges::count(exact[b], position));
    }
  }
  return static_cast<double>(hits) / static_cast<double>(total);
}

// Values for a word in capitals in a form of MethodForms. FAISS's sub-quantisers must divide the
// dimension, which is 8 or 16 where all forms are tried.
inline std::vector<std::string> ValuesOf(const std::string& form, const std::string& word) {
  if (word == "BITS")
    return {form.starts_with("faiss_pq4") || form.starts_with("faiss_opq4") ? "32" : "24"};
  if (word == "C" || word == "NPROBE") return {"3"};
  if (word == "EFSEARCH") return {"20"};
  if (word == "MODE") return {"heap", "counting", "single"};
  ADD_FAILURE() << "no values for " << word;
  return {};
}

// Specs of one form: without what is in brackets, and with each value of it.
inline std::vector<std::string> SpecsOfForm(const std::string& form) {
  const size_t bracket = form.find('[');
  if (bracket != std::string::npos) {
    std::vector<std::string> specs = SpecsOfForm(form.substr(0, bracket));
    const std::string word = form.substr(bracket + 2, form.size() - bracket - 3);  // of "[:WORD]"
    for (const std::string& value : ValuesOf(form, word))
      specs.push_back(specs.front() + ':' + value);
    return specs;
  }
  std::string spec;
  for (size_t i = 0; i < form.size();) {
    const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    const auto end =
        std::find_if_not(form.begin() + static_cast<ptrdiff_t>(i), form.end(), is_capital);
    const auto size = static_cast<size_t>(end - form.begin()) - i;
    spec += size == 0 ? form.substr(i, 1) : ValuesOf(form, form.substr(i, size)).front();
    i += std::max<size_t>(size, 1);
  }
  return {spec};
}

inline std::vector<std::string> SpecsOfAllForms() {
  std::vector<std::string> specs;
  for (const std::string& form : MethodForms()) {
    std::ranges::copy(SpecsOfForm(form), std::back_inserter(specs));
  }
  return specs;
}

// Each item once: FAISS's BLAS path rounds equal rows differently by position and thread count, so
// ties are broken at random there.
inline Problem ProblemWithoutTies() {
  Problem problem(NormalItems(3000, 16, 3), 1500, 40, 5);
  std::iota(problem.history.begin(), problem.history.end(), 700);
  return problem;
}

}  // namespace eta::test
