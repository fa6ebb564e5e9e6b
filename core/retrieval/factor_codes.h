// SPDX-License-Identifier: Apache-2.0
// Codes with a factor: SimHash codes that know how long their embeddings are (simd/factors.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"

namespace eta {

// What an embedding's factor is.
enum class FactorKind {
  kNorm,  // its length, for Hamming distances (simd::NormFactor)
  kAsym,  // simd::AsymFactor of its projections, for asymmetric penalties
};

// The codes of all items with their factors: a row of simd::FactorCodeBytes(bits) bytes for each.
struct ETA_CORE_API FactorCodes {
  Matrix<uint8_t> rows;  // items x row bytes
  size_t bits = 0;       // of a code
  float unit = 1;        // of the factors: what 1 in a row's last byte stands for
};

// Hashes all items with up to `threads` threads. The unit is 8 medians of the factors over 255 (1
// where no item has a positive one), so that a few items of enormous length, which would leave the
// others no digits, saturate instead. The same bytes on every target and number of threads. Throws
// as CodeTable does.
ETA_CORE_API FactorCodes MakeFactorCodes(const ItemTable& items, const Hyperplanes& hyperplanes,
                                         FactorKind kind, int threads = 1);

// The rows of rows x dim embeddings in a given unit, one after another: what MakeFactorCodes writes
// for these embeddings. For items that are new or trained on while the table is served; replace a
// behaviour's row in its blocks by simd::SetBlockCode. Throws std::invalid_argument unless
// unit > 0, embeddings are whole rows and codes.size() == rows *
// simd::FactorCodeBytes(hyperplanes.bits()).
ETA_CORE_API void EncodeWithFactors(const Hyperplanes& hyperplanes, FactorKind kind, float unit,
                                    std::span<const float> embeddings, std::span<uint8_t> codes);

}  // namespace eta
