// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/export.h"

#include <utility>

#include "core/base/check.h"
#include "core/ctr/internal/export_checks.h"
#include "core/ctr/internal/manifest.h"
#include "core/data/limits.h"
#include "simd/asym.h"
#include "simd/factors.h"
#include "simd/pq4.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHidden[] = {200, 80};  // of the MLP, as trained

// Limits of the settings. Nearly all are far above any trained model and only keep a hostile
// manifest from asking for absurd amounts.
constexpr size_t kMaxCtrDim = 1024;  // int8 scores, up to 127^2 * dim, stay exact in float32
constexpr size_t kMaxHeads = 64;
constexpr size_t kMaxShortLength = 1024;
constexpr size_t kMaxHistory = 16384;  // of k as well
constexpr size_t kMaxHashes = 1024;    // of SDIM
constexpr size_t kMaxHashWidth = 16;   // a hash is a uint16_t
constexpr size_t kMaxSlots = 64;       // of MIMN, whose usage is slots x slots
constexpr size_t kMaxRounds = 1024;    // of Reformer's LSH
constexpr size_t kMaxBuckets = 4096;   // of one round

// Reads the parts of one folder in turn.
class ExportReader {
 public:
  explicit ExportReader(const fs::path& folder) : folder_(folder), manifest_(folder) {}

  CtrExport Read() {
    model_.unit = manifest_.ReadUnit();
    ReadSettings();
    ReadItemsAndHistories();
    ReadSkeleton();
    ReadUnit();
    manifest_.CheckAllWeightsRead(model_.unit);
    ReadTest();
    return std::move(model_);
  }

 private:
  Matrix<float> ReadWeight(const std::string& name, size_t rows, size_t cols) {
    return manifest_.ReadMatrix<float>("weights", name, rows, cols);
  }
  std::vector<float> ReadVector(const std::string& name, size_t size) {
    return manifest_.ReadVector<float>("weights", name, size);
  }

  AttentionWeights ReadAttention(const std::string& name) {
    const size_t dim = model_.settings.dim;
    return {ReadWeight(name + "_query", dim, dim), ReadWeight(name + "_key", dim, dim),
            ReadWeight(name + "_value", dim, dim), ReadWeight(name + "_output", dim, dim)};
  }

  Matrix<int8_t> ReadInt8(const std::string& name) {
    auto matrix =
        manifest_.ReadMatrix<int8_t>("weights", name, model_.items(), model_.settings.dim);
    CheckInt8(matrix, manifest_.array_file("weights", name));
    return matrix;
  }

  void ReadSettings() {
    CtrSettings& s = model_.settings;
    s.dim = manifest_.ReadSetting("dim", kMaxCtrDim);
    s.heads = manifest_.ReadSetting("heads", kMaxHeads);
    s.short_length = manifest_.ReadSetting("short_length", kMaxShortLength);
    s.max_history = manifest_.ReadSetting("max_history", kMaxHistory);
    if (s.dim % s.heads != 0) {
      ThrowDataError(manifest_.file(), "\"heads\" is ", s.heads,
                     " (expected a divisor of \"dim\", ", s.dim, ")");
    }
  }

  void ReadItemsAndHistories() {
    model_.bundle = ReadBundle(folder_ / "bundle");
    const size_t items = manifest_.ReadNumber("items", INT32_MAX);
    users_ = manifest_.ReadNumber("users", INT32_MAX);
    CheckCtrBundle(model_, items, users_, folder_ / "bundle");
  }

  // What models of all units have.
  void ReadSkeleton() {
    const size_t dim = model_.settings.dim;
    model_.user_embeddings = ReadWeight("user_embeddings", users_, dim);
    model_.short_term = ReadAttention("short");
    model_.wide = ReadVector("wide", model_.has_unit() ? 2 : 1);
    const size_t sizes[] = {(model_.has_unit() ? 6 : 4) * dim, kHidden[0], kHidden[1], 1};
    for (size_t i = 0; i < 3; ++i) {
      model_.mlp_weight[i] = ReadWeight(Cat("mlp_", i, "_weight"), sizes[i], sizes[i + 1]);
      model_.mlp_bias[i] = ReadVector(Cat("mlp_", i, "_bias"), sizes[i + 1]);
    }
  }

