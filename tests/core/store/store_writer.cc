// SPDX-License-Identifier: Apache-2.0
// What store_kill_test kills: a service that appends synced batches for good and says so, with the
// version of codes that it has then, while it is asked, swaps models, compacts and makes snapshots.
//
//   store_writer STORE SNAPSHOTS
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/data/generator.h"
#include "core/serving/ranking_service.h"
#include "core/store/history_store.h"

namespace {

namespace fs = std::filesystem;

constexpr int kUsers = 5;

// The test knows this pattern.
eta::EventBatch NumberedBatch(int64_t n) {
  eta::EventBatch batch;
  const auto item = static_cast<int32_t>(n);
  batch.events = {{int64_t{0}, {item, n}}, {1 + n % (kUsers - 1), {item, n}}};
  batch.source = {"p", static_cast<uint64_t>(n)};
  return batch;
}

// New models, one after the other, at either priority.
void Swap(eta::RankingService& service, const eta::ItemTable& items) {
  for (uint64_t seed = 2;; ++seed) {
    service.Rebuild(
        items,
        eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian, items.dim(), /*bits=*/64, seed), 1,
        seed % 2 == 0 ? eta::ThreadPriority::kNormal : eta::ThreadPriority::kIdle);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // so that others go on as well
  }
}

void Ask(eta::RankingService& service) {
  const std::vector<int32_t> candidates = {1, 2, 3};
  std::vector<int32_t> positions(candidates.size()), counts(candidates.size());
  for (int64_t i = 0;; ++i) {
    service.Retrieve(i % kUsers, candidates, 1, {positions, counts});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Write(const fs::path& path, const fs::path& snapshots) {
  eta::StoreOptions options;
  options.buffer_bytes = 64 << 10;  // so that files are written and compacted all the time
  eta::HistoryStore store(path, options);
  // Fewer items than batches: what a model lacks is kept all the same.
  const eta::Bundle bundle = eta::GenerateBundle({.users = 1, .items = 2000, .dim = 16});
  eta::ItemCodes codes(bundle.items,
                       eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian, 16, 64, 1));
  eta::RankingService service(store, codes);
  std::thread swapper([&] { Swap(service, bundle.items); });
  std::thread asker([&] { Ask(service); });
  std::thread worker([&] {
    for (int i = 0;; ++i) {
      const fs::path copy = snapshots / std::to_string(i);
      store.Compact();
      if (!fs::exists(copy)) store.Snapshot(copy);
    }
  });
  // A few are sent again, as by a queue whose consumer does not know how far it came.
  const auto offset = store.Offset("p");
  const int64_t next = offset ? static_cast<int64_t>(*offset) + 1 : 0;
  for (int64_t n = next < 3 ? 0 : next - 3;; ++n) {
    service.Append(NumberedBatch(n), eta::Durability::kSynced);
    std::printf("%lld %llu\n", static_cast<long long>(n),
                static_cast<unsigned long long>(codes.Current()->number));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    Write(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store_writer: %s\n", error.what());
  }
  std::_Exit(1);
}
