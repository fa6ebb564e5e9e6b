// SPDX-License-Identifier: Apache-2.0
// ETA, SIM hard and soft, TWIN and Reformer's LSH: each retrieves k positions for a candidate, ties
// going to the newest, and attends to the item rows of these.
#include <algorithm>
#include <optional>

#include "core/ctr/unit.h"
#include "simd/buckets.h"
#include "simd/code_blocks.h"
#include "simd/dot_i8.h"
#include "simd/hamming.h"

namespace eta {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

class RetrievingUnit : public LongTermUnit {
 public:
  RetrievingUnit(const CtrExport& model, ItemTables tables)
      : model_(model), k_(std::min(model.settings.k, model.settings.max_history)) {
    const Matrix<float>& items = model.bundle.items.embeddings;
    if (tables == ItemTables::kAll) {
      from_table_.emplace(model.long_term, model.settings.heads, items);
    } else {
      from_rows_.emplace(model.long_term, model.settings.heads, items);
    }
  }

  size_t table_bytes() const override { return from_table_ ? from_table_->table_bytes() : 0; }

  void Prepare(std::span<const int32_t> history, Work& work, User& user) const override {
    auto& memory = static_cast<Retrievable&>(user);
    memory.length = history.size();
    std::ranges::copy(history, memory.items.begin());
    DoPrepare(memory, static_cast<RetrievingWork&>(work));
  }

  void Interest(const User& user, std::span<const int32_t> candidates, const Rows& targets,
                Work& work, float* out, size_t out_stride) const override {
    auto& memory = static_cast<RetrievingWork&>(work);
    const auto& history = static_cast<const Retrievable&>(user);
    Retrieve(history, candidates, memory);
    const ChosenItems chosen = {memory.positions.data(), memory.counts.data(), k_};
    if (from_table_) {
      from_table_->Attend(candidates, targets, chosen, memory.attention, out, out_stride);
    } else {
      from_rows_->Attend(targets, chosen, memory.attention, out, out_stride);
    }
  }

 protected:
  struct Retrievable : User {
    explicit Retrievable(size_t max_history) : items(max_history) {}
    size_t bytes() const override { return length * sizeof(int32_t); }
    std::span<const int32_t> history() const { return {items.data(), length}; }

    size_t length = 0;
    AlignedVector<int32_t> items;  // oldest first
  };

  struct RetrievingWork : Work {
    RetrievingWork(const CtrSettings& s, size_t k)
        : attention(s.dim, s.heads, k, 0), positions(kCtrChunk * k), counts(kCtrChunk) {}
    AttentionWork attention;
    AlignedVector<int32_t> positions;  // k for each candidate; in the end item ids
    AlignedVector<int32_t> counts;
    AlignedVector<uint8_t> scratch;  // of the scan
    AlignedVector<uint8_t> queries;
  };

  // `items` is filled in already.
  virtual void DoPrepare(Retrievable& user, RetrievingWork& work) const = 0;
  // Writes the item ids of retrieved behaviours to positions, k for each candidate, and counts.
  virtual void Retrieve(const Retrievable& user, std::span<const int32_t> candidates,
                        RetrievingWork& work) const = 0;

  // `count` positions for each candidate become item ids.
  void TakeItems(const Retrievable& user, size_t candidates, size_t count,
                 RetrievingWork& work) const {
    for (size_t b = 0; b < candidates; ++b) {
      int32_t* row = work.positions.data() + b * k_;
      for (size_t i = 0; i < count; ++i) row[i] = user.items[static_cast<size_t>(row[i])];
      work.counts[b] = static_cast<int32_t>(count);
    }
  }

  const CtrExport& model_;
  size_t k_;

 private:
  std::optional<TableAttention> from_table_;  // one of the two
  std::optional<ChosenAttention> from_rows_;
};

class EtaUnit : public RetrievingUnit {
 public:
  EtaUnit(const CtrExport& model, ItemTables tables)
      : RetrievingUnit(model, tables), code_bytes_(model.item_codes.cols) {}

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<Codes>(model_.settings.max_history);
    user->blocks.resize(simd::CodeBlocksBytes(model_.settings.max_history, code_bytes_));
    user->code_bytes = code_bytes_;
    return user;
  }
  std::unique_ptr<Work> NewWork() const override {
    auto work = std::make_unique<RetrievingWork>(model_.settings, k_);
    work->queries.resize(kCtrChunk * code_bytes_);
    work->scratch.resize(
        simd::HammingTopKScratchBytes(model_.settings.max_history, code_bytes_, k_));
    return work;
  }

 protected:
  void DoPrepare(Retrievable& user, RetrievingWork&) const override {
    simd::GatherCodeBlocks(model_.item_codes.values.data(), code_bytes_, code_bytes_,
                           user.items.data(), user.length, static_cast<Codes&>(user).blocks.data());
  }

