// SPDX-License-Identifier: Apache-2.0
// The scan of int8 embeddings, which ETA must beat where bytes and time matter more than the last
// percent of recall.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/items.h"
#include "core/retrieval/refillable.h"

namespace eta {

// The K largest inner products of embeddings quantised to int8 with one scale a row; equal ones to
// the newest. The table of quantised items is made here and kept; `items` need not outlive the
// retriever. Throws std::invalid_argument when the items are malformed or have more than 4,096
// dimensions.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeScanI8Retriever(std::string name,
                                                                      const ItemTable& items);

// The same answers from item ids alone: a prepared history is its ids, and each Retrieve gathers
// their rows from the table before it scans them. Throws as MakeScanI8Retriever does.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeScanI8GatherRetriever(std::string name,
                                                                            const ItemTable& items);

// MakeScanI8Retriever over tables that exist already, one for candidates and one for behaviours,
// items x dim each, values from -127 to 127; they may be the same. All scales are taken as 1: one
// factor a table does not change an order. Both tables are read in place and must outlive the
// retriever. Throws std::invalid_argument when their shapes differ or dim is more than 4,096.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeScanI8Retriever(std::string name,
                                                                      const Matrix<int8_t>& queries,
                                                                      const Matrix<int8_t>& keys);

}  // namespace eta
