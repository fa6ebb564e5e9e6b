// SPDX-License-Identifier: Apache-2.0
// Lists of float32 scores with their positions: limits that few more than K scores reach, scores
// appended that reach them, and coarse ranks, by which float_select-inl.h cuts lists to their K
// best.

// clang-format off
#if defined(ETA_SIMD_FLOAT_LIST_INL_H_) == defined(HWY_TARGET_TOGGLE)  // NOLINT
#ifdef ETA_SIMD_FLOAT_LIST_INL_H_
#undef ETA_SIMD_FLOAT_LIST_INL_H_
#else
#define ETA_SIMD_FLOAT_LIST_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "simd/internal/common.h"
#include "simd/internal/compress-inl.h"
#include "simd/views.h"

#ifndef ETA_SIMD_FLOAT_LIST_TYPES_
#define ETA_SIMD_FLOAT_LIST_TYPES_
namespace eta::simd {

// The most lanes of a vector of scores.
inline constexpr size_t kFloatLanes = 16;

// Lists that are cut in step: their searches are chains of compare, count and halve that hide each
// other's latency.
inline constexpr size_t kFloatGroup = 4;

// Scores and positions, oldest first. No score is NaN.
struct ScoreList {
  float* scores;
  int32_t* positions;
  size_t count;
  float limit;  // what all scores reach
};

// What lists are cut with.
struct ScoreListWork {
  uint8_t* ranks[kFloatGroup];
  uint64_t* keys;
  float* scores;
};

// Hands out pieces of scratch, each aligned to a cache line. From a null pointer it counts bytes.
class ScratchPieces {
 public:
  explicit ScratchPieces(void* scratch)
      : start_(reinterpret_cast<uintptr_t>(scratch)), at_(RoundUp(start_, kCacheLineBytes)) {}

  template <typename T>
  T* Take(size_t count) {
    auto* piece = reinterpret_cast<T*>(at_);
    at_ += RoundUp(count * sizeof(T), kCacheLineBytes);
    return piece;
  }

  // A list with room for n scores. Whole blocks are read, and vectors behind the last are written.
  ScoreList TakeList(size_t n) {
    auto* scores = Take<float>(PaddedRows(n) + kBlockRows);
    return {scores, Take<int32_t>(PaddedRows(n) + kBlockRows), 0, 0.0f};
  }

  // Work for lists of up to n scores.
  ScoreListWork TakeWork(size_t n) {
    ScoreListWork work;
    for (uint8_t*& ranks : work.ranks) ranks = Take<uint8_t>(PaddedRows(n) + 2 * kBlockRows);
    work.keys = Take<uint64_t>(n);
    work.scores = Take<float>(PaddedRows(n) + kBlockRows);
    return work;
  }

  // Bytes of scratch of any alignment that hold what was taken from a null pointer.
  size_t bytes() const { return at_ - start_ + kCacheLineBytes; }

 private:
  uintptr_t start_, at_;
};

}  // namespace eta::simd
#endif  // ETA_SIMD_FLOAT_LIST_TYPES_

HWY_BEFORE_NAMESPACE();
namespace eta::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

using ScoreTag = hn::CappedTag<float, kFloatLanes>;
using ScoreVector = hn::Vec<ScoreTag>;
inline constexpr float kLowestScore = -std::numeric_limits<float>::infinity();

#if ETA_SIMD_HAS_BYTE_COMPRESS

// Appends the scores of a vector that reach the list's limit; that of lane i has position
// first + i.
HWY_INLINE void AppendReached(ScoreVector v, int32_t first, ScoreList& list) {
  const ScoreTag d;
  const hn::RebindToSigned<ScoreTag> di;
  size_t count;
  const auto plan = PlanCompress(d, hn::Ge(v, hn::Set(d, list.limit)), count);
  StoreCompressed(d, plan, v, list.scores + list.count);
  StoreCompressed(d, plan, hn::Add(hn::Iota(di, 0), hn::Set(di, first)),
                  list.positions + list.count);
  list.count += count;
}

