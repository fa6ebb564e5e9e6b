// SPDX-License-Identifier: Apache-2.0
// SDIM: the normalised sums of all buckets that a history reaches are computed once for all
// candidates, which then look up one sum for each hash.
#include <algorithm>
#include <cmath>

#include "core/ctr/unit.h"

namespace eta {
namespace {

class SdimUnit : public LongTermUnit {
 public:
  explicit SdimUnit(const CtrExport& model)
      : model_(model),
        dim_(model.settings.dim),
        hashes_(model.settings.hashes),
        buckets_(size_t{1} << model.settings.hash_width),
        value_(model.sdim_value) {
    const size_t width = model.settings.hash_width;
    for (size_t item = 0; item < model.items(); ++item) {
      const uint8_t* code = model.item_codes.row(item);
      for (size_t r = 0; r < hashes_; ++r) {
        unsigned hash = 0;
        for (size_t bit = r * width; bit < (r + 1) * width; ++bit) {
          hash |= static_cast<unsigned>(code[bit / 8] >> (bit % 8) & 1) << (bit - r * width);
        }
        item_hashes_.push_back(static_cast<uint16_t>(hash));
      }
    }
  }

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<Sums>();
    user->dim = dim_;
    user->slots.resize(hashes_ * buckets_);
    user->values.resize(hashes_ * std::min(buckets_, model_.settings.max_history) * dim_);
    return user;
  }
  std::unique_ptr<Scratch> NewScratch() const override {
    auto scratch = std::make_unique<Totals>();
    scratch->values.resize(kCtrChunk * dim_);
    return scratch;
  }

  void Prepare(std::span<const int32_t> history, Scratch&, User& user) const override {
    auto& sums = dynamic_cast<Sums&>(user);
    std::ranges::fill(sums.slots, kNoSlot);
    sums.used = 0;
    for (size_t r = 0; r < hashes_; ++r) {
      int32_t* slots = sums.slots.data() + r * buckets_;
      for (const int32_t item : history) AddTo(sums, slots[HashOf(item, r)], item);
    }
    for (size_t slot = 0; slot < sums.used; ++slot) Normalise(sums.values.data() + slot * dim_);
  }

  void Interest(const User& user, std::span<const int32_t> candidates, const Rows&,
                Scratch& scratch, float* out, size_t out_stride) const override {
    const auto& sums = dynamic_cast<const Sums&>(user);
    auto& totals = dynamic_cast<Totals&>(scratch).values;
    for (size_t b = 0; b < candidates.size(); ++b) {
      float* total = totals.data() + b * dim_;
      std::fill_n(total, dim_, 0.0f);
      for (size_t r = 0; r < hashes_; ++r) {
        const int32_t slot = sums.slots[r * buckets_ + HashOf(candidates[b], r)];
        if (slot == kNoSlot) continue;
        const float* sum = sums.values.data() + static_cast<size_t>(slot) * dim_;
        for (size_t d = 0; d < dim_; ++d) total[d] += sum[d];
      }
    }
    value_.Apply({totals.data(), candidates.size(), dim_}, simd::Activation::kNone, out,
                 out_stride);
  }

 private:
  static constexpr int32_t kNoSlot = -1;

  struct Sums : User {
    size_t bytes() const override {
      return slots.size() * sizeof(int32_t) + used * dim * sizeof(float);
    }

    AlignedVector<int32_t> slots;  // hashes x buckets: which row of values
    AlignedVector<float> values;   // dim floats for each bucket with a behaviour in it
    size_t used = 0;
    size_t dim = 0;
  };
  struct Totals : Scratch {
    AlignedVector<float> values;
  };

  size_t HashOf(int32_t item, size_t hash) const {
    return item_hashes_[static_cast<size_t>(item) * hashes_ + hash];
  }

  void AddTo(Sums& sums, int32_t& slot, int32_t item) const {
    if (slot == kNoSlot) {
      slot = static_cast<int32_t>(sums.used++);
      std::fill_n(sums.values.data() + static_cast<size_t>(slot) * dim_, dim_, 0.0f);
    }
    float* sum = sums.values.data() + static_cast<size_t>(slot) * dim_;
    const float* row = model_.bundle.items.embeddings.row(static_cast<size_t>(item));
    for (size_t d = 0; d < dim_; ++d) sum[d] += row[d];
  }

  // Scales a sum to length 1 / hashes, its part in the mean.
  void Normalise(float* sum) const {
    float square = 1e-12f;
    for (size_t d = 0; d < dim_; ++d) square += sum[d] * sum[d];
    const float factor = 1.0f / (std::sqrt(square) * static_cast<float>(hashes_));
    for (size_t d = 0; d < dim_; ++d) sum[d] *= factor;
  }

  const CtrExport& model_;
  size_t dim_;
  size_t hashes_;
  size_t buckets_;
  Layer value_;
  AlignedVector<uint16_t> item_hashes_;  // items x hashes
};

}  // namespace

std::unique_ptr<LongTermUnit> MakeSdimUnit(const CtrExport& model) {
  return std::make_unique<SdimUnit>(model);
}

}  // namespace eta
