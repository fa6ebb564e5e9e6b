// SPDX-License-Identifier: Apache-2.0
// What every call of a kernel keeps to: it runs without the GIL, while no other thread changes the
// SIMD target, and it has ended before the interpreter goes away.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace eta::python {

// While it lives the GIL is released and the SIMD target stays. Made and destroyed by a thread that
// has the GIL; touch no Python object meanwhile. What is made before it outlives it.
class KernelCall {
 public:
  KernelCall();
  ~KernelCall();
  KernelCall(const KernelCall&) = delete;
  KernelCall& operator=(const KernelCall&) = delete;

 private:
  PyThreadState* state_;  // null when Python ends and the GIL was kept
};

// Counts changes of the SIMD target: scratch that was made under another one is not used again.
uint64_t TargetGeneration();

// Throws RuntimeError where OpenMP would wait without end: for more than one thread in a process
// that fork() made after this module was imported (docs/library.md).
void RequireThreads(size_t threads);

// Working memory of calls, reused by later ones. The GIL protects it.
template <class T>
class Pool {
 public:
  // One entry, for as long as this lives.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<T> entry)
        : pool_(pool), entry_(std::move(entry)), generation_(TargetGeneration()) {}
    ~Lease() {
      // The entry is dropped where keeping it would allocate, which a destructor must not.
      const bool has_room = pool_.entries_.size() < pool_.entries_.capacity();
      if (has_room && generation_ == TargetGeneration())
        pool_.entries_.push_back(std::move(entry_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    T& operator*() const { return *entry_; }
    T* operator->() const { return entry_.get(); }

   private:
    Pool& pool_;
    std::unique_ptr<T> entry_;
    uint64_t generation_;
  };

  // An entry of the pool, else what `make` makes: a std::unique_ptr<T>.
  template <class Make>
  Lease Take(const Make& make) {
    if (generation_ != TargetGeneration()) entries_.clear();
    generation_ = TargetGeneration();
    if (entries_.empty()) {
      entries_.reserve(kEntries);
      return Lease(*this, make());
    }
    std::unique_ptr<T> entry = std::move(entries_.back());
    entries_.pop_back();
    return Lease(*this, std::move(entry));
  }

 private:
  static constexpr size_t kEntries = 64;  // more threads at a time make scratch at each call

  std::vector<std::unique_ptr<T>> entries_;
  uint64_t generation_ = 0;
};

// Calls piece(begin, end) for parts of [0, count), each at least `grain` long, in up to `threads`
// threads. What a piece throws is thrown on when all have ended.
template <class Piece>
void ForPieces(size_t threads, size_t count, size_t grain, const Piece& piece) {
  const size_t pieces = std::clamp<size_t>(count / grain, 1, threads);
  std::vector<std::exception_ptr> errors(pieces);
  const auto run = [&](size_t i) {
    try {
      piece(count * i / pieces, count * (i + 1) / pieces);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  std::vector<std::jthread> others;
  others.reserve(pieces);
  for (size_t i = 1; i < pieces; ++i) others.emplace_back(run, i);
  run(0);
  others.clear();  // waits for them
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace eta::python
