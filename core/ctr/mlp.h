// SPDX-License-Identifier: Apache-2.0
// The layers that make a candidate's features a logit (docs/models.md, "Skeleton"), in float32 or
// in eight bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/export.h"
#include "core/ctr/export.h"
#include "core/ctr/layers.h"
#include "core/retrieval/retriever.h"

namespace eta {

// What the layers compute with. Only NewScratch allocates; any number of threads may use a const
// object, each with a scratch of its own.
class ETA_CORE_API Mlp {
 public:
  virtual ~Mlp() = default;
  virtual std::unique_ptr<Scratch> NewScratch() const = 0;  // for one thread
  virtual size_t table_bytes() const = 0;                   // of the items' tables

  size_t hidden() const { return user_layer_.out(); }  // floats of the first layer's outputs
  // Writes hidden() floats: the first layer's bias plus what it makes of a user's embedding.
  void PrepareUser(const float* embedding, float* bias) const {
    user_layer_.Apply({embedding, 1, user_layer_.in()}, simd::Activation::kNone, bias, hidden());
  }
  // Writes the MLP's output of candidate b, at most kCtrChunk of them, to logits[b]. `features`:
  // everything of docs/models.md's f behind the user's embedding; with ItemTables::kAll without the
  // candidate's own row too. `user` comes from PrepareUser, `scratch` from NewScratch.
  virtual void Apply(std::span<const int32_t> candidates, const Rows& features, const float* user,
                     Scratch& scratch, float* logits) const = 0;

 protected:
  explicit Mlp(const CtrExport& model);  // packs the user's part

  Layer user_layer_;  // the first layer's rows of the user's features
};

// The layers of `model`, which need not outlive them. Throws std::invalid_argument when they are to
// be of eight bits and a weight is not finite, or an activation could be beyond float32.
ETA_CORE_API std::unique_ptr<Mlp> MakeMlp(const CtrExport& model, ItemTables tables,
                                          Precision precision);

// What MakeMlp chooses from beside float32.
ETA_CORE_API std::unique_ptr<Mlp> MakeI8Mlp(const CtrExport& model, ItemTables tables);

}  // namespace eta
