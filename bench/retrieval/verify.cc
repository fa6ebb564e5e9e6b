// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "baselines/methods.h"
#include "bench/common/main.h"
#include "core/base/check.h"
#include "core/reference/asym.h"
#include "core/reference/dot.h"
#include "core/reference/factors.h"
#include "core/reference/hadamard.h"
#include "core/reference/hamming.h"
#include "core/reference/pq4.h"
#include "core/reference/simhash.h"
#include "core/retrieval/factor_codes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "simd/dot.h"

namespace eta::bench {
namespace {

// The scalar reference is slow, hence a sample.
constexpr size_t kSampleRequests = 4;
constexpr size_t kSampleCandidates = 8;
constexpr size_t kSampleHistory = 1024;  // the most recent; the reference hashes more in seconds

// One request of the sample with the embeddings of its history, one row after another.
struct Sample {
  size_t user;
  std::span<const int32_t> history;
  std::vector<int32_t> candidates;
  std::vector<float> rows;
};

std::span<const float> Embedding(const ItemTable& items, int32_t item) {
  return {items.embeddings.row(static_cast<size_t>(item)), items.dim()};
}

// The embedding of an item as a candidate.
std::span<const float> Query(const ItemTable& items, int32_t item) {
  return {items.queries().row(static_cast<size_t>(item)), items.dim()};
}

Sample MakeSample(const ItemTable& items, const UserRequest& request) {
  Sample sample;
  sample.user = request.user;
  sample.history = request.history.last(std::min(kSampleHistory, request.history.size()));
  const size_t step = (request.candidates.size() + kSampleCandidates - 1) / kSampleCandidates;
  for (size_t i = 0; i < request.candidates.size(); i += step) {
    sample.candidates.push_back(request.candidates[i]);
  }
  for (const int32_t item : sample.history) {
    const auto row = Embedding(items, item);
    sample.rows.insert(sample.rows.end(), row.begin(), row.end());
  }
  return sample;
}

std::vector<Sample> MakeSamples(const ItemTable& items, std::span<const UserRequest> requests) {
  const size_t step = (requests.size() + kSampleRequests - 1) / kSampleRequests;
  std::vector<Sample> samples;
  for (size_t i = 0; i < requests.size(); i += step) {
    if (!requests[i].history.empty()) samples.push_back(MakeSample(items, requests[i]));
  }
  return samples;
}

void VerifyScores(const ItemTable& items, const Sample& sample) {
  const size_t n = sample.history.size();
  const size_t dim = items.dim();
  AlignedVector<float> blocks(simd::FloatBlocksSize(n, dim));
  AlignedVector<float> scores(simd::PaddedRows(n));
  simd::GatherFloatBlocks(simd::DenseRows(items.embeddings.values.data(), items.size(), dim),
                          {sample.history.data(), n}, blocks.data());
  for (const int32_t candidate : sample.candidates) {
    const auto query = Query(items, candidate);
    simd::DotScores({blocks.data(), n, dim}, {query.data(), 1, dim}, scores.data(), scores.size());
    const std::vector<float> expected = reference::DotScores(sample.rows, query);
    for (size_t i = 0; i < n; ++i) {
      const bool is_equal =
          scores[i] == expected[i] || (std::isnan(scores[i]) && std::isnan(expected[i]));
      if (is_equal) continue;
      throw Mismatch(Cat("simd::DotScores disagrees with the reference: user ", sample.user,
                         ", candidate item ", candidate, ", position ", i, ": ", scores[i],
                         " instead of ", expected[i]));
    }
  }
}

// Compares what a method returns for every candidate of a sample, as sets, with `expected(c)`, the
// sorted positions that it should return for candidate c.
template <class Expected>
void VerifyPositions(const Retriever& retriever, const Sample& sample, size_t k,
                     const Expected& expected) {
  const auto prepared = retriever.Prepare(sample.history);
  const auto scratch = retriever.NewScratch();
  std::vector<int32_t> positions(sample.candidates.size() * k);
  std::vector<int32_t> counts(sample.candidates.size());
  retriever.Retrieve(*prepared, sample.candidates, k, *scratch, {positions, counts});
  for (size_t c = 0; c < sample.candidates.size(); ++c) {
    const auto begin = positions.begin() + static_cast<std::ptrdiff_t>(c * k);
    std::vector<int32_t> returned(begin, begin + counts[c]);
    std::ranges::sort(returned);
    if (returned == expected(c)) continue;
    throw Mismatch(Cat(retriever.name(), " disagrees with the reference: user ", sample.user,
                       ", the last ", sample.history.size(), " behaviours, candidate item ",
                       sample.candidates[c], ", k = ", k, ", target ", retriever.target()));
  }
}

template <class Neighbors>
std::vector<int32_t> SortedPositions(const Neighbors& neighbors) {
  std::vector<int32_t> positions;
  for (const auto& neighbor : neighbors) positions.push_back(neighbor.position);
  std::ranges::sort(positions);
  return positions;
}

void VerifyExact(const Retriever& retriever, const ItemTable& items, const Sample& sample,
                 size_t k) {
  VerifyPositions(retriever, sample, k, [&](size_t c) {
    return SortedPositions(reference::DotTopK(sample.rows, Query(items, sample.candidates[c]), k,
                                              simd::TieOrder::kNewestFirst));
  });
}

MethodOptions OptionsOf(const DataSet& data, const Options& options) {
  return {.seed = options.seed,
          .hyperplanes = options.hyperplanes,
          .loaded = data.hyperplanes ? &*data.hyperplanes : nullptr,
          .loaded_pq4 = data.codebooks ? &*data.codebooks : nullptr};
}

std::vector<uint8_t> ReferenceCodes(const Hyperplanes& planes, std::span<const float> rows) {
  if (planes.kind() == HyperplaneKind::kHadamard) {
    return reference::HadamardRows(rows, planes.dim(), planes.hadamard_sign_bits(), planes.bits());
  }
  return reference::SimHashRows(rows, planes.dim(), planes.matrix().values, planes.bits());
}

void VerifyEta(const Retriever& retriever, const ItemTable& items, const Hyperplanes& planes,
               const Sample& sample, size_t k) {
  const std::vector<uint8_t> codes = ReferenceCodes(planes, sample.rows);
  VerifyPositions(retriever, sample, k, [&](size_t c) {
    const std::vector<uint8_t> query = ReferenceCodes(planes, Query(items, sample.candidates[c]));
    return SortedPositions(reference::HammingTopK(codes, query, k, simd::TieOrder::kNewestFirst));
  });
}

std::vector<float> ReferenceProjections(const Hyperplanes& planes, std::span<const float> row) {
  std::vector<float> projections;
  for (size_t j = 0; j < planes.bits(); ++j) {
    projections.push_back(reference::Projection(row, planes.matrix().values, planes.bits(), j));
  }
  return projections;
}

// The codes of a history with the factors of its items in the units of the table.
std::vector<uint8_t> ReferenceFactorCodes(const ItemTable& items, const Hyperplanes& planes,
                                          const Sample& sample, FactorKind kind) {
  const float unit = MakeFactorCodes(items, planes, kind).unit;
  const std::vector<uint8_t> codes = ReferenceCodes(planes, sample.rows);
  std::vector<uint8_t> rows;
  for (size_t i = 0; i < sample.history.size(); ++i) {
    const auto row = Embedding(items, sample.history[i]);
    const auto code = std::span(codes).subspan(i * planes.code_bytes(), planes.code_bytes());
    rows.insert(rows.end(), code.begin(), code.end());
    const float factor = kind == FactorKind::kNorm
                             ? reference::NormFactor(row)
                             : reference::AsymFactor(row, ReferenceProjections(planes, row));
    rows.push_back(reference::QuantizeFactor(factor, unit));
  }
  return rows;
}

void VerifyEtaNorm(const Retriever& retriever, const ItemTable& items, const Hyperplanes& planes,
                   const Sample& sample, size_t k) {
  const auto rows = ReferenceFactorCodes(items, planes, sample, FactorKind::kNorm);
  VerifyPositions(retriever, sample, k, [&](size_t c) {
    const auto query = ReferenceCodes(planes, Query(items, sample.candidates[c]));
    return SortedPositions(reference::NearestOf(
        reference::NormDistances(rows, planes.bits(), query), k, simd::TieOrder::kNewestFirst));
  });
}

void VerifyEtaAsym(const Retriever& retriever, const ItemTable& items, const Hyperplanes& planes,
                   const Sample& sample, size_t k) {
  const auto rows = ReferenceFactorCodes(items, planes, sample, FactorKind::kAsym);
  VerifyPositions(retriever, sample, k, [&](size_t c) {
    const auto weights = reference::QuantizeProjections(
        ReferenceProjections(planes, Query(items, sample.candidates[c])));
    return SortedPositions(
        reference::NearestOf(reference::AsymFactorDistances(rows, planes.bits(), weights), k,
                             simd::TieOrder::kNewestFirst));
  });
}

void VerifyEtaAsymPlain(const Retriever& retriever, const ItemTable& items,
                        const Hyperplanes& planes, const Sample& sample, size_t k) {
  const std::vector<uint8_t> codes = ReferenceCodes(planes, sample.rows);
  VerifyPositions(retriever, sample, k, [&](size_t c) {
    const auto weights = reference::QuantizeProjections(
        ReferenceProjections(planes, Query(items, sample.candidates[c])));
    return SortedPositions(reference::AsymTopK(codes, weights, k, simd::TieOrder::kNewestFirst));
  });
}

// An embedding times the codebooks' rotation, fused multiply-adds in the order of its rows.
std::vector<float> Rotated(std::span<const float> row, const std::optional<Matrix<float>>& by) {
  if (!by) return {row.begin(), row.end()};
  std::vector<float> rotated;
  for (size_t j = 0; j < by->cols; ++j) {
    rotated.push_back(reference::Projection(row, by->values, by->cols, j));
  }
  return rotated;
}

void VerifyPq4(const Retriever& retriever, const ItemTable& items, const Pq4Codebooks& codebooks,
               const Sample& sample, size_t k) {
  const auto twin =
      reference::MakePq4Codebooks(codebooks.centroids().values, codebooks.centroids().cols,
                                  codebooks.dim(), codebooks.subspaces());
  const auto rotation = codebooks.rotation();
  std::vector<uint8_t> codes;
  for (const int32_t item : sample.history) {
    const auto code = reference::Pq4Encode(Rotated(Embedding(items, item), rotation), twin);
    codes.insert(codes.end(), code.begin(), code.end());
  }
  VerifyPositions(retriever, sample, k, [&](size_t c) {
    const auto tables =
        reference::Pq4Tables(Rotated(Query(items, sample.candidates[c]), rotation), twin);
    return SortedPositions(reference::Pq4TopK(codes, tables, k, simd::TieOrder::kNewestFirst));
  });
}

using VerifyOnPlanes = void (*)(const Retriever&, const ItemTable&, const Hyperplanes&,
                                const Sample&, size_t k);

// How a method is checked that is exact on the codes of some hyperplanes; null for others.
VerifyOnPlanes VerifierOf(const std::string& name) {
  if (name.find('+') != std::string::npos) return nullptr;
  if (name.starts_with("eta:") || name.starts_with("eta_gather:")) return VerifyEta;
  if (name.starts_with("eta_norm:")) return VerifyEtaNorm;
  if (name.starts_with("eta_asym:")) return VerifyEtaAsym;
  if (name.starts_with("eta_asym_plain:")) return VerifyEtaAsymPlain;
  return nullptr;
}

// Whether a method is exact on the codes of some codebooks.
bool IsPq4(const std::string& name) {
  return name.starts_with("pq4:") && name.find('+') == std::string::npos;
}

// Not NormalizeRows, which the method calls.
void ScaleToLength1(Matrix<float>& rows) {
  for (size_t r = 0; r < rows.rows; ++r) {
    double squares = 0;
    for (size_t d = 0; d < rows.cols; ++d) squares += double{rows.row(r)[d]} * rows.row(r)[d];
    if (squares == 0) continue;
    const double scale = 1 / std::sqrt(squares);
    for (size_t d = 0; d < rows.cols; ++d) {
      rows.row(r)[d] = static_cast<float>(rows.row(r)[d] * scale);
    }
  }
}

}  // namespace

void Verify(std::span<const Contender> contenders, const DataSet& data,
            std::span<const UserRequest> requests, const Options& options) {
  const ItemTable& items = data.bundle.items;
  const std::vector<Sample> samples = MakeSamples(items, requests);
  for (const Sample& sample : samples) VerifyScores(items, sample);
  for (const Contender& contender : contenders) {
    const Retriever& retriever = contender.retriever();
    if (retriever.name() == "exact") {
      for (const Sample& sample : samples) VerifyExact(retriever, items, sample, options.k);
    } else if (retriever.name() == "cosine") {
      ItemTable scaled = items;
      ScaleToLength1(scaled.embeddings);
      if (scaled.candidate_embeddings) ScaleToLength1(*scaled.candidate_embeddings);
      for (const Sample& sample : MakeSamples(scaled, requests))
        VerifyExact(retriever, scaled, sample, options.k);
    } else if (const VerifyOnPlanes verify = VerifierOf(retriever.name()); verify != nullptr) {
      const Hyperplanes planes =
          MethodHyperplanes(retriever.name(), retriever.bits(), items, OptionsOf(data, options));
      for (const Sample& sample : samples) verify(retriever, items, planes, sample, options.k);
    } else if (IsPq4(retriever.name())) {
      const Pq4Codebooks codebooks =
          MethodCodebooks(retriever.name(), retriever.bits(), items, OptionsOf(data, options));
      for (const Sample& sample : samples)
        VerifyPq4(retriever, items, codebooks, sample, options.k);
    }
  }
}

}  // namespace eta::bench
