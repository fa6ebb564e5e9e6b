// SPDX-License-Identifier: Apache-2.0
// One user's history as the cache holds it: a window of item ids, and their codes of one version.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <shared_mutex>
#include <span>
#include <vector>

#include "core/base/aligned.h"
#include "core/data/events.h"
#include "core/retrieval/item_codes.h"
#include "simd/views.h"

namespace eta::serving {

// kNew: nobody has loaded it yet. kGone: it is no longer in the cache, look there again.
enum class EntryState { kNew, kReady, kGone };

// kMissed: an append has written meanwhile, and nobody knows whether the load has it.
enum class LoadState { kNone, kUnderWay, kMissed };

struct HistoryEntry {
  std::shared_mutex mutex;  // held by who reads or writes anything but `load`
  std::atomic<LoadState> load = LoadState::kNone;
  // If a load is under way, tells it that an append was missed: so this need not wait for `mutex`.
  bool MissLoad() {
    auto expected = LoadState::kUnderWay;
    return load.compare_exchange_strong(expected, LoadState::kMissed) ||
           expected == LoadState::kMissed;
  }

  EntryState state = EntryState::kNew;
  bool is_incomplete = false;  // items that the version does not have were left out
  uint64_t loaded_at = 0;      // appends that had begun by then, see HistoryCache::Impl
  uint64_t number = 0;         // version that the codes are of; 0: none
  int64_t oldest_time = 0;     // not after the time of any behaviour
  int64_t newest_time = 0;     // 0 where there is none
  std::vector<int32_t> items;  // oldest first; those before `first` are no longer in the window
  size_t first = 0;
  AlignedVector<uint8_t> blocks;  // codes of the window, if `number` is not 0

  std::span<const int32_t> window() const { return std::span(items).subspan(first); }
  simd::CodeBlocksView view(size_t code_bytes) const {
    return {blocks.data(), items.size() - first, code_bytes};
  }
  size_t bytes() const;  // allocated, and of this

  // Takes in a history and gathers its codes.
  void Fill(std::span<const Behaviour> history, const ItemCodesVersion& version);

  // Gathers the codes of the window. False where the window is not that of `version`, because that
  // has fewer items, or more where some were left out: the history must be loaded again.
  bool Gather(const ItemCodesVersion& version);

  // Adds behaviours, ordered by time, to a window of at most `most`. The codes go on to be those of
  // `version` if they were and the window did not slide; else they are of none. False where the
  // history must be loaded again: the place of a behaviour, or what makes way for it, is unknown.
  // `overlapped`: others appended to this user meanwhile, or the history was loaded meanwhile. So
  // the order of equal times is unknown, and so is whether these are in already.
  bool Append(std::span<const Behaviour> behaviours, bool overlapped, size_t most,
              const ItemCodesVersion& version);
};

}  // namespace eta::serving
