// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/eta.h"

#include <omp.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/aligned.h"
#include "core/base/check.h"
#include "core/retrieval/codes.h"
#include "simd/asym.h"
#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/hamming.h"
#include "simd/target.h"

namespace eta {
namespace {

// Working memory of the retrievers; grows to the largest request and stays.
class KernelScratch : public Scratch {
 public:
  void* Bytes(size_t size) {
    if (bytes_.size() < size) bytes_.resize(size);
    return bytes_.data();
  }
  AlignedVector<uint8_t> codes;   // of the candidates
  AlignedVector<int8_t> weights;  // of the candidates
  AlignedVector<uint8_t> blocks;  // of a history that is gathered for each request
  AlignedVector<float> rows;

 private:
  AlignedVector<uint8_t> bytes_;
};

class EtaHistory : public PreparedHistory {
 public:
  EtaHistory(const CodeTable& table, std::span<const int32_t> items)
      : PreparedHistory(items.size()), blocks(table, items) {}
  size_t bytes() const override { return blocks.bytes(); }

  const CodeBlocks blocks;
};

class EtaRetriever : public Retriever {
 public:
  EtaRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
               int threads)
      : Retriever(items.size()), name_(std::move(name)), table_(items, hyperplanes, threads) {}

  std::string name() const override { return name_; }
  std::string target() const override { return simd::TargetName(simd::ActiveTarget()); }
  size_t bits() const override { return table_.bits(); }
  size_t table_bytes() const override { return table_.bytes(); }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<KernelScratch>(); }

 protected:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    return std::make_unique<EtaHistory>(table_, history);
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const CodeBlocks& blocks = dynamic_cast<const EtaHistory&>(history).blocks;
    Scan(blocks.data(), blocks.size(), candidates, k, dynamic_cast<KernelScratch&>(scratch), out);
  }

  const CodeTable& table() const { return table_; }

  void Scan(const uint8_t* blocks, size_t n, std::span<const int32_t> candidates, size_t k,
            KernelScratch& memory, RetrievedView out) const {
    const size_t code_bytes = table_.code_bytes();
    memory.codes.resize(candidates.size() * code_bytes);
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::ranges::copy(table_.row(static_cast<size_t>(candidates[b])),
                        memory.codes.begin() + static_cast<ptrdiff_t>(b * code_bytes));
    }
    void* bytes = memory.Bytes(simd::HammingTopKScratchBytes(n, code_bytes, k));
    const size_t count =
        simd::HammingTopK(blocks, n, code_bytes, memory.codes.data(), candidates.size(), code_bytes,
                          k, simd::TieOrder::kNewestFirst, simd::ResultOrder::kAny, bytes,
                          {out.positions.data(), nullptr});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

 private:
  std::string name_;
  CodeTable table_;
};

class ItemIds : public PreparedHistory {
 public:
  explicit ItemIds(std::span<const int32_t> items)
      : PreparedHistory(items.size()), ids(items.begin(), items.end()) {}
  size_t bytes() const override { return ids.size() * sizeof(int32_t); }

  const std::vector<int32_t> ids;
};

class EtaGatherRetriever final : public EtaRetriever {
 public:
  using EtaRetriever::EtaRetriever;

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    return std::make_unique<ItemIds>(history);
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& ids = dynamic_cast<const ItemIds&>(history).ids;
    auto& memory = dynamic_cast<KernelScratch&>(scratch);
    const size_t code_bytes = table().code_bytes();
    const size_t bytes = simd::CodeBlocksBytes(ids.size(), code_bytes);
    if (memory.blocks.size() < bytes) memory.blocks.resize(bytes);
    simd::GatherCodeBlocks(table().data(), code_bytes, code_bytes, ids.data(), ids.size(),
                           memory.blocks.data());
    Scan(memory.blocks.data(), ids.size(), candidates, k, memory, out);
  }
};

// For each item what simd::QuantizeProjections makes of its projections.
class WeightTable {
 public:
  WeightTable(const ItemTable& items, const Hyperplanes& hyperplanes, int threads)
      : stride_(simd::WeightBytes(hyperplanes.code_bytes())), weights_(items.size() * stride_) {
    constexpr size_t kRowsPerTask = 64;
    const auto tasks = static_cast<int64_t>((items.size() + kRowsPerTask - 1) / kRowsPerTask);
    const size_t room = kRowsPerTask * hyperplanes.projection_stride();
    AlignedVector<float> memory(static_cast<size_t>(threads) * room);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < tasks; ++task) {
      const size_t first = static_cast<size_t>(task) * kRowsPerTask;
      const size_t rows = std::min(kRowsPerTask, items.size() - first);
      float* projections = memory.data() + static_cast<size_t>(omp_get_thread_num()) * room;
      hyperplanes.Project({items.embeddings.row(first), rows * items.dim()},
                          {projections, rows * hyperplanes.projection_stride()});
      for (size_t r = 0; r < rows; ++r) {
        simd::QuantizeProjections(projections + r * hyperplanes.projection_stride(),
                                  hyperplanes.bits(), weights_.data() + (first + r) * stride_);
      }
    }
  }

  size_t stride() const { return stride_; }
  size_t bytes() const { return weights_.size(); }
  const int8_t* row(size_t item) const { return weights_.data() + item * stride_; }

 private:
  size_t stride_;
  AlignedVector<int8_t> weights_;
};

