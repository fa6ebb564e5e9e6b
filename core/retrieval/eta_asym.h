// SPDX-License-Identifier: Apache-2.0
// Asymmetric ETA: the candidate's projections against the codes of the history.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta {

// For each candidate the K behaviours of largest estimated inner product: a factor per behaviour
// times the sum of the candidate's projections, each with the sign that the behaviour's code has
// there (simd/factors.h); ties go to the newest. A prepared history is its codes and factors, one
// byte more than ETA's codes. Candidates come from a table of one byte per bit and item, made here.
// Hyperplanes of kind kHadamard are applied as a matrix for it. Neither `items` nor `hyperplanes`
// need outlive the retriever. Throws as MakeEtaRetriever does.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaAsymRetriever(
    std::string name, const ItemTable& items, const Hyperplanes& hyperplanes, int threads = 1);

// The same over tables that exist already: rows of simd::FactorCodeBytes(bits) bytes, as
// MakeFactorCodes writes them, and of simd::WeightBytes weights, as simd::QuantizeProjections does.
// Throws std::invalid_argument when their shapes are others.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaAsymTableRetriever(std::string name,
                                                                            size_t bits,
                                                                            Matrix<uint8_t> codes,
                                                                            Matrix<int8_t> weights);

// The same without factors, over histories prepared as for MakeEtaRetriever: the K behaviours of
// smallest penalty (simd/asym.h). A bit that differs counts as much as the candidate is far from
// its hyperplane. Ranks by angle; for embeddings of one length as good, and a byte shorter.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaAsymPlainRetriever(
    std::string name, const ItemTable& items, const Hyperplanes& hyperplanes, int threads = 1);

}  // namespace eta