  void ReadUnit() {
    switch (model_.unit) {
      case CtrUnit::kNone:
      case CtrUnit::kAvgPool:
        return;
      case CtrUnit::kSdim:
        return ReadSdim();
      default:
        model_.long_term = ReadAttention("long");
    }
    switch (model_.unit) {
      case CtrUnit::kFullAttention:
        return;
      case CtrUnit::kMimn:
        return ReadMimn();
      default:
        model_.settings.k = manifest_.ReadSetting("k", kMaxHistory);
        ReadRetrieval();
    }
  }

  void ReadRetrieval() {
    switch (model_.unit) {
      case CtrUnit::kEta:
      case CtrUnit::kEtaNorm:
      case CtrUnit::kEtaAsym:
        return ReadEta();
      case CtrUnit::kPq4:
        return ReadPq4();
      case CtrUnit::kExact:
        model_.scan_queries = model_.scan_keys = ReadInt8("exact_index");
        return;
      case CtrUnit::kSimSoft:
        model_.scan_queries = model_.scan_keys = ReadInt8("sim_index");
        return;
      case CtrUnit::kTwin:
        model_.scan_queries = ReadInt8("twin_queries");
        model_.scan_keys = ReadInt8("twin_keys");
        return;
      case CtrUnit::kReformerLsh:
        return ReadBuckets();
      case CtrUnit::kRecent:
        return;
      default:
        if (model_.bundle.items.categories.empty()) {
          ThrowDataError(folder_ / "bundle", "no item_categories.npy, which sim_hard needs");
        }
    }
  }

  void ReadSdim() {
    CtrSettings& s = model_.settings;
    s.hashes = manifest_.ReadSetting("hashes", kMaxHashes);
    s.hash_width = manifest_.ReadSetting("hash_width", kMaxHashWidth);
    s.bits = manifest_.ReadSetting("bits", kMaxBits);
    if (s.bits != s.hashes * s.hash_width) {
      ThrowDataError(manifest_.file(), "\"bits\" is ", s.bits, " (expected hashes * hash_width, ",
                     s.hashes * s.hash_width, ")");
    }
    model_.sdim_value = ReadWeight("sdim_value", s.dim, s.dim);
    ReadCodes((s.bits + 7) / 8);
  }

  void ReadEta() {
    const size_t bits = model_.settings.bits = manifest_.ReadSetting("bits", kMaxBits);
    const size_t code_bytes = (bits + 7) / 8;
    if (model_.unit == CtrUnit::kEta) return ReadCodes(code_bytes);
    ReadCodes(simd::FactorCodeBytes(bits));
    if (model_.unit == CtrUnit::kEtaNorm) return;
    model_.item_weights = manifest_.ReadMatrix<int8_t>("weights", "item_weights", model_.items(),
                                                       simd::WeightBytes(code_bytes));
    CheckItemWeights(model_, manifest_.array_file("weights", "item_weights"));
  }

  void ReadMimn() {
    const size_t dim = model_.settings.dim;
    const size_t slots = model_.settings.slots = manifest_.ReadSetting("slots", kMaxSlots);
    MimnWeights& m = model_.mimn;
    m.memory = ReadWeight("mimn_memory", slots, dim);
    m.usage = ReadWeight("mimn_usage", slots, slots);
    m.sharpness = ReadVector("mimn_sharpness", 1)[0];
    m.write = ReadWeight("mimn_write", dim, 6 * dim);
    m.write_bias = ReadVector("mimn_write_bias", 6 * dim);
    m.gates = ReadWeight("mimn_gates", 2 * dim, 2 * dim);
    m.induce = ReadWeight("mimn_induce", 2 * dim, dim);
  }

