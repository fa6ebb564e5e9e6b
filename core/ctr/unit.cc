// SPDX-License-Identifier: Apache-2.0
// The units without a retrieval and without a state of their own.
#include "core/ctr/unit.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace eta {
namespace {

class AvgPoolUnit : public LongTermUnit {
 public:
  explicit AvgPoolUnit(const CtrExport& model) : model_(model), dim_(model.settings.dim) {}

  std::unique_ptr<User> NewUser() const override {
    auto mean = std::make_unique<Mean>();
    mean->values.resize(dim_);
    return mean;
  }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<Scratch>(); }

  void Prepare(std::span<const int32_t> history, Scratch&, User& user) const override {
    auto& mean = dynamic_cast<Mean&>(user).values;
    std::ranges::fill(mean, 0.0f);
    for (const int32_t item : history) {
      const float* row = model_.bundle.items.embeddings.row(static_cast<size_t>(item));
      for (size_t d = 0; d < dim_; ++d) mean[d] += row[d];
    }
    const auto count = static_cast<float>(std::max<size_t>(history.size(), 1));
    for (float& value : mean) value /= count;
  }

  void Interest(const User& user, std::span<const int32_t> candidates, const Rows&, Scratch&,
                float* out, size_t out_stride) const override {
    const auto& mean = dynamic_cast<const Mean&>(user).values;
    for (size_t b = 0; b < candidates.size(); ++b) std::ranges::copy(mean, out + b * out_stride);
  }

 private:
  struct Mean : User {
    size_t bytes() const override { return values.size() * sizeof(float); }
    AlignedVector<float> values;
  };

  const CtrExport& model_;
  size_t dim_;
};

// Attention over all behaviours: their keys and values are computed once for all candidates.
class FullAttentionUnit : public LongTermUnit {
 public:
  FullAttentionUnit(const CtrExport& model, ItemTables tables, Precision precision)
      : model_(model),
        attention_(model.long_term, model.settings.heads, model.bundle.items.embeddings, tables,
                   tables, precision, precision) {}

  size_t table_bytes() const override { return attention_.table_bytes(); }

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<AllRows>();
    user->rows = attention_.NewHistory(model_.settings.max_history);
    return user;
  }
  std::unique_ptr<Scratch> NewScratch() const override {
    const CtrSettings& s = model_.settings;
    auto scratch = std::make_unique<Buffers>();
    scratch->attention = AttentionScratch(s.dim, s.heads, 0, s.max_history);
    scratch->rows.resize(s.max_history * s.dim);
    return scratch;
  }

  void Prepare(std::span<const int32_t> history, Scratch& scratch, User& user) const override {
    auto& buffers = dynamic_cast<Buffers&>(scratch);
    const size_t dim = model_.settings.dim;
    GatherItemRows(model_, history, buffers.rows.data(), dim);
    attention_.Project(history, {buffers.rows.data(), history.size(), dim}, buffers.attention,
                       dynamic_cast<AllRows&>(user).rows);
  }

  void Interest(const User& user, std::span<const int32_t> candidates, const Rows& targets,
                Scratch& scratch, float* out, size_t out_stride) const override {
    attention_.Attend(candidates, targets, dynamic_cast<const AllRows&>(user).rows,
                      dynamic_cast<Buffers&>(scratch).attention, out, out_stride);
  }

 private:
  struct AllRows : User {
    size_t bytes() const override { return rows.bytes; }
    ProjectedHistory rows;
  };
  struct Buffers : Scratch {
    AttentionScratch attention;
    AlignedVector<float> rows;
  };

  const CtrExport& model_;
  ProjectedAttention attention_;
};

}  // namespace

void GatherItemRows(const CtrExport& model, std::span<const int32_t> items, float* to,
                    size_t stride) {
  for (const int32_t item : items) {
    std::copy_n(model.bundle.items.embeddings.row(static_cast<size_t>(item)), model.settings.dim,
                to);
    to += stride;
  }
}

bool Retrieves(CtrUnit unit) {
  switch (unit) {
    case CtrUnit::kNone:
    case CtrUnit::kAvgPool:
    case CtrUnit::kFullAttention:
    case CtrUnit::kSdim:
    case CtrUnit::kMimn:
      return false;
    default:
      return true;
  }
}

std::unique_ptr<LongTermUnit> MakeLongTermUnit(const CtrExport& model, ItemTables tables,
                                               CtrRetrieval retrieval, Precision precision) {
  Require(Retrieves(model.unit) || (!retrieval.retriever && retrieval.k == 0),
          "CTR model: ", CtrUnitName(model.unit),
          " does not retrieve, so its retrieval cannot be replaced");
  switch (model.unit) {
    case CtrUnit::kNone:
      return nullptr;
    case CtrUnit::kAvgPool:
      return std::make_unique<AvgPoolUnit>(model);
    case CtrUnit::kFullAttention:
      return std::make_unique<FullAttentionUnit>(model, tables, precision);
    case CtrUnit::kSdim:
      return MakeSdimUnit(model);
    case CtrUnit::kMimn:
      return MakeMimnUnit(model, tables);
    default:
      return MakeRetrievingUnit(model, tables, std::move(retrieval), precision);
  }
}

}  // namespace eta
