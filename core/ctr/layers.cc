// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/layers.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/check.h"
#include "simd/attention_all.h"
#include "simd/attention_all_i8.h"
#include "simd/attention_heads.h"
#include "simd/attention_rows.h"

namespace eta {
namespace {

using simd::Activation;

// With its size, so that kernels that check refuse too little.
simd::ScratchView KernelScratchOf(AttentionScratch& scratch) {
  return {scratch.kernel.data(), scratch.kernel.size()};
}

float ScoreScale(size_t dim, size_t heads) {
  return 1.0f / std::sqrt(static_cast<float>(dim / heads));
}

// Columns [first, first + count).
Matrix<float> Columns(const Matrix<float>& matrix, size_t first, size_t count) {
  Matrix<float> part(matrix.rows, count);
  for (size_t r = 0; r < matrix.rows; ++r) {
    std::copy_n(matrix.row(r) + first, count, part.row(r));
  }
  return part;
}

Matrix<float> Transposed(const Matrix<float>& matrix) {
  Matrix<float> turned(matrix.cols, matrix.rows);
  for (size_t r = 0; r < matrix.rows; ++r) {
    for (size_t c = 0; c < matrix.cols; ++c) turned.row(c)[r] = matrix.row(r)[c];
  }
  return turned;
}

// The same columns in the order of `layout`; those that no head has are 0.
Matrix<float> InLayout(const Matrix<float>& matrix, const simd::HeadLayout& layout) {
  Matrix<float> spread(matrix.rows, layout.columns());
  for (size_t r = 0; r < matrix.rows; ++r) {
    for (size_t c = 0; c < matrix.cols; ++c) {
      spread.row(r)[layout.column(c / layout.part, c % layout.part)] = matrix.row(r)[c];
    }
  }
  return spread;
}

}  // namespace

Layer::Layer(const Matrix<float>& weight, size_t first, size_t rows, std::span<const float> bias,
             float scale)
    : in_(rows),
      out_(weight.cols),
      packed_(simd::PackedLinearSize(rows, weight.cols)),
      bias_(bias.begin(), bias.end()) {
  simd::PackLinear(simd::DenseRows(weight.row(first), in_, out_), packed_.data());
  for (float& value : packed_) value *= scale;
}

void Layer::Apply(const Rows& x, const float* bias, size_t bias_stride, Activation activation,
                  float* y, size_t y_stride) const {
  simd::Linear({x.values, x.count, in_, x.stride},
               {packed_.data(), out_, bias, bias_stride, activation}, y, y_stride);
}

ItemLayer::ItemLayer(Layer layer, const Matrix<float>& items, ItemTables tables)
    : layer_(std::move(layer)) {
  if (tables == ItemTables::kNone) return;
  table_ = Matrix<float>(items.rows, layer_.out());
  Apply({items.values.data(), items.rows, items.cols}, table_.values.data(), layer_.out());
}

void ItemLayer::Apply(std::span<const int32_t> ids, const Rows& x, float* y,
                      size_t y_stride) const {
  if (table_.rows == 0) return Apply(x, y, y_stride);
  for (const int32_t id : ids) {
    std::copy_n(row(id), layer_.out(), y);
    y += y_stride;
  }
}

AttentionScratch::AttentionScratch(size_t dim, size_t heads, size_t chosen, size_t projected) {
  const size_t columns = std::max(dim, simd::HeadLayout{heads, dim / heads}.columns());
  queries.resize(kCtrChunk * columns);
  pooled.resize(kCtrChunk * columns);
  if (chosen > 0) {
    folded.resize(kCtrChunk * heads * dim);
    sums.resize(kCtrChunk * heads * dim);
  }
  keys.resize(projected * dim);
  values.resize(projected * dim);
  bytes = ByteRows(kCtrChunk, dim);
  kernel.resize(
      std::max({simd::AttendRowsScratchBytes(chosen, dim, heads),
                simd::AttendHeadsScratchBytes(chosen), simd::AttendAllScratchBytes(projected),
                simd::AttendAllI8ScratchBytes(projected, dim / heads),
                simd::LinearI8ScratchBytes(dim, dim)}));
}

AttentionOutput::AttentionOutput(const Matrix<float>& weight, Precision precision) {
  if (precision == Precision::kInt8) {
    in_bytes_ = I8Layer(weight, 0, {});
  } else {
    in_floats_ = Layer(weight);
  }
}

void AttentionOutput::Apply(size_t count, AttentionScratch& scratch, float* out,
                            size_t out_stride) const {
  const float* pooled = scratch.pooled.data();
  if (in_bytes_.in() == 0) {
    return in_floats_.Apply({pooled, count, in_floats_.in()}, Activation::kNone, out, out_stride);
  }
  simd::QuantizeU8(simd::DenseRows(pooled, count, in_bytes_.in()), Activation::kNone,
                   scratch.bytes.out());
  simd::LinearI8(scratch.bytes.view(count, Activation::kNone), in_bytes_.view(Activation::kNone),
                 KernelScratchOf(scratch), out, out_stride);
}

ProjectedAttention::ProjectedAttention(const AttentionWeights& weights, size_t heads,
                                       const Matrix<float>& items, ItemTables queries,
                                       ItemTables rows, Precision output, Precision history)
    : dim_(weights.query.rows),
      heads_(heads),
      history_(history),
      query_(Layer(weights.query, ScoreScale(dim_, heads)), items, queries),
      key_(Layer(weights.key), items, rows),
      value_(Layer(weights.value), items, rows),
      output_(weights.output, output) {}

size_t ProjectedAttention::table_bytes() const {
  return query_.table_bytes() + key_.table_bytes() + value_.table_bytes();
}

ProjectedHistory ProjectedAttention::NewHistory(size_t max_rows) const {
  ProjectedHistory history;
  const size_t part = dim_ / heads_;
  if (history_ == Precision::kInt8) {
    history.packed.resize(simd::ProjectedI8Bytes(max_rows, heads_, part));
    return history;
  }
  history.keys.resize(heads_ * simd::PackedLinearSize(part, max_rows));
  history.values.resize(heads_ * simd::PackedLinearSize(max_rows, part));
  return history;
}

void ProjectedAttention::Project(std::span<const int32_t> ids, const Rows& rows,
                                 AttentionScratch& scratch, ProjectedHistory& history) const {
  key_.Apply(ids, rows, scratch.keys.data(), dim_);
  value_.Apply(ids, rows, scratch.values.data(), dim_);
  Pack(rows.count, scratch, history);
}

void ProjectedAttention::Project(const Rows& rows, AttentionScratch& scratch,
                                 ProjectedHistory& history) const {
  key_.Apply(rows, scratch.keys.data(), dim_);
  value_.Apply(rows, scratch.values.data(), dim_);
  Pack(rows.count, scratch, history);
}

void ProjectedAttention::Pack(size_t count, AttentionScratch& scratch,
                              ProjectedHistory& history) const {
  const size_t part = dim_ / heads_;
  const auto keys = simd::DenseRows<float>(scratch.keys.data(), count, dim_);
  const auto values = simd::DenseRows<float>(scratch.values.data(), count, dim_);
  history.count = count;
  if (history_ == Precision::kInt8) {
    history.bytes = simd::ProjectedI8Bytes(count, heads_, part);
    return simd::PackProjectedI8(keys, values, heads_, history.packed.data());
  }
  history.bytes = sizeof(float) * heads_ *
                  (simd::PackedLinearSize(part, count) + simd::PackedLinearSize(count, part));
  simd::PackProjectedRows(keys, values, heads_, history.keys.data(), history.values.data());
}

void ProjectedAttention::Attend(std::span<const int32_t> candidates, const Rows& targets,
                                const ProjectedHistory& history, AttentionScratch& scratch,
                                float* out, size_t out_stride) const {
  query_.Apply(candidates, targets, scratch.queries.data(), dim_);
  const simd::Queries<float> queries = {scratch.queries.data(), targets.count, dim_};
  const simd::OutputRows<float> pooled = {scratch.pooled.data(), dim_};
  const size_t count = history.count, part = dim_ / heads_;
  if (history_ == Precision::kInt8) {
    simd::AttendAllI8({history.packed.data(), count, heads_, part}, queries,
                      KernelScratchOf(scratch), pooled);
  } else {
    simd::AttendAll({history.keys.data(), history.values.data(), count, heads_, part}, queries,
                    KernelScratchOf(scratch), pooled);
  }
  output_.Apply(targets.count, scratch, out, out_stride);
}

TableAttention::TableAttention(const AttentionWeights& weights, size_t heads,
                               const Matrix<float>& items)
    : layout_{heads, weights.query.cols / heads},
      query_(Layer(InLayout(weights.query, layout_), ScoreScale(weights.query.cols, heads)), items,
             ItemTables::kAll),
      keys_values_(items.rows, 2 * layout_.columns()),
      output_(Transposed(InLayout(Transposed(weights.output), layout_))) {
  const Rows rows = {items.values.data(), items.rows, items.cols};
  const size_t columns = layout_.columns();
  float* keys = keys_values_.values.data();
  Layer(InLayout(weights.key, layout_)).Apply(rows, Activation::kNone, keys, 2 * columns);
  Layer(InLayout(weights.value, layout_))
      .Apply(rows, Activation::kNone, keys + columns, 2 * columns);
}

size_t TableAttention::table_bytes() const {
  return query_.table_bytes() + keys_values_.values.size() * sizeof(float);
}

void TableAttention::Attend(std::span<const int32_t> candidates, const Rows& targets,
                            const ChosenItems& chosen, AttentionScratch& scratch, float* out,
                            size_t out_stride) const {
  const size_t columns = layout_.columns();
  query_.Apply(candidates, targets, scratch.queries.data(), columns);
  const auto table =
      simd::DenseRows(keys_values_.values.data(), keys_values_.rows, keys_values_.cols);
  simd::AttendHeads({table, chosen.ids, chosen.counts, chosen.stride}, layout_,
                    {scratch.queries.data(), targets.count, columns}, KernelScratchOf(scratch),
                    {scratch.pooled.data(), columns});
  output_.Apply({scratch.pooled.data(), targets.count, columns}, Activation::kNone, out,
                out_stride);
}

I8TableAttention::I8TableAttention(const AttentionWeights& weights, size_t heads,
                                   const Matrix<float>& items)
    : layout_{heads, weights.query.cols / heads},
      queries_(items.rows, layout_.columns()),
      query_factors_(items.rows * heads),
      keys_values_(items.rows, layout_.row_bytes()),
      factors_(items.rows * 2),
      output_(weights.output, Precision::kInt8) {
  Require(layout_.part <= simd::kI8MaxPart, "CTR model: heads of ", layout_.part,
          " components (expected up to ", simd::kI8MaxPart, " in eight bits)");
  const size_t dim = layout_.dim();
  const Layer query(weights.query, ScoreScale(dim, heads)), key(weights.key), value(weights.value);
  Matrix<float> queries(kCtrChunk, dim), keys(kCtrChunk, dim), values(kCtrChunk, dim);
  for (size_t first = 0; first < items.rows; first += kCtrChunk) {
    const Rows rows = {items.row(first), std::min(kCtrChunk, items.rows - first), items.cols};
    query.Apply(rows, Activation::kNone, queries.values.data(), dim);
    key.Apply(rows, Activation::kNone, keys.values.data(), dim);
    value.Apply(rows, Activation::kNone, values.values.data(), dim);
    simd::PackHeadQueriesI8(simd::DenseRows(queries.values.data(), rows.count, dim), layout_,
                            {queries_.row(first), &query_factors_[heads * first], queries_.cols});
    simd::PackHeadsI8(simd::DenseRows(keys.values.data(), rows.count, dim),
                      simd::DenseRows(values.values.data(), rows.count, dim), layout_,
                      {keys_values_.row(first), &factors_[2 * first], keys_values_.cols});
  }
}

void I8TableAttention::Grow(size_t chosen, AttentionScratch& scratch) const {
  scratch.kernel.resize(
      std::max(scratch.kernel.size(), simd::AttendHeadsI8ScratchBytes(layout_, chosen)));
}

size_t I8TableAttention::table_bytes() const {
  return queries_.values.size() + keys_values_.values.size() +
         (query_factors_.size() + factors_.size()) * sizeof(float);
}

void I8TableAttention::Attend(std::span<const int32_t> candidates, std::span<const int32_t> history,
                              const ChosenItems& chosen, AttentionScratch& scratch, float* out,
                              size_t out_stride) const {
  const size_t count = candidates.size();
  const simd::IdsView list = {history.data(), history.size()};
  simd::AttendHeadsI8(
      {keys_values_.view(), factors_.data(), list, chosen.ids, chosen.counts, chosen.stride},
      layout_, {queries_.view(), query_factors_.data(), candidates.data(), count},
      KernelScratchOf(scratch), {scratch.pooled.data(), layout_.dim()});
  output_.Apply(count, scratch, out, out_stride);
}

ChosenAttention::ChosenAttention(const AttentionWeights& weights, size_t heads,
                                 const Matrix<float>& items)
    : dim_(weights.query.rows),
      heads_(heads),
      query_(weights.query, ScoreScale(dim_, heads)),
      output_(weights.output),
      items_(&items) {
  const size_t part = dim_ / heads;
  for (size_t h = 0; h < heads; ++h) {
    fold_.emplace_back(Transposed(Columns(weights.key, h * part, part)));
    value_.emplace_back(Columns(weights.value, h * part, part));
  }
}

void ChosenAttention::Attend(const Rows& targets, const ChosenItems& chosen,
                             AttentionScratch& scratch, float* out, size_t out_stride) const {
  const size_t part = dim_ / heads_, count = targets.count, wide = heads_ * dim_;
  query_.Apply(targets, Activation::kNone, scratch.queries.data(), dim_);
  for (size_t h = 0; h < heads_; ++h) {
    fold_[h].Apply({scratch.queries.data() + h * part, count, dim_}, Activation::kNone,
                   scratch.folded.data() + h * dim_, wide);
  }
  const auto table = simd::DenseRows(items_->values.data(), items_->rows, dim_);
  simd::AttendRows({table, chosen.ids, chosen.counts, chosen.stride}, heads_,
                   {scratch.folded.data(), count * heads_, dim_}, KernelScratchOf(scratch),
                   {scratch.sums.data(), dim_});
  for (size_t h = 0; h < heads_; ++h) {
    value_[h].Apply({scratch.sums.data() + h * dim_, count, wide}, Activation::kNone,
                    scratch.pooled.data() + h * part, dim_);
  }
  output_.Apply({scratch.pooled.data(), count, dim_}, Activation::kNone, out, out_stride);
}

}  // namespace eta
