// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/cold.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <utility>

#include "bench/retrieval/quality.h"
#include "core/base/aligned.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr size_t kMega = size_t{1} << 20;
constexpr size_t kObjectBytes = 128;  // what a prepared history takes beside bytes(), roughly

// The largest cache that sysfs lists for the first CPU; 0 where it lists none.
size_t SizeFromSysfs() {
  size_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream file(Cat("/sys/devices/system/cpu/cpu0/cache/index", index, "/size"));
    std::string text;
    size_t size = 0;
    if (!(file >> text)) continue;
    const char* end = text.data() + text.size();
    const char* unit = std::from_chars(text.data(), end, size).ptr;
    if (unit != end) size *= *unit == 'K' ? 1024 : *unit == 'M' ? kMega : 1;
    largest = std::max(largest, size);
  }
  return largest;
}

size_t SizeFromSysconf() {
  for (const int name : {_SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL2_CACHE_SIZE}) {
    const long size = ::sysconf(name);
    if (size > 0) return static_cast<size_t>(size);
  }
  return 0;
}

size_t MemoryLimit(const Options& options) {
  if (options.cold_memory_mb > 0) return options.cold_memory_mb * kMega;
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_size = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_size <= 0) return 4096 * kMega;
  return static_cast<size_t>(pages) / 2 * static_cast<size_t>(page_size);
}

// The prepared histories of one method, copy after copy, each in the order of the requests.
class Ring {
 public:
  Ring(Contender& contender, std::span<const UserRequest> requests)
      : contender_(contender), requests_(requests) {
    AddCopy();
    for (const auto& history : histories_) copy_bytes_ += history->bytes();
  }

  // How many copies together exceed `bytes`. One copy where a method keeps nothing that could be
  // cold.
  size_t CopiesFor(size_t bytes) const { return copy_bytes_ == 0 ? 1 : bytes / copy_bytes_ + 1; }
  size_t MemoryOf(size_t copies) const {
    return copies * (copy_bytes_ + requests_.size() * kObjectBytes);
  }
  size_t bytes() const { return copies() * copy_bytes_; }

  void Grow(size_t copies) {
    while (this->copies() < copies) AddCopy();
  }

  // Pass 0 is not timed.
  void Answer(size_t pass, size_t begin, size_t size, size_t k) {
    const size_t first = pass % copies() * requests_.size();
    batch_.clear();
    for (size_t r = begin; r < begin + size; ++r) {
      batch_.push_back({histories_[first + r].get(), requests_[r].candidates});
    }
    if (pass == 0) {
      contender_.WarmUp(batch_, k);
    } else {
      contender_.Answer(batch_, k, pass - 1);
    }
  }

 private:
  size_t copies() const { return histories_.size() / requests_.size(); }

  void AddCopy() {
    auto copy = contender_.Prepare(requests_);
    std::ranges::move(copy, std::back_inserter(histories_));
  }

  Contender& contender_;
  std::span<const UserRequest> requests_;
  std::vector<std::unique_ptr<PreparedHistory>> histories_;
  size_t copy_bytes_ = 0;
  std::vector<Request> batch_;
};

// A buffer that fills the cache when it is read; empty where rings are long enough by themselves.
class Flusher {
 public:
  explicit Flusher(size_t bytes) : words_(bytes / sizeof(uint64_t), 1) {}

  void Flush() {
    // The sum is stored, or the compiler would leave out the reading.
    sum_ = std::accumulate(words_.begin(), words_.end(), sum_);
  }

 private:
  AlignedVector<uint64_t> words_;
  volatile uint64_t sum_ = 0;
};

void RequireMemory(size_t needed, size_t limit) {
  Require(needed <= limit, "--cache cold needs ", needed / kMega + 1,
          " MB or more for prepared histories, and --cold-memory allows ", limit / kMega,
          " MB: take fewer requests or methods, or allow more");
}

std::vector<Ring> MakeRings(std::vector<Contender>& contenders,
                            std::span<const UserRequest> requests, size_t limit) {
  std::vector<Ring> rings;
  size_t memory = 0;
  for (Contender& contender : contenders) {
    rings.emplace_back(contender, requests);
    memory += rings.back().MemoryOf(1);
    RequireMemory(memory, limit);
  }
  return rings;
}

// Decides between copies and flushing, grows the rings in the first case, and fills in the report.
void KeepCold(std::vector<Ring>& rings, ColdReport& report) {
  const size_t bytes = kColdFactor * report.cache.bytes;
  size_t with_copies = 0;
  size_t without = bytes;
  for (const Ring& ring : rings) {
    with_copies += ring.MemoryOf(ring.CopiesFor(bytes));
    without += ring.MemoryOf(1);
  }
  report.is_flushed = with_copies > report.memory_limit;
  if (report.is_flushed) RequireMemory(without, report.memory_limit);
  for (Ring& ring : rings) {
    if (!report.is_flushed) ring.Grow(ring.CopiesFor(bytes));
    report.prepared_bytes += ring.bytes();
  }
}

}  // namespace

LastLevelCache FindLastLevelCache(const Options& options) {
  if (options.llc_mb > 0) return {options.llc_mb * kMega, "--llc-mb"};
  if (const size_t size = SizeFromSysfs(); size > 0) return {size, "sysfs"};
  if (const size_t size = SizeFromSysconf(); size > 0) return {size, "sysconf"};
  throw std::invalid_argument(
      "--cache cold: the system does not tell the size of the last-level cache; give it by "
      "--llc-mb");
}

ColdReport MeasureCold(std::vector<Contender>& contenders, std::span<const UserRequest> requests,
                       const Options& options, QualityMeter& quality, Progress& progress) {
  ColdReport report{.cache = FindLastLevelCache(options),
                    .memory_limit = MemoryLimit(options),
                    .is_flushed = false,
                    .turn = TurnSize(options, requests.size()),
                    .prepared_bytes = 0};
  progress.Show("preparing histories that exceed the cache");
  std::vector<Ring> rings = MakeRings(contenders, requests, report.memory_limit);
  KeepCold(rings, report);
  Flusher flusher(report.is_flushed ? kColdFactor * report.cache.bytes : 0);
  size_t rotation = 0;
  for (size_t pass = 0; pass <= options.repeats; ++pass) {
    progress.Show(Cat("measuring cold, pass ", pass, " of ", options.repeats));
    for (size_t begin = 0; begin < requests.size(); begin += report.turn, ++rotation) {
      const size_t size = std::min(report.turn, requests.size() - begin);
      for (size_t i = 0; i < rings.size(); ++i) {
        if (pass > 0) flusher.Flush();
        rings[(i + rotation) % rings.size()].Answer(pass, begin, size, options.k);
      }
      for (size_t r = 0; pass == 0 && r < size; ++r) {
        quality.Add(requests[begin + r], r, contenders);
      }
    }
  }
  return report;
}

}  // namespace eta::bench
