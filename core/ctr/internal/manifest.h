// SPDX-License-Identifier: Apache-2.0
// The manifest of an exported CTR model (docs/models.md) and the arrays that it lists.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/matrix.h"
#include "core/ctr/export.h"

namespace eta {

// Throws DataError "file: message".
template <class... Message>
[[noreturn]] void ThrowDataError(const std::filesystem::path& file, const Message&... message) {
  throw DataError(Cat(file.string(), ": ", message...));
}

// Throws DataError unless all values are finite.
void CheckFinite(std::span<const float> values, const std::filesystem::path& file);

// Every function throws DataError, one line with file and place, on what is missing, of another
// type or shape, or out of range.
class CtrManifest {
 public:
  // Reads manifest.json in `folder` and checks its format and version.
  explicit CtrManifest(const std::filesystem::path& folder);

  const std::filesystem::path& file() const { return file_; }
  std::filesystem::path array_file(const char* part, const std::string& name) const {
    return folder_ / part / (name + ".npy");
  }

  CtrUnit ReadUnit() const;
  // A whole number from 1 to `high`, of the manifest itself or of its "settings".
  size_t ReadNumber(const char* key, size_t high) const;
  size_t ReadSetting(const char* key, size_t high) const;
  // Rows that the manifest gives "samples"; 0 when it gives none that could be right, which
  // ReadMatrix then refuses.
  size_t ReadSampleCount() const;

  // The array `name` of a part, "weights" or "test". Manifest and file must both have type T and
  // the given shape; floats are finite. T is float, int8_t, uint8_t or int32_t.
  template <class T>
  std::vector<T> ReadVector(const char* part, const std::string& name, size_t size);
  template <class T>
  Matrix<T> ReadMatrix(const char* part, const std::string& name, size_t rows, size_t cols);
  // A weight of three dimensions: shape[0] matrices, one below the other.
  Matrix<float> ReadStack(const std::string& name, const std::array<size_t, 3>& shape);

  // Refuses weights that the manifest lists and nobody has read.
  void CheckAllWeightsRead(CtrUnit unit) const;

 private:
  const nlohmann::json& Find(const nlohmann::json& object, const char* key,
                             const char* where) const;
  size_t ReadNumber(const nlohmann::json& object, const char* key, const char* where,
                    size_t high) const;
  template <class T>
  std::filesystem::path TakeEntry(const char* part, const std::string& name,
                                  const std::vector<size_t>& shape);

  std::filesystem::path folder_;
  std::filesystem::path file_;
  nlohmann::json json_;
  std::set<std::string> read_;
};

}  // namespace eta
