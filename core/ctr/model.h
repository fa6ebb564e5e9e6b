// SPDX-License-Identifier: Apache-2.0
// Serves a trained CTR model (docs/models.md): logits of many candidates of one user in one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/ctr/export.h"
#include "core/ctr/layers.h"
#include "core/ctr/mlp.h"
#include "core/ctr/unit.h"

namespace eta {

// Which model made a user or a scratch: others have other shapes.
struct ETA_CORE_API CtrOwner {
  const CtrExport* model = nullptr;
  ItemTables tables = ItemTables::kNone;
  const RefillableRetriever* retriever = nullptr;  // given in place of the model's own
  size_t k = 0;
  Precision precision = Precision::kFloat32;
  bool operator==(const CtrOwner&) const = default;
};

// What serving holds of one user. CtrModel::NewUser makes it with room for the longest history, and
// Prepare refills it without allocating.
class ETA_CORE_API CtrUser {
 public:
  size_t length() const { return length_; }  // behaviours of the history
  // Bytes in use, not capacity: what Score reads of this user.
  size_t bytes() const;

 private:
  friend class CtrModel;
  CtrOwner owner_;
  size_t length_ = 0;
  AlignedVector<float> bias_;  // of the first layer plus what it makes of the user's embedding
  ProjectedHistory short_term_;
  std::unique_ptr<LongTermUnit::User> unit_;
};

// What one thread needs while it works; CtrModel::NewScratch makes it.
class ETA_CORE_API CtrScratch {
 private:
  friend class CtrModel;
  CtrOwner owner_;
  AttentionScratch attention_;
  std::unique_ptr<Scratch> unit_;
  std::unique_ptr<Scratch> mlp_;
  AlignedVector<float> rows_;      // of the short-term behaviours
  AlignedVector<float> features_;  // of a chunk of candidates
};

// A const CtrModel may be used by any number of threads, each with a CtrScratch of its own.
class ETA_CORE_API CtrModel {
 public:
  // Packs the weights. `model` must outlive this, since the item table is read in place. With
  // ItemTables::kAll everything that depends on an item alone is computed here, for all items:
  // requests are faster, and the tables take table_bytes(). `retrieval` replaces the retrieval that
  // the model was trained with, of a unit that retrieves; logits are then others than the exported
  // ones. With Precision::kInt8 logits differ from those in float32 (docs/serving.md says by how
  // much). Throws std::invalid_argument when the unit does not retrieve, or when a model for eight
  // bits has a weight that is not finite or activations that could be beyond 1e30.
  explicit CtrModel(const CtrExport& model, ItemTables tables = ItemTables::kAll,
                    CtrRetrieval retrieval = {}, Precision precision = Precision::kFloat32);

  // Room for one user with up to max_history behaviours; serves this model only.
  CtrUser NewUser() const;
  // Scratch for one thread, all that Prepare and Score need; serves this model only.
  CtrScratch NewScratch() const;

  // Fills `prepared` with a user's behaviours, oldest first. An empty history is legal. Throws
  // std::invalid_argument when the user or an item id is out of range, the history is longer than
  // max_history, or another model made `scratch` or `prepared`. Neither this nor Score allocates.
  void Prepare(size_t user, std::span<const int32_t> history, CtrScratch& scratch,
               CtrUser& prepared) const;

  // Writes logits[b] of candidate b, equal to those of core/reference/ctr.h up to rounding, which
  // is coarse in eight bits. Throws
  // std::invalid_argument when a candidate is out of range, the sizes differ, or another model made
  // `user` or `scratch`.
  void Score(const CtrUser& user, std::span<const int32_t> candidates, CtrScratch& scratch,
             std::span<float> logits) const;

  size_t table_bytes() const;                                      // of all items
  const CtrSettings& settings() const { return model_.settings; }  // of the exported model
  CtrUnit unit() const { return model_.unit; }                     // of the exported model
  Precision precision() const { return owner_.precision; }         // of the layers

 private:
  void Check(const CtrUser& user, const CtrScratch& scratch) const;
  void ScoreChunk(const CtrUser& user, std::span<const int32_t> candidates, CtrScratch& scratch,
                  float* logits) const;

  const CtrExport& model_;
  CtrOwner owner_;
  ProjectedAttention short_term_;
  std::unique_ptr<LongTermUnit> unit_;  // null for kNone
  std::unique_ptr<Mlp> mlp_;
};

}  // namespace eta