  void Retrieve(const Retrievable& user, std::span<const int32_t> candidates,
                RetrievingWork& work) const override {
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::copy_n(model_.item_codes.row(static_cast<size_t>(candidates[b])), code_bytes_,
                  work.queries.data() + b * code_bytes_);
    }
    const size_t count = simd::HammingTopK(
        static_cast<const Codes&>(user).blocks.data(), user.length, code_bytes_,
        work.queries.data(), candidates.size(), code_bytes_, k_, TieOrder::kNewestFirst,
        ResultOrder::kAny, work.scratch.data(), {work.positions.data(), nullptr});
    TakeItems(user, candidates.size(), count, work);
  }

 private:
  struct Codes : Retrievable {
    using Retrievable::Retrievable;
    size_t bytes() const override {
      return Retrievable::bytes() + simd::CodeBlocksBytes(length, code_bytes);
    }
    AlignedVector<uint8_t> blocks;
    size_t code_bytes = 0;
  };

  size_t code_bytes_;
};

// SIM soft and TWIN. The tables have one factor each, which does not change an order: all scales
// are 1, and scores are whole numbers.
class ScanUnit : public RetrievingUnit {
 public:
  ScanUnit(const CtrExport& model, ItemTables tables)
      : RetrievingUnit(model, tables),
        ones_(std::max({model.items(), model.settings.max_history, kCtrChunk}), 1.0f) {}

  std::unique_ptr<User> NewUser() const override {
    const CtrSettings& s = model_.settings;
    auto user = std::make_unique<Blocks>(s.max_history);
    user->blocks.resize(simd::I8BlocksBytes(s.max_history, s.dim));
    user->scales.resize(simd::PaddedRows(s.max_history));
    user->dim = s.dim;
    return user;
  }
  std::unique_ptr<Work> NewWork() const override {
    auto work = std::make_unique<RetrievingWork>(model_.settings, k_);
    work->queries.resize(kCtrChunk * model_.settings.dim);
    work->scratch.resize(simd::DotI8TopKScratchBytes(model_.settings.max_history, k_));
    return work;
  }

 protected:
  void DoPrepare(Retrievable& user, RetrievingWork&) const override {
    auto& blocks = static_cast<Blocks&>(user);
    const size_t dim = model_.settings.dim;
    simd::GatherI8Blocks({model_.scan_keys.values.data(), ones_.data(), model_.items(), dim, dim},
                         {user.items.data(), user.length}, blocks.blocks.data(),
                         blocks.scales.data());
  }

  void Retrieve(const Retrievable& user, std::span<const int32_t> candidates,
                RetrievingWork& work) const override {
    const auto& blocks = static_cast<const Blocks&>(user);
    const size_t dim = model_.settings.dim;
    auto* queries = reinterpret_cast<int8_t*>(work.queries.data());
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::copy_n(model_.scan_queries.row(static_cast<size_t>(candidates[b])), dim,
                  queries + b * dim);
    }
    const size_t count =
        simd::DotI8TopK({blocks.blocks.data(), blocks.scales.data(), user.length, dim},
                        {queries, ones_.data(), candidates.size(), dim}, {k_}, work.scratch.data(),
                        {work.positions.data()});
    TakeItems(user, candidates.size(), count, work);
  }

 private:
  struct Blocks : Retrievable {
    using Retrievable::Retrievable;
    size_t bytes() const override {
      return Retrievable::bytes() + simd::I8BlocksBytes(length, dim) +
             simd::PaddedRows(length) * sizeof(float);
    }
    AlignedVector<uint8_t> blocks;
    AlignedVector<float> scales;
    size_t dim = 0;
  };

  AlignedVector<float> ones_;
};

// The behaviours of each category, newest first.
class SimHardUnit : public RetrievingUnit {
 public:
  using RetrievingUnit::RetrievingUnit;

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<Groups>(model_.settings.max_history);
    user->keys.resize(model_.settings.max_history);
    return user;
  }
  std::unique_ptr<Work> NewWork() const override {
    return std::make_unique<RetrievingWork>(model_.settings, k_);
  }

 protected:
  void DoPrepare(Retrievable& user, RetrievingWork&) const override {
    auto& keys = static_cast<Groups&>(user).keys;
    for (size_t l = 0; l < user.length; ++l) {
      keys[l] = KeyOf(user.items[l], static_cast<uint32_t>(user.length - 1 - l));
    }
    std::sort(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(user.length));
  }

  void Retrieve(const Retrievable& user, std::span<const int32_t> candidates,
                RetrievingWork& work) const override {
    const auto& keys = static_cast<const Groups&>(user).keys;
    const auto end = keys.begin() + static_cast<ptrdiff_t>(user.length);
    for (size_t b = 0; b < candidates.size(); ++b) {
      const uint64_t first = KeyOf(candidates[b], 0);
      int32_t* row = work.positions.data() + b * k_;
      size_t count = 0;
      for (auto key = std::lower_bound(keys.begin(), end, first);
           key != end && *key >> 32 == first >> 32 && count < k_; ++key) {
        row[count++] = user.items[user.length - 1 - static_cast<uint32_t>(*key)];
      }
      work.counts[b] = static_cast<int32_t>(count);
    }
  }

 private:
  struct Groups : Retrievable {
    using Retrievable::Retrievable;
    size_t bytes() const override { return Retrievable::bytes() + length * sizeof(uint64_t); }
    AlignedVector<uint64_t> keys;  // category, then age
  };

  uint64_t KeyOf(int32_t item, uint32_t age) const {
    const int32_t category = model_.bundle.items.categories[static_cast<size_t>(item)];
    return static_cast<uint64_t>(category) << 32 | age;
  }
};

