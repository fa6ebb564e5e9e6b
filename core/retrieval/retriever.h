// SPDX-License-Identifier: Apache-2.0
// The one interface behind which ETA and everything it is compared with stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/export.h"

namespace eta {

// What a method keeps of one user's history. Threads may share it while nobody refills it
// (core/retrieval/refillable.h).
class ETA_CORE_API PreparedHistory {
 public:
  explicit PreparedHistory(size_t length) : length_(length) {}  // `length` behaviours
  virtual ~PreparedHistory() = default;
  size_t length() const { return length_; }  // behaviours
  virtual size_t bytes() const = 0;          // held for this user alone

  // Whether item ids are among what is held.
  virtual bool has_item_ids() const { return false; }
  // What a user costs in memory: bytes() and, whether the method holds them or not, the item ids of
  // the history (4 bytes each). Who attends to what was retrieved needs them in any method.
  size_t user_bytes() const { return bytes() + (has_item_ids() ? 0 : length_ * sizeof(int32_t)); }

 protected:
  void set_length(size_t length) { length_ = length; }  // for those that can be refilled

 private:
  size_t length_;
};

// What one thread needs while it works: made by Retriever::NewScratch, reused for many requests.
class ETA_CORE_API Scratch {
 public:
  virtual ~Scratch() = default;
};

// Where Retrieve writes: row b of positions starts at b * k; counts[b] entries of it are valid and
// the rest of the row is -1.
struct ETA_CORE_API RetrievedView {
  std::span<int32_t> positions;  // candidates x k
  std::span<int32_t> counts;     // candidates
};

// A way to find the behaviours that matter for a candidate. A const Retriever may be used by any
// number of threads, each with its own Scratch.
class ETA_CORE_API Retriever {
 public:
  virtual ~Retriever() = default;

  const std::string& name() const { return name_; }  // as written in --methods, such as "eta:64"
  virtual std::string target() const = 0;    // what runs it: SIMD target, or FAISS version + mode
  virtual size_t bits() const { return 0; }  // code width; 0 where there are no codes
  // Of the tables that retrieval reads and all users share (code table, ...).
  virtual size_t table_bytes() const { return 0; }
  // The part of table_bytes() that is the caller's item table, read in place.
  virtual size_t item_table_bytes() const { return 0; }
  // Of what makes codes of new items: hyperplanes or codebooks; 0 where it is not known.
  size_t encoder_bytes() const { return encoder_bytes_; }
  // Says so, for who makes the retriever.
  void set_encoder_bytes(size_t bytes) { encoder_bytes_ = bytes; }
  // What all users cost together in memory: an item table of `embedding_bytes`, which the ranking
  // model reads in any method, what the method has beside it, and the encoder.
  size_t shared_bytes(size_t embedding_bytes) const {
    return embedding_bytes + table_bytes() - item_table_bytes() + encoder_bytes_;
  }

  // True when one Retrieve splits its candidates over threads by itself, with the number of threads
  // given when the retriever was made (FAISS). The batch driver then passes a request on whole.
  virtual bool threads_itself() const { return false; }

  // Prepares a user's behaviours, oldest first, and keeps no reference to `history`. None is legal.
  // Throws std::invalid_argument for an id out of range, std::length_error for 2^31 or more.
  std::unique_ptr<PreparedHistory> Prepare(std::span<const int32_t> history) const;

  // Scratch for one thread; it serves this retriever only.
  virtual std::unique_ptr<Scratch> NewScratch() const { return std::make_unique<Scratch>(); }

  // For each candidate item at most k positions of the history, in unspecified order, without
  // duplicates. Fewer than k when the history (or its part that qualifies) is shorter. `history`
  // and `scratch` are of this retriever. Throws std::invalid_argument when k is 0, a candidate is
  // out of range or a span has a wrong size.
  void Retrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                Scratch& scratch, RetrievedView out) const;

  // Lets a method choose among equivalent modes by timing them on a typical request. Called before
  // measuring, from one thread.
  virtual void Calibrate(const PreparedHistory&, std::span<const int32_t> /*candidates*/,
                         size_t /*k*/) {}

 protected:
  // Item ids are 0 to num_items - 1.
  Retriever(std::string name, size_t num_items) : name_(std::move(name)), num_items_(num_items) {}
  // Throws std::invalid_argument for an id out of range, std::length_error for 2^31 ids or more.
  void RequireItems(std::span<const int32_t> ids, const char* what) const;
  // Item ids are checked.
  virtual std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const = 0;
  // Arguments are checked and positions are filled with -1, counts with 0.
  virtual void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates,
                          size_t k, Scratch& scratch, RetrievedView out) const = 0;
  // For a method that is built on another: what its DoRetrieve does, under the same conditions
  // except that `out` may hold anything. The history is not empty.
  static void RetrieveWith(const Retriever& other, const PreparedHistory& history,
                           std::span<const int32_t> candidates, size_t k, Scratch& scratch,
                           RetrievedView out) {
    other.DoRetrieve(history, candidates, k, scratch, out);
  }

 private:
  std::string name_;
  size_t num_items_;
  size_t encoder_bytes_ = 0;
};

}  // namespace eta
