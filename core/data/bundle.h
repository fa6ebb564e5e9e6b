// SPDX-License-Identifier: Apache-2.0
// The data bundle: a folder of NumPy files that benchmarks read (docs/bundle.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/histories.h"
#include "core/data/items.h"

namespace eta {

// What a bundle holds. Histories and candidates name rows of `items`, which may have candidate
// embeddings.
struct ETA_CORE_API Bundle {
  ItemTable items;
  Histories histories;
  std::optional<ItemLists> candidates;       // one list per user
  std::optional<Matrix<float>> hyperplanes;  // dim x bits
  // Codebooks of a product quantiser, as ValidatePq4Matrices takes them; no rotation without them.
  std::optional<Matrix<float>> pq_codebooks;
  std::optional<Matrix<float>> pq_rotation;

  // From and for bundle.json.
  std::string name;
  std::string source;
  std::string licence;
  std::string made_by;
};

// Reads and checks a whole bundle. Throws DataError (one line: file, what, where) on anything that
// is missing, malformed, inconsistent or out of range.
ETA_CORE_API Bundle ReadBundle(const std::filesystem::path& folder);

// Writes a bundle so that `folder` either appears complete or not at all. Throws DataError when
// `folder` exists already or cannot be written, std::invalid_argument when the bundle is
// inconsistent.
ETA_CORE_API void WriteBundle(const Bundle& bundle, const std::filesystem::path& folder);

// Throws std::invalid_argument when the parts contradict one another.
ETA_CORE_API void ValidateBundle(const Bundle& bundle);

// A 64-bit digest of the contents (not the texts), as 16 hex digits: equal data, equal digest, on
// every platform.
ETA_CORE_API std::string BundleDigest(const Bundle& bundle);

}  // namespace eta
