// SPDX-License-Identifier: Apache-2.0
// How good a retrieval is, and how its latencies are summed up. Definitions are exact on purpose:
// recall counted by position and recall that forgives ties are different numbers, and both matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/export.h"

namespace eta {

// The nearest-rank percentile: the smallest sample such that at least `percent` % of all samples
// are not larger. It is always one of the samples, never interpolated; 0 gives the smallest, 100
// the largest, and with fewer than 1,000 samples 99.9 gives the largest too.
// `sorted` must be ascending. Throws std::invalid_argument when it is empty, not ascending or holds
// NaN, or when percent lies outside [0, 100].
ETA_CORE_API double Percentile(std::span<const double> sorted, double percent);

// Arithmetic mean. Throws std::invalid_argument when there are no values.
ETA_CORE_API double Mean(std::span<const double> values);

// Recall@K by position: the share of the exact top-K that was also returned. `exact` holds min(K,
// n) positions, so a history shorter than K is judged on all of its n behaviours. Whoever returns
// the other one of two equal scores loses a hit here; RecallTieAware forgives that. Nothing when n
// = 0: such a request does not count. Throws std::invalid_argument when a position of either list
// lies outside [0, n) or occurs twice.
ETA_CORE_API std::optional<double> RecallById(std::span<const int32_t> returned,
                                              std::span<const int32_t> exact, size_t n);

// Relative slack of RecallTieAware: another order of float32 summation is not a miss.
inline constexpr double kTieEpsilon = 1e-6;

// Recall@K by score: a returned position is a hit when scores[position] is at least the K-th best
// score s less kTieEpsilon * |s|. At most min(k, n) hits count, out of min(k, n). `scores` are the
// exact scores of all n behaviours; NaN ranks as -infinity.
// Nothing when n = 0. Throws std::invalid_argument when k is 0, or when a returned position lies
// outside [0, n) or occurs twice.
ETA_CORE_API std::optional<double> RecallTieAware(std::span<const int32_t> returned,
                                                  std::span<const float> scores, size_t k);

// Attention mass: the share of the weight of softmax(scores / (temperature sqrt(dim))) over all n
// behaviours that falls on the returned ones, summed in double after subtracting the largest score,
// in the order of the positions: the same bits in whatever order they are returned. A NaN score
// weighs 0. Where scores are +infinity these share all weight evenly.
// Nothing when n = 0 or no behaviour has any weight. Throws std::invalid_argument when dim is 0 or
// temperature not a positive number, or when a returned position lies outside [0, n) or occurs
// twice.
ETA_CORE_API std::optional<double> AttentionMass(std::span<const int32_t> returned,
                                                 std::span<const float> scores, size_t dim,
                                                 double temperature = 1);

// The three measures of one retrieval.
struct ETA_CORE_API Quality {
  double recall;
  double recall_ties;
  std::optional<double> attention_mass;
};

// Judges many retrievals of one candidate by the three measures above, and does the work that
// depends on the scores alone only once. Not for use by several threads at a time.
class ETA_CORE_API Judge {
 public:
  // Throws std::invalid_argument when k or dim is 0 or temperature not a positive number.
  Judge(size_t k, size_t dim, double temperature = 1);

  // Sets the exact scores of the n behaviours; `scores` need not outlive the call. Allocates only
  // when n is larger than ever before.
  void SetScores(std::span<const float> scores);

  // The exact top-K: min(k, n) positions in unspecified order; of equal scores the newest, which is
  // the highest position, comes first.
  std::span<const int32_t> top() const { return top_; }

  // Nothing when n = 0. Throws as the functions above, of which it gives exactly the results.
  std::optional<Quality> Rate(std::span<const int32_t> returned);

 private:
  void RequireDistinct(std::span<const int32_t> returned);

  size_t k_;
  double scale_;                   // of scores before the softmax
  std::vector<float> scores_;      // NaN replaced by -infinity
  std::vector<double> weights_;    // softmax numerators
  std::vector<int32_t> order_;     // scratch of the selection
  std::vector<int32_t> returned_;  // scratch of Rate
  std::vector<int32_t> top_;
  std::vector<uint8_t> is_top_;   // one flag per position
  std::vector<uint8_t> is_seen_;  // all 0 between calls
  double total_weight_ = 0;
  float kth_ = 0;  // the lowest score of the top-K
};

}  // namespace eta
