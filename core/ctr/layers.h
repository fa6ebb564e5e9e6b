// SPDX-License-Identifier: Apache-2.0
// Weights packed for the kernels: layers and the two forms of target attention.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/aligned.h"
#include "core/base/matrix.h"
#include "core/ctr/export.h"
#include "simd/attention_heads.h"
#include "simd/linear.h"

namespace eta {

// Candidates that go through a model together: 11 tiles of the product's 6 rows, whose features and
// hidden layers stay in the L2 cache.
inline constexpr size_t kCtrChunk = 66;

// A view of floats, rows `stride` apart.
struct Rows {
  const float* values;
  size_t count;
  size_t stride;
};

// y = x W + bias.
class Layer {
 public:
  Layer() = default;
  // Rows [first, first + rows) of `weight`, times `scale`; an empty bias is none.
  Layer(const Matrix<float>& weight, size_t first, size_t rows, std::span<const float> bias,
        float scale = 1.0f);
  explicit Layer(const Matrix<float>& weight, float scale = 1.0f)
      : Layer(weight, 0, weight.rows, {}, scale) {}

  size_t in() const { return in_; }
  size_t out() const { return out_; }
  void Apply(const Rows& x, simd::Activation activation, float* y, size_t y_stride) const {
    Apply(x, bias_.empty() ? nullptr : bias_.data(), 0, activation, y, y_stride);
  }
  // With another bias; row r's is at bias + r * bias_stride.
  void Apply(const Rows& x, const float* bias, size_t bias_stride, simd::Activation activation,
             float* y, size_t y_stride) const;

 private:
  size_t in_ = 0;
  size_t out_ = 0;
  AlignedVector<float> packed_;
  AlignedVector<float> bias_;
};

// Whether what depends on an item alone is computed for all items when a model is read, or for each
// request anew.
enum class ItemTables { kNone, kAll };

// A layer whose input are item rows, looked up in a table or computed.
class ItemLayer {
 public:
  ItemLayer() = default;
  ItemLayer(Layer layer, const Matrix<float>& items, ItemTables tables);

  // y row b is the layer's output for item ids[b], whose row is x row b.
  void Apply(std::span<const int32_t> ids, const Rows& x, float* y, size_t y_stride) const;
  // The same where x are other rows than items'.
  void Apply(const Rows& x, float* y, size_t y_stride) const {
    layer_.Apply(x, simd::Activation::kNone, y, y_stride);
  }
  const float* row(int32_t id) const { return table_.row(static_cast<size_t>(id)); }
  size_t table_bytes() const { return table_.values.size() * sizeof(float); }

 private:
  Layer layer_;
  Matrix<float> table_;  // items x out; empty without tables
};

// Keys and values of rows that all candidates of a request attend to.
struct ProjectedHistory {
  size_t count = 0;
  AlignedVector<float> keys, values;  // with room for the most rows

  size_t floats = 0;  // in use
};

// Buffers of both forms of attention, for kCtrChunk candidates.
struct AttentionScratch {
  AttentionScratch() = default;
  // `chosen`: rows for each candidate at most, 0 where there are none of its own; `projected`: rows
  // for all candidates at most.
  AttentionScratch(size_t dim, size_t heads, size_t chosen, size_t projected);

  AlignedVector<float> queries, folded, sums, pooled, keys, values;
  AlignedVector<uint8_t> kernel;  // what a kernel asks for
};

// Target attention over rows that all candidates share.
class ProjectedAttention {
 public:
  ProjectedAttention() = default;
  // `queries`, `rows`: where the candidates' queries and the rows' keys and values come from.
  ProjectedAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items,
                     ItemTables queries, ItemTables rows);

  ProjectedHistory NewHistory(size_t max_rows) const;
  // Rows of these items.
  void Project(std::span<const int32_t> ids, const Rows& rows, AttentionScratch& scratch,
               ProjectedHistory& history) const;
  // Rows that are no items'.
  void Project(const Rows& rows, AttentionScratch& scratch, ProjectedHistory& history) const;
  // out row b: the attention of candidate b, whose item row is target row b. At most kCtrChunk.
  void Attend(std::span<const int32_t> candidates, const Rows& targets,
              const ProjectedHistory& history, AttentionScratch& scratch, float* out,
              size_t out_stride) const;
  size_t table_bytes() const;

 private:
  void Pack(size_t count, AttentionScratch& scratch, ProjectedHistory& history) const;

  size_t dim_ = 0;
  size_t heads_ = 0;
  ItemLayer query_, key_, value_;
  Layer output_;
};

// Rows of the item table: row b attends to ids[b * stride + j] for j < counts[b].
struct ChosenItems {
  const int32_t* ids;
  const int32_t* counts;
  size_t stride;
};

// Target attention over items chosen for each candidate, from a table of all items' keys and
// values.
class TableAttention {
 public:
  TableAttention() = default;
  TableAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items);

  void Attend(std::span<const int32_t> candidates, const Rows& targets, const ChosenItems& chosen,
              AttentionScratch& scratch, float* out, size_t out_stride) const;
  size_t table_bytes() const;

 private:
  simd::HeadLayout layout_ = {};
  ItemLayer query_;
  Matrix<float> keys_values_;  // items x 2 columns of the layout
  Layer output_;
};

// The same from the raw rows of the items, without tables: four times the arithmetic a row with
// four heads.
class ChosenAttention {
 public:
  ChosenAttention() = default;
  ChosenAttention(const AttentionWeights& weights, size_t heads, const Matrix<float>& items);

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
