// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/verify.h"

#include <algorithm>
#include <cmath>

#include "core/reference/ctr.h"
#include "core/reference/hamming.h"
#include "core/reference/simhash.h"

namespace eta::bench {
namespace {

std::vector<uint8_t> Code(const Matrix<float>& rows, int32_t item, const Hyperplanes& planes) {
  return reference::SimHash({rows.row(static_cast<size_t>(item)), rows.cols},
                            planes.matrix().values, planes.bits());
}

}  // namespace

bool AgreesWithReference(const Found& found, size_t k, const ItemTable& items,
                         const Hyperplanes& planes, std::span<const int32_t> history) {
  std::vector<uint8_t> codes;
  for (const int32_t item : history) {
    const std::vector<uint8_t> code = Code(items.embeddings, item, planes);
    codes.insert(codes.end(), code.begin(), code.end());
  }
  for (size_t c = 0; c < found.candidates.size(); ++c) {
    const auto begin = found.positions.begin() + static_cast<std::ptrdiff_t>(c * k);
    std::vector<int32_t> returned(begin, begin + found.counts[c]);
    std::vector<int32_t> expected;
    const std::vector<uint8_t> query = Code(items.queries(), found.candidates[c], planes);
    for (const auto& near : reference::HammingTopK(codes, query, k, simd::TieOrder::kNewestFirst)) {
      expected.push_back(near.position);
    }
    std::ranges::sort(returned);
    std::ranges::sort(expected);
    if (returned != expected) return false;
  }
  return true;
}

bool ScoresAgree(const CtrExport& model, size_t user, std::span<const int32_t> history,
                 std::span<const int32_t> candidates, std::span<const float> logits) {
  constexpr double kTolerance = 1e-3;  // of a logit; float32 differs by up to 1e-4 in the tests
  const auto window = history.last(std::min(history.size(), model.settings.max_history));
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double expected = reference::CtrLogit(model, user, window, candidates[i]);
    const double error = std::abs(static_cast<double>(logits[i]) - expected);
    if (!(error <= kTolerance * (1 + std::abs(expected)))) return false;  // NaN, too
  }
  return true;
}

}  // namespace eta::bench
