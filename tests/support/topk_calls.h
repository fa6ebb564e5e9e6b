// SPDX-License-Identifier: Apache-2.0
// Calls of a top-K kernel of every kind, compared with fully ranked lists.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <unordered_map>
#include <vector>

#include "simd/views.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

// One way to call a top-K kernel.
struct TopKCall {
  simd::TopKOptions options;
  bool want_values;

  friend std::ostream& operator<<(std::ostream& out, const TopKCall& call) {
    const auto& [k, ties, order] = call.options;
    return out << "k=" << k << (ties == simd::TieOrder::kNewestFirst ? " newest" : " oldest")
               << " first, " << (order == simd::ResultOrder::kSorted ? "sorted" : "any order")
               << (call.want_values ? "" : ", no values");
  }
};

template <class Value>
struct RankedRow {
  int32_t position;
  Value value;
};

// All rows of a history, best first.
template <class Value>
using Ranking = std::vector<RankedRow<Value>>;

// Compares the first entries of one row of results with those of the ranking: by rank, or in any
// order by position. Without values, `values` is null. Nothing is sorted, which took most of the
// time of tests that are not optimised.
template <class Value>
void ExpectBest(const TopKCall& call, const int32_t* positions, const Value* values,
                const Ranking<Value>& ranking) {
  const RankedRow<Value>* rows = ranking.data();
  const size_t count = std::min(call.options.k, ranking.size());
  const bool is_sorted = call.options.order == simd::ResultOrder::kSorted;
  std::unordered_map<int32_t, const RankedRow<Value>*> expected;
  if (!is_sorted) {
    expected.reserve(count);
    for (size_t i = 0; i < count; ++i) expected.emplace(rows[i].position, rows + i);
  }
  for (size_t i = 0; i < count; ++i) {
    const RankedRow<Value>* row = rows + i;
    if (!is_sorted) {
      const auto found = expected.find(positions[i]);
      ASSERT_TRUE(found != expected.end()) << "position " << positions[i] << " at " << i << " of "
                                           << count << " is not one of the best, or comes twice";
      row = found->second;
      expected.erase(found);
    }
    ASSERT_TRUE(positions[i] == row->position && (values == nullptr || Same(values[i], row->value)))
        << "first mismatch at " << i << " of " << count << ": position " << positions[i] << " with "
        << (values == nullptr ? 0.0 : static_cast<double>(values[i])) << ", expected "
        << row->position << " with " << static_cast<double>(row->value);
  }
}

// How many rows a call ranks, where its scratch and results begin and what the scratch holds
// before.
struct TopKSetting {
  size_t n;
  size_t scratch_bytes;
  size_t offset;  // elements by which all are misaligned
  uint64_t turn;  // chooses the contents of the scratch
};

// Makes one call, run(options, scratch, result), on the queries whose rankings are given. Compares
// each row and checks that nothing else was written.
template <class Value, class Run>
void ExpectTopK(const TopKCall& call, const TopKSetting& setting,
                std::span<const Ranking<Value>> rankings, Run run) {
  SCOPED_TRACE(call);
  const size_t k = call.options.k;
  Buffer<uint8_t> scratch = MakeScratch(setting.scratch_bytes, setting.offset, setting.turn);
  Buffer<int32_t> positions(rankings.size() * k, setting.offset, 16);
  Buffer<Value> values(call.want_values ? positions.size() : 0, setting.offset, 16);
  Value* out = call.want_values ? values.data() : nullptr;
  const size_t count =
      run(call.options, scratch.data(), simd::TopKResult<Value>{positions.data(), out});
  ASSERT_EQ(count, std::min(k, setting.n));
  for (size_t q = 0; q < rankings.size(); ++q) {
    SCOPED_TRACE(::testing::Message() << "query " << q << " of " << rankings.size());
    const size_t row = q * k;
    ExpectBest(call, positions.data() + row, out == nullptr ? out : out + row, rankings[q]);
    EXPECT_TRUE(positions.Untouched(row + count, row + k));
    EXPECT_TRUE(out == nullptr || values.Untouched(row + count, row + k));
  }
}

// About n and the usual K. Sorting long lists whole is left to the middle sizes, for time.
inline std::vector<size_t> SomeK(size_t n) {
  if (n > 2000) return {1, 64, 100, n - 1};
  std::vector<size_t> ks = {1, 2, 48, 64, 100, n + 1};
  if (n > 0) ks.push_back(n);
  if (n > 1) ks.push_back(n - 1);
  std::ranges::sort(ks);
  ks.erase(std::unique(ks.begin(), ks.end()), ks.end());
  return ks;
}

// Calls visit(call, turn) for each k, sorted and in any order, with values two times of three.
template <class Visit>
void ForEachTopKCall(std::span<const size_t> ks, simd::TieOrder ties, uint64_t turn, Visit visit) {
  for (const size_t k : ks) {
    for (const auto order : {simd::ResultOrder::kSorted, simd::ResultOrder::kAny}) {
      ++turn;
      visit(TopKCall{{k, ties, order}, turn % 3 != 0}, turn);
    }
  }
}

}  // namespace eta::test
