// SPDX-License-Identifier: Apache-2.0
// Objects that threads borrow for a request, such as scratch: there are as many as were in use at
// once.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace eta::serving {

template <class T>
class Pool {
 public:
  // A borrowed object, which goes back with this. The pool must outlive it.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<T> object) : pool_(pool), object_(std::move(object)) {}
    ~Lease() { pool_.Return(std::move(object_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    T& operator*() { return *object_; }
    T* operator->() { return object_.get(); }

   private:
    Pool& pool_;
    std::unique_ptr<T> object_;
  };

  // The object that was returned last, whose memory is in the caches, or one that `make` makes.
  template <class Make>
  Lease Borrow(const Make& make) {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto object = std::move(free_.back());
        free_.pop_back();
        return {*this, std::move(object)};
      }
    }
    auto object = make();
    const std::lock_guard lock(mutex_);
    free_.reserve(++made_);  // so that Return does not allocate
    return {*this, std::move(object)};
  }

 private:
  void Return(std::unique_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(object));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
  size_t made_ = 0;
};

}  // namespace eta::serving