class ReformerUnit : public RetrievingUnit {
 public:
  ReformerUnit(const CtrExport& model, ItemTables tables)
      : RetrievingUnit(model, tables), rounds_(model.settings.rounds) {
    for (const int32_t bucket : model.item_buckets.values) {
      buckets_.push_back(static_cast<uint16_t>(bucket));
    }
  }

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<Planes>(model_.settings.max_history);
    user->planes.resize(simd::BucketPlanesSize(model_.settings.max_history, rounds_));
    user->rounds = rounds_;
    return user;
  }
  std::unique_ptr<Work> NewWork() const override {
    auto work = std::make_unique<BucketWork>(model_.settings, k_);
    work->shared.resize(simd::PaddedRows(model_.settings.max_history));
    work->behaviours.resize(rounds_ + 1);
    return work;
  }

 protected:
  void DoPrepare(Retrievable& user, RetrievingWork&) const override {
    auto& planes = static_cast<Planes&>(user).planes;
    const size_t stride = simd::PaddedRows(user.length);
    for (size_t l = 0; l < user.length; ++l) {
      const uint16_t* buckets = RowOf(user.items[l]);
      for (size_t r = 0; r < rounds_; ++r) planes[r * stride + l] = buckets[r];
    }
  }

  void Retrieve(const Retrievable& user, std::span<const int32_t> candidates,
                RetrievingWork& work) const override {
    auto& memory = static_cast<BucketWork&>(work);
    for (size_t b = 0; b < candidates.size(); ++b) {
      simd::CountSharedBuckets(static_cast<const Planes&>(user).planes.data(), user.length, rounds_,
                               RowOf(candidates[b]), memory.shared.data());
      work.counts[b] = static_cast<int32_t>(Select(user, memory, work.positions.data() + b * k_));
    }
  }

 private:
  struct Planes : Retrievable {
    using Retrievable::Retrievable;
    size_t bytes() const override {
      return Retrievable::bytes() + simd::BucketPlanesSize(length, rounds) * sizeof(uint16_t);
    }
    AlignedVector<uint16_t> planes;
    size_t rounds = 0;
  };
  struct BucketWork : RetrievingWork {
    using RetrievingWork::RetrievingWork;
    AlignedVector<uint16_t> shared;      // rounds that each behaviour shares
    AlignedVector<uint32_t> behaviours;  // how many behaviours share so many rounds
  };

  const uint16_t* RowOf(int32_t item) const {
    return buckets_.data() + static_cast<size_t>(item) * rounds_;
  }

  // The items of the k that share most rounds, at least one.
  size_t Select(const Retrievable& user, BucketWork& memory, int32_t* out) const {
    const uint16_t* shared = memory.shared.data();
    std::ranges::fill(memory.behaviours, 0u);
    for (size_t l = 0; l < user.length; ++l) ++memory.behaviours[shared[l]];
    // All that share more than `border` rounds are taken, and the newest of those that share it.
    size_t border = rounds_, above = 0;
    while (border > 1 && above + memory.behaviours[border] < k_) {
      above += memory.behaviours[border--];
    }
    size_t at_border = std::min<size_t>(memory.behaviours[border], k_ - above);
    const size_t count = above + at_border;
    for (size_t l = user.length, found = 0; found < count;) {
      if (shared[--l] < border) continue;
      if (shared[l] == border && at_border-- == 0) {
        at_border = 0;
        continue;
      }
      out[found++] = user.items[l];
    }
    return count;
  }

  size_t rounds_;
  AlignedVector<uint16_t> buckets_;  // items x rounds
};

}  // namespace

std::unique_ptr<LongTermUnit> MakeRetrievingUnit(const CtrExport& model, ItemTables tables) {
  switch (model.unit) {
    case CtrUnit::kSimHard:
      return std::make_unique<SimHardUnit>(model, tables);
    case CtrUnit::kEta:
      return std::make_unique<EtaUnit>(model, tables);
    case CtrUnit::kReformerLsh:
      return std::make_unique<ReformerUnit>(model, tables);
    default:
      return std::make_unique<ScanUnit>(model, tables);
  }
}

}  // namespace eta
