// SPDX-License-Identifier: Apache-2.0
// Weights and rows in eight bits for simd/linear_i8.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/base/matrix.h"
#include "simd/linear_i8.h"

namespace eta {

// Room for rows of bytes with a scale each.
struct ETA_CORE_API ByteRows {
  ByteRows() = default;
  ByteRows(size_t count, size_t width) : width(width), values(count * width), scales(count) {}

  // All rows, for a kernel to write.
  simd::U8OutputRows out() { return {values.data(), scales.data(), width}; }
  // The first `count` rows, which were quantised after `made_by`.
  simd::U8RowsView view(size_t count, simd::Activation made_by) const {
    return {values.data(), scales.data(), count, width, width, simd::U8ZeroPoint(made_by)};
  }

  size_t width = 0;
  AlignedVector<uint8_t> values;
  AlignedVector<float> scales;
};

// y = x W + bias with W in eight bits.
class ETA_CORE_API I8Layer {
 public:
  I8Layer() = default;
  // W is rows [first, weight.rows) of `weight`. `bias` has weight.cols values or none. Neither need
  // outlive the layer.
  I8Layer(const Matrix<float>& weight, size_t first, std::span<const float> bias)
      : in_(weight.rows - first),
        out_(weight.cols),
        packed_(simd::PackedLinearI8Bytes(in_, out_)),
        bias_(bias.begin(), bias.end()) {
    simd::PackLinearI8(simd::DenseRows(weight.row(first), in_, out_), packed_.data());
  }

  size_t in() const { return in_; }    // bytes of an input row; 0: there is no layer
  size_t out() const { return out_; }  // values of an output row
  // What a kernel asks for.
  size_t scratch_bytes() const { return simd::LinearI8ScratchBytes(in_, out_); }
  // The layer for a kernel, valid while this lives.
  simd::LinearI8Layer view(simd::Activation activation) const {
    return {packed_.data(), out_, bias_.empty() ? nullptr : bias_.data(), activation};
  }

 private:
  size_t in_ = 0;
  size_t out_ = 0;
  AlignedVector<uint8_t> packed_;
  AlignedVector<float> bias_;
};

}  // namespace eta
