// SPDX-License-Identifier: Apache-2.0
// Random CTR models in memory, and exported ones as files.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/ctr/export.h"
#include "core/data/bundle.h"
#include "core/data/npy.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/factor_codes.h"
#include "core/retrieval/hyperplanes.h"
#include "simd/asym.h"
#include "simd/pq4.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

// Makes the parts of a model; large weights, so that a slip shows in the logits.
class ModelMaker {
 public:
  ModelMaker(CtrUnit unit, CtrSettings settings, size_t items, uint64_t seed)
      : rng_(seed), items_(items) {
    model_.unit = unit;
    model_.settings = settings;
  }

  CtrExport Make() {
    const CtrSettings& s = model_.settings;
    constexpr size_t kUsers = 5;
    MakeBundle(kUsers);
    model_.user_embeddings = Bells(kUsers, s.dim, 1.0f);
    model_.short_term = Attention();
    model_.wide.assign(model_.has_unit() ? 2 : 1, 0.7f);
    if (model_.has_unit()) model_.wide[1] = -1.3f;
    const size_t sizes[] = {(model_.has_unit() ? 6 : 4) * s.dim, 200, 80, 1};
    for (size_t i = 0; i < 3; ++i) {
      const float scale = 1.5f / std::sqrt(static_cast<float>(sizes[i]));
      model_.mlp_weight[i] = Bells(sizes[i], sizes[i + 1], scale);
      for (size_t j = 0; j < sizes[i + 1]; ++j) model_.mlp_bias[i].push_back(0.2f * Bell());
    }
    MakeUnit();
    return std::move(model_);
  }

 private:
  float Bell() { return BellFloat(rng_); }

  Matrix<float> Bells(size_t rows, size_t cols, float scale) {
    Matrix<float> matrix(rows, cols);
    for (float& value : matrix.values) value = scale * Bell();
    return matrix;
  }

  Matrix<int8_t> Int8() {
    Matrix<int8_t> matrix(items_, model_.settings.dim);
    // Few values, so that equal scores are common.
    for (int8_t& value : matrix.values) value = static_cast<int8_t>(SmallInteger(rng_, 2));
    matrix.values[0] = 127;
    matrix.values[1] = -127;
    return matrix;
  }

  AttentionWeights Attention() {
    const size_t dim = model_.settings.dim;
    const float scale = 1.5f / std::sqrt(static_cast<float>(dim));
    return {Bells(dim, dim, scale), Bells(dim, dim, scale), Bells(dim, dim, scale),
            Bells(dim, dim, scale)};
  }

  void MakeBundle(size_t users) {
    Bundle& bundle = model_.bundle;
    bundle.items.embeddings = Bells(items_, model_.settings.dim, 0.7f);
    for (size_t i = 0; i < items_; ++i) {
      bundle.items.categories.push_back(static_cast<int32_t>(Below(rng_, 4)));
    }
    for (size_t u = 0; u < users; ++u) {
      const size_t length = u == 0 ? 0 : model_.settings.max_history + Below(rng_, 9);
      for (size_t l = 0; l < length; ++l) bundle.histories.items.push_back(Item());
      bundle.histories.offsets.push_back(static_cast<int64_t>(bundle.histories.items.size()));
    }
    bundle.name = "random";
  }

  int32_t Item() { return static_cast<int32_t>(Below(rng_, items_)); }

  void MakeUnit() {
    const CtrSettings& s = model_.settings;
    const CtrUnit unit = model_.unit;
    if (unit != CtrUnit::kNone && unit != CtrUnit::kAvgPool && unit != CtrUnit::kSdim) {
      model_.long_term = Attention();
    }
    if (unit == CtrUnit::kEta || unit == CtrUnit::kSdim) {
      model_.hyperplanes = Bells(s.dim, s.bits, 1.0f);
      const CodeTable codes(model_.bundle.items, Hyperplanes::FromMatrix(model_.hyperplanes));
      model_.item_codes = Matrix<uint8_t>(items_, codes.code_bytes());
      std::copy_n(codes.data(), codes.bytes(), model_.item_codes.values.begin());
    }
    if (unit == CtrUnit::kEtaNorm || unit == CtrUnit::kEtaAsym) MakeFactors();
    if (unit == CtrUnit::kPq4) MakeProductCodes();
    if (unit == CtrUnit::kExact) model_.scan_queries = model_.scan_keys = Int8();
    if (unit == CtrUnit::kSdim) model_.sdim_value = Bells(s.dim, s.dim, 0.5f);
    if (unit == CtrUnit::kSimSoft) model_.scan_queries = model_.scan_keys = Int8();
    if (unit == CtrUnit::kTwin) {
      model_.scan_queries = Int8();
      model_.scan_keys = Int8();
    }
    if (unit == CtrUnit::kReformerLsh) MakeBuckets();
    if (unit == CtrUnit::kMimn) MakeMimn();
  }

