// SPDX-License-Identifier: Apache-2.0
#include "core/reference/pq4.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace eta::reference {
namespace {

size_t FirstDim(const Pq4Codebooks& codebooks, size_t s) {
  return codebooks.dim * s / codebooks.subspaces;
}

float Product(std::span<const float> x, std::span<const float> centroid, float start) {
  float sum = start;
  for (size_t d = 0; d < centroid.size(); ++d) sum = std::fma(x[d], centroid[d], sum);
  return sum;
}

// Halves the square of a centroid's length; negative.
float Start(std::span<const float> centroid) {
  double square = 0;
  for (const float value : centroid) {
    square += static_cast<double>(value) * static_cast<double>(value);
  }
  return static_cast<float>(-0.5 * square);
}

// What a step of an inner product counts: 0 where the tables say nothing.
float Scale(std::span<const float> ranges) {
  float sum = 0, most = 0;
  for (const float range : ranges) {
    sum += range;
    most = std::max(most, range);
  }
  if (!(most > 0)) return 0;
  float scale = 63.0f / most;
  // Sums of up to 32 parts should fit a byte wherever the code is a near one.
  if (ranges.size() <= 32) scale = std::min(scale, 406.0f / sum);
  return scale <= std::numeric_limits<float>::max() ? scale : 0;
}

}  // namespace

Pq4Codebooks MakePq4Codebooks(std::span<const float> rows, size_t width, size_t dim,
                              size_t subspaces) {
  Pq4Codebooks codebooks{dim, subspaces, {}};
  for (size_t s = 0; s < subspaces; ++s) {
    const size_t dims = FirstDim(codebooks, s + 1) - FirstDim(codebooks, s);
    for (size_t m = 0; m < 16; ++m) {
      const auto row = rows.subspan((16 * s + m) * width, dims);
      codebooks.centroids.emplace_back(row.begin(), row.end());
    }
  }
  return codebooks;
}

std::vector<uint8_t> Pq4Encode(std::span<const float> x, const Pq4Codebooks& codebooks) {
  std::vector<uint8_t> code(codebooks.subspaces / 2, 0);
  for (size_t s = 0; s < codebooks.subspaces; ++s) {
    size_t best = 0;
    float best_score = std::numeric_limits<float>::lowest();
    for (size_t m = 0; m < 16; ++m) {
      const std::vector<float>& centroid = codebooks.centroids[16 * s + m];
      const float score = Product(x.subspan(FirstDim(codebooks, s)), centroid, Start(centroid));
      if (score > best_score) {
        best = m;
        best_score = score;
      }
    }
    code[s / 2] = static_cast<uint8_t>(code[s / 2] | best << (s % 2 * 4));
  }
  return code;
}

std::vector<uint8_t> Pq4Tables(std::span<const float> query, const Pq4Codebooks& codebooks) {
  std::vector<float> products, best, ranges;
  for (size_t s = 0; s < codebooks.subspaces; ++s) {
    for (size_t m = 0; m < 16; ++m) {
      products.push_back(
          Product(query.subspan(FirstDim(codebooks, s)), codebooks.centroids[16 * s + m], 0.0f));
    }
    const auto [least, most] = std::ranges::minmax(std::span(products).last(16));
    best.push_back(most);
    ranges.push_back(most - least);
  }
  const bool finite = std::ranges::all_of(products, [](float p) { return std::isfinite(p); });
  const float scale = finite ? Scale(ranges) : 0.0f;
  std::vector<uint8_t> tables(products.size(), 0);
  for (size_t i = 0; i < products.size() && scale > 0; ++i) {
    const float entry = std::fma(best[i / 16] - products[i], scale, 0.5f);
    tables[i] = static_cast<uint8_t>(std::min(static_cast<int>(entry), 63));
  }
  return tables;
}

uint32_t Pq4Penalty(std::span<const uint8_t> code, std::span<const uint8_t> tables) {
  uint32_t penalty = 0;
  for (size_t p = 0; p < code.size(); ++p) {
    penalty += tables[32 * p + code[p] % 16];
    penalty += tables[32 * p + 16 + code[p] / 16];
  }
  return penalty;
}

std::vector<uint32_t> Pq4Penalties(std::span<const uint8_t> codes,
                                   std::span<const uint8_t> tables) {
  const size_t code_bytes = tables.size() / 32;
  std::vector<uint32_t> penalties;
  for (size_t begin = 0; begin < codes.size(); begin += code_bytes) {
    penalties.push_back(Pq4Penalty(codes.subspan(begin, code_bytes), tables));
  }
  return penalties;
}

std::vector<HammingNeighbor> Pq4TopK(std::span<const uint8_t> codes,
                                     std::span<const uint8_t> tables, size_t k,
                                     simd::TieOrder ties) {
  return NearestOf(Pq4Penalties(codes, tables), k, ties);
}

}  // namespace eta::reference
