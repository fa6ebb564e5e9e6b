// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/scan_i8.h"

#include <algorithm>
#include <utility>

#include "core/base/aligned.h"
#include "core/retrieval/i8_items.h"
#include "simd/dot_i8.h"
#include "simd/target.h"

namespace eta {
namespace {

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
      : Retriever(items.size()), name_(std::move(name)), items_(items) {}

  std::string name() const override { return name_; }
  std::string target() const override { return simd::TargetName(simd::ActiveTarget()); }
  size_t table_bytes() const override { return items_.bytes(); }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<ScanI8Scratch>(); }

 protected:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    auto prepared = std::make_unique<ScanI8History>(history.size(), items_.dim);
    simd::GatherI8Blocks(items_.view(), {history.data(), history.size()}, prepared->blocks.data(),
                         prepared->scales.data());
    return prepared;
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const ScanI8History&>(history);
    auto& memory = dynamic_cast<ScanI8Scratch&>(scratch);
    const size_t dim = items_.dim;
    memory.values.resize(candidates.size() * dim);
    memory.scales.resize(candidates.size());
    for (size_t b = 0; b < candidates.size(); ++b) {
      const auto item = static_cast<size_t>(candidates[b]);
      std::copy_n(items_.row(item), dim, memory.values.data() + b * dim);
      memory.scales[b] = items_.scales[item];
    }
    const size_t bytes = simd::DotI8TopKScratchBytes(history.length(), k);
    if (memory.bytes.size() < bytes) memory.bytes.resize(bytes);
    const size_t count =
        simd::DotI8TopK({prepared.blocks.data(), prepared.scales.data(), history.length(), dim},
                        {memory.values.data(), memory.scales.data(), candidates.size(), dim}, {k},
                        memory.bytes.data(), {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

 private:
  std::string name_;
  I8Items items_;
};

}  // namespace

std::unique_ptr<Retriever> MakeScanI8Retriever(std::string name, const ItemTable& items) {
  return std::make_unique<ScanI8Retriever>(std::move(name), items);
}

}  // namespace eta
