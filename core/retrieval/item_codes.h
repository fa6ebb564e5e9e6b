// SPDX-License-Identifier: Apache-2.0
// The codes of all items while models change: versions that are built beside the old one and
// swapped in whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "core/base/export.h"
#include "core/base/thread_priority.h"
#include "core/data/items.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/hyperplanes.h"

namespace eta {

// One version: what hashes and what was hashed with it. Nobody writes it once it is published.
struct ETA_CORE_API ItemCodesVersion {
  uint64_t number = 0;                             // 1, 2, ... in the order of publication
  uint64_t model = 0;                              // 1, 2, ... for each Rebuild; a Refresh keeps it
  std::shared_ptr<const Hyperplanes> hyperplanes;  // shared by the versions of one model
  CodeTable table;                                 // of items as behaviours
  std::optional<CodeTable> candidate_table;        // of a model of two towers
  std::chrono::steady_clock::time_point published{};

  // The codes of items as candidates.
  const CodeTable& candidates() const { return candidate_table ? *candidate_table : table; }
};

// The current version of the codes of all items. All functions may be called by any number of
// threads at once; those that fail leave the current version as it is.
class ETA_CORE_API ItemCodes {
 public:
  // Version 1 of model 1; the arguments are those of Rebuild.
  ItemCodes(const ItemTable& items, Hyperplanes hyperplanes, int threads = 1);

  // The current version. A request calls this once and keeps the result to its end; so it sees one
  // version, whatever is published meanwhile. A version is freed when its last holder lets go,
  // which may be a request. Takes a mutex for the time of copying a pointer.
  std::shared_ptr<const ItemCodesVersion> Current() const;

  // Hashes all items of a new model with up to `threads` threads and publishes the result, which
  // is returned. Neither argument need outlive the call. Requests and refreshes of the old model go
  // on meanwhile. Of several at once the one that ends last is current. Throws what CodeTable's
  // constructor throws. A model may have another dim, width of codes and number of items. With
  // kIdle and one thread, items are hashed when no other thread wants the CPU, or after one second
  // all the same; several threads have the normal priority.
  std::shared_ptr<const ItemCodesVersion> Rebuild(
      const ItemTable& items, Hyperplanes hyperplanes, int threads = 1,
      ThreadPriority priority = ThreadPriority::kNormal);

  // Hashes items whose embeddings changed, and publishes and returns a version that has the other
  // codes of the current one: row i of `rows` is the new embedding of item changed[i] (and as a
  // candidate, for two towers). If an item is named twice, its later row counts. `model` is
  // ItemCodesVersion::model of the model that the embeddings come from. Costs a copy of all codes,
  // as kernels need them in one piece; refreshes at once wait for each other, and none is lost.
  // Throws std::invalid_argument when another model is current, changed.size() != rows.size(), an
  // id is out of range (new items need a Rebuild), one of the two has embeddings of candidates and
  // the other not, or for what CodeTable's constructor refuses.
  std::shared_ptr<const ItemCodesVersion> Refresh(uint64_t model, std::span<const int32_t> changed,
                                                  const ItemTable& rows, int threads = 1);

 private:
  // Makes `next` the current version; writers_ is held.
  std::shared_ptr<const ItemCodesVersion> Publish(ItemCodesVersion next);

  std::mutex writers_;  // held from reading the current version to publishing the next one
  // ThreadSanitizer does not understand std::atomic<std::shared_ptr> of GCC 12, which locks as
  // well.
  mutable std::mutex pointer_;
  std::shared_ptr<const ItemCodesVersion> current_;  // written with both held
};

}  // namespace eta