  void MakeFactors() {
    const CtrSettings& s = model_.settings;
    const bool is_asym = model_.unit == CtrUnit::kEtaAsym;
    model_.hyperplanes = Bells(s.dim, s.bits, 1.0f);
    const Hyperplanes planes = Hyperplanes::FromMatrix(model_.hyperplanes);
    model_.item_codes = MakeFactorCodes(model_.bundle.items, planes,
                                        is_asym ? FactorKind::kAsym : FactorKind::kNorm)
                            .rows;
    if (!is_asym) return;
    const size_t stride = planes.projection_stride();
    std::vector<float> projections(items_ * stride);
    planes.Project(model_.bundle.items.embeddings.values, projections);
    model_.item_weights = Matrix<int8_t>(items_, simd::WeightBytes(planes.code_bytes()));
    for (size_t i = 0; i < items_; ++i) {
      simd::QuantizeProjections(projections.data() + i * stride, s.bits,
                                model_.item_weights.row(i));
    }
  }

  // Any codes and tables will do. The width is that of the settings, in whole bytes.
  void MakeProductCodes() {
    const size_t code_bytes = (model_.settings.bits + 7) / 8;
    model_.settings.bits = code_bytes * 8;
    model_.item_codes = Matrix<uint8_t>(items_, code_bytes);
    model_.item_tables = Matrix<uint8_t>(items_, simd::Pq4TableBytes(code_bytes));
    for (uint8_t& code : model_.item_codes.values) code = static_cast<uint8_t>(Below(rng_, 256));
    for (uint8_t& entry : model_.item_tables.values) {
      entry = static_cast<uint8_t>(Below(rng_, simd::kPq4MaxEntry + 1));
    }
  }

  void MakeBuckets() {
    const CtrSettings& s = model_.settings;
    rotations = Bells(s.rounds * s.dim, s.buckets / 2, 1.0f);
    model_.item_buckets = Matrix<int32_t>(items_, s.rounds);
    for (size_t i = 0; i < items_; ++i) {
      for (size_t r = 0; r < s.rounds; ++r) {
        double best = -1;
        for (size_t b = 0; b < s.buckets / 2; ++b) {
          double sum = 0;
          for (size_t d = 0; d < s.dim; ++d) {
            sum += static_cast<double>(model_.bundle.items.embeddings.row(i)[d]) *
                   rotations.row(r * s.dim + d)[b];
          }
          if (std::abs(sum) <= best) continue;
          best = std::abs(sum);
          model_.item_buckets.row(i)[r] = static_cast<int32_t>(sum > 0 ? b : b + s.buckets / 2);
        }
      }
    }
  }

  void MakeMimn() {
    const CtrSettings& s = model_.settings;
    const float scale = 1.0f / std::sqrt(static_cast<float>(s.dim));
    MimnWeights& m = model_.mimn;
    m.memory = Bells(s.slots, s.dim, 1.0f);
    m.usage = Bells(s.slots, s.slots, 1.0f);
    m.sharpness = 4.0f;
    m.write = Bells(s.dim, 6 * s.dim, scale);
    for (size_t i = 0; i < 6 * s.dim; ++i) m.write_bias.push_back(0.3f * Bell());
    m.gates = Bells(2 * s.dim, 2 * s.dim, scale);
    m.induce = Bells(2 * s.dim, s.dim, scale);
  }

 public:
  Matrix<float> rotations;  // of reformer_lsh; not part of what is served

 private:
  Rng rng_;
  size_t items_;
  CtrExport model_;
};

// Settings of every unit at once: numbers that a unit does not have are not looked at.
inline CtrSettings SomeSettings(size_t dim, size_t heads) {
  return {.dim = dim,
          .heads = heads,
          .short_length = 5,
          .max_history = 90,
          .k = 12,
          .bits = 21,
          .hashes = 7,
          .hash_width = 3,
          .rounds = 4,
          .buckets = 6,
          .slots = 3};
}

