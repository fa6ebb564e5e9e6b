// SPDX-License-Identifier: Apache-2.0
// A retrieval service to start from, on the kernels and std::thread alone: users whose histories
// grow while they are searched, and models that are replaced under load.
//
//   service [ITEMS [SECONDS]]
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "simd/code_blocks.h"
#include "simd/hamming.h"
#include "simd/simhash.h"
#include "simd/target.h"

namespace {

namespace simd = eta::simd;
using Clock = std::chrono::steady_clock;

constexpr size_t kDim = 16, kBits = 64, kCodeBytes = kBits / 8;
constexpr size_t kUsers = 2000, kCap = 512;  // behaviours of a user; the oldest makes way
constexpr size_t kCandidates = 200, kTop = 32;

// The codes of all items under one version of the model. Nobody writes it once it is published.
struct Model {
  uint64_t version;
  std::vector<uint8_t> codes;

  simd::RowsView<uint8_t> table() const {
    return simd::DenseRows(codes.data(), codes.size() / kCodeBytes, kCodeBytes);
  }
};

// Stands for training: random embeddings, hashed a piece at a time.
std::shared_ptr<const Model> Train(uint64_t version, size_t items) {
  std::minstd_rand random(static_cast<uint32_t>(version));
  const auto number = [&] { return static_cast<float>(random()) / 0x1p30f - 1; };
  std::vector<float> planes(kDim * kBits), packed(simd::PackedHyperplanesSize(kDim, kBits));
  std::generate(planes.begin(), planes.end(), number);
  simd::PackHyperplanes(simd::DenseRows(planes.data(), kDim, kBits), packed.data());
  auto model = std::make_shared<Model>();
  model->version = version;
  model->codes.resize(items * kCodeBytes);
  std::vector<float> rows(4096 * kDim);
  for (size_t i = 0; i < items; i += 4096) {
    std::generate(rows.begin(), rows.end(), number);
    simd::SimHashEncode(simd::DenseRows(rows.data(), std::min<size_t>(4096, items - i), kDim),
                        {packed.data(), kDim, kBits}, model->codes.data() + i * kCodeBytes,
                        kCodeBytes);
  }
  return model;
}

// The newest kCap behaviours: a ring of items and, in the same slots, their codes. Codes are those
// of one model; a request under another gathers them anew, so that a swap touches no user.
class User {
 public:
  void Append(const Model& model, int32_t item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t slot = appended_++ % kCap;
    items_[slot] = item;
    if (version_ == model.version) {
      simd::SetBlockCode(blocks_.data(), kCodeBytes, slot,
                         model.table().row(static_cast<size_t>(item)));
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
  size_t Retrieve(const Model& model, const simd::Queries<uint8_t>& queries, void* scratch,
                  int32_t* found) {
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
  explicit Service(size_t items) : items_(items), model_(Train(1, items)), users_(kUsers) {}

  // A request keeps the model that it began with.
  std::shared_ptr<const Model> model() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return model_;
  }
  // Returns once no request uses the old model, and frees it here: freeing megabytes takes time
  // that no request should wait.
  void Swap(std::shared_ptr<const Model> next) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      model_.swap(next);
    }
    while (next.use_count() > 1) std::this_thread::yield();
  }
  size_t items() const { return items_; }
  User& user(size_t u) { return users_[u]; }

 private:
  const size_t items_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Model> model_;
  std::vector<User> users_;
};

// What a thread that answers requests owns.
struct Worker {
  std::minstd_rand random;
  std::vector<int32_t> candidates = std::vector<int32_t>(kCandidates);
  std::vector<uint8_t> codes = std::vector<uint8_t>(kCandidates * kCodeBytes);
  std::vector<int32_t> found = std::vector<int32_t>(kCandidates * kTop);
  std::vector<uint8_t> scratch =
      std::vector<uint8_t>(simd::HammingTopKScratchBytes(kCap, kCodeBytes, kTop));
  std::vector<double> microseconds;  // of each request

  explicit Worker(unsigned seed) : random(seed) {}
  size_t below(size_t n) { return random() % n; }

