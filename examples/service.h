// SPDX-License-Identifier: Apache-2.0
// A retrieval service to start from, on the kernels and std::thread alone: users whose histories
// grow while they are searched, and models that are replaced under load. service.cc puts load on
// it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "simd/code_blocks.h"
#include "simd/hamming.h"

namespace service {

namespace simd = eta::simd;

constexpr size_t kBits = 64, kCodeBytes = kBits / 8;
constexpr size_t kCap = 512;  // behaviours of a user; the oldest makes way
constexpr size_t kTop = 32;

// The codes of all items under one version of the model. Nobody writes it once it is published.
struct Model {
  uint64_t version;  // not 0
  std::vector<uint8_t> codes;

  size_t items() const { return codes.size() / kCodeBytes; }
  simd::RowsView<uint8_t> table() const {
    return simd::DenseRows(codes.data(), items(), kCodeBytes);
  }
  const uint8_t* code(int32_t item) const { return table().row(static_cast<size_t>(item)); }
};

// The newest kCap behaviours: a ring of items and, in the same slots, their codes. Codes are those
// of one model; a request under another gathers them anew, so that a swap touches no user.
class User {
 public:
  void Append(const Model& model, int32_t item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t slot = appended_++ % kCap;
    items_[slot] = item;
    if (version_ == model.version) {
      simd::SetBlockCode(blocks_.data(), kCodeBytes, slot, model.code(item));
    } else {
      version_ = 0;  // the codes lack this item, whichever model they are of
    }
  }

  std::vector<int32_t> items() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return {items_.begin(), items_.begin() + static_cast<ptrdiff_t>(std::min(appended_, kCap))};
  }

  // The min(kTop, behaviours) nearest items of each candidate, at found + c * kTop; `queries` has
  // the candidates' codes under the same model. One call for all of them, though it takes a copy of
  // 200 codes: kernels search several together, and 200 calls took 1.9 times as long. Ties go to
  // the higher slot. Returns their number.
  size_t Retrieve(const Model& model, const simd::Queries<uint8_t>& queries,
                  simd::ScratchView scratch, int32_t* found) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t n = std::min(appended_, kCap);
    if (version_ != model.version) {
      simd::GatherCodeBlocks(model.table(), {items_.data(), n}, blocks_.data());
      version_ = model.version;
    }
    const size_t count =
        simd::HammingTopK({blocks_.data(), n, kCodeBytes}, queries, {kTop}, scratch, {found});
    for (size_t c = 0; c < queries.count; ++c) {
      // Slots mean nothing once the lock is gone.
      for (int32_t* slot = found + c * kTop; slot < found + c * kTop + count; ++slot) {
        *slot = items_[static_cast<size_t>(*slot)];
      }
    }
    return count;
  }

 private:
  mutable std::mutex mutex_;
  size_t appended_ = 0;
  uint64_t version_ = 0;  // of no model
  std::vector<int32_t> items_ = std::vector<int32_t>(kCap);
  std::vector<uint8_t> blocks_ = std::vector<uint8_t>(simd::CodeBlocksBytes(kCap, kCodeBytes));
};

class Service {
 public:
  Service(std::shared_ptr<const Model> model, size_t users)
      : model_(std::move(model)), users_(users) {}

  // A request keeps the model that it began with.
  std::shared_ptr<const Model> model() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return model_;
  }
  // Returns once nobody holds the old model, so the caller must not either, and frees it here:
  // freeing megabytes takes time that no request should wait. Models have the same items.
  void Swap(std::shared_ptr<const Model> next) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      model_.swap(next);
    }
    while (next.use_count() > 1) std::this_thread::yield();
  }
  User& user(size_t u) { return users_[u]; }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Model> model_;
  std::vector<User> users_;
};

// What a thread that answers requests owns.
class Worker {
 public:
  // The nearest items of candidate c are then found(c)[0], found(c)[1], ...; returns their number.
  size_t Answer(Service& service, size_t user, const std::vector<int32_t>& candidates) {
    const auto model = service.model();
    codes_.resize(candidates.size() * kCodeBytes);  // no allocation once they are large enough
    found_.resize(candidates.size() * kTop);
    for (size_t c = 0; c < candidates.size(); ++c) {
      std::memcpy(codes_.data() + c * kCodeBytes, model->code(candidates[c]), kCodeBytes);
    }
    return service.user(user).Retrieve(*model, {codes_.data(), candidates.size(), kCodeBytes},
                                       {scratch_.data(), scratch_.size()}, found_.data());
  }
  const int32_t* found(size_t c) const { return found_.data() + c * kTop; }

 private:
  std::vector<uint8_t> codes_;
  std::vector<int32_t> found_;
  std::vector<uint8_t> scratch_ =
      std::vector<uint8_t>(simd::HammingTopKScratchBytes(kCap, kCodeBytes, kTop));
};

}  // namespace service
