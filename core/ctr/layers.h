// SPDX-License-Identifier: Apache-2.0
// Weights packed for the kernels: layers and the two forms of target attention.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/ctr/export.h"
#include "core/ctr/i8_layer.h"
#include "simd/attention_heads.h"
#include "simd/attention_heads_i8.h"
#include "simd/linear.h"

namespace eta {

// Candidates that go through a model together: 11 tiles of the product's 6 rows, whose features and
// hidden layers stay in the L2 cache.
inline constexpr size_t kCtrChunk = 66;

// A view of float rows, of a width that the layer they meet determines: row r starts at
// values + r * stride.
struct ETA_CORE_API Rows {
  const float* values;
  size_t count;
  size_t stride;
};

// y = x W + bias, W of in() x out(), packed for simd/linear.h.
class ETA_CORE_API Layer {
 public:
  Layer() = default;
  // W is rows [first, first + rows) of `weight`, times `scale`. `bias` has weight.cols values or,
  // for a layer without one, none. Neither need outlive the layer.
  Layer(const Matrix<float>& weight, size_t first, size_t rows, std::span<const float> bias,
        float scale = 1.0f);
  explicit Layer(const Matrix<float>& weight, float scale = 1.0f)
      : Layer(weight, 0, weight.rows, {}, scale) {}

  size_t in() const { return in_; }    // floats of an input row
  size_t out() const { return out_; }  // floats of an output row
  // Row r of the result at y + r * y_stride, x.count rows of out() floats. No overlap.
  void Apply(const Rows& x, simd::Activation activation, float* y, size_t y_stride) const {
    Apply(x, bias_.empty() ? nullptr : bias_.data(), 0, activation, y, y_stride);
  }
  // The same with other biases: row r's is at bias + r * bias_stride, and null is none.
  void Apply(const Rows& x, const float* bias, size_t bias_stride, simd::Activation activation,
             float* y, size_t y_stride) const;

 private:
  size_t in_ = 0;
  size_t out_ = 0;
  AlignedVector<float> packed_;
  AlignedVector<float> bias_;
};

// Whether what depends on an item alone is computed for all items when a model is read (kAll) or
// again in each request (kNone).
enum class ItemTables { kNone, kAll };

// What the layers of a model, and its long-term attention, compute with: floats, or bytes whose
// products are summed exactly, with float32 scales.
enum class Precision { kFloat32, kInt8 };

// As programs call it: "float32" or "int8".
constexpr const char* PrecisionName(Precision precision) {
  return precision == Precision::kInt8 ? "int8" : "float32";
}

// A layer whose input is item rows; its output is looked up in a table or computed.
class ETA_CORE_API ItemLayer {
 public:
  ItemLayer() = default;
  // `items` need not outlive this.
  ItemLayer(Layer layer, const Matrix<float>& items, ItemTables tables);

  // Writes the layer's output for item ids[b], whose embedding is row b of x, to y + b * y_stride.
  void Apply(std::span<const int32_t> ids, const Rows& x, float* y, size_t y_stride) const;
  // The same for rows that are not from the item table.
  void Apply(const Rows& x, float* y, size_t y_stride) const {
    layer_.Apply(x, simd::Activation::kNone, y, y_stride);
  }
  // The output for an item; only with a table.
  const float* row(int32_t id) const { return table_.row(static_cast<size_t>(id)); }
  size_t table_bytes() const { return table_.values.size() * sizeof(float); }  // 0 without a table

 private:
  Layer layer_;
  Matrix<float> table_;  // items x out; empty without tables
};

// Keys and values of rows that all candidates of a request attend to.
struct ETA_CORE_API ProjectedHistory {
  size_t count = 0;                   // rows
  AlignedVector<float> keys, values;  // packed; room for the largest count
  AlignedVector<uint8_t> packed;      // in eight bits, in place of these
  size_t bytes = 0;                   // in use by `count` rows
};

// Scratch of all forms of attention, for kCtrChunk candidates.
struct ETA_CORE_API AttentionScratch {
  AttentionScratch() = default;
  // `chosen`: the most rows chosen for one candidate, 0 for ProjectedAttention alone; `projected`:
  // the most rows that all candidates share, 0 for the other forms alone.
  AttentionScratch(size_t dim, size_t heads, size_t chosen, size_t projected);

  AlignedVector<float> queries, folded, sums, pooled, keys, values;
  ByteRows bytes;                 // of `pooled`
  AlignedVector<uint8_t> kernel;  // what a kernel asks for
};

// The last step of attention: what the heads pooled times a dim x dim matrix.
class ETA_CORE_API AttentionOutput {
 public:
  AttentionOutput() = default;
  // `weight` need not outlive this.
  AttentionOutput(const Matrix<float>& weight, Precision precision);

  // Takes `count` rows of scratch.pooled, dim floats each.
  void Apply(size_t count, AttentionScratch& scratch, float* out, size_t out_stride) const;