  // Returns the number of items found for each candidate.
  size_t Answer(Service& service, size_t user) {
    for (int32_t& id : candidates) id = static_cast<int32_t>(below(service.items()));
    const auto begin = Clock::now();
    const auto model = service.model();
    for (size_t c = 0; c < kCandidates; ++c) {
      std::memcpy(codes.data() + c * kCodeBytes,
                  model->table().row(static_cast<size_t>(candidates[c])), kCodeBytes);
    }
    const size_t count = service.user(user).Retrieve(
        *model, {codes.data(), kCandidates, kCodeBytes}, scratch.data(), found.data());
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    return count;
  }
};

// Answers requests and appends behaviours for a time, and swaps models meanwhile if told to.
void Measure(Service& service, double seconds, bool swapping) {
  const unsigned cores = std::max(2u, std::thread::hardware_concurrency());
  std::vector<Worker> workers;
  for (unsigned i = 0; i + 1 < cores; ++i) workers.emplace_back(i + 1);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (Worker& worker : workers) {
    threads.emplace_back([&] {
      do worker.Answer(service, worker.below(kUsers));
      while (!stop);
    });
  }
  threads.emplace_back([&] {
    for (std::minstd_rand random; !stop;
         std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      const auto model = service.model();
      for (int i = 0; i < 100; ++i) {
        service.user(random() % kUsers)
            .Append(*model, static_cast<int32_t>(random() % service.items()));
      }
    }
  });
  int swaps = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (swapping) {
      const uint64_t version = service.model()->version;
      service.Swap(Train(version + 1, service.items()));
      ++swaps;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();

  std::vector<double> all;
  for (const Worker& worker : workers) {
    all.insert(all.end(), worker.microseconds.begin(), worker.microseconds.end());
  }
  std::sort(all.begin(), all.end());
  std::printf("%d swaps: %zu requests, p50 %.1f us, p99 %.1f us\n", swaps, all.size(),
              all[all.size() / 2], all[all.size() * 99 / 100]);
}

// Whether users hold the codes of the model and answers are the nearest items.
bool AnswersAreRight(Service& service) {
  const auto model = service.model();
  const auto distance = [&](int32_t a, int32_t b) {
    uint64_t x, y;
    static_assert(kCodeBytes == sizeof(x));
    std::memcpy(&x, model->table().row(static_cast<size_t>(a)), sizeof(x));
    std::memcpy(&y, model->table().row(static_cast<size_t>(b)), sizeof(y));
    return std::popcount(x ^ y);
  };
  Worker worker(99);
  for (size_t user = 0; user < 100; ++user) {
    const size_t count = worker.Answer(service, user);
    const std::vector<int32_t> items = service.user(user).items();
    if (count != std::min(items.size(), kTop)) return false;
    for (size_t c = 0; c < kCandidates; c += 50) {
      const auto distances = [&](const int32_t* ids, size_t n) {
        std::vector<int> sorted;
        for (size_t i = 0; i < n; ++i) sorted.push_back(distance(worker.candidates[c], ids[i]));
        std::sort(sorted.begin(), sorted.end());
        sorted.resize(count);
        return sorted;
      };
      if (distances(items.data(), items.size()) != distances(&worker.found[c * kTop], count)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 5;
  if (argc > 3 || items < 1 || items > 1u << 30 || !(seconds > 0 && seconds < 1e6)) {
    std::fprintf(stderr, "usage: service [ITEMS [SECONDS]]\n");
    return 2;
  }
  const char* target = std::getenv("ETA_SIMD_TARGET");
  if (!simd::ForceTargetForTest(target)) {
    std::fprintf(stderr, "this CPU has no %s\n", target);
    return 2;
  }
  std::printf("%s, %zu items, %zu users\n", simd::TargetName(simd::ActiveTarget()), items, kUsers);
  Service service(items);
  std::minstd_rand random;
  for (size_t user = 0; user < kUsers; ++user) {  // some are full, some are not
    for (size_t i = random() % (2 * kCap); i-- > 0;) {
      service.user(user).Append(*service.model(), static_cast<int32_t>(random() % items));
    }
  }
  for (const bool swapping : {false, true}) {
    Measure(service, seconds, swapping);
    if (!AnswersAreRight(service)) {
      std::fprintf(stderr, "an answer is wrong\n");
      return 1;
    }
  }
  return 0;
}
