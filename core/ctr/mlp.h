// SPDX-License-Identifier: Apache-2.0
// What makes a candidate's interests a logit (docs/models.md, "Skeleton"): products with its own
// row, the wide terms, and the layers, in float32 or in eight bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/export.h"
#include "core/ctr/export.h"
#include "core/ctr/layers.h"
#include "core/retrieval/retriever.h"
#include "simd/cross_features.h"

namespace eta {

// What the layers compute with. Only NewScratch allocates; any number of threads may use a const
// object, each with a scratch of its own.
class ETA_CORE_API Mlp {
 public:
  virtual ~Mlp() = default;
  virtual std::unique_ptr<Scratch> NewScratch() const = 0;  // for one thread
  virtual size_t table_bytes() const = 0;                   // of the items' tables

  size_t hidden() const { return user_layer_.out(); }  // floats of the first layer's outputs
  // Features of a candidate are floats in the order in which the first layer reads them: without
  // item tables its own row, then each interest before its products with that row.
  size_t features() const { return own_row_ + 2 * wide_.size() * items_.cols; }
  // Where the floats of interest i start.
  size_t interest(size_t i) const { return own_row_ + 2 * i * items_.cols; }

  // Writes hidden() floats: the first layer's bias plus what it makes of a user's embedding.
  void PrepareUser(const float* embedding, float* bias) const {
    user_layer_.Apply({embedding, 1, user_layer_.in()}, simd::Activation::kNone, bias, hidden());
  }
  // Writes the logit of candidate b, at most kCtrChunk of them, to logits[b]. `features` has a row
  // of features() floats for each, of which the products are written here. `user` comes from
  // PrepareUser, `scratch` from NewScratch.
  virtual void Apply(std::span<const int32_t> candidates, float* features, const float* user,
                     Scratch& scratch, float* logits) const = 0;

 protected:
  // Packs the user's part.
  Mlp(const CtrExport& model, ItemTables tables);

  // All features but a candidate's own row, for the kernels.
  simd::FeatureRows crossed(float* features, size_t count) const {
    return {features + own_row_, count, this->features(), wide_.size()};
  }

  const Matrix<float>& items_;      // of the model
  const std::vector<float>& wide_;  // the weight of each interest's wide term, of the model
  size_t own_row_;                  // floats of a candidate's own row among its features
  Layer user_layer_;                // the first layer's rows of the user's features
};

// The MLP of `model`, which must outlive it. Throws std::invalid_argument when it is to be of eight
// bits and a weight is not finite, or an activation could be beyond float32.
ETA_CORE_API std::unique_ptr<Mlp> MakeMlp(const CtrExport& model, ItemTables tables,
                                          Precision precision);

// What MakeMlp chooses from beside float32.
ETA_CORE_API std::unique_ptr<Mlp> MakeI8Mlp(const CtrExport& model, ItemTables tables);

}  // namespace eta