 private:
  Layer in_floats_;  // one of the two
  I8Layer in_bytes_;
};

// Target attention over rows that all candidates share.
class ETA_CORE_API ProjectedAttention {
 public:
  ProjectedAttention() = default;
  // `queries`, `rows`: whether the candidates' queries, and the rows' keys and values, come from
  // tables. `output` is the precision of the output layer, `history` that of keys and values once
  // they are projected: few rows gain nothing from eight bits, which take 64 at a time. Neither
  // `weights` nor `items` need outlive this.
  ProjectedAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items,
                     ItemTables queries, ItemTables rows, Precision output = Precision::kFloat32,
                     Precision history = Precision::kFloat32);

  // Room for max_rows rows.
  ProjectedHistory NewHistory(size_t max_rows) const;
  // Fills `history` with the keys and values of the items `ids`, whose embeddings are `rows`.
  void Project(std::span<const int32_t> ids, const Rows& rows, AttentionScratch& scratch,
               ProjectedHistory& history) const;
  // The same for rows that are not from the item table.
  void Project(const Rows& rows, AttentionScratch& scratch, ProjectedHistory& history) const;
  // Writes the attention of candidate b, whose embedding is row b of targets, to
  // out + b * out_stride: dim floats, 0 where the history is empty. At most kCtrChunk candidates;
  // the history of this object's NewHistory, the scratch of its dim, heads and rows.
  void Attend(std::span<const int32_t> candidates, const Rows& targets,
              const ProjectedHistory& history, AttentionScratch& scratch, float* out,
              size_t out_stride) const;
  size_t table_bytes() const;  // of all tables

 private:
  void Pack(size_t count, AttentionScratch& scratch, ProjectedHistory& history) const;

  size_t dim_ = 0;
  size_t heads_ = 0;
  Precision history_ = Precision::kFloat32;
  ItemLayer query_, key_, value_;
  AttentionOutput output_;
};

// Items chosen for each candidate: candidate b attends to ids[b * stride + j] for j < counts[b];
// the other ids are not read.
struct ETA_CORE_API ChosenItems {
  const int32_t* ids;
  const int32_t* counts;
  size_t stride;
};

// Target attention over items chosen for each candidate, from a table of all items' keys and
// values.
class ETA_CORE_API TableAttention {
 public:
  TableAttention() = default;
  // Computes the tables; neither `weights` nor `items` need outlive this.
  TableAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items);

  // Writes the attention of candidate b, whose embedding is row b of targets, over its chosen items
  // to out + b * out_stride: dim floats, 0 where counts[b] is 0. At most kCtrChunk candidates, and
  // as many chosen items for each as `scratch` was made for.
  void Attend(std::span<const int32_t> candidates, const Rows& targets, const ChosenItems& chosen,
              AttentionScratch& scratch, float* out, size_t out_stride) const;
  size_t table_bytes() const;  // of all tables

 private:
  simd::HeadLayout layout_ = {};
  ItemLayer query_;
  Matrix<float> keys_values_;  // items x 2 columns of the layout
  Layer output_;
};

// The same from tables in eight bits, about a quarter of the bytes. Softmax stays float32.
class ETA_CORE_API I8TableAttention {
 public:
  I8TableAttention() = default;
  // Computes the tables; neither `weights` nor `items` need outlive this. Throws
  // std::invalid_argument when a head has more than simd::kI8MaxPart components.
  I8TableAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items);

  // As TableAttention::Attend, with a scratch that Grow has seen; the ids of `chosen` are positions
  // of `history`.
  void Attend(std::span<const int32_t> candidates, std::span<const int32_t> history,
              const ChosenItems& chosen, AttentionScratch& scratch, float* out,
              size_t out_stride) const;
  // Makes room for `chosen` rows for each candidate.
  void Grow(size_t chosen, AttentionScratch& scratch) const;
  size_t table_bytes() const;  // of all tables

 private:
  simd::I8HeadLayout layout_ = {};
  Matrix<int8_t> queries_;              // items x columns of the layout
  AlignedVector<float> query_factors_;  // of heads, for each item
  Matrix<uint8_t> keys_values_;         // items x bytes of the layout
  AlignedVector<float> factors_;        // of keys and of values, for each item
  AttentionOutput output_;
};

// The same from the embeddings, without tables: with four heads it takes four times the arithmetic
// a row.
class ETA_CORE_API ChosenAttention {
 public:
  ChosenAttention() = default;
  // `items` must outlive this, `weights` need not.
  ChosenAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items);

  // As TableAttention::Attend; ids come from `chosen` alone.
  void Attend(const Rows& targets, const ChosenItems& chosen, AttentionScratch& scratch, float* out,
              size_t out_stride) const;

 private:
  size_t dim_ = 0;
  size_t heads_ = 0;
  Layer query_;
  std::vector<Layer> fold_;   // per head: key[:, h]^T, part x dim
  std::vector<Layer> value_;  // per head: value[:, h], dim x part
  Layer output_;
  const Matrix<float>* items_ = nullptr;
};

}  // namespace eta