// Writes what scripts/train_ctr.py would. Call Write once; the arrays may be changed before.
class ExportWriter {
 public:
  ExportWriter(const CtrExport& model, const Matrix<float>& rotations, std::filesystem::path folder)
      : model_(model), folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_ / "weights");
    std::filesystem::create_directories(folder_ / "test");
    WriteBundle(model.bundle, folder_ / "bundle");
    Skeleton();
    Unit(rotations);
    Test();
    const CtrSettings& s = model.settings;
    manifest = {{"format", "eta-ctr"},
                {"version", 1},
                {"model", CtrUnitName(model.unit)},
                {"items", model.items()},
                {"users", model.users()},
                {"settings",
                 {{"dim", s.dim},
                  {"heads", s.heads},
                  {"short_length", s.short_length},
                  {"max_history", s.max_history},
                  {"k", s.k},
                  {"bits", s.bits},
                  {"hashes", s.hashes},
                  {"hash_width", s.hash_width},
                  {"rounds", s.rounds},
                  {"buckets", s.buckets},
                  {"slots", s.slots}}},
                {"weights", weights_},
                {"test", test_}};
    WriteManifest();
  }

  void WriteManifest() const { std::ofstream(folder_ / "manifest.json") << manifest.dump(1); }

  nlohmann::json manifest;

 private:
  template <class T>
  void Array(const char* part, const std::string& name, const std::string& dtype,
             const Matrix<T>& matrix) {
    WriteNpyMatrix(folder_ / part / (name + ".npy"), matrix);
    (part == std::string("test") ? test_ : weights_)[name] = {
        {"dtype", dtype}, {"shape", {matrix.rows, matrix.cols}}};
  }
  void Floats(const std::string& name, const Matrix<float>& matrix) {
    Array("weights", name, "float32", matrix);
  }
  void Floats(const std::string& name, const std::vector<float>& values) {
    WriteNpyVector<float>(folder_ / "weights" / (name + ".npy"), values);
    weights_[name] = {{"dtype", "float32"}, {"shape", {values.size()}}};
  }
  void Attention(const std::string& name, const AttentionWeights& w) {
    Floats(name + "_query", w.query);
    Floats(name + "_key", w.key);
    Floats(name + "_value", w.value);
    Floats(name + "_output", w.output);
  }

  void Skeleton() {
    Floats("user_embeddings", model_.user_embeddings);
    Attention("short", model_.short_term);
    Floats("wide", model_.wide);
    for (size_t i = 0; i < 3; ++i) {
      Floats("mlp_" + std::to_string(i) + "_weight", model_.mlp_weight[i]);
      Floats("mlp_" + std::to_string(i) + "_bias", model_.mlp_bias[i]);
    }
    if (model_.long_term.query.rows != 0) Attention("long", model_.long_term);
  }

  void Unit(const Matrix<float>& rotations) {
    const MimnWeights& m = model_.mimn;
    switch (model_.unit) {
      case CtrUnit::kEta:
      case CtrUnit::kEtaNorm:
      case CtrUnit::kEtaAsym:
      case CtrUnit::kSdim:
        Floats("hyperplanes", model_.hyperplanes);
        Array("weights", "item_codes", "uint8", model_.item_codes);
        if (model_.unit == CtrUnit::kSdim) Floats("sdim_value", model_.sdim_value);
        if (model_.unit == CtrUnit::kEtaAsym) {
          Array("weights", "item_weights", "int8", model_.item_weights);
        }
        return;
      case CtrUnit::kPq4:
        Array("weights", "item_codes", "uint8", model_.item_codes);
        return Array("weights", "item_tables", "uint8", model_.item_tables);
      case CtrUnit::kExact:
        return Array("weights", "exact_index", "int8", model_.scan_keys);
      case CtrUnit::kSimSoft:
        return Array("weights", "sim_index", "int8", model_.scan_keys);
      case CtrUnit::kTwin:
        Array("weights", "twin_queries", "int8", model_.scan_queries);
        return Array("weights", "twin_keys", "int8", model_.scan_keys);
      case CtrUnit::kReformerLsh:
        Array("weights", "item_buckets", "int32", model_.item_buckets);
        return Rotations(rotations);
      case CtrUnit::kMimn:
        Floats("mimn_memory", m.memory);
        Floats("mimn_usage", m.usage);
        Floats("mimn_sharpness", std::vector<float>{m.sharpness});
        Floats("mimn_write", m.write);
        Floats("mimn_write_bias", m.write_bias);
        Floats("mimn_gates", m.gates);
        return Floats("mimn_induce", m.induce);
      default:
        return;
    }
  }

  // Three dimensions: the file of a matrix with another header of the same length.
  void Rotations(const Matrix<float>& rotations) {
    const CtrSettings& s = model_.settings;
    Floats("rotations", rotations);
    const auto file = folder_ / "weights" / "rotations.npy";
    std::ifstream in(file, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const auto text = [](const std::vector<size_t>& shape) {
      std::string t = "(";
      for (const size_t size : shape) t += (t == "(" ? "" : ", ") + std::to_string(size);
      return t + "), }";
    };
    const std::string before = text({rotations.rows, rotations.cols});
    const std::string after = text({s.rounds, s.dim, s.buckets / 2});
    bytes.replace(bytes.find(before), after.size(), after);
    std::ofstream(file, std::ios::binary) << bytes;
    weights_["rotations"]["shape"] = {s.rounds, s.dim, s.buckets / 2};
  }

  void Test() {
    Matrix<int32_t> samples(model_.samples.size(), 5);
    for (size_t i = 0; i < samples.rows; ++i) {
      const CtrSample& s = model_.samples[i];
      const int32_t row[] = {s.user, s.history_begin, s.history_end, s.item, s.label};
      std::copy_n(row, 5, samples.row(i));
    }
    Array("test", "samples", "int32", samples);
    WriteNpyVector<float>(folder_ / "test" / "logits.npy", model_.logits);
    test_["logits"] = {{"dtype", "float32"}, {"shape", {model_.logits.size()}}};
  }

  const CtrExport& model_;
  std::filesystem::path folder_;
  nlohmann::json weights_ = nlohmann::json::object();
  nlohmann::json test_ = nlohmann::json::object();
};

}  // namespace eta::test
