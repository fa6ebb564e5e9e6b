// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_binary.h"

#include <faiss/IndexBinaryFlat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "baselines/faiss_common.h"
#include "baselines/methods.h"
#include "core/base/check.h"
#include "core/retrieval/codes.h"

namespace eta {
namespace {

constexpr std::array kRealModes = {FaissBinaryMode::kHeap, FaissBinaryMode::kCounting,
                                   FaissBinaryMode::kSingle};
constexpr int kCalibrationRounds = 7;

const char* ModeName(FaissBinaryMode mode) {
  switch (mode) {
    case FaissBinaryMode::kHeap:
      return "heap";
    case FaissBinaryMode::kCounting:
      return "counting";
    case FaissBinaryMode::kSingle:
      return "single";
    case FaissBinaryMode::kBest:
      return "best";
  }
  return "unknown";
}

class BinaryHistory final : public PreparedHistory {
 public:
  // The index takes whole bytes; a code's unused tail bits are 0 and so never differ.
  BinaryHistory(size_t length, size_t code_bytes)
      : PreparedHistory(length), index_(static_cast<FaissId>(code_bytes * 8)) {}

  size_t bytes() const override { return length() * code_bytes(); }
  size_t code_bytes() const { return static_cast<size_t>(index_.code_size); }

  void Add(std::span<const uint8_t> codes) {
    index_.add(static_cast<FaissId>(codes.size() / code_bytes()), codes.data());
  }

  // FAISS keeps the choice in the index, and Calibrate may change it after Prepare. All threads
  // want the same choice at a time, so under the lock only the first one writes.
  const faiss::IndexBinaryFlat& Index(bool use_heap) const {
    const std::lock_guard lock(mutex_);
    if (index_.use_heap != use_heap) index_.use_heap = use_heap;
    return index_;
  }

 private:
  mutable std::mutex mutex_;
  mutable faiss::IndexBinaryFlat index_;
};

class FaissBinary final : public Retriever {
 public:
  FaissBinary(std::string name, const ItemTable& items, const Hyperplanes& hyperplanes,
              FaissBinaryMode mode, int threads)
      : Retriever(std::move(name), items.size()),
        table_(items, hyperplanes, threads),
        candidates_(CodeTable::OfCandidates(items, hyperplanes, threads)),
        asked_(mode),
        mode_(mode == FaissBinaryMode::kBest ? FaissBinaryMode::kCounting : mode),
        threads_(threads) {
    set_encoder_bytes(hyperplanes.bytes());
  }

  std::string target() const override {
    const char* chosen = asked_ == FaissBinaryMode::kBest ? "best: " : "";
    return Cat("FAISS ", FaissBuild(), ", ", chosen, ModeName(mode_));
  }
  size_t bits() const override { return table_.bits(); }
  size_t table_bytes() const override {
    return table_.bytes() + (candidates_ ? candidates_->bytes() : 0);
  }
  // FAISS splits a call by queries, so a call with one query has nothing to split.
  bool threads_itself() const override { return mode_ != FaissBinaryMode::kSingle; }
  std::unique_ptr<Scratch> NewScratch() const override { return std::make_unique<FaissScratch>(); }

  void Calibrate(const PreparedHistory& history, std::span<const int32_t> candidates,
                 size_t k) override;

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override;
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override;
  static void Gather(const CodeTable& table, std::span<const int32_t> ids,
                     std::vector<uint8_t>& codes);

  CodeTable table_;
  std::optional<CodeTable> candidates_;  // where they have embeddings of their own
  FaissBinaryMode asked_;
  FaissBinaryMode mode_;  // never kBest
  int threads_;
};

void FaissBinary::Gather(const CodeTable& table, std::span<const int32_t> ids,
                         std::vector<uint8_t>& codes) {
  codes.resize(ids.size() * table.code_bytes());
  uint8_t* out = codes.data();
  for (const int32_t id : ids) {
    out = std::ranges::copy(table.row(static_cast<size_t>(id)), out).out;
  }
}

// Newest first: among equal distances FAISS keeps the lowest labels, ETA the newest positions.
// The codes are ETA's own. FAISS's encoders would set a bit for x >= 0, ETA's rule is x > 0.
std::unique_ptr<PreparedHistory> FaissBinary::DoPrepare(std::span<const int32_t> history) const {
  const std::vector<int32_t> newest_first(history.rbegin(), history.rend());
  std::vector<uint8_t> codes;
  Gather(table_, newest_first, codes);
  auto prepared = std::make_unique<BinaryHistory>(history.size(), table_.code_bytes());
  prepared->Add(codes);
  return prepared;
}

void FaissBinary::DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates,
                             size_t k, Scratch& scratch, RetrievedView out) const {
  const auto& prepared = dynamic_cast<const BinaryHistory&>(history);
  auto& buffers = dynamic_cast<FaissScratch&>(scratch);
  const size_t code_bytes = table_.code_bytes();
  Require(prepared.code_bytes() == code_bytes, "the history was prepared with codes of ",
          prepared.code_bytes(), " bytes, this method has ", code_bytes);
  const size_t found = std::min(k, history.length());
  Gather(candidates_ ? *candidates_ : table_, candidates, buffers.query_codes);
  buffers.distances.resize(candidates.size() * found);
  buffers.labels.resize(candidates.size() * found);
  const faiss::IndexBinaryFlat& index = prepared.Index(mode_ != FaissBinaryMode::kCounting);
  const size_t batch = mode_ == FaissBinaryMode::kSingle ? 1 : candidates.size();
  {
    const FaissThreadGuard guard({.openmp = threads_, .blas = 1});
    for (size_t b = 0; b < candidates.size(); b += batch) {
      index.search(static_cast<FaissId>(batch), buffers.query_codes.data() + b * code_bytes,
                   static_cast<FaissId>(found), buffers.distances.data() + b * found,
                   buffers.labels.data() + b * found);
    }
  }
  WriteLabels(buffers.labels, found, history.length(), LabelOrder::kNewestFirst, k, out);
}

void FaissBinary::Calibrate(const PreparedHistory& history, std::span<const int32_t> candidates,
                            size_t k) {
  using Clock = std::chrono::steady_clock;
  if (asked_ != FaissBinaryMode::kBest) return;
  const auto scratch = NewScratch();
  std::vector<int32_t> positions(candidates.size() * k);
  std::vector<int32_t> counts(candidates.size());
  const RetrievedView out{positions, counts};
  Retrieve(history, candidates, k, *scratch, out);  // checks the arguments, warms the caches
  if (history.length() == 0 || candidates.empty()) return;
  // The minimum over interleaved rounds: noise only ever adds time, and it comes in bursts.
  std::array<Clock::duration, kRealModes.size()> best;
  best.fill(Clock::duration::max());
  for (int round = 0; round < kCalibrationRounds; ++round) {
    for (size_t m = 0; m < kRealModes.size(); ++m) {
      mode_ = kRealModes[m];
      const auto start = Clock::now();
      Retrieve(history, candidates, k, *scratch, out);
      best[m] = std::min(best[m], Clock::now() - start);
    }
  }
  mode_ = kRealModes[static_cast<size_t>(std::ranges::min_element(best) - best.begin())];
}

}  // namespace

std::unique_ptr<Retriever> MakeFaissBinaryRetriever(std::string name, const ItemTable& items,
                                                    const Hyperplanes& hyperplanes,
                                                    FaissBinaryMode mode, int threads) {
  return std::make_unique<FaissBinary>(std::move(name), items, hyperplanes, mode, threads);
}

}  // namespace eta
