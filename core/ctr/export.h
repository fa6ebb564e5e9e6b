// SPDX-License-Identifier: Apache-2.0
// A trained CTR model as scripts/train_ctr.py exports it: docs/models.md has the files, the shapes
// and the formulas. This is data alone; core/ctr/model.h serves it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/data/bundle.h"

namespace eta {

// The long-term units of docs/models.md.
enum class CtrUnit {
  kNone,
  kAvgPool,
  kFullAttention,
  kSimHard,
  kSimSoft,
  kEta,
  kMimn,
  kSdim,
  kReformerLsh,
  kTwin,
  kRecent,
  kEtaNorm,  // ETA trained with another retrieval: this and the next three
  kEtaAsym,
  kExact,
  kPq4,
};

inline constexpr CtrUnit kCtrUnits[] = {
    CtrUnit::kNone,    CtrUnit::kAvgPool, CtrUnit::kFullAttention,
    CtrUnit::kSimHard, CtrUnit::kSimSoft, CtrUnit::kEta,
    CtrUnit::kMimn,    CtrUnit::kSdim,    CtrUnit::kReformerLsh,
    CtrUnit::kTwin,    CtrUnit::kRecent,  CtrUnit::kEtaNorm,
    CtrUnit::kEtaAsym, CtrUnit::kExact,   CtrUnit::kPq4};

ETA_CORE_API const char* CtrUnitName(CtrUnit unit);  // as in manifest.json: "none", "avg_pool", ...

// "settings" of the manifest. Numbers that a unit does not have are 0.
struct ETA_CORE_API CtrSettings {
  size_t dim = 0;
  size_t heads = 0;         // a divisor of dim
  size_t short_length = 0;  // behaviours of the short-term attention
  size_t max_history = 0;   // behaviours of the longest window
  size_t k = 0;             // behaviours that a unit retrieves
  size_t bits = 0;          // of a code: eta, eta_norm, eta_asym, pq4, sdim
  size_t hashes = 0;        // that the bits of sdim make
  size_t hash_width = 0;    // bits of a hash
  size_t rounds = 0;        // of reformer_lsh
  size_t buckets = 0;       // of a round
  size_t slots = 0;         // of mimn's memory
};

// Target attention, one matrix for all heads; head h has columns [h * dim / heads, ...) of the
// first three and the same rows of `output`.
struct ETA_CORE_API AttentionWeights {
  Matrix<float> query, key, value, output;  // dim x dim each; empty where a model has none
};

// Formulas: docs/models.md.
struct ETA_CORE_API MimnWeights {
  Matrix<float> memory;  // slots x dim
  Matrix<float> usage;   // slots x slots
  float sharpness = 0;
  Matrix<float> write;            // dim x 6 dim
  std::vector<float> write_bias;  // 6 dim
  Matrix<float> gates;            // 2 dim x 2 dim
  Matrix<float> induce;           // 2 dim x dim
};

// A test sample: would `user`, with this window as the history, click `item`?
struct ETA_CORE_API CtrSample {
  int32_t user;
  int32_t history_begin;  // the window is behaviours [begin, end) of the user's history
  int32_t history_end;
  int32_t item;
  int32_t label;  // 0 or 1
  bool operator==(const CtrSample&) const = default;
};

// A whole exported model.
struct ETA_CORE_API CtrExport {
  CtrUnit unit = CtrUnit::kNone;
  CtrSettings settings;
  Bundle bundle;  // item table, categories, histories

  Matrix<float> user_embeddings;  // users x dim
  AttentionWeights short_term;
  AttentionWeights long_term;
  std::vector<float> wide;                     // 2, or 1 without a unit
  std::array<Matrix<float>, 3> mlp_weight;     // 6 dim x 200 (4 dim without a unit), 200 x 80,
                                               // 80 x 1
  std::array<std::vector<float>, 3> mlp_bias;  // 200, 80, 1
  Matrix<float> hyperplanes;                   // dim x bits, of all codes but those of pq4
  Matrix<uint8_t> item_codes;                  // items x ceil(bits / 8): eta, pq4, sdim; a byte
                                               // more, the factor: eta_norm, eta_asym
  Matrix<uint8_t> item_tables;                 // items x 4 bits: pq4
  Matrix<int8_t> item_weights;                 // items x 8 ceil(bits / 8): eta_asym
  Matrix<int8_t> scan_queries, scan_keys;      // items x dim: sim_soft and exact (equal), twin
  Matrix<int32_t> item_buckets;                // items x rounds: reformer_lsh
  Matrix<float> sdim_value;                    // dim x dim
  MimnWeights mimn;

  std::vector<CtrSample> samples;  // of the test split
  std::vector<float> logits;       // PyTorch's, one per sample

  size_t users() const { return user_embeddings.rows; }     // all ids are below it
  size_t items() const { return bundle.items.size(); }      // all ids are below it
  bool has_unit() const { return unit != CtrUnit::kNone; }  // false for kNone
  // The window of a test sample: item ids, oldest first. Valid while this lives. `sample` must be
  // one of this model's, or in range like them.
  std::span<const int32_t> Window(const CtrSample& sample) const;
};

// Reads and checks a whole exported model: types, shapes, ranges, finite weights, codes that follow
// from the hyperplanes and buckets that follow from the rotations (except for projections of about
// 0, whose sign depends on the order of the sum). Throws DataError: one line with file, what,
// where.
ETA_CORE_API CtrExport ReadCtrExport(const std::filesystem::path& folder);

}  // namespace eta
