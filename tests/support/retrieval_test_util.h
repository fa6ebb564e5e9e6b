// SPDX-License-Identifier: Apache-2.0
// What the tests of retrievers share: small item tables, and one request with what every answer
// must fulfil.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/data/generator.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/retriever.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

inline ItemTable TableOfRows(const std::vector<float>& rows, size_t dim) {
  ItemTable items;
  items.embeddings = Matrix<float>(rows.size() / dim, dim);
  std::ranges::copy(rows, items.embeddings.values.begin());
  return items;
}

inline ItemTable BellItems(size_t count, size_t dim, uint64_t seed) {
  Rng rng(seed);
  return TableOfRows(MakeFloats(count * dim, [&] { return BellFloat(rng); }), dim);
}

// Among the rows are some with NaN, infinities, denormals and huge values.
inline ItemTable HardItems(size_t count, size_t dim, uint64_t seed) {
  Rng rng(seed);
  return TableOfRows(HardRows(rng, count, dim), dim);
}

// 500 items of dim 24 and one user with 1,000 behaviours.
inline Bundle OneUserBundle() {
  GeneratorOptions options;
  options.users = 1;
  options.items = 500;
  options.dim = 24;
  options.categories = 5;
  options.fixed_length = 1000;
  return GenerateBundle(options);
}

inline Hyperplanes Planes(size_t dim, size_t bits) {
  return Hyperplanes::Make(HyperplaneKind::kGaussian, dim, bits, 1);
}

// What a function throws as std::invalid_argument; empty when it throws nothing.
template <class F>
std::string Error(F function) {
  try {
    function();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

inline bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

using Lists = std::vector<std::vector<int32_t>>;  // of positions, one for each candidate

// What a retriever returns for one request. Checks what all promise: counts in range, positions of
// the history without duplicates, -1 after them, nothing written beyond.
inline Lists Retrieve(const Retriever& retriever, const PreparedHistory& history,
                      std::span<const int32_t> candidates, size_t k, Scratch& scratch) {
  Buffer<int32_t> positions(candidates.size() * k, 0, 16), counts(candidates.size(), 0, 16);
  retriever.Retrieve(history, candidates, k, scratch, {positions.span(), counts.span()});
  Lists lists;
  for (size_t b = 0; b < candidates.size(); ++b) {
    const std::span<const int32_t> row(positions.data() + b * k, k);
    EXPECT_GE(counts[b], 0) << retriever.name();
    EXPECT_LE(static_cast<size_t>(counts[b]), std::min(k, history.length())) << retriever.name();
    const auto count =
        static_cast<size_t>(std::clamp<int64_t>(counts[b], 0, static_cast<int64_t>(k)));
    const auto found = row.first(count);
    lists.emplace_back(found.begin(), found.end());
    std::vector<int32_t> sorted = lists.back();
    std::ranges::sort(sorted);
    EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end())
        << retriever.name() << " repeats a position for candidate " << b;
    if (!sorted.empty()) {
      EXPECT_GE(sorted.front(), 0) << retriever.name();
      EXPECT_LT(static_cast<size_t>(sorted.back()), history.length()) << retriever.name();
    }
    EXPECT_TRUE(std::ranges::all_of(row.subspan(count), [](int32_t p) { return p == -1; }))
        << retriever.name();
  }
  return lists;
}

inline Lists Sorted(Lists lists) {
  for (auto& list : lists) std::ranges::sort(list);
  return lists;
}

// The positions of a method that returns min(k, n) of them, ascending, since methods return them in
// any order.
inline Lists RetrieveSets(const Retriever& retriever, std::span<const int32_t> history,
                          std::span<const int32_t> candidates, size_t k, Scratch& scratch) {
  const auto prepared = retriever.Prepare(history);
  EXPECT_EQ(prepared->length(), history.size());
  Lists lists = Sorted(Retrieve(retriever, *prepared, candidates, k, scratch));
  for (const auto& list : lists) EXPECT_EQ(list.size(), std::min(k, history.size()));
  return lists;
}

inline Lists RetrieveSets(const Retriever& retriever, std::span<const int32_t> history,
                          std::span<const int32_t> candidates, size_t k) {
  return RetrieveSets(retriever, history, candidates, k, *retriever.NewScratch());
}

}  // namespace eta::test
