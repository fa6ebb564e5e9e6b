// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/internal/manifest.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <type_traits>

#include "core/base/files.h"
#include "core/data/npy.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Shape = std::vector<size_t>;

constexpr std::uintmax_t kMaxManifestBytes = 1 << 20;  // a real one has about 2 KiB
constexpr size_t kShownCharacters = 40;                // of a value that a message quotes

template <class T>
constexpr const char* kDtype = "";
template <>
constexpr const char* kDtype<float> = "float32";
template <>
constexpr const char* kDtype<int32_t> = "int32";
template <>
constexpr const char* kDtype<int8_t> = "int8";
template <>
constexpr const char* kDtype<uint8_t> = "uint8";

std::string ShapeText(const Shape& shape) {
  std::string text;
  for (const size_t size : shape) text += Cat(text.empty() ? "[" : ", ", size);
  return text + "]";
}

// Quotes a value in a message: short and on one line.
std::string Quote(const Json& json) {
  for (const Json& part : json) {  // dump() recurses: a deep value would take all of the stack
    for (const Json& inner : part) {
      if (part.is_structured() && inner.is_structured()) {
        return Cat("a nested ", json.type_name());
      }
    }
  }
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "...";
  return text;
}

Json ReadJson(const fs::path& file) {
  const uint64_t bytes = RegularFileSize(file);
  if (bytes == 0 || bytes > kMaxManifestBytes) {
    ThrowDataError(file, "cannot be read (expected a file of 1 to ", kMaxManifestBytes,
                   " bytes, found ", bytes, " bytes)");
  }
  std::ifstream in = OpenRegularFile(file);
  Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    ThrowDataError(file, "malformed (expected a JSON object, found ",
                   json.is_discarded() ? "no valid JSON" : json.type_name(), ")");
  }
  return json;
}

}  // namespace

void CheckFinite(std::span<const float> values, const fs::path& file) {
  const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return;
  ThrowDataError(file, "value ", bad - values.begin(), " is ", *bad, " (expected a finite number)");
}

CtrManifest::CtrManifest(const fs::path& folder)
    : folder_(folder), file_(folder / "manifest.json"), json_(ReadJson(file_)) {
  if (Find(json_, "format", "the manifest") != "eta-ctr" ||
      Find(json_, "version", "the manifest") != 1) {
    ThrowDataError(file_, "not of the format eta-ctr, version 1");
  }
}

CtrUnit CtrManifest::ReadUnit() const {
  const Json& name = Find(json_, "model", "the manifest");
  for (const CtrUnit unit : kCtrUnits) {
    if (name != CtrUnitName(unit)) continue;
    for (const char* key : {"settings", "weights", "test"}) {
      if (!Find(json_, key, "the manifest").is_object()) {
        ThrowDataError(file_, "\"", key, "\" is not an object");
      }
    }
    return unit;
  }
  ThrowDataError(file_, "unknown \"model\" ", Quote(name));
}

const Json& CtrManifest::Find(const Json& object, const char* key, const char* where) const {
  const auto found = object.find(key);
  if (found == object.end()) ThrowDataError(file_, "no \"", key, "\" in ", where);
  return *found;
}

size_t CtrManifest::ReadNumber(const Json& object, const char* key, const char* where,
                               size_t high) const {
  const Json& value = Find(object, key, where);
  if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 || value.get<uint64_t>() > high) {
    ThrowDataError(file_, "\"", key, "\" is out of range (expected a whole number from 1 to ", high,
                   ", found ", Quote(value), ")");
  }
  return value.get<size_t>();
}

size_t CtrManifest::ReadNumber(const char* key, size_t high) const {
  return ReadNumber(json_, key, "the manifest", high);
}

size_t CtrManifest::ReadSetting(const char* key, size_t high) const {
  return ReadNumber(json_["settings"], key, "\"settings\"", high);
}

size_t CtrManifest::ReadSampleCount() const {
  const Json& samples = Find(json_["test"], "samples", "\"test\"");
  if (!samples.is_object() || !samples.contains("shape")) return 0;
  const Json& shape = samples["shape"];
  const bool is_matrix = shape.is_array() && shape.size() == 2 && shape[0].is_number_unsigned();
  return is_matrix ? shape[0].get<size_t>() : 0;
}

// Checks the manifest's entry and returns the file that it tells of.
template <class T>
fs::path CtrManifest::TakeEntry(const char* part, const std::string& name, const Shape& shape) {
  const Json& entries = json_[part];
  const auto entry = entries.find(name);
  if (entry == entries.end()) ThrowDataError(file_, "no \"", name, "\" in \"", part, "\"");
  const Json expected = {{"dtype", kDtype<T>}, {"shape", shape}};
  if (*entry != expected) {
    ThrowDataError(file_, "\"", name, "\" is ", Quote(*entry), " (expected ", kDtype<T>, " ",
                   ShapeText(shape), ")");
  }
  read_.insert(name);
  return array_file(part, name);
}

template <class T>
std::vector<T> CtrManifest::ReadVector(const char* part, const std::string& name, size_t size) {
  const fs::path file = TakeEntry<T>(part, name, {size});
  std::vector<T> values = ReadNpyVector<T>(file);
  if (values.size() != size) {
    ThrowDataError(file, "wrong shape (expected [", size, "], found [", values.size(), "])");
  }
  if constexpr (std::is_same_v<T, float>) CheckFinite(values, file);
  return values;
}

template <class T>
Matrix<T> CtrManifest::ReadMatrix(const char* part, const std::string& name, size_t rows,
                                  size_t cols) {
  const fs::path file = TakeEntry<T>(part, name, {rows, cols});
  Matrix<T> matrix = ReadNpyMatrix<T>(file);
  if (matrix.rows != rows || matrix.cols != cols) {
    ThrowDataError(file, "wrong shape (expected ", ShapeText({rows, cols}), ", found ",
                   ShapeText({matrix.rows, matrix.cols}), ")");
  }
  if constexpr (std::is_same_v<T, float>) CheckFinite(matrix.values, file);
  return matrix;
}

Matrix<float> CtrManifest::ReadStack(const std::string& name, const std::array<size_t, 3>& shape) {
  const fs::path file = TakeEntry<float>("weights", name, {shape.begin(), shape.end()});
  Matrix<float> stack = ReadNpyStack<float>(file, shape);
  CheckFinite(stack.values, file);
  return stack;
}

void CtrManifest::CheckAllWeightsRead(CtrUnit unit) const {
  for (const auto& [name, entry] : json_["weights"].items()) {
    if (!read_.contains(name)) {
      ThrowDataError(file_, "unknown weight ", Quote(name), " of model ", CtrUnitName(unit));
    }
  }
}

template std::vector<float> CtrManifest::ReadVector(const char*, const std::string&, size_t);
template Matrix<float> CtrManifest::ReadMatrix(const char*, const std::string&, size_t, size_t);
template Matrix<int8_t> CtrManifest::ReadMatrix(const char*, const std::string&, size_t, size_t);
template Matrix<uint8_t> CtrManifest::ReadMatrix(const char*, const std::string&, size_t, size_t);
template Matrix<int32_t> CtrManifest::ReadMatrix(const char*, const std::string&, size_t, size_t);

}  // namespace eta
