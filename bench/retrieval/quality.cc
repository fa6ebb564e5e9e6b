// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/quality.h"

#include <cstdint>
#include <optional>
#include <span>

#include "bench/retrieval/dump.h"
#include "bench/retrieval/measure.h"
#include "simd/dot.h"

namespace eta::bench {
namespace {

// Sums over the candidates of one request.
struct QualitySum {
  double recall = 0;
  double recall_ties = 0;
  double attention_mass = 0;
  size_t candidates = 0;
  size_t weighted = 0;  // candidates for which some behaviour has weight

  void Add(const Quality& quality) {
    recall += quality.recall;
    recall_ties += quality.recall_ties;
    attention_mass += quality.attention_mass.value_or(0);
    ++candidates;
    if (quality.attention_mass) ++weighted;
  }

  Quality Means() const {
    const auto n = static_cast<double>(candidates);
    Quality means{recall / n, recall_ties / n, std::nullopt};
    if (weighted > 0) means.attention_mass = attention_mass / static_cast<double>(weighted);
    return means;
  }
};

// The finalizer of MurmurHash3 (Appleby): every bit of the input changes about half of the output.
uint64_t Mix(uint64_t word) {
  word = (word ^ word >> 33) * 0xFF51AFD7ED558CCDu;
  word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53u;
  return word ^ word >> 33;
}

// A sum, so that the order of the positions has no part in it.
uint64_t PositionsDigest(uint64_t request, uint64_t candidate, std::span<const int32_t> positions) {
  const uint64_t place = Mix(request << 32 | candidate);
  uint64_t sum = 0;
  for (const int32_t position : positions) sum += Mix(place + static_cast<uint64_t>(position));
  return sum;
}

}  // namespace

QualityMeter::QualityMeter(const ItemTable& items, const Options& options, Dump* dump)
    : items_(items), judge_(options.k, items.dim(), options.temperature), dump_(dump) {}

void QualityMeter::Add(const UserRequest& request, size_t index,
                       std::vector<Contender>& contenders) {
  const size_t n = request.history.size();
  if (n == 0) {
    for (size_t i = 0; i < contenders.size(); ++i) AddEmpty(request, i, contenders[i]);
    return;
  }
  const size_t dim = items_.dim();
  blocks_.resize(simd::FloatBlocksSize(n, dim));
  scores_.resize(simd::PaddedRows(n));
  simd::GatherFloatBlocks(simd::DenseRows(items_.embeddings.values.data(), items_.size(), dim),
                          {request.history.data(), n}, blocks_.data());
  std::vector<QualitySum> sums(contenders.size());
  for (size_t c = 0; c < request.candidates.size(); ++c) {
    const float* query = items_.queries().row(static_cast<size_t>(request.candidates[c]));
    simd::DotScores({blocks_.data(), n, dim}, {query, 1, dim}, scores_.data(), scores_.size());
    judge_.SetScores(std::span(scores_).first(n));
    for (size_t i = 0; i < contenders.size(); ++i) {
      const auto retrieved = contenders[i].result().retrieved(index, c);
      sums[i].Add(*judge_.Rate(retrieved));
      contenders[i].measurements().positions_digest += PositionsDigest(requests_, c, retrieved);
      if (dump_ != nullptr) dump_->Add(i, request, retrieved, std::span(scores_).first(n));
    }
  }
  for (size_t i = 0; i < contenders.size(); ++i) {
    contenders[i].measurements().quality.push_back(sums[i].Means());
  }
  ++requests_;
}

void QualityMeter::AddEmpty(const UserRequest& request, size_t method, Contender& contender) {
  contender.measurements().quality.push_back(std::nullopt);
  if (dump_ == nullptr) return;
  for (size_t c = 0; c < request.candidates.size(); ++c) dump_->Add(method, request, {}, {});
}

}  // namespace eta::bench
