// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/model.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace eta {
namespace {

using simd::Activation;

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
  return (bias_.size() + short_term_.floats) * sizeof(float) + (unit_ ? unit_->bytes() : 0);
}

CtrModel::CtrModel(const CtrExport& model, ItemTables tables, CtrRetrieval retrieval)
    : model_(model),
      owner_{&model, tables, retrieval.retriever.get(), retrieval.k},
      short_term_(model.short_term, model.settings.heads, model.bundle.items.embeddings, tables,
                  ItemTables::kNone),
      unit_(MakeLongTermUnit(model, tables, std::move(retrieval))),
      features_((unit_ ? 5 : 3) * model.settings.dim),
      user_layer_(model.mlp_weight[0], 0, model.settings.dim, model.mlp_bias[0]) {
  const size_t dim = model.settings.dim;
  if (tables == ItemTables::kAll) {
    item_layer_.emplace(Layer(model.mlp_weight[0], dim, dim, {}), model.bundle.items.embeddings,
                        tables);
    layers_[0] = Layer(model.mlp_weight[0], 2 * dim, features_ - dim, {});
  } else {
    layers_[0] = Layer(model.mlp_weight[0], dim, features_, {});
  }
  for (size_t i = 1; i < 3; ++i) {
    layers_[i] = Layer(model.mlp_weight[i], 0, model.mlp_weight[i].rows, model.mlp_bias[i]);
  }
}

size_t CtrModel::table_bytes() const {
  return short_term_.table_bytes() + (unit_ ? unit_->table_bytes() : 0) +
         (item_layer_ ? item_layer_->table_bytes() : 0);
}

CtrUser CtrModel::NewUser() const {
  CtrUser user;
  user.owner_ = owner_;
  user.bias_.resize(user_layer_.out());
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
  if (item_layer_) scratch.bias_.resize(kCtrChunk * layers_[0].out());
  for (size_t i = 0; i < 2; ++i) scratch.hidden_[i].resize(kCtrChunk * layers_[i].out());
  scratch.wide_.resize(kCtrChunk);
  if (unit_) scratch.unit_ = unit_->NewScratch();
  return scratch;
}

void CtrModel::Check(const CtrUser& user, const CtrScratch& scratch) const {
  // An object that was moved from still has its owner, but its buffers are gone.
  Require(user.owner_ == owner_ && user.bias_.size() == user_layer_.out(),
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
  user_layer_.Apply({model_.user_embeddings.row(user), 1, dim}, Activation::kNone,
                    prepared.bias_.data(), prepared.bias_.size());
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

void CtrModel::ScoreChunk(const CtrUser& user, std::span<const int32_t> candidates,
                          CtrScratch& scratch, float* logits) const {
  const size_t dim = settings().dim, count = candidates.size();
  float* features = scratch.features_.data();  // c | s | c * s | g | c * g
  const Rows targets = {features, count, features_};
  GatherItemRows(model_, candidates, features, features_);
  short_term_.Attend(candidates, targets, user.short_term_, scratch.attention_, features + dim,
                     features_);
  if (unit_) {
    unit_->Interest(*user.unit_, candidates, targets, *scratch.unit_, features + 3 * dim,
                    features_);
  }
  for (size_t b = 0; b < count; ++b) {
    float* row = features + b * features_;
    scratch.wide_[b] = model_.wide[0] * Multiply(row, row + dim, dim, row + 2 * dim);
    if (unit_) {
      scratch.wide_[b] += model_.wide[1] * Multiply(row, row + 3 * dim, dim, row + 4 * dim);
    }
  }
  float *first = scratch.hidden_[0].data(), *second = scratch.hidden_[1].data();
  const size_t width = layers_[0].out();
  if (item_layer_) {
    for (size_t b = 0; b < count; ++b) {
      const float* of_item = item_layer_->row(candidates[b]);
      float* bias = scratch.bias_.data() + b * width;
      for (size_t i = 0; i < width; ++i) bias[i] = user.bias_[i] + of_item[i];
    }
    layers_[0].Apply({features + dim, count, features_}, scratch.bias_.data(), width,
                     Activation::kRelu, first, width);
  } else {
    layers_[0].Apply(targets, user.bias_.data(), 0, Activation::kRelu, first, width);
  }
  layers_[1].Apply({first, count, width}, Activation::kRelu, second, layers_[1].out());
  layers_[2].Apply({second, count, layers_[1].out()}, Activation::kNone, logits, 1);
  for (size_t b = 0; b < count; ++b) logits[b] += scratch.wide_[b];
}

}  // namespace eta
