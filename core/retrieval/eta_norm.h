// SPDX-License-Identifier: Apache-2.0
// ETA's codes with the length of each behaviour.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta {

// For each candidate the K behaviours of largest |x| * (bits - 2 * Hamming distance), in the
// integers of simd/factors.h; ties go to the newest. Hamming distance ranks by angle, and attention
// by the inner product: what is missing is the length, one byte a behaviour. Codes are those of
// MakeEtaRetriever. A prepared history is its codes and factors in code blocks. Neither `items` nor
// `hyperplanes` need outlive the retriever. Throws as MakeEtaRetriever does.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaNormRetriever(
    std::string name, const ItemTable& items, const Hyperplanes& hyperplanes, int threads = 1);

// The same over codes and factors that exist already: rows of simd::FactorCodeBytes(bits) bytes, as
// MakeFactorCodes writes them. Throws std::invalid_argument when their width is another.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaNormTableRetriever(std::string name,
                                                                            size_t bits,
                                                                            Matrix<uint8_t> codes);

}  // namespace eta
