// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/export.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/base/check.h"
#include "core/data/npy.h"
#include "core/retrieval/hyperplanes.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kUnitNames[] = {"none",         "avg_pool", "full_attention", "sim_hard",
                                      "sim_soft",     "eta",      "mimn",           "sdim",
                                      "reformer_lsh", "twin"};
constexpr size_t kHidden[] = {200, 80};  // of the MLP
constexpr std::uintmax_t kMaxManifestBytes = 1 << 20;

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

using Shape = std::vector<size_t>;

std::string ShapeText(const Shape& shape) {
  std::string text;
  for (const size_t size : shape) text += Cat(text.empty() ? "[" : ", ", size);
  return text + "]";
}

template <class... Message>
[[noreturn]] void Fail(const fs::path& file, const Message&... message) {
  throw DataError(Cat(file.string(), ": ", message...));
}

// Quoted from the file: short and on one line, whatever it is.
std::string Found(const Json& json) {
  for (const Json& part : json) {  // dump() recurses: a deep one would take all of the stack
    for (const Json& inner : part) {
      if (part.is_structured() && inner.is_structured()) {
        return Cat("a nested ", json.type_name());
      }
    }
  }
  std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

Json ReadManifest(const fs::path& file) {
  std::error_code error;
  const auto bytes = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
  if (error || bytes == 0 || bytes > kMaxManifestBytes) {
    Fail(file, "cannot be read (expected a file of 1 to ", kMaxManifestBytes, " bytes, found ",
         bytes > 0 ? Cat(bytes, " bytes") : "none or an empty one", ")");
  }
  std::ifstream in(file, std::ios::binary);
  Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    Fail(file, "malformed (expected a JSON object, found ",
         json.is_discarded() ? "no valid JSON" : json.type_name(), ")");
  }
  return json;
}

// Reads the parts of one folder and checks each against what it has to be.
class Reader {
 public:
  explicit Reader(const fs::path& folder)
      : folder_(folder),
        manifest_file_(folder / "manifest.json"),
        manifest_(ReadManifest(manifest_file_)) {}

  CtrExport Read() {
    ReadHead();
    model_.bundle = ReadBundle(folder_ / "bundle");
    CheckBundle();
    ReadSkeleton();
    ReadUnit();
    CheckNoMoreWeights();
    ReadTest();
    return std::move(model_);
  }

 private:
  const Json& At(const Json& object, const char* key, const char* where) const {
    const auto found = object.find(key);
    if (found == object.end()) Fail(manifest_file_, "no \"", key, "\" in ", where);
    return *found;
  }

  size_t Number(const Json& object, const char* key, const char* where, size_t low,
                size_t high) const {
    const Json& value = At(object, key, where);
    if (!value.is_number_unsigned() || value.get<uint64_t>() < low ||
        value.get<uint64_t>() > high) {
      Fail(manifest_file_, "\"", key, "\" is out of range (expected a whole number from ", low,
           " to ", high, ", found ", Found(value), ")");
    }
    return value.get<size_t>();
  }

  size_t Setting(const char* key, size_t high) const {
    return Number(manifest_["settings"], key, "\"settings\"", 1, high);
  }

  const Json& Object(const char* key) const {
    const Json& value = At(manifest_, key, "the manifest");
    if (!value.is_object()) Fail(manifest_file_, "\"", key, "\" is not an object");
    return value;
  }

  void ReadHead() {
    if (At(manifest_, "format", "the manifest") != "eta-ctr" ||
        At(manifest_, "version", "the manifest") != 1) {
      Fail(manifest_file_, "not of the format eta-ctr, version 1");
    }
    const Json& name = At(manifest_, "model", "the manifest");
    const auto unit = std::ranges::find_if(kUnitNames, [&](const char* n) { return name == n; });
    if (unit == std::end(kUnitNames)) Fail(manifest_file_, "unknown \"model\" ", Found(name));
    model_.unit = static_cast<CtrUnit>(unit - kUnitNames);
    for (const char* key : {"settings", "weights", "test"}) Object(key);
    CtrSettings& s = model_.settings;
    s.dim = Setting("dim", 1024);  // int8 scores stay exact in float32
    s.heads = Setting("heads", 64);
    s.short_length = Setting("short_length", 1024);
    s.max_history = Setting("max_history", 16384);
    if (s.dim % s.heads != 0) {
      Fail(manifest_file_, "\"heads\" is ", s.heads, " (expected a divisor of \"dim\", ", s.dim,
           ")");
    }
  }

