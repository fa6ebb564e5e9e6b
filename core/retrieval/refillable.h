// SPDX-License-Identifier: Apache-2.0
// Retrievers that serve without allocating: a history is filled again in place, scratch is made for
// the largest request. All retrievers made of this project's kernels are of this kind.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/aligned.h"
#include "core/base/export.h"
#include "core/retrieval/retriever.h"
#include "simd/views.h"

namespace eta {

// A history with room for `capacity` behaviours. bytes() counts those that are in it.
class ETA_CORE_API RefillableHistory : public PreparedHistory {
 public:
  explicit RefillableHistory(size_t capacity) : PreparedHistory(0), capacity_(capacity) {}  // empty
  size_t capacity() const { return capacity_; }  // behaviours

 private:
  friend class RefillableRetriever;
  size_t capacity_;
};

// The largest request that a scratch is made for.
struct ETA_CORE_API RequestLimits {
  size_t length;      // behaviours of a history
  size_t candidates;  // of one Retrieve
  size_t k;
};

// A Retriever that also keeps to the promises above. Refilling one history while another thread
// reads it is an error; different histories may be refilled by different threads.
class ETA_CORE_API RefillableRetriever : public Retriever {
 public:
  // The SIMD target that the kernels run on.
  std::string target() const override;

  // An empty history with room for `capacity` behaviours.
  virtual std::unique_ptr<RefillableHistory> NewHistory(size_t capacity) const = 0;

  // Replaces the behaviours of `history`, which this retriever's NewHistory or Prepare made, by
  // `items`, oldest first. Allocates nothing. Throws std::invalid_argument when an item id is out
  // of range or there are more than history.capacity(); the history is then as it was.
  void Refill(RefillableHistory& history, std::span<const int32_t> items) const;

  // Scratch that never grows in requests up to `limits`, so that these allocate nothing.
  std::unique_ptr<Scratch> NewScratchFor(const RequestLimits& limits) const;
  std::unique_ptr<Scratch> NewScratch() const override;

  // Bytes of KernelScratch::queries that each candidate of a Retrieve takes. A method built on this
  // one makes room for them (core/retrieval/rerank.h).
  virtual size_t query_bytes() const { return 0; }

 protected:
  // As the constructor of Retriever.
  RefillableRetriever(std::string name, size_t num_items) : Retriever(std::move(name), num_items) {}

  // Item ids and their number are checked.
  virtual void DoRefill(RefillableHistory& history, std::span<const int32_t> items) const = 0;

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const final;
};

// A piece of scratch that grows to the largest request and stays.
class ETA_CORE_API ScratchBuffer {
 public:
  // Room for `count` values at kAlignment, contents unspecified. What Get returned before is no
  // longer valid.
  template <class T>
  T* Get(size_t count) {
    if (bytes_.size() < count * sizeof(T)) bytes_.resize(count * sizeof(T));
    return reinterpret_cast<T*>(bytes_.data());
  }

 private:
  AlignedVector<uint8_t> bytes_;
};

// Scratch of the retrievers made of this project's kernels; each uses some of it.
class ETA_CORE_API KernelScratch : public Scratch {
 public:
  ScratchBuffer queries;       // table rows of the candidates
  ScratchBuffer scales;        // of these rows, where they are quantised
  ScratchBuffer kernel;        // what the kernel asks for
  ScratchBuffer blocks;        // a history that is gathered for each request
  ScratchBuffer block_scales;  // of its rows, where they are quantised
  ScratchBuffer shortlists, ids, scores;
};

// `bytes` bytes of `buffer`, of which kernels that check refuse too few.
inline simd::ScratchView ScratchFor(ScratchBuffer& buffer, size_t bytes) {
  return {buffer.Get<uint8_t>(bytes), bytes};
}

// Copies the rows of a table that `ids` name into `buffer`, one after another, for a kernel's
// queries. All ids are in range.
template <class T>
simd::Queries<T> GatherQueries(const simd::RowsView<T>& table, std::span<const int32_t> ids,
                               ScratchBuffer& buffer) {
  T* rows = buffer.Get<T>(ids.size() * table.width);
  T* to = rows;
  for (const int32_t id : ids)
    to = std::copy_n(table.row(static_cast<size_t>(id)), table.width, to);
  return {rows, ids.size(), table.width};
}

}  // namespace eta