// The same for the 64 scores of a block, in four vectors, whose bit in `valid` is set. One compress
// of bytes makes all positions.
HWY_INLINE void AppendReached(__m512 v0, __m512 v1, __m512 v2, __m512 v3, uint64_t valid,
                              int32_t first, ScoreList& list) {
  // Masks stay in their registers where `valid` is all rows, a constant.
  const __m512 limit = _mm512_set1_ps(list.limit);
  const auto reached = [&](__m512 v, size_t i) HWY_ATTR {
    return _mm512_mask_cmp_ps_mask(static_cast<__mmask16>(valid >> (16 * i)), v, limit, _CMP_GE_OQ);
  };
  const __mmask16 m0 = reached(v0, 0), m1 = reached(v1, 1), m2 = reached(v2, 2),
                  m3 = reached(v3, 3);
  const __mmask32 low = _mm512_kunpackw(m1, m0), high = _mm512_kunpackw(m3, m2);
  const __mmask64 all = _mm512_kunpackd(high, low);
  const uint64_t bits = _cvtmask64_u64(all);
  float* scores = list.scores + list.count;
  int32_t* positions = list.positions + list.count;
  const __m512i rows = _mm512_maskz_compress_epi8(all, _mm512_load_si512(kRowNumbers.of));
  const __m512i base = _mm512_set1_epi32(first);
  const auto store = [&](size_t i, __m128i lanes) HWY_ATTR {
    _mm512_storeu_si512(positions + i, _mm512_add_epi32(_mm512_cvtepu8_epi32(lanes), base));
  };
  // Always two vectors: near rows of a history lie together, and a branch for more than one vector
  // would often be wrong.
  store(0, _mm512_castsi512_si128(rows));
  store(16, _mm512_extracti32x4_epi32(rows, 1));
  const size_t count = hwy::PopCount(bits);
  if (HWY_UNLIKELY(count > 32)) {
    store(32, _mm512_extracti32x4_epi32(rows, 2));
    store(48, _mm512_extracti32x4_epi32(rows, 3));
  }
  _mm512_storeu_ps(scores, _mm512_maskz_compress_ps(m0, v0));
  _mm512_storeu_ps(scores + hwy::PopCount(bits & 0xFFFFu), _mm512_maskz_compress_ps(m1, v1));
  _mm512_storeu_ps(scores + hwy::PopCount(bits & 0xFFFFFFFFu), _mm512_maskz_compress_ps(m2, v2));
  _mm512_storeu_ps(scores + hwy::PopCount(bits & 0xFFFFFFFFFFFFu),
                   _mm512_maskz_compress_ps(m3, v3));
  list.count += count;
}

#endif

// The same for the first `rows` of a block's 64 stored scores.
HWY_INLINE void AppendReachedOfBlock(const float* scores, size_t rows, int32_t first,
                                     ScoreList& list) {
  const uint64_t valid = ~uint64_t{0} >> (kBlockRows - rows);
#if ETA_SIMD_HAS_BYTE_COMPRESS
  AppendReached(_mm512_loadu_ps(scores), _mm512_loadu_ps(scores + 16), _mm512_loadu_ps(scores + 32),
                _mm512_loadu_ps(scores + 48), valid, first, list);
#else
  const ScoreTag d;
  const auto limit = hn::Set(d, list.limit);
  uint64_t bits = 0;
  for (size_t lane = 0; lane < kBlockRows; lane += hn::Lanes(d)) {
    bits |= MaskBits(d, hn::Ge(hn::LoadU(d, scores + lane), limit)) << lane;
  }
  bits &= valid;
  CompressBlockRows(bits, scores, first, list.scores + list.count, list.positions + list.count);
  list.count += hwy::PopCount(bits);
#endif
}

// Sets the limit of a list, which is not empty, to its least score. A vector behind the scores is
// overwritten.
HWY_INLINE void RaiseLimit(ScoreList& list) {
  const ScoreTag d;
  hn::StoreU(hn::Set(d, list.scores[0]), d, list.scores + list.count);
  auto least = hn::Set(d, list.scores[0]);
  for (size_t i = 0; i < list.count; i += hn::Lanes(d)) {
    least = hn::Min(least, hn::LoadU(d, list.scores + i));
  }
  list.limit = hn::GetLane(hn::MinOfLanes(d, least));
}

// A score that fewer than k of a list's reach, or just k: at most a share r of numbers that are not
// negative reaches 1 / r times their mean. A score far above the others, as of the candidate
// itself, hardly moves it. A vector behind the scores is overwritten.
HWY_INLINE float HighScore(const ScoreList& list, size_t k) {
  const ScoreTag d;
  const auto limit = hn::Set(d, list.limit);
  hn::StoreU(limit, d, list.scores + list.count);
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < list.count; i += hn::Lanes(d)) {
    sum = hn::Add(sum, hn::Sub(hn::LoadU(d, list.scores + i), limit));
  }
  return list.limit + hn::GetLane(hn::SumOfLanes(d, sum)) / static_cast<float>(k);
}

// `steps`, none negative by much, as coarse ranks.
template <typename T>
HWY_INLINE void StoreRanks(ScoreVector steps, T* ranks) {
  const ScoreTag d;
  const auto v = hn::Max(steps, hn::Zero(d));
#if ETA_SIMD_HAS_BYTE_COMPRESS
  // Without the steps that Highway takes against numbers that are too large.
  const __m512i whole = _mm512_cvttps_epi32(v.raw);
  if constexpr (sizeof(T) == 1) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(ranks), _mm512_cvtusepi32_epi8(whole));
  } else {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(ranks), _mm512_cvtusepi32_epi16(whole));
  }
