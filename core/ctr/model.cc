// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/model.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace eta {
namespace {

// out[d] = a[d] * b[d]; returns the sum of these.
float Multiply(const float* a, const float* b, size_t dim, float* out) {
  float sums[8] = {0};  // independent, so that the compiler may use vectors
  size_t d = 0;
  for (; d + 8 <= dim; d += 8) {
    for (size_t i = 0; i < 8; ++i) sums[i] += out[d + i] = a[d + i] * b[d + i];
  }
  for (; d < dim; ++d) sums[0] += out[d] = a[d] * b[d];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace

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
      mlp_(MakeMlp(model, tables, precision)),
      features_(((unit_ ? 4 : 2) + (tables == ItemTables::kAll ? 0 : 1)) * model.settings.dim) {}

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
  scratch.features_.resize(kCtrChunk * features_);
  scratch.wide_.resize(kCtrChunk);
  scratch.mlp_ = mlp_->NewScratch();
  if (unit_) scratch.unit_ = unit_->NewScratch();
  return scratch;
}

void CtrModel::Check(const CtrUser& user, const CtrScratch& scratch) const {
  // An object that was moved from still has its owner, but its buffers are gone.
  Require(user.owner_ == owner_ && user.bias_.size() == mlp_->hidden(),
          "CTR model: the user is not of this model's NewUser");
  Require(scratch.owner_ == owner_ && scratch.features_.size() == kCtrChunk * features_,
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

// Features lie in the order in which the first layer reads them: c, only without item tables, then
// s | c * s | g | c * g. With tables all that depends on c alone is looked up.
void CtrModel::ScoreChunk(const CtrUser& user, std::span<const int32_t> candidates,
                          CtrScratch& scratch, float* logits) const {
  const size_t dim = settings().dim, count = candidates.size();
  const bool has_rows = owner_.tables == ItemTables::kNone;
  const Rows rows = {scratch.features_.data(), count, features_};
  if (has_rows) GatherItemRows(model_, candidates, scratch.features_.data(), features_);
  float* interests = scratch.features_.data() + (has_rows ? dim : 0);
  short_term_.Attend(candidates, rows, user.short_term_, scratch.attention_, interests, features_);
  if (unit_) {
    unit_->Interest(*user.unit_, candidates, rows, *scratch.unit_, interests + 2 * dim, features_);
  }
  for (size_t b = 0; b < count; ++b) {
    const float* c = model_.bundle.items.embeddings.row(static_cast<size_t>(candidates[b]));
    float* s = interests + b * features_;
    scratch.wide_[b] = model_.wide[0] * Multiply(c, s, dim, s + dim);
    if (unit_) {
      float* g = s + 2 * dim;
      scratch.wide_[b] += model_.wide[1] * Multiply(c, g, dim, g + dim);
    }
  }
  mlp_->Apply(candidates, rows, user.bias_.data(), *scratch.mlp_, logits);
  for (size_t b = 0; b < count; ++b) logits[b] += scratch.wide_[b];
}

}  // namespace eta
