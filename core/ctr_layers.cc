// SPDX-License-Identifier: Apache-2.0
#include "core/ctr_layers.h"

#include <algorithm>
#include <cmath>

namespace eta {
namespace {

using simd::Activation;

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

}  // namespace

Layer::Layer(const Matrix<float>& weight, size_t first, size_t rows, std::span<const float> bias,
             float scale)
    : in_(rows),
      out_(weight.cols),
      packed_(simd::PackedLinearSize(rows, weight.cols)),
      bias_(bias.begin(), bias.end()) {
  simd::PackLinear(weight.row(first), in_, out_, weight.cols, 1, packed_.data());
  for (float& value : packed_) value *= scale;
}

void Layer::Apply(const Rows& x, const float* bias, Activation activation, float* y,
                  size_t y_stride) const {
  simd::Linear(x.values, x.count, in_, x.stride, packed_.data(), bias, out_, activation, y,
               y_stride);
}

AttentionWork::AttentionWork(size_t dim, size_t heads, size_t chosen, size_t projected) {
  queries.resize(kCtrChunk * dim);
  pooled.resize(kCtrChunk * dim);
  if (chosen > 0) {
    folded.resize(kCtrChunk * heads * dim);
    sums.resize(kCtrChunk * heads * dim);
  }
  keys.resize(projected * dim);
  values.resize(projected * dim);
  scratch.resize(std::max(simd::AttendRowsScratchBytes(chosen, dim, heads),
                          simd::AttendAllScratchBytes(projected)));
}

ProjectedAttention::ProjectedAttention(const AttentionWeights& weights, size_t heads)
    : dim_(weights.query.rows),
      heads_(heads),
      query_(weights.query, ScoreScale(dim_, heads)),
      key_(weights.key),
      value_(weights.value),
      output_(weights.output) {}

ProjectedHistory ProjectedAttention::NewHistory(size_t max_rows) const {
  ProjectedHistory history;
  const size_t part = dim_ / heads_;
  history.keys.resize(heads_ * simd::PackedLinearSize(part, max_rows));
  history.values.resize(heads_ * simd::PackedLinearSize(max_rows, part));
  return history;
}

void ProjectedAttention::Project(const Rows& rows, AttentionWork& work,
                                 ProjectedHistory& history) const {
  const size_t part = dim_ / heads_;
  history.count = rows.count;
  history.floats = heads_ * (simd::PackedLinearSize(part, rows.count) +
                             simd::PackedLinearSize(rows.count, part));
  key_.Apply(rows, Activation::kNone, work.keys.data(), dim_);
  value_.Apply(rows, Activation::kNone, work.values.data(), dim_);
  simd::PackProjectedRows(work.keys.data(), work.values.data(), rows.count, heads_, part, dim_,
                          history.keys.data(), history.values.data());
}

void ProjectedAttention::Attend(const Rows& targets, const ProjectedHistory& history,
                                AttentionWork& work, float* out, size_t out_stride) const {
  query_.Apply(targets, Activation::kNone, work.queries.data(), dim_);
  simd::AttendAll(
      {history.keys.data(), history.values.data(), history.count, heads_, dim_ / heads_},
      work.queries.data(), targets.count, dim_, work.scratch.data(), work.pooled.data(), dim_);
  output_.Apply({work.pooled.data(), targets.count, dim_}, Activation::kNone, out, out_stride);
}

ChosenAttention::ChosenAttention(const AttentionWeights& weights, size_t heads)
    : dim_(weights.query.rows),
      heads_(heads),
      query_(weights.query, ScoreScale(dim_, heads)),
      output_(weights.output) {
  const size_t part = dim_ / heads;
  for (size_t h = 0; h < heads; ++h) {
    fold_.emplace_back(Transposed(Columns(weights.key, h * part, part)));
    value_.emplace_back(Columns(weights.value, h * part, part));
  }
}

void ChosenAttention::Attend(const Rows& targets, const simd::ChosenRows& rows, AttentionWork& work,
                             float* out, size_t out_stride) const {
  const size_t part = dim_ / heads_, count = targets.count, wide = heads_ * dim_;
  query_.Apply(targets, Activation::kNone, work.queries.data(), dim_);
  for (size_t h = 0; h < heads_; ++h) {
    fold_[h].Apply({work.queries.data() + h * part, count, dim_}, Activation::kNone,
                   work.folded.data() + h * dim_, wide);
  }
  simd::AttendRows(rows, work.folded.data(), count, heads_, dim_, work.scratch.data(),
                   work.sums.data(), dim_);
  for (size_t h = 0; h < heads_; ++h) {
    value_[h].Apply({work.sums.data() + h * dim_, count, wide}, Activation::kNone,
                    work.pooled.data() + h * part, dim_);
  }
  output_.Apply({work.pooled.data(), count, dim_}, Activation::kNone, out, out_stride);
}

}  // namespace eta
