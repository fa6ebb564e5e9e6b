// SPDX-License-Identifier: Apache-2.0
// What store_kill_test kills: appends synced batches for good, says so, and meanwhile compacts and
// makes snapshots.
//
//   store_writer STORE SNAPSHOTS
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>

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

void Write(const fs::path& path, const fs::path& snapshots) {
  eta::StoreOptions options;
  options.buffer_bytes = 64 << 10;  // so that files are written and compacted all the time
  eta::HistoryStore store(path, options);
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
    store.Append(NumberedBatch(n), eta::Durability::kSynced);
    std::printf("%lld\n", static_cast<long long>(n));
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
