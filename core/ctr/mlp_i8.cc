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
  I8Mlp(const CtrExport& model, ItemTables tables) : Mlp(model) {
    const size_t dim = model.settings.dim;
    if (tables == ItemTables::kAll) MakeItems(model);
    layers_[0] = I8Layer(model.mlp_weight[0], tables == ItemTables::kAll ? 2 * dim : dim, {});
    for (size_t i = 1; i < 3; ++i) {
      layers_[i] = I8Layer(model.mlp_weight[i], 0, model.mlp_bias[i]);
    }
  }

  std::unique_ptr<Scratch> NewScratch() const override {
    auto scratch = std::make_unique<Buffers>();
    if (items_.rows > 0) scratch->bias.resize(kCtrChunk * hidden());
    size_t bytes = 0;
    for (size_t i = 0; i < 3; ++i) {
      scratch->input[i] = ByteRows(kCtrChunk, layers_[i].in());
      bytes = std::max(bytes, layers_[i].scratch_bytes());
    }
    scratch->kernel.resize(bytes);
    return scratch;
  }

  size_t table_bytes() const override {
    return items_.values.size() + item_scales_.size() * sizeof(float);
  }

  void Apply(std::span<const int32_t> candidates, const Rows& features, const float* user,
             Scratch& scratch, float* logits) const override {
    auto& buffers = dynamic_cast<Buffers&>(scratch);
    const size_t count = candidates.size();
    const simd::ScratchView kernel = {buffers.kernel.data(), buffers.kernel.size()};
    auto& input = buffers.input;
    simd::QuantizeU8({features.values, count, layers_[0].in(), features.stride}, Activation::kNone,
                     input[0].out());
    simd::LinearI8Layer first = layers_[0].view(Activation::kRelu);
    first.bias = user;
    if (items_.rows > 0) {
      AddItems(candidates, user, buffers.bias.data());
      first.bias = buffers.bias.data();
      first.bias_stride = hidden();
    }
    simd::LinearI8ToU8(input[0].view(count, Activation::kNone), first, kernel, input[1].out());
    simd::LinearI8ToU8(input[1].view(count, Activation::kRelu), layers_[1].view(Activation::kRelu),
                       kernel, input[2].out());
    simd::LinearI8(input[2].view(count, Activation::kRelu), layers_[2].view(Activation::kNone),
                   kernel, logits, 1);
  }

 private:
  struct Buffers : Scratch {
    ByteRows input[3];          // of each layer
    AlignedVector<float> bias;  // of the first layer, for each candidate
    AlignedVector<uint8_t> kernel;
  };

  // The first layer's part of all items.
  void MakeItems(const CtrExport& model) {
    const Matrix<float>& table = model.bundle.items.embeddings;
    const size_t dim = model.settings.dim;
    const Layer part(model.mlp_weight[0], dim, dim, {});
    Matrix<float> rows(kCtrChunk, hidden());
    items_ = Matrix<int8_t>(table.rows, hidden());
    item_scales_.resize(table.rows);
    for (size_t first = 0; first < table.rows; first += kCtrChunk) {
      const size_t count = std::min(kCtrChunk, table.rows - first);
      part.Apply({table.row(first), count, dim}, Activation::kNone, rows.values.data(), hidden());
      simd::QuantizeI8(simd::DenseRows(rows.values.data(), count, hidden()), items_.row(first),
                       hidden(), &item_scales_[first]);
    }
  }

  void AddItems(std::span<const int32_t> candidates, const float* user, float* bias) const {
    const size_t width = hidden();
    for (const int32_t candidate : candidates) {
      const auto item = static_cast<size_t>(candidate);
      const int8_t* values = items_.row(item);
      const float scale = item_scales_[item];
      for (size_t i = 0; i < width; ++i) {
        bias[i] = user[i] + scale * static_cast<float>(values[i]);
      }
      bias += width;
    }
  }

  Matrix<int8_t> items_;  // items x hidden; empty without tables
  AlignedVector<float> item_scales_;
  I8Layer layers_[3];
};

}  // namespace

std::unique_ptr<Mlp> MakeI8Mlp(const CtrExport& model, ItemTables tables) {
  RequireFloatActivations(model);
  return std::make_unique<I8Mlp>(model, tables);
}

}  // namespace eta