#else
  const hn::Rebind<T, ScoreTag> dt;
  hn::StoreU(hn::DemoteTo(dt, hn::ConvertTo(hn::RebindToSigned<ScoreTag>(), v)), dt, ranks);
#endif
}

// Writes the coarse ranks of a list, from 0 for scores of `high` or more to T's maximum - 1 for the
// limit: scores in order have ranks in order, but different scores may share one. All are 0 where
// high is not above the limit or the range not a number that can be divided by. A vector behind the
// ranks is overwritten.
template <typename T>
HWY_INLINE void CoarseRanks(const ScoreList& list, float high_score, T* ranks) {
  const ScoreTag d;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float range = high_score - list.limit;
  const float steps = static_cast<float>(std::numeric_limits<T>::max() - 1) / range;
  if (!(range > 0.0f && range < kInfinity && steps < kInfinity)) {
    std::fill(ranks, ranks + list.count, T{0});
    return;
  }
  const auto high = hn::Set(d, high_score), scale = hn::Set(d, steps);
  for (size_t i = 0; i < list.count; i += hn::Lanes(d)) {
    StoreRanks(hn::Mul(hn::Sub(high, hn::LoadU(d, list.scores + i)), scale), ranks + i);
  }
}

// a where all bits of the mask are set, b where none is.
HWY_INLINE float Choose(size_t mask, float a, float b) {
  uint32_t a_bits, b_bits;
  std::memcpy(&a_bits, &a, sizeof(a));
  std::memcpy(&b_bits, &b, sizeof(b));
  b_bits ^= (a_bits ^ b_bits) & static_cast<uint32_t>(mask);
  std::memcpy(&b, &b_bits, sizeof(b));
  return b;
}

// Sets the limits of empty lists for n scores each, several of them in step: to a value that the
// maxima of `rank` groups of `group` scores reach, so that at least `rank` scores do, and few more
// maxima; to -infinity where there is no other. Scores past the last whole group are left out; NaN
// is never a maximum. Each list has room for n scores, which are overwritten.
template <size_t kSets>
HWY_INLINE void SetLimits(const float* const (&scores)[kSets], size_t n, size_t group, size_t rank,
                          ScoreList* const (&lists)[kSets]) {
  // The search ends when from rank to 1.125 rank maxima reach each limit: with 1/16 in place of 1/8
  // the search is longer, with 1/4 the list. A set of normal scores takes 4.3 halvings. Where
  // scores are equal or skewed a set may never get there, and a longer list costs less than further
  // halvings for all sets.
  constexpr size_t kSlack = 8;  // rank / 8
  constexpr int kMaxHalvings = 6;
  const ScoreTag d;
  const size_t N = hn::Lanes(d);
  const size_t vectors = n / N;
  const size_t groups = vectors / group * N;
  float low[kSets], high[kSets];
  size_t reach_low[kSets];
  for (size_t s = 0; s < kSets; ++s) {
    auto least = hn::Set(d, -kLowestScore), most = hn::Set(d, kLowestScore);
    for (size_t i = 0; i < groups; i += N) {
      auto best = hn::Set(d, kLowestScore);
      for (size_t j = 0; j < group; ++j) {
        const auto v = hn::LoadU(d, scores[s] + j * groups + i);
        best = hn::IfThenElse(hn::Gt(v, best), v, best);
      }
      hn::StoreU(best, d, lists[s]->scores + i);
      least = hn::Min(least, best);
      most = hn::Max(most, best);
    }
    low[s] = groups < rank ? kLowestScore : hn::GetLane(hn::MinOfLanes(d, least));
    high[s] = hn::GetLane(hn::MaxOfLanes(d, most));
    reach_low[s] = groups;
  }
  for (int step = 0; step < kMaxHalvings && groups >= rank; ++step) {
    bool done = true;
    for (size_t s = 0; s < kSets; ++s) {
      // NaN between infinities: nothing reaches it, so the limit stays.
      const float middle = low[s] + (high[s] - low[s]) * 0.5f;
      const auto t = hn::Set(d, middle);
      size_t reached = 0;
      for (size_t i = 0; i < groups; i += N) {
        reached += hn::CountTrue(d, hn::Ge(hn::LoadU(d, lists[s]->scores + i), t));
      }
      const size_t enough = MaskIf(reached >= rank);
      low[s] = Choose(enough, middle, low[s]);
      high[s] = Choose(enough, high[s], middle);
      reach_low[s] = (reached & enough) | (reach_low[s] & ~enough);
      done = done && reach_low[s] <= rank + rank / kSlack;
    }
    if (done) break;
  }
  for (size_t s = 0; s < kSets; ++s) {
    lists[s]->limit = low[s];
    lists[s]->count = 0;
  }
}

}  // namespace
}  // namespace eta::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
