// SPDX-License-Identifier: Apache-2.0
// What an exported model must fulfil beyond types and shapes. `file` stands in messages; each
// function throws DataError that names the first value that is wrong.
#pragma once

#include <filesystem>

#include "core/base/matrix.h"
#include "core/ctr/export.h"

namespace eta {

// Embeddings and histories agree with the manifest's counts; embeddings are finite.
void CheckCtrBundle(const CtrExport& model, size_t items, size_t users,
                    const std::filesystem::path& folder);

// No value is -128, which quantisation never gives and kernels do not take.
void CheckInt8(const Matrix<int8_t>& values, const std::filesystem::path& file);

// model.item_weights are what the kernels may be given: -15 to 15, 0 beyond settings.bits, and
// magnitudes that add up to at most 254 where a penalty is a byte.
void CheckItemWeights(const CtrExport& model, const std::filesystem::path& file);

// model.item_tables are what the kernels may be given: at most simd::kPq4MaxEntry.
void CheckItemTables(const CtrExport& model, const std::filesystem::path& file);

// model.item_codes are the codes of the item embeddings by model.hyperplanes, except where a
// projection is 0 up to rounding: its sign depends on the order of the sum.
void CheckItemCodes(const CtrExport& model, const std::filesystem::path& file);

// model.item_buckets are the largest of [x R; -x R] for each item x and round, up to rounding.
// `rotations` are rounds x dim rows of buckets / 2.
void CheckItemBuckets(const CtrExport& model, const Matrix<float>& rotations,
                      const std::filesystem::path& file);

// The samples name users, items, windows of up to max_history behaviours, and labels 0 or 1.
void CheckSamples(const CtrExport& model, const std::filesystem::path& file);

}  // namespace eta
