// SPDX-License-Identifier: Apache-2.0
// Weights packed for the kernels: layers and the two forms of target attention.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned.h"
#include "core/ctr_export.h"
#include "core/matrix.h"
#include "simd/attention.h"
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
    Apply(x, bias_.empty() ? nullptr : bias_.data(), activation, y, y_stride);
  }
  void Apply(const Rows& x, const float* bias, simd::Activation activation, float* y,
             size_t y_stride) const;

 private:
  size_t in_ = 0;
  size_t out_ = 0;
  AlignedVector<float> packed_;
  AlignedVector<float> bias_;
};

// Keys and values of rows that all candidates of a request attend to.
struct ProjectedHistory {
  size_t count = 0;
  AlignedVector<float> keys, values;  // with room for the most rows

  size_t floats = 0;  // in use
};

// Buffers of both forms of attention, for kCtrChunk candidates.
struct AttentionWork {
  AttentionWork() = default;
  // `chosen`: rows for each candidate at most, 0 where there are none of its own; `projected`: rows
  // for all candidates at most.
  AttentionWork(size_t dim, size_t heads, size_t chosen, size_t projected);

  AlignedVector<float> queries, folded, sums, pooled, keys, values;
  AlignedVector<uint8_t> scratch;
};

// Target attention over rows that all candidates share.
class ProjectedAttention {
 public:
  ProjectedAttention() = default;
  ProjectedAttention(const AttentionWeights& weights, size_t heads);

  ProjectedHistory NewHistory(size_t max_rows) const;
  void Project(const Rows& rows, AttentionWork& work, ProjectedHistory& history) const;
  // out row b: the attention of target row b. At most kCtrChunk targets.
  void Attend(const Rows& targets, const ProjectedHistory& history, AttentionWork& work, float* out,
              size_t out_stride) const;

 private:
  size_t dim_ = 0;
  size_t heads_ = 0;
  Layer query_, key_, value_, output_;
};

// Target attention over rows of a table that are chosen for each candidate.
class ChosenAttention {
 public:
  ChosenAttention() = default;
  ChosenAttention(const AttentionWeights& weights, size_t heads);

  void Attend(const Rows& targets, const simd::ChosenRows& rows, AttentionWork& work, float* out,
              size_t out_stride) const;

 private:
  size_t dim_ = 0;
  size_t heads_ = 0;
  Layer query_;
  std::vector<Layer> fold_;   // per head: key[:, h]^T, part x dim
  std::vector<Layer> value_;  // per head: value[:, h], dim x part
  Layer output_;
};

}  // namespace eta
