// SPDX-License-Identifier: Apache-2.0
// The layers in eight bits: weights with a scale per output, activations with a scale per row that
// is taken from the row itself, so that none saturates.
#include <algorithm>

#include "core/ctr/i8_layer.h"
#include "core/ctr/internal/activation_bounds.h"
#include "core/ctr/mlp.h"
#include "simd/dot_i8.h"
#include "simd/linear_i8.h"

namespace eta {
namespace {

using simd::Activation;

class I8Mlp final : public Mlp {
 public:
  I8Mlp(const CtrExport& model, ItemTables tables) : Mlp(model, tables) {
    const size_t dim = model.settings.dim;
    if (tables == ItemTables::kAll) MakeItems(model);
    layers_[0] = I8Layer(model.mlp_weight[0], tables == ItemTables::kAll ? 2 * dim : dim, {});
    for (size_t i = 1; i < 3; ++i) {
      layers_[i] = I8Layer(model.mlp_weight[i], 0, model.mlp_bias[i]);
    }
  }

  std::unique_ptr<Scratch> NewScratch() const override {
    auto scratch = std::make_unique<Buffers>();
    scratch->wide.resize(kCtrChunk);
    size_t bytes = 0;
    for (size_t i = 0; i < 3; ++i) {
      scratch->input[i] = ByteRows(kCtrChunk, layers_[i].in());
      bytes = std::max(bytes, layers_[i].scratch_bytes());
    }
    scratch->kernel.resize(bytes);
    return scratch;
  }

  size_t table_bytes() const override {
    return item_values_.values.size() + item_scales_.size() * sizeof(float);
  }

  void Apply(std::span<const int32_t> candidates, float* features, const float* user,
             Scratch& scratch, float* logits) const override {
    auto& buffers = dynamic_cast<Buffers&>(scratch);
    const size_t count = candidates.size();
    const simd::ScratchView kernel = {buffers.kernel.data(), buffers.kernel.size()};
    auto& input = buffers.input;
    simd::LinearI8Layer first = layers_[0].view(Activation::kRelu);
    first.bias = user;
    if (own_row_ == 0) {
      simd::CrossFeaturesToU8(items_.view(), candidates.data(), crossed(features, count),
                              wide_.data(), buffers.wide.data(), input[0].out());
      first.bias_rows = {item_values_.values.data(), item_scales_.data(), candidates.data(),
                         hidden()};
    } else {
      simd::CrossFeatures(items_.view(), candidates.data(), crossed(features, count), wide_.data(),
                          buffers.wide.data());
      simd::QuantizeU8(simd::DenseRows<float>(features, count, this->features()), Activation::kNone,
                       input[0].out());
    }
    simd::LinearI8ToU8(input[0].view(count, Activation::kNone), first, kernel, input[1].out());
    simd::LinearI8ToU8(input[1].view(count, Activation::kRelu), layers_[1].view(Activation::kRelu),
                       kernel, input[2].out());
    simd::LinearI8(input[2].view(count, Activation::kRelu), layers_[2].view(Activation::kNone),
                   kernel, logits, 1);
    for (size_t b = 0; b < count; ++b) logits[b] += buffers.wide[b];
  }

 private:
  struct Buffers : Scratch {
    ByteRows input[3];          // of each layer
    AlignedVector<float> wide;  // terms of each candidate
    AlignedVector<uint8_t> kernel;
  };

  // The first layer's part of all items.
  void MakeItems(const CtrExport& model) {
    const Matrix<float>& table = items_;
    const size_t dim = model.settings.dim;
    const Layer part(model.mlp_weight[0], dim, dim, {});
    Matrix<float> rows(kCtrChunk, hidden());
    item_values_ = Matrix<int8_t>(table.rows, hidden());
    item_scales_.resize(table.rows);
    for (size_t first = 0; first < table.rows; first += kCtrChunk) {
      const size_t count = std::min(kCtrChunk, table.rows - first);
      part.Apply({table.row(first), count, dim}, Activation::kNone, rows.values.data(), hidden());
      simd::QuantizeI8(simd::DenseRows(rows.values.data(), count, hidden()),
                       item_values_.row(first), hidden(), &item_scales_[first]);
    }
  }

  Matrix<int8_t> item_values_;  // items x hidden; empty without tables
  AlignedVector<float> item_scales_;
  I8Layer layers_[3];
};

}  // namespace

std::unique_ptr<Mlp> MakeI8Mlp(const CtrExport& model, ItemTables tables) {
  RequireFloatActivations(model);
  return std::make_unique<I8Mlp>(model, tables);
}

}  // namespace eta
