// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/mlp.h"

#include <optional>

namespace eta {
namespace {

using simd::Activation;

class FloatMlp final : public Mlp {
 public:
  FloatMlp(const CtrExport& model, ItemTables tables) : Mlp(model, tables) {
    const size_t dim = model.settings.dim;
    const Matrix<float>& first = model.mlp_weight[0];
    const size_t begin = tables == ItemTables::kAll ? 2 * dim : dim;
    if (tables == ItemTables::kAll) {
      item_layer_.emplace(Layer(first, dim, dim, {}), model.bundle.items.embeddings, tables);
    }
    layers_[0] = Layer(first, begin, first.rows - begin, {});
    for (size_t i = 1; i < 3; ++i) {
      layers_[i] = Layer(model.mlp_weight[i], 0, model.mlp_weight[i].rows, model.mlp_bias[i]);
    }
  }

  std::unique_ptr<Scratch> NewScratch() const override {
    auto scratch = std::make_unique<Hidden>();
    if (item_layer_) scratch->bias.resize(kCtrChunk * hidden());
    scratch->wide.resize(kCtrChunk);
    for (size_t i = 0; i < 2; ++i) scratch->layer[i].resize(kCtrChunk * layers_[i].out());
    return scratch;
  }

  size_t table_bytes() const override { return item_layer_ ? item_layer_->table_bytes() : 0; }

  void Apply(std::span<const int32_t> candidates, float* features, const float* user,
             Scratch& scratch, float* logits) const override {
    auto& buffers = dynamic_cast<Hidden&>(scratch);
    float *first = buffers.layer[0].data(), *second = buffers.layer[1].data();
    const size_t count = candidates.size(), width = hidden();
    simd::CrossFeatures(items_.view(), candidates.data(), crossed(features, count), wide_.data(),
                        buffers.wide.data());
    const float* bias = user;
    if (item_layer_) {
      AddItems(candidates, user, buffers.bias.data());
      bias = buffers.bias.data();
    }
    layers_[0].Apply({features, count, this->features()}, bias, item_layer_ ? width : 0,
                     Activation::kRelu, first, width);
    layers_[1].Apply({first, count, width}, Activation::kRelu, second, layers_[1].out());
    layers_[2].Apply({second, count, layers_[1].out()}, Activation::kNone, logits, 1);
    for (size_t b = 0; b < count; ++b) logits[b] += buffers.wide[b];
  }

 private:
  struct Hidden : Scratch {
    AlignedVector<float> bias;  // of the first layer, for each candidate
    AlignedVector<float> wide;  // terms of each candidate
    AlignedVector<float> layer[2];
  };

  void AddItems(std::span<const int32_t> candidates, const float* user, float* bias) const {
    const size_t width = hidden();
    for (const int32_t candidate : candidates) {
      const float* of_item = item_layer_->row(candidate);
      for (size_t i = 0; i < width; ++i) bias[i] = user[i] + of_item[i];
      bias += width;
    }
  }

  std::optional<ItemLayer> item_layer_;  // the first layer's rows of the candidate's row
  Layer layers_[3];
};

}  // namespace

Mlp::Mlp(const CtrExport& model, ItemTables tables)
    : items_(model.bundle.items.embeddings),
      wide_(model.wide),
      own_row_(tables == ItemTables::kAll ? 0 : model.settings.dim),
      user_layer_(model.mlp_weight[0], 0, model.settings.dim, model.mlp_bias[0]) {}

std::unique_ptr<Mlp> MakeMlp(const CtrExport& model, ItemTables tables, Precision precision) {
  if (precision == Precision::kInt8) return MakeI8Mlp(model, tables);
  return std::make_unique<FloatMlp>(model, tables);
}

}  // namespace eta
