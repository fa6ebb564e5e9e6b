// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/model.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace eta {

size_t CtrUser::bytes() const {
  return bias_.size() * sizeof(float) + short_term_.bytes + (unit_ ? unit_->bytes() : 0);
}

CtrModel::CtrModel(const CtrExport& model, ItemTables tables, CtrRetrieval retrieval,
                   Precision precision)
    : model_(model),
      owner_{&model, tables, retrieval.retriever.get(), retrieval.k, precision},
      short_term_(model.short_term, model.settings.heads, model.bundle.items.embeddings, tables,
                  ItemTables::kNone, precision),
      unit_(MakeLongTermUnit(model, tables, std::move(retrieval), precision)),
      mlp_(MakeMlp(model, tables, precision)) {}

size_t CtrModel::table_bytes() const {
  return short_term_.table_bytes() + (unit_ ? unit_->table_bytes() : 0) + mlp_->table_bytes();
}

CtrUser CtrModel::NewUser() const {
  CtrUser user;
  user.owner_ = owner_;
  user.bias_.resize(mlp_->hidden());
  user.short_term_ = short_term_.NewHistory(settings().short_length);
  if (unit_) user.unit_ = unit_->NewUser();
  return user;
}

CtrScratch CtrModel::NewScratch() const {
  const CtrSettings& s = settings();
  CtrScratch scratch;
  scratch.owner_ = owner_;
  scratch.attention_ = AttentionScratch(s.dim, s.heads, 0, s.short_length);
  scratch.rows_.resize(s.short_length * s.dim);
  scratch.features_.resize(kCtrChunk * mlp_->features());
  scratch.mlp_ = mlp_->NewScratch();
  if (unit_) scratch.unit_ = unit_->NewScratch();
  return scratch;
}

void CtrModel::Check(const CtrUser& user, const CtrScratch& scratch) const {
  // An object that was moved from still has its owner, but its buffers are gone.
  Require(user.owner_ == owner_ && user.bias_.size() == mlp_->hidden(),
          "CTR model: the user is not of this model's NewUser");
  Require(scratch.owner_ == owner_ && scratch.features_.size() == kCtrChunk * mlp_->features(),
          "CTR model: the scratch is not of this model's NewScratch");
}

void CtrModel::Prepare(size_t user, std::span<const int32_t> history, CtrScratch& scratch,
                       CtrUser& prepared) const {
  Check(prepared, scratch);
  Require(user < model_.users(), "CTR model: user ", user, " of ", model_.users());
  Require(history.size() <= settings().max_history, "CTR model: a history of ", history.size(),
          " behaviours (expected up to max_history, ", settings().max_history, ")");
  for (const int32_t item : history) {
    Require(item >= 0 && static_cast<size_t>(item) < model_.items(), "CTR model: behaviour ", item,
            " is no item of ", model_.items());
  }
  const size_t dim = settings().dim;
  prepared.length_ = history.size();
  mlp_->PrepareUser(model_.user_embeddings.row(user), prepared.bias_.data());
  const auto newest = history.last(std::min(settings().short_length, history.size()));
  GatherItemRows(model_, newest, scratch.rows_.data(), dim);
  short_term_.Project(newest, {scratch.rows_.data(), newest.size(), dim}, scratch.attention_,
                      prepared.short_term_);
  if (unit_) unit_->Prepare(history, *scratch.unit_, *prepared.unit_);
}

void CtrModel::Score(const CtrUser& user, std::span<const int32_t> candidates, CtrScratch& scratch,
                     std::span<float> logits) const {
  Check(user, scratch);
  Require(candidates.size() == logits.size(), "CTR model: ", candidates.size(),
          " candidates and room for ", logits.size(), " logits");
  for (const int32_t item : candidates) {
    Require(item >= 0 && static_cast<size_t>(item) < model_.items(), "CTR model: candidate ", item,
            " is no item of ", model_.items());
  }
  for (size_t first = 0; first < candidates.size(); first += kCtrChunk) {
    const size_t count = std::min(kCtrChunk, candidates.size() - first);
    ScoreChunk(user, candidates.subspan(first, count), scratch, logits.data() + first);
  }
}

// With item tables all that depends on a candidate's row alone is looked up.
void CtrModel::ScoreChunk(const CtrUser& user, std::span<const int32_t> candidates,
                          CtrScratch& scratch, float* logits) const {
  const size_t width = mlp_->features();
  float* features = scratch.features_.data();
  const Rows rows = {features, candidates.size(), width};
  if (owner_.tables == ItemTables::kNone) GatherItemRows(model_, candidates, features, width);
  short_term_.Attend(candidates, rows, user.short_term_, scratch.attention_,
                     features + mlp_->interest(0), width);
  if (unit_) {
    unit_->Interest(*user.unit_, candidates, rows, *scratch.unit_, features + mlp_->interest(1),
                    width);
  }
  mlp_->Apply(candidates, features, user.bias_.data(), *scratch.mlp_, logits);
}

}  // namespace eta
