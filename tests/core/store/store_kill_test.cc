// SPDX-License-Identifier: Apache-2.0
// A process that appends, answers, swaps models, compacts and makes snapshots is killed at random
// moments; what it had acknowledged is there once. ETA_STORE_KILLS=200 sets how often; the default
// takes some seconds.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "core/base/random.h"
#include "core/store/check.h"
#include "core/store/history_store.h"
#include "tests/core/store/store_test_util.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using test::kAll;

constexpr int kUsers = 5;

int Kills() {
  const char* given = std::getenv("ETA_STORE_KILLS");
  return given == nullptr ? 8 : std::atoi(given);
}

// What the process had done when it was killed.
struct Done {
  int64_t batch = -1;    // the last one that it acknowledged; -1: none
  uint64_t version = 1;  // of the codes by then
};

// Runs store_writer and kills it after a time, which starts with its first batch or else with
// itself.
Done RunAndKill(const fs::path& store, const fs::path& snapshots, const fs::path& output,
                std::chrono::milliseconds time, bool from_first_batch) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::string program = ETA_STORE_WRITER, first = store.string(), second = snapshots.string();
  char* arguments[] = {program.data(), first.data(), second.data(), nullptr};
  pid_t process = 0;
  EXPECT_EQ(posix_spawn(&process, program.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  for (int i = 0; from_first_batch && ReadText(output).empty() && i < 10000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(time);
  EXPECT_EQ(::kill(process, SIGKILL), 0);
  int status = 0;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      << "store_writer ended by itself: status " << status;
  const std::string lines = ReadText(output);
  const size_t end = lines.rfind('\n');  // a line may be cut short
  Done done;
  if (end == std::string::npos) return done;
  const size_t begin = end == 0 ? std::string::npos : lines.rfind('\n', end - 1);
  std::istringstream line(lines.substr(begin == std::string::npos ? 0 : begin + 1));
  EXPECT_TRUE(line >> done.batch >> done.version) << lines;
  return done;
}

// Batches 0 to some n - 1, each whole and once; returns n.
int64_t ExpectPrefix(const HistoryStore& store) {
  const std::vector<int32_t> first = test::Items(store.Read(0, kAll));
  std::vector<std::vector<int32_t>> expected(kUsers);
  for (int32_t i = 0; i < static_cast<int32_t>(first.size()); ++i) {
    expected[0].push_back(i);
    expected[static_cast<size_t>(1 + i % (kUsers - 1))].push_back(i);
  }
  for (int user = 0; user < kUsers; ++user) {
    EXPECT_TRUE(test::Items(store.Read(user, kAll)) == expected[static_cast<size_t>(user)]) << user;
  }
  const auto n = static_cast<int64_t>(first.size());
  EXPECT_EQ(store.Offset("p"), n == 0 ? std::nullopt : std::optional<uint64_t>(n - 1));
  return n;
}

TEST(StoreKill, AcknowledgedBatchesAreThereOnce) {
  TempFolder folder;
  const fs::path path = folder / "store";
  HistoryStore::Create(path);
  Random random(4);
  int64_t acknowledged = -1;
  size_t snapshots_seen = 0;
  uint64_t swaps = 0;
  int round = 0;
  constexpr int kMostRounds = 1000;  // the swapping thread may get no CPU in the first ones
  for (; round < Kills() || (swaps == 0 && round < kMostRounds); ++round) {
    SCOPED_TRACE(round);
    const fs::path snapshots = folder / "snapshots";
    fs::create_directory(snapshots);
    const bool from_first_batch = round % 4 != 0;  // else while the store is opened, too
    const std::chrono::milliseconds time(random.Below(from_first_batch ? 300 : 100));
    const Done done = RunAndKill(path, snapshots, folder / "out", time, from_first_batch);
    acknowledged = std::max(acknowledged, done.batch);
    swaps += done.version - 1;
    {
      const HistoryStore store(path);
      const int64_t batches = ExpectPrefix(store);
      EXPECT_GE(batches, acknowledged + 1);
      acknowledged = batches - 1;
    }
    for (const auto& entry : fs::directory_iterator(snapshots)) {
      if (entry.path().filename().string().starts_with('.')) continue;  // was being made
      const HistoryStore snapshot(entry.path());  // whole, because it has its name
      EXPECT_LE(ExpectPrefix(snapshot), acknowledged + 1);
      ++snapshots_seen;
    }
    fs::remove_all(snapshots);
  }
  EXPECT_TRUE(CheckStore(path).damage.empty());
  std::cout << acknowledged + 1 << " batches, " << swaps << " new models and " << snapshots_seen
            << " snapshots after " << round << " kills\n";
  EXPECT_GT(acknowledged, 0);
  EXPECT_GT(swaps, 0u);
}

}  // namespace
}  // namespace eta
