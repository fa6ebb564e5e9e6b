// SPDX-License-Identifier: Apache-2.0
// ETA in its forms, SIM hard and soft, TWIN, Reformer's LSH and the newest: a retriever finds k
// positions for a candidate, ties going to the newest, and attention goes to the item rows at
// these.
#include <algorithm>
#include <optional>
#include <utility>

#include "core/ctr/internal/sim_hard_retriever.h"
#include "core/ctr/unit.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_asym.h"
#include "core/retrieval/eta_norm.h"
#include "core/retrieval/pq4.h"
#include "core/retrieval/recent.h"
#include "core/retrieval/refillable.h"
#include "core/retrieval/reformer.h"
#include "core/retrieval/scan_i8.h"

namespace eta {
namespace {

class RetrievingUnit final : public LongTermUnit {
 public:
  RetrievingUnit(const CtrExport& model, ItemTables tables, Precision precision,
                 std::unique_ptr<RefillableRetriever> retriever, size_t k)
      : settings_(model.settings),
        k_(std::min(k, model.settings.max_history)),
        retriever_(std::move(retriever)) {
    const Matrix<float>& items = model.bundle.items.embeddings;
    if (tables == ItemTables::kAll && precision == Precision::kInt8) {
      from_bytes_.emplace(model.long_term, settings_.heads, items);
    } else if (tables == ItemTables::kAll) {
      from_table_.emplace(model.long_term, settings_.heads, items);
    } else {
      from_rows_.emplace(model.long_term, settings_.heads, items);
    }
  }

  size_t table_bytes() const override {
    return from_bytes_ ? from_bytes_->table_bytes() : from_table_ ? from_table_->table_bytes() : 0;
  }

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<Behaviours>();
    user->items.resize(settings_.max_history);
    user->history = retriever_->NewHistory(settings_.max_history);
    return user;
  }

  std::unique_ptr<Scratch> NewScratch() const override {
    auto scratch = std::make_unique<Buffers>();
    scratch->retrieval = retriever_->NewScratchFor({settings_.max_history, kCtrChunk, k_});
    scratch->attention = AttentionScratch(settings_.dim, settings_.heads, k_, 0);
    if (from_bytes_) from_bytes_->Grow(k_, scratch->attention);
    scratch->chosen.resize(kCtrChunk * k_);
    scratch->counts.resize(kCtrChunk);
    return scratch;
  }

  void Prepare(std::span<const int32_t> history, Scratch&, User& user) const override {
    auto& behaviours = dynamic_cast<Behaviours&>(user);
    std::ranges::copy(history, behaviours.items.begin());
    retriever_->Refill(*behaviours.history, history);
  }

  void Interest(const User& user, std::span<const int32_t> candidates, const Rows& targets,
                Scratch& scratch, float* out, size_t out_stride) const override {
    auto& buffers = dynamic_cast<Buffers&>(scratch);
    const auto& behaviours = dynamic_cast<const Behaviours&>(user);
    const std::span<const int32_t> history(behaviours.items.data(), behaviours.history->length());
    retriever_->Retrieve(*behaviours.history, candidates, k_, *buffers.retrieval,
                         {{buffers.chosen.data(), candidates.size() * k_},
                          {buffers.counts.data(), candidates.size()}});
    const ChosenItems chosen = {buffers.chosen.data(), buffers.counts.data(), k_};
    if (from_bytes_) {
      from_bytes_->Attend(candidates, history, chosen, buffers.attention, out, out_stride);
      return;
    }
    NameItems(history, candidates.size(), buffers);
    if (from_table_) {
      from_table_->Attend(candidates, targets, chosen, buffers.attention, out, out_stride);
    } else {
      from_rows_->Attend(targets, chosen, buffers.attention, out, out_stride);
    }
  }

 private:
  struct Behaviours : User {
    size_t bytes() const override { return history->length() * sizeof(int32_t) + history->bytes(); }

    AlignedVector<int32_t> items;  // oldest first; the first history->length() are valid
    std::unique_ptr<RefillableHistory> history;
  };

  struct Buffers : Scratch {
    std::unique_ptr<Scratch> retrieval;
    AttentionScratch attention;
    AlignedVector<int32_t> chosen;  // k for each candidate: positions, or the items there
    AlignedVector<int32_t> counts;  // how many of them are valid
  };

  // Turns the positions of buffers.chosen into the items there.
  void NameItems(std::span<const int32_t> history, size_t count, Buffers& buffers) const {
    for (size_t b = 0; b < count; ++b) {
      const std::span row(buffers.chosen.data() + b * k_, static_cast<size_t>(buffers.counts[b]));
      for (int32_t& entry : row) entry = history[static_cast<size_t>(entry)];
    }
  }

  const CtrSettings& settings_;
  size_t k_;
  std::unique_ptr<RefillableRetriever> retriever_;
  std::optional<I8TableAttention> from_bytes_;  // with ItemTables::kAll in eight bits
  std::optional<TableAttention> from_table_;    // with ItemTables::kAll; else from_rows_
  std::optional<ChosenAttention> from_rows_;
};

// All but those with factors and pq4 read the tables of `model` in place.
std::unique_ptr<RefillableRetriever> MakeUnitRetriever(const CtrExport& model) {
  const std::string name = CtrUnitName(model.unit);
  switch (model.unit) {
    case CtrUnit::kSimHard:
      return MakeRefillableSimHardRetriever(name, model.bundle.items.categories);
    case CtrUnit::kEta:
      return MakeEtaRetriever(name, model.settings.bits, model.item_codes);
    case CtrUnit::kEtaNorm:
      return MakeEtaNormTableRetriever(name, model.settings.bits, model.item_codes);
    case CtrUnit::kEtaAsym:
      return MakeEtaAsymTableRetriever(name, model.settings.bits, model.item_codes,
                                       model.item_weights);
    case CtrUnit::kPq4:
      return MakePq4TableRetriever(name, model.settings.bits, model.item_codes, model.item_tables);
    case CtrUnit::kReformerLsh:
      return MakeReformerRetriever(name, model.item_buckets);
    case CtrUnit::kRecent:
      return MakeRecentRetriever(name, model.items());
    default:  // SIM soft, TWIN and exact
      return MakeScanI8Retriever(name, model.scan_queries, model.scan_keys);
  }
}

}  // namespace

std::unique_ptr<LongTermUnit> MakeRetrievingUnit(const CtrExport& model, ItemTables tables,
                                                 CtrRetrieval retrieval, Precision precision) {
  if (!retrieval.retriever) retrieval.retriever = MakeUnitRetriever(model);
  if (retrieval.k == 0) retrieval.k = model.settings.k;
  return std::make_unique<RetrievingUnit>(model, tables, precision, std::move(retrieval.retriever),
                                          retrieval.k);
}

}  // namespace eta
