// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/internal/export_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/ctr/internal/manifest.h"
#include "core/retrieval/hyperplanes.h"
#include "simd/asym.h"
#include "simd/pq4.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

// Two sums of the same float32 products in different orders may differ by this share of the sum of
// their magnitudes: an order of summation moves a sum by a few 2^-24 = 6e-8 of it.
constexpr double kRounding = 1e-5;

// True where the projection of an item on a hyperplane is 0 up to rounding.
bool IsNearZero(const CtrExport& model, size_t item, size_t bit) {
  double sum = 0, size = 0;
  for (size_t d = 0; d < model.settings.dim; ++d) {
    const double term = static_cast<double>(model.bundle.items.embeddings.row(item)[d]) *
                        model.hyperplanes.row(d)[bit];
    sum += term;
    size += std::abs(term);
  }
  return std::abs(sum) <= kRounding * size;
}

// True where `bucket` is the largest of [x R; -x R] up to rounding.
bool IsLargest(std::span<const float> x, const Matrix<float>& rotations, size_t round,
               size_t bucket) {
  const size_t half = rotations.cols;
  std::vector<double> turned(half);
  double size = 0;
  for (size_t d = 0; d < x.size(); ++d) {
    const float* row = rotations.row(round * x.size() + d);
    for (size_t b = 0; b < half; ++b) turned[b] += static_cast<double>(x[d]) * row[b];
    size += std::abs(x[d]);
  }
  double best = 0;
  for (const double value : turned) best = std::max(best, std::abs(value));
  const double own = bucket < half ? turned[bucket] : -turned[bucket - half];
  // Gaussian entries are not much larger than 1, so `size` bounds the terms of a sum.
  return own >= best - kRounding * size;
}

void CheckSample(const CtrExport& model, size_t i, const fs::path& file) {
  const CtrSample& s = model.samples[i];
  const auto require = [&](bool condition, const char* what, int32_t found) {
    if (!condition) ThrowDataError(file, what, " of sample ", i, " is out of range: ", found);
  };
  require(s.user >= 0 && static_cast<size_t>(s.user) < model.users(), "user", s.user);
  const auto length =
      static_cast<int64_t>(model.bundle.histories[static_cast<size_t>(s.user)].size());
  require(s.history_end >= 0 && s.history_end <= length, "history_end", s.history_end);
  require(s.history_begin >= 0 && s.history_begin <= s.history_end &&
              static_cast<size_t>(s.history_end - s.history_begin) <= model.settings.max_history,
          "history_begin", s.history_begin);
  require(s.item >= 0 && static_cast<size_t>(s.item) < model.items(), "item", s.item);
  require(s.label == 0 || s.label == 1, "label", s.label);
}

}  // namespace

void CheckCtrBundle(const CtrExport& model, size_t items, size_t users, const fs::path& folder) {
  const ItemTable& table = model.bundle.items;
  if (table.size() != items || table.dim() != model.settings.dim) {
    ThrowDataError(folder, "item_embeddings is [", table.size(), ", ", table.dim(), "] (expected [",
                   items, ", ", model.settings.dim, "], as in manifest.json)");
  }
  if (table.candidate_embeddings) {
    ThrowDataError(folder,
                   "candidate_embeddings.npy is there (expected none, because the models "
                   "have one embedding for an item)");
  }
  CheckFinite(table.embeddings.values, folder / "item_embeddings.npy");
  if (model.bundle.histories.users() != users) {
    ThrowDataError(folder, "histories of ", model.bundle.histories.users(), " users (expected ",
                   users, ", as in manifest.json)");
  }
}

void CheckInt8(const Matrix<int8_t>& matrix, const fs::path& file) {
  const auto low = std::ranges::find(matrix.values, int8_t{-128});
  if (low == matrix.values.end()) return;
  ThrowDataError(file, "value ", low - matrix.values.begin(), " is -128 (expected -127 to 127)");
}

void CheckItemCodes(const CtrExport& model, const fs::path& file) {
  const Hyperplanes hyperplanes = Hyperplanes::FromMatrix(model.hyperplanes);
  const size_t code_bytes = hyperplanes.code_bytes();  // a factor may follow them
  std::vector<uint8_t> own(model.items() * code_bytes);
  hyperplanes.Encode(model.bundle.items.embeddings.values, own);
  for (size_t i = 0; i < own.size(); ++i) {
    const size_t item = i / code_bytes, byte = i % code_bytes;
    const int different = own[i] ^ model.item_codes.row(item)[byte];
    for (size_t b = 0; b < 8; ++b) {
      if ((different >> b & 1) == 0) continue;
      const size_t bit = byte * 8 + b;
      if (bit >= model.settings.bits || !IsNearZero(model, item, bit)) {
        ThrowDataError(file, "bit ", bit, " of item ", item,
                       " is not that of its embedding and hyperplanes");
      }
    }
  }
}

void CheckItemWeights(const CtrExport& model, const fs::path& file) {
  const size_t bits = model.settings.bits;
  for (size_t item = 0; item < model.items(); ++item) {
    const int8_t* weights = model.item_weights.row(item);
    size_t sum = 0;
    for (size_t bit = 0; bit < model.item_weights.cols; ++bit) {
      const auto weight = static_cast<size_t>(std::abs(int{weights[bit]}));
      sum += weight;
      if (weight > (bit < bits ? simd::kMaxWeight : 0)) {
        ThrowDataError(file, "weight ", bit, " of item ", item, " is ", int{weights[bit]},
                       " (expected -15 to 15, and 0 beyond \"bits\")");
      }
    }
    if (bits <= 8 * simd::kMaxBytePenaltyCodeBytes && sum > 254) {
      ThrowDataError(file, "weights of item ", item, " add up to ", sum, " (expected at most 254)");
    }
  }
}

void CheckItemTables(const CtrExport& model, const fs::path& file) {
  const auto& values = model.item_tables.values;
  const auto large =
      std::ranges::find_if(values, [](uint8_t entry) { return entry > simd::kPq4MaxEntry; });
  if (large == values.end()) return;
  ThrowDataError(file, "value ", large - values.begin(), " is ", int{*large}, " (expected 0 to ",
                 simd::kPq4MaxEntry, ")");
}

void CheckItemBuckets(const CtrExport& model, const Matrix<float>& rotations,
                      const fs::path& file) {
  const Matrix<float>& embeddings = model.bundle.items.embeddings;
  for (size_t item = 0; item < model.items(); ++item) {
    for (size_t round = 0; round < model.settings.rounds; ++round) {
      const int32_t bucket = model.item_buckets.row(item)[round];
      if (bucket < 0 || static_cast<size_t>(bucket) >= 2 * rotations.cols) {
        ThrowDataError(file, "bucket ", bucket, " of item ", item, " (expected 0 to ",
                       2 * rotations.cols - 1, ")");
      }
      if (!IsLargest({embeddings.row(item), embeddings.cols}, rotations, round,
                     static_cast<size_t>(bucket))) {
        ThrowDataError(file, "bucket ", bucket, " of item ", item, " in round ", round,
                       " is not that of its embedding and the rotations");
      }
    }
  }
}

void CheckSamples(const CtrExport& model, const fs::path& file) {
  for (size_t i = 0; i < model.samples.size(); ++i) CheckSample(model, i, file);
}

}  // namespace eta
