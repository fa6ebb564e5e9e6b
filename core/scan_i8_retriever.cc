// SPDX-License-Identifier: Apache-2.0
#include "core/scan_i8_retriever.h"

#include <algorithm>
#include <utility>

#include "core/aligned.h"
#include "core/check.h"
#include "simd/dot_i8.h"
#include "simd/target.h"

namespace eta {
namespace {

// Dimensions up to which the kernel takes embeddings.
constexpr size_t kMaxDim = 4096;

class ScanI8Scratch : public Scratch {
 public:
  AlignedVector<int8_t> values;  // of the candidates
  AlignedVector<float> scales;
  AlignedVector<uint8_t> bytes;  // grows to the largest request and stays
};

class ScanI8History : public PreparedHistory {
 public:
  ScanI8History(size_t length, size_t dim)
      : PreparedHistory(length),
        blocks(simd::I8BlocksBytes(length, dim)),
        scales(simd::PaddedRows(length)) {}
  size_t bytes() const override { return blocks.size() + scales.size() * sizeof(float); }

  AlignedVector<uint8_t> blocks;
  AlignedVector<float> scales;
};

class ScanI8Retriever : public Retriever {
 public:
  ScanI8Retriever(std::string name, const ItemTable& items)
      : Retriever(items.size()), name_(std::move(name)), dim_(items.dim()) {
    ValidateItemTable(items);
    Require(dim_ <= kMaxDim, "scan_i8 takes embeddings of up to ", kMaxDim, " dimensions, not ",
            dim_);
    values_.resize(items.size() * dim_);
    scales_.resize(items.size());
    simd::QuantizeI8(items.embeddings.values.data(), items.size(), dim_, dim_, values_.data(), dim_,
                     scales_.data());
  }

  std::string name() const override { return name_; }
  std::string target() const override { return simd::TargetName(simd::ActiveTarget()); }
  size_t table_bytes() const override { return values_.size() + scales_.size() * sizeof(float); }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<ScanI8Scratch>(); }

 protected:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    auto prepared = std::make_unique<ScanI8History>(history.size(), dim_);
    simd::GatherI8Blocks(values_.data(), scales_.data(), dim_, dim_, history.data(), history.size(),
                         prepared->blocks.data(), prepared->scales.data());
    return prepared;
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const ScanI8History&>(history);
    auto& memory = dynamic_cast<ScanI8Scratch&>(scratch);
    memory.values.resize(candidates.size() * dim_);
    memory.scales.resize(candidates.size());
    for (size_t b = 0; b < candidates.size(); ++b) {
      const auto item = static_cast<size_t>(candidates[b]);
      std::copy_n(values_.data() + item * dim_, dim_, memory.values.data() + b * dim_);
      memory.scales[b] = scales_[item];
    }
    const size_t bytes = simd::DotI8TopKScratchBytes(history.length(), k);
    if (memory.bytes.size() < bytes) memory.bytes.resize(bytes);
    const size_t count =
        simd::DotI8TopK({prepared.blocks.data(), prepared.scales.data(), history.length(), dim_},
                        {memory.values.data(), memory.scales.data(), candidates.size(), dim_}, k,
                        simd::TieOrder::kNewestFirst, simd::ResultOrder::kAny, memory.bytes.data(),
                        {out.positions.data(), nullptr});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

 private:
  std::string name_;
  size_t dim_;
  AlignedVector<int8_t> values_;
  AlignedVector<float> scales_;
};

}  // namespace

std::unique_ptr<Retriever> MakeScanI8Retriever(std::string name, const ItemTable& items) {
  return std::make_unique<ScanI8Retriever>(std::move(name), items);
}

}  // namespace eta
