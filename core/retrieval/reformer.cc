// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/reformer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "simd/buckets.h"

namespace eta {
namespace {

// Bucket planes as simd/buckets.h has them.
struct BucketHistory final : RefillableHistory {
  BucketHistory(size_t capacity, size_t rounds)
      : RefillableHistory(capacity),
        rounds(rounds),
        planes(simd::BucketPlanesSize(capacity, rounds)) {}
  size_t bytes() const override {
    return simd::BucketPlanesSize(length(), rounds) * sizeof(uint16_t);
  }

  size_t rounds;
  AlignedVector<uint16_t> planes;
};

struct ReformerScratch final : Scratch {
  ScratchBuffer shared;     // rounds that each behaviour shares with the candidate
  ScratchBuffer histogram;  // behaviours that share 0, 1, ... rounds
};

class ReformerRetriever final : public RefillableRetriever {
 public:
  ReformerRetriever(std::string name, const Matrix<int32_t>& buckets)
      : RefillableRetriever(std::move(name), buckets.rows), buckets_(buckets.rows, buckets.cols) {
    Require(rounds() >= 1 && rounds() <= std::numeric_limits<uint16_t>::max(),
            "reformer: ", rounds(), " rounds");
    for (size_t i = 0; i < buckets.values.size(); ++i) {
      const int32_t bucket = buckets.values[i];
      Require(bucket >= 0 && bucket <= std::numeric_limits<uint16_t>::max(), "reformer: bucket ",
              bucket, " of item ", i / rounds());
      buckets_.values[i] = static_cast<uint16_t>(bucket);
    }
  }

  size_t table_bytes() const override { return buckets_.values.size() * sizeof(uint16_t); }

  std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const override {
    return std::make_unique<BucketHistory>(capacity, rounds());
  }
  std::unique_ptr<Scratch> NewScratch() const override {
    return std::make_unique<ReformerScratch>();
  }

 private:
  size_t rounds() const { return buckets_.cols; }
  const uint16_t* row(int32_t item) const { return buckets_.row(static_cast<size_t>(item)); }

  void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const override {
    auto& planes = dynamic_cast<BucketHistory&>(history).planes;
    const size_t stride = simd::PaddedRows(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      const uint16_t* buckets = row(items[i]);
      for (size_t r = 0; r < rounds(); ++r) planes[r * stride + i] = buckets[r];
    }
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const BucketHistory&>(history);
    auto& buffers = dynamic_cast<ReformerScratch&>(scratch);
    const size_t n = prepared.length();
    auto* shared = buffers.shared.Get<uint16_t>(simd::PaddedRows(n));
    const std::span histogram(buffers.histogram.Get<uint32_t>(rounds() + 1), rounds() + 1);
    for (size_t b = 0; b < candidates.size(); ++b) {
      simd::CountSharedBuckets({prepared.planes.data(), n, rounds()}, row(candidates[b]), shared);
      out.counts[b] =
          static_cast<int32_t>(Select({shared, n}, k, histogram, out.positions.data() + b * k));
    }
  }

  // Writes the positions of the k that share most rounds, newest first; returns how many.
  static size_t Select(std::span<const uint16_t> shared, size_t k, std::span<uint32_t> histogram,
                       int32_t* out) {
    std::ranges::fill(histogram, 0u);
    for (const uint16_t rounds : shared) ++histogram[rounds];
    // Takes all that share more than `border` rounds, and the newest of those that share as many.
    size_t border = histogram.size() - 1, above = 0;
    while (border > 1 && above + histogram[border] < k) above += histogram[border--];
    size_t at_border = std::min<size_t>(histogram[border], k - above);
    const size_t count = above + at_border;
    size_t found = 0;
    for (size_t i = shared.size(); i > 0 && found < count; --i) {
      const size_t rounds = shared[i - 1];
      if (rounds < border || (rounds == border && at_border == 0)) continue;
      if (rounds == border) --at_border;
      out[found++] = static_cast<int32_t>(i - 1);
    }
    return count;
  }

  Matrix<uint16_t> buckets_;  // items x rounds
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakeReformerRetriever(std::string name,
                                                           const Matrix<int32_t>& buckets) {
  return std::make_unique<ReformerRetriever>(std::move(name), buckets);
}

}  // namespace eta