class EtaAsymRetriever final : public EtaRetriever {
 public:
  EtaAsymRetriever(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
                   int threads)
      : EtaRetriever(std::move(name), items, hyperplanes, threads),
        weights_(items, hyperplanes, threads) {}

  size_t table_bytes() const override { return EtaRetriever::table_bytes() + weights_.bytes(); }

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const CodeBlocks& blocks = dynamic_cast<const EtaHistory&>(history).blocks;
    auto& memory = dynamic_cast<KernelScratch&>(scratch);
    const size_t stride = weights_.stride();
    memory.weights.resize(candidates.size() * stride);
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::copy_n(weights_.row(static_cast<size_t>(candidates[b])), stride,
                  memory.weights.data() + b * stride);
    }
    const size_t code_bytes = blocks.code_bytes();
    void* bytes = memory.Bytes(simd::AsymTopKScratchBytes(blocks.size(), code_bytes, k));
    const size_t count =
        simd::AsymTopK(blocks.data(), blocks.size(), code_bytes, memory.weights.data(),
                       candidates.size(), stride, k, simd::TieOrder::kNewestFirst,
                       simd::ResultOrder::kAny, bytes, {out.positions.data(), nullptr});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  WeightTable weights_;
};

class ExactHistory : public PreparedHistory {
 public:
  ExactHistory(const ItemTable& items, std::span<const int32_t> history)
      : PreparedHistory(history.size()),
        blocks(simd::FloatBlocksSize(history.size(), items.dim())) {
    const auto& embeddings = items.embeddings;
    simd::GatherFloatBlocks(simd::DenseRows(embeddings.values.data(), items.size(), items.dim()),
                            {history.data(), history.size()}, blocks.data());
  }
  size_t bytes() const override { return blocks.size() * sizeof(float); }

  AlignedVector<float> blocks;
};

class ExactRetriever : public Retriever {
 public:
  ExactRetriever(std::string name, const ItemTable& items)
      : Retriever(items.size()), name_(std::move(name)), items_(items) {
    ValidateItemTable(items);
  }

  std::string name() const override { return name_; }
  std::string target() const override { return simd::TargetName(simd::ActiveTarget()); }
  size_t table_bytes() const override { return items_.embeddings.values.size() * sizeof(float); }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<KernelScratch>(); }

 protected:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    return std::make_unique<ExactHistory>(items_, history);
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& blocks = dynamic_cast<const ExactHistory&>(history).blocks;
    auto& memory = dynamic_cast<KernelScratch&>(scratch);
    const size_t dim = items_.dim();
    memory.rows.resize(candidates.size() * dim);
    for (size_t b = 0; b < candidates.size(); ++b) {
      std::copy_n(items_.embeddings.row(static_cast<size_t>(candidates[b])), dim,
                  memory.rows.data() + b * dim);
    }
    void* bytes = memory.Bytes(simd::DotTopKScratchBytes(history.length(), k));
    const size_t count = simd::DotTopK({blocks.data(), history.length(), dim},
                                       {memory.rows.data(), candidates.size(), dim}, {k}, bytes,
                                       {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

 private:
  std::string name_;
  const ItemTable& items_;
};

}  // namespace

std::unique_ptr<Retriever> MakeEtaRetriever(std::string name, const ItemTable& items,
                                            const Hyperplanes& hyperplanes, int threads) {
  return std::make_unique<EtaRetriever>(std::move(name), items, hyperplanes, threads);
}

std::unique_ptr<Retriever> MakeEtaGatherRetriever(std::string name, const ItemTable& items,
                                                  const Hyperplanes& hyperplanes, int threads) {
  return std::make_unique<EtaGatherRetriever>(std::move(name), items, hyperplanes, threads);
}

std::unique_ptr<Retriever> MakeEtaAsymRetriever(std::string name, const ItemTable& items,
                                                const Hyperplanes& hyperplanes, int threads) {
  return std::make_unique<EtaAsymRetriever>(std::move(name), items, hyperplanes, threads);
}

std::unique_ptr<Retriever> MakeExactRetriever(std::string name, const ItemTable& items) {
  return std::make_unique<ExactRetriever>(std::move(name), items);
}

}  // namespace eta