  void ReadPq4() {
    const size_t bits = model_.settings.bits = manifest_.ReadSetting("bits", kMaxBits);
    if (bits % 8 != 0) {
      ThrowDataError(manifest_.file(), "\"bits\" is ", bits, " (expected a multiple of 8)");
    }
    model_.item_codes =
        manifest_.ReadMatrix<uint8_t>("weights", "item_codes", model_.items(), bits / 8);
    model_.item_tables = manifest_.ReadMatrix<uint8_t>("weights", "item_tables", model_.items(),
                                                       simd::Pq4TableBytes(bits / 8));
    CheckItemTables(model_, manifest_.array_file("weights", "item_tables"));
  }

  // Hyperplanes, and rows of `row_bytes` that begin with the codes.
  void ReadCodes(size_t row_bytes) {
    const CtrSettings& s = model_.settings;
    model_.hyperplanes = ReadWeight("hyperplanes", s.dim, s.bits);
    const auto& of_bundle = model_.bundle.hyperplanes;  // what retrieval_bench would hash with
    if (of_bundle && (of_bundle->rows != s.dim || of_bundle->cols != s.bits ||
                      of_bundle->values != model_.hyperplanes.values)) {
      ThrowDataError(folder_ / "bundle" / "hyperplanes.npy",
                     "is not the same as weights/hyperplanes.npy");
    }
    model_.item_codes =
        manifest_.ReadMatrix<uint8_t>("weights", "item_codes", model_.items(), row_bytes);
    CheckItemCodes(model_, manifest_.array_file("weights", "item_codes"));
  }

  void ReadBuckets() {
    CtrSettings& s = model_.settings;
    s.rounds = manifest_.ReadSetting("rounds", kMaxRounds);
    s.buckets = manifest_.ReadSetting("buckets", kMaxBuckets);
    if (s.buckets % 2 != 0) {
      ThrowDataError(manifest_.file(), "\"buckets\" is ", s.buckets, ", an odd number");
    }
    const auto rotations = manifest_.ReadStack("rotations", {s.rounds, s.dim, s.buckets / 2});
    model_.item_buckets =
        manifest_.ReadMatrix<int32_t>("weights", "item_buckets", model_.items(), s.rounds);
    CheckItemBuckets(model_, rotations, manifest_.array_file("weights", "item_buckets"));
  }

  void ReadTest() {
    const size_t count = manifest_.ReadSampleCount();
    const auto rows = manifest_.ReadMatrix<int32_t>("test", "samples", count, 5);
    model_.logits = manifest_.ReadVector<float>("test", "logits", count);
    for (size_t i = 0; i < count; ++i) {
      const int32_t* r = rows.row(i);
      model_.samples.push_back({r[0], r[1], r[2], r[3], r[4]});
    }
    CheckSamples(model_, manifest_.array_file("test", "samples"));
  }

  fs::path folder_;
  CtrManifest manifest_;
  CtrExport model_;
  size_t users_ = 0;
};

}  // namespace

const char* CtrUnitName(CtrUnit unit) {
  switch (unit) {
    case CtrUnit::kNone:
      return "none";
    case CtrUnit::kAvgPool:
      return "avg_pool";
    case CtrUnit::kFullAttention:
      return "full_attention";
    case CtrUnit::kSimHard:
      return "sim_hard";
    case CtrUnit::kSimSoft:
      return "sim_soft";
    case CtrUnit::kEta:
      return "eta";
    case CtrUnit::kMimn:
      return "mimn";
    case CtrUnit::kSdim:
      return "sdim";
    case CtrUnit::kReformerLsh:
      return "reformer_lsh";
    case CtrUnit::kTwin:
      return "twin";
    case CtrUnit::kRecent:
      return "recent";
    case CtrUnit::kEtaNorm:
      return "eta_norm";
    case CtrUnit::kEtaAsym:
      return "eta_asym";
    case CtrUnit::kExact:
      return "exact";
    case CtrUnit::kPq4:
      return "pq4";
  }
  return "unknown";
}

std::span<const int32_t> CtrExport::Window(const CtrSample& sample) const {
  return bundle.histories[static_cast<size_t>(sample.user)].subspan(
      static_cast<size_t>(sample.history_begin),
      static_cast<size_t>(sample.history_end - sample.history_begin));
}

CtrExport ReadCtrExport(const fs::path& folder) { return ExportReader(folder).Read(); }

}  // namespace eta