  void CheckBundle() {
    const ItemTable& items = model_.bundle.items;
    const size_t expected = Number(manifest_, "items", "the manifest", 1, INT32_MAX);
    if (items.size() != expected || items.dim() != model_.settings.dim) {
      Fail(folder_ / "bundle", "item_embeddings is [", items.size(), ", ", items.dim(),
           "] (expected [", expected, ", ", model_.settings.dim, "], as in manifest.json)");
    }
    CheckFinite(items.embeddings.values, folder_ / "bundle" / "item_embeddings.npy");
    users_ = Number(manifest_, "users", "the manifest", 1, INT32_MAX);
    if (model_.bundle.histories.users() != users_) {
      Fail(folder_ / "bundle", "histories of ", model_.bundle.histories.users(),
           " users (expected ", users_, ", as in manifest.json)");
    }
  }

  static void CheckFinite(std::span<const float> values, const fs::path& file) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) {
        Fail(file, "value ", i, " is ", values[i], " (expected a finite number)");
      }
    }
  }

  // Checks the manifest's entry and returns the file that it tells of.
  template <class T>
  fs::path Entry(const char* part, const std::string& name, const Shape& shape) {
    const Json& entries = manifest_[part];
    const auto entry = entries.find(name);
    if (entry == entries.end()) Fail(manifest_file_, "no \"", name, "\" in \"", part, "\"");
    const Json expected = {{"dtype", kDtype<T>}, {"shape", shape}};
    if (*entry != expected) {
      Fail(manifest_file_, "\"", name, "\" is ", Found(*entry), " (expected ", kDtype<T>, " ",
           ShapeText(shape), ")");
    }
    read_.insert(name);
    return folder_ / part / (name + ".npy");
  }

  template <class T>
  std::vector<T> Vector(const char* part, const std::string& name, size_t size) {
    const fs::path file = Entry<T>(part, name, {size});
    std::vector<T> values = ReadNpyVector<T>(file);
    if (values.size() != size) {
      Fail(file, "wrong shape (expected [", size, "], found [", values.size(), "])");
    }
    if constexpr (std::is_same_v<T, float>) CheckFinite(values, file);
    return values;
  }

  template <class T>
  Matrix<T> Table(const char* part, const std::string& name, size_t rows, size_t cols) {
    const fs::path file = Entry<T>(part, name, {rows, cols});
    Matrix<T> matrix = ReadNpyMatrix<T>(file);
    if (matrix.rows != rows || matrix.cols != cols) {
      Fail(file, "wrong shape (expected ", ShapeText({rows, cols}), ", found ",
           ShapeText({matrix.rows, matrix.cols}), ")");
    }
    if constexpr (std::is_same_v<T, float>) CheckFinite(matrix.values, file);
    return matrix;
  }

  Matrix<float> Weight(const std::string& name, size_t rows, size_t cols) {
    return Table<float>("weights", name, rows, cols);
  }

  AttentionWeights Attention(const std::string& name) {
    const size_t dim = model_.settings.dim;
    return {Weight(name + "_query", dim, dim), Weight(name + "_key", dim, dim),
            Weight(name + "_value", dim, dim), Weight(name + "_output", dim, dim)};
  }

  void ReadSkeleton() {
    const size_t dim = model_.settings.dim;
    model_.user_embeddings = Weight("user_embeddings", users_, dim);
    model_.short_term = Attention("short");
    model_.wide = Vector<float>("weights", "wide", model_.has_unit() ? 2 : 1);
    const size_t sizes[] = {(model_.has_unit() ? 6 : 4) * dim, kHidden[0], kHidden[1], 1};
    for (size_t i = 0; i < 3; ++i) {
      model_.mlp_weight[i] = Weight(Cat("mlp_", i, "_weight"), sizes[i], sizes[i + 1]);
      model_.mlp_bias[i] = Vector<float>("weights", Cat("mlp_", i, "_bias"), sizes[i + 1]);
    }
  }

  void ReadUnit() {
    CtrSettings& s = model_.settings;
    const CtrUnit unit = model_.unit;
    if (unit != CtrUnit::kNone && unit != CtrUnit::kAvgPool && unit != CtrUnit::kSdim) {
      model_.long_term = Attention("long");
    }
    switch (unit) {
      case CtrUnit::kNone:
      case CtrUnit::kAvgPool:
      case CtrUnit::kFullAttention:
        return;
      case CtrUnit::kMimn:
        return ReadMimn();
      case CtrUnit::kSdim:
        s.hashes = Setting("hashes", 1024);
        s.hash_width = Setting("hash_width", 16);
        s.bits = Setting("bits", kMaxBits);
        if (s.bits != s.hashes * s.hash_width) {
          Fail(manifest_file_, "\"bits\" is ", s.bits, " (expected hashes * hash_width, ",
               s.hashes * s.hash_width, ")");
        }
        model_.sdim_value = Weight("sdim_value", s.dim, s.dim);
        return ReadCodes();
      default:
        s.k = Setting("k", 16384);
    }
    if (unit == CtrUnit::kEta) {
      s.bits = Setting("bits", kMaxBits);
      ReadCodes();
    } else if (unit == CtrUnit::kSimSoft) {
      model_.scan_queries = model_.scan_keys = Int8("sim_index");
    } else if (unit == CtrUnit::kTwin) {
      model_.scan_queries = Int8("twin_queries");
      model_.scan_keys = Int8("twin_keys");
    } else if (unit == CtrUnit::kReformerLsh) {
      ReadBuckets();
    } else if (model_.bundle.items.categories.empty()) {
      Fail(folder_ / "bundle", "no item_categories.npy, which sim_hard needs");
    }
  }

  void ReadMimn() {
    const size_t dim = model_.settings.dim;
    const size_t slots = model_.settings.slots = Setting("slots", 64);
    MimnWeights& m = model_.mimn;
    m.memory = Weight("mimn_memory", slots, dim);
    m.usage = Weight("mimn_usage", slots, slots);
    m.sharpness = Vector<float>("weights", "mimn_sharpness", 1)[0];
    m.write = Weight("mimn_write", dim, 6 * dim);
    m.write_bias = Vector<float>("weights", "mimn_write_bias", 6 * dim);
    m.gates = Weight("mimn_gates", 2 * dim, 2 * dim);
    m.induce = Weight("mimn_induce", 2 * dim, dim);
  }

  Matrix<int8_t> Int8(const std::string& name) {
    auto matrix = Table<int8_t>("weights", name, model_.items(), model_.settings.dim);
    const auto low = std::ranges::find(matrix.values, int8_t{-128});
    if (low != matrix.values.end()) {
      Fail(folder_ / "weights" / (name + ".npy"), "value ", low - matrix.values.begin(),
           " is -128 (expected -127 to 127)");
    }
    return matrix;
  }

  void ReadCodes() {
    const CtrSettings& s = model_.settings;
    model_.hyperplanes = Weight("hyperplanes", s.dim, s.bits);
    const auto& of_bundle = model_.bundle.hyperplanes;  // what retrieval_bench would hash with
    if (of_bundle && (of_bundle->rows != s.dim || of_bundle->cols != s.bits ||
                      of_bundle->values != model_.hyperplanes.values)) {
      Fail(folder_ / "bundle" / "hyperplanes.npy", "is not the same as weights/hyperplanes.npy");
    }
    model_.item_codes = Table<uint8_t>("weights", "item_codes", model_.items(), (s.bits + 7) / 8);
    const Hyperplanes hyperplanes = Hyperplanes::FromMatrix(model_.hyperplanes);
    std::vector<uint8_t> own(model_.item_codes.values.size());
    hyperplanes.Encode(model_.bundle.items.embeddings.values, own);
    const size_t code_bytes = model_.item_codes.cols;
    for (size_t i = 0; i < own.size(); ++i) {
      const int different = own[i] ^ model_.item_codes.values[i];
      for (size_t bit = 0; bit < 8; ++bit) {
        if ((different >> bit & 1) != 0) CheckBit(i / code_bytes, i % code_bytes * 8 + bit);
      }
    }
  }

  // A bit that differs from our own must be of a projection that is 0 up to rounding.
  void CheckBit(size_t item, size_t bit) const {
    double sum = 0, size = 0;
    for (size_t d = 0; bit < model_.settings.bits && d < model_.settings.dim; ++d) {
      const double term = static_cast<double>(model_.bundle.items.embeddings.row(item)[d]) *
                          model_.hyperplanes.row(d)[bit];
      sum += term;
      size += std::abs(term);
    }
    if (bit >= model_.settings.bits || std::abs(sum) > kRounding * size) {
      Fail(folder_ / "weights" / "item_codes.npy", "bit ", bit, " of item ", item,
           " is not that of its embedding and hyperplanes");
    }
  }

  void ReadBuckets() {
    CtrSettings& s = model_.settings;
    s.rounds = Setting("rounds", 1024);
    s.buckets = Setting("buckets", 4096);
    if (s.buckets % 2 != 0) Fail(manifest_file_, "\"buckets\" is ", s.buckets, ", an odd number");
    const std::array<size_t, 3> shape = {s.rounds, s.dim, s.buckets / 2};
    const Matrix<float> rotations = ReadNpyStack<float>(
        Entry<float>("weights", "rotations", {shape[0], shape[1], shape[2]}), shape);
    CheckFinite(rotations.values, folder_ / "weights" / "rotations.npy");
    model_.item_buckets = Table<int32_t>("weights", "item_buckets", model_.items(), s.rounds);
    for (size_t item = 0; item < model_.items(); ++item) {
      for (size_t r = 0; r < s.rounds; ++r) CheckBucket(item, r, rotations);
    }
  }

  // The bucket must be the largest of [x R; -x R] up to rounding.
  void CheckBucket(size_t item, size_t round, const Matrix<float>& rotations) const {
    const size_t dim = model_.settings.dim, half = rotations.cols;
    const int32_t bucket = model_.item_buckets.row(item)[round];
    const fs::path file = folder_ / "weights" / "item_buckets.npy";
    if (bucket < 0 || static_cast<size_t>(bucket) >= 2 * half) {
      Fail(file, "bucket ", bucket, " of item ", item, " (expected 0 to ", 2 * half - 1, ")");
    }
    const float* x = model_.bundle.items.embeddings.row(item);
    std::vector<double> turned(half);
    double size = 0;
    for (size_t d = 0; d < dim; ++d) {
      const float* row = rotations.row(round * dim + d);
      for (size_t b = 0; b < half; ++b) turned[b] += static_cast<double>(x[d]) * row[b];
      size += std::abs(x[d]);
    }
    double best = 0;
    for (const double value : turned) best = std::max(best, std::abs(value));
    const auto b = static_cast<size_t>(bucket);
    const double own = b < half ? turned[b] : -turned[b - half];
    // Gaussian entries are not much larger than 1, so `size` bounds the terms of a sum.
    if (own < best - kRounding * size) {
      Fail(file, "bucket ", bucket, " of item ", item, " in round ", round,
           " is not that of its embedding and the rotations");
    }
  }

  void CheckNoMoreWeights() const {
    for (const auto& [name, entry] : manifest_["weights"].items()) {
      if (!read_.contains(name)) {
        Fail(manifest_file_, "unknown weight ", Found(name), " of model ",
             CtrUnitName(model_.unit));
      }
    }
  }

  void ReadTest() {
    const Json& samples = At(manifest_["test"], "samples", "\"test\"");
    size_t count = 0;
    if (samples.is_object() && samples.contains("shape") && samples["shape"].is_array() &&
        samples["shape"].size() == 2 && samples["shape"][0].is_number_unsigned()) {
      count = samples["shape"][0].get<size_t>();
    }
    const Matrix<int32_t> rows = Table<int32_t>("test", "samples", count, 5);
    model_.logits = Vector<float>("test", "logits", count);
    for (size_t i = 0; i < count; ++i) {
      const int32_t* r = rows.row(i);
      model_.samples.push_back({r[0], r[1], r[2], r[3], r[4]});
      CheckSample(i);
    }
  }

  void CheckSample(size_t i) const {
    const CtrSample& s = model_.samples[i];
    const auto fail = [&](const char* what, int32_t found) {
      Fail(folder_ / "test" / "samples.npy", what, " of sample ", i, " is out of range: ", found);
    };
    if (s.user < 0 || static_cast<size_t>(s.user) >= users_) fail("user", s.user);
    const auto length =
        static_cast<int64_t>(model_.bundle.histories[static_cast<size_t>(s.user)].size());
    if (s.history_end < 0 || s.history_end > length) fail("history_end", s.history_end);
    if (s.history_begin < 0 || s.history_begin > s.history_end ||
        static_cast<size_t>(s.history_end - s.history_begin) > model_.settings.max_history) {
      fail("history_begin", s.history_begin);
    }
    if (s.item < 0 || static_cast<size_t>(s.item) >= model_.items()) fail("item", s.item);
    if (s.label != 0 && s.label != 1) fail("label", s.label);
  }

  static constexpr double kRounding = 1e-5;  // of the sum of a projection's magnitudes

  fs::path folder_;
  fs::path manifest_file_;
  Json manifest_;
  CtrExport model_;
  size_t users_ = 0;
  std::set<std::string> read_;
};

}  // namespace

const char* CtrUnitName(CtrUnit unit) { return kUnitNames[static_cast<size_t>(unit)]; }

std::span<const int32_t> CtrExport::Window(const CtrSample& sample) const {
  return bundle.histories[static_cast<size_t>(sample.user)].subspan(
      static_cast<size_t>(sample.history_begin),
      static_cast<size_t>(sample.history_end - sample.history_begin));
}

CtrExport ReadCtrExport(const fs::path& folder) { return Reader(folder).Read(); }

}  // namespace eta
