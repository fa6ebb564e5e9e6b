// SPDX-License-Identifier: Apache-2.0
// Load on service.h: requests, behaviours that are appended and models that are swapped, all at
// once. Prints p50 and p99 without and with swaps, and checks answers against a plain scan.
//
//   service [ITEMS [SECONDS]]
#include "examples/service.h"

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "simd/simhash.h"
#include "simd/target.h"

namespace service {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kDim = 16, kUsers = 2000, kCandidates = 200;

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

std::vector<int32_t> Draw(std::minstd_rand& random, size_t count, size_t items) {
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % items);
  return ids;
}

// Answers requests until `stop`; returns the microseconds of each.
std::vector<double> AnswerRequests(Service& service, size_t items, unsigned seed,
                                   const std::atomic<bool>& stop) {
  Worker worker;
  std::minstd_rand random(seed);
  std::vector<double> microseconds;
  do {
    const std::vector<int32_t> candidates = Draw(random, kCandidates, items);
    const auto begin = Clock::now();
    worker.Answer(service, random() % kUsers, candidates);
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  } while (!stop);
  return microseconds;
}

void AppendBehaviours(Service& service, size_t items, const std::atomic<bool>& stop) {
  for (std::minstd_rand random; !stop; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    const auto model = service.model();
    for (const int32_t item : Draw(random, 100, items)) {
      service.user(random() % kUsers).Append(*model, item);
    }
  }
}

// Load for a time: one thread trains and swaps models, if told to, one appends, the others answer.
void Measure(Service& service, size_t items, double seconds, bool swapping) {
  const unsigned cores = std::max(2u, std::thread::hardware_concurrency());
  std::atomic<bool> stop{false};
  std::vector<std::vector<double>> times(cores - 1);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < times.size(); ++i) {
    threads.emplace_back([&, i] { times[i] = AnswerRequests(service, items, i + 1, stop); });
  }
  threads.emplace_back([&] { AppendBehaviours(service, items, stop); });
  int swaps = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (swapping) {
      const uint64_t version = service.model()->version;  // which holds the model no longer
      service.Swap(Train(version + 1, items));
      ++swaps;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();

  std::vector<double> all;
  for (const auto& some : times) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  std::printf("%d swaps: %zu requests, p50 %.1f us, p99 %.1f us\n", swaps, all.size(),
              all[all.size() / 2], all[all.size() * 99 / 100]);
}

// The `count` least distances from `item`.
std::vector<int> Distances(const Model& model, int32_t item, const int32_t* ids, size_t n,
                           size_t count) {
  const auto word = [&](int32_t id) {
    uint64_t code;
    static_assert(sizeof(code) == kCodeBytes);
    std::memcpy(&code, model.code(id), sizeof(code));
    return code;
  };
  std::vector<int> sorted;
  for (size_t i = 0; i < n; ++i) sorted.push_back(std::popcount(word(item) ^ word(ids[i])));
  std::sort(sorted.begin(), sorted.end());
  sorted.resize(count);
  return sorted;
}

// Whether users hold the codes of the model and answers are the nearest items.
bool AnswersAreRight(Service& service) {
  const auto model = service.model();
  Worker worker;
  std::minstd_rand random(99);
  const std::vector<int32_t> candidates = Draw(random, kCandidates, model->items());
  for (size_t user = 0; user < 100; ++user) {
    const size_t count = worker.Answer(service, user, candidates);
    const std::vector<int32_t> items = service.user(user).items();
    if (count != std::min(items.size(), kTop)) return false;
    for (size_t c = 0; c < kCandidates; c += 50) {
      if (Distances(*model, candidates[c], items.data(), items.size(), count) !=
          Distances(*model, candidates[c], worker.found(c), count, count)) {
        return false;
      }
    }
  }
  return true;
}

int Run(size_t items, double seconds) {
  std::printf("%s, %zu items, %zu users\n", simd::TargetName(simd::ActiveTarget()), items, kUsers);
  Service service(Train(1, items), kUsers);
  std::minstd_rand random;
  for (size_t user = 0; user < kUsers; ++user) {  // some are full, some are not
    for (const int32_t item : Draw(random, random() % (2 * kCap), items)) {
      service.user(user).Append(*service.model(), item);
    }
  }
  for (const bool swapping : {false, true}) {
    Measure(service, items, seconds, swapping);
    if (AnswersAreRight(service)) continue;
    std::fprintf(stderr, "an answer is wrong\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace service

int main(int argc, char** argv) {
  const size_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 5;
  if (argc > 3 || items < 1 || items > 1u << 30 || !(seconds > 0 && seconds < 1e6)) {
    std::fprintf(stderr, "usage: service [ITEMS [SECONDS]]\n");
    return 2;
  }
  const char* target = std::getenv("ETA_SIMD_TARGET");
  if (!eta::simd::ForceTargetForTest(target)) {
    std::fprintf(stderr, "this CPU has no %s\n", target);
    return 2;
  }
  return service::Run(items, seconds);
}
