// SPDX-License-Identifier: Apache-2.0
// Power that fails, disks that are full and bytes that change. ETA_STORE_FAULTS=200 sets how many
// of each; the default takes a second or two.
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/base/random.h"
#include "core/store/check.h"
#include "core/store/history_store.h"
#include "tests/core/store/fault_fs.h"
#include "tests/core/store/store_test_util.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using test::EventOf;
using test::kAll;

constexpr int kUsers = 5;

int Faults(int by_default) {
  const char* given = std::getenv("ETA_STORE_FAULTS");
  return given == nullptr ? by_default : std::atoi(given);
}

// Batch number `n`: item n for user 0 and for another one.
EventBatch NumberedBatch(int n) {
  EventBatch batch;
  batch.events = {EventOf(0, n, n), EventOf(1 + n % (kUsers - 1), n, n)};
  batch.source = {"p", static_cast<uint64_t>(n)};
  return batch;
}

// The store must hold batches 0 to some n - 1 whole, in order and once; returns n.
int ExpectPrefix(const HistoryStore& store) {
  std::vector<std::vector<int32_t>> histories(kUsers);
  for (int user = 0; user < kUsers; ++user) histories[user] = test::Items(store.Read(user, kAll));
  const int n = static_cast<int>(histories[0].size());
  std::vector<std::vector<int32_t>> expected(kUsers);
  for (int i = 0; i < n; ++i) {
    expected[0].push_back(i);
    expected[1 + i % (kUsers - 1)].push_back(i);
  }
  EXPECT_EQ(histories, expected);
  EXPECT_EQ(store.Offset("p"), n == 0 ? std::nullopt : std::optional<uint64_t>(n - 1));
  return n;
}

class StoreFaultsTest : public ::testing::Test {
 protected:
  void Make() {
    fs::remove_all(path_);
    HistoryStore::Create(path_);
  }

  TempFolder folder_;
  fs::path path_ = folder_ / "store";
};

TEST_F(StoreFaultsTest, LossOfPowerKeepsWhatWasSynced) {
  uint64_t dropped = 0;
  for (int round = 0; round < Faults(6); ++round) {
    SCOPED_TRACE(round);
    Make();
    Random random(1, round);
    const auto disk = std::make_shared<test::FaultFs>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    int synced = 0;
    {
      StoreOptions options;
      options.env = env.get();
      options.buffer_bytes = 64 << 10;  // so that files are written meanwhile
      HistoryStore store(path_, options);
      const int batches = static_cast<int>(random.Below(600));
      for (int n = 0; n < batches; ++n) {
        const auto durability = static_cast<Durability>(random.Below(3));
        store.Append(NumberedBatch(n), durability);
        if (durability == Durability::kSynced) synced = n + 1;
        if (random.Below(200) == 0) {
          store.Compact();
          synced = n + 1;
        }
      }
      disk->CutPower();
    }
    disk->DropUnsynced(random, round % 2 == 0);
    dropped += disk->dropped();
    HistoryStore store(path_);
    const int kept = ExpectPrefix(store);
    EXPECT_GE(kept, synced);
    store.Append(NumberedBatch(kept), Durability::kSynced);
    EXPECT_EQ(ExpectPrefix(store), kept + 1);
  }
  EXPECT_GT(dropped, 0u);
}

TEST_F(StoreFaultsTest, AFullDiskIsAnErrorAndLosesNothing) {
  for (int round = 0; round < Faults(6); ++round) {
    SCOPED_TRACE(round);
    Make();
    Random random(2, round);
    const auto disk = std::make_shared<test::FaultFs>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    int acknowledged = 0;
    {
      StoreOptions options;
      options.env = env.get();
      options.buffer_bytes = 64 << 10;
      HistoryStore store(path_, options);
      disk->SetSpace(random.Below(40000));
      std::string error;
      while (error.empty() && acknowledged < 1000) {
        error = test::DataErrorOf([&] {
          store.Append(NumberedBatch(acknowledged), static_cast<Durability>(1 + random.Below(2)));
          ++acknowledged;
          if (random.Below(50) == 0) store.Compact();
        });
      }
      EXPECT_NE(error.find("No space left"), std::string::npos) << error;
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
      const int visible = static_cast<int>(store.Read(0, kAll).size());  // reads go on
      EXPECT_GE(visible, acknowledged);
      EXPECT_LE(visible, acknowledged + 1);
      const std::vector<std::function<void()>> changes = {
          [&] { store.Append(NumberedBatch(9999), Durability::kNone); },
          [&] { store.Snapshot(folder_ / "copy"); }};
      for (const auto& change : changes) {
        EXPECT_NE(test::DataErrorOf(change).find("has failed before"), std::string::npos);
      }
      EXPECT_EQ(folder_.CountEntries(), 1u);
    }
    HistoryStore store(path_);
    const int kept = ExpectPrefix(store);
    EXPECT_GE(kept, acknowledged);
    EXPECT_LE(kept, acknowledged + 1);
    EXPECT_EQ(store.Append(NumberedBatch(acknowledged), Durability::kSynced), kept == acknowledged);
    EXPECT_EQ(ExpectPrefix(store), acknowledged + 1);
  }
}

// The room ends while the snapshot is written, and before any append fails.
TEST_F(StoreFaultsTest, AFullDiskBreaksOffASnapshot) {
  constexpr int kBatches = 50;
  for (int round = 0; round < Faults(6); ++round) {
    SCOPED_TRACE(round);
    Make();
    Random random(4, round);
    const auto disk = std::make_shared<test::FaultFs>();
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
    {
      StoreOptions options;
      options.env = env.get();
      HistoryStore store(path_, options);
      for (int n = 0; n < kBatches; ++n) store.Append(NumberedBatch(n), Durability::kSynced);
      if (round % 2 == 1) store.Compact();  // then only the copies are left to write
      disk->SetSpace(random.Below(100));
      const std::string error = test::DataErrorOf([&] { store.Snapshot(folder_ / "copy"); });
      EXPECT_NE(error.find("no snapshot can be made"), std::string::npos) << error;
      EXPECT_NE(error.find("No space left"), std::string::npos) << error;
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
      EXPECT_EQ(folder_.CountEntries(), 1u);
      EXPECT_EQ(ExpectPrefix(store), kBatches);  // reads go on
    }
    HistoryStore store(path_);
    EXPECT_EQ(ExpectPrefix(store), kBatches);
    store.Snapshot(folder_ / "copy");
    EXPECT_EQ(ExpectPrefix(HistoryStore(folder_ / "copy")), kBatches);
    fs::remove_all(folder_ / "copy");
  }
}

using Contents = std::map<UserId, std::vector<Behaviour>>;

Contents ReadAll(const fs::path& path) {
  StoreOptions options;
  options.read_only = true;
  const HistoryStore store(path, options);
  Contents contents;
  for (int user = 0; user < kUsers; ++user) contents[user] = store.Read(user, kAll);
  store.ForEachUser([&](const UserId& user, std::span<const Behaviour> behaviours) {
    contents[user].assign(behaviours.begin(), behaviours.end());
  });
  contents["offset"] = {{0, static_cast<int64_t>(*store.Offset("p"))}};
  return contents;
}

// One byte of one file is changed. Either that is an error, and CheckStore names the file, or all
// is read as before; never is something else read, or less.
TEST_F(StoreFaultsTest, AChangedByteIsNamed) {
  Make();
  {
    HistoryStore store(path_);
    for (int n = 0; n < 300; ++n) store.Append(NumberedBatch(n), Durability::kFlushed);
    EventBatch many;  // sorted files of more than a block
    for (int user = 100; user < 2100; ++user) many.events.push_back(EventOf(user, user, user));
    store.Append(many, Durability::kFlushed);
    store.Compact();
    for (int n = 300; n < 400; ++n) store.Append(NumberedBatch(n), Durability::kSynced);
  }
  const Contents whole = ReadAll(path_);
  ASSERT_EQ(whole.at(0).size(), 400u);
  ASSERT_TRUE(CheckStore(path_).damage.empty());

  // What kind a file is, and how often a change of it was an error.
  std::map<std::string, std::pair<int, int>> kinds;
  Random random(3);
  for (const fs::path& file : test::FilesBelow(path_)) {
    const std::string text = ReadText(file);
    if (text.empty()) continue;
    const std::string extension = file.extension().string();
    const std::string kind =
        extension == ".sst" || extension == ".log" ? extension : file.stem().string();
    const int faults = extension == ".sst" || extension == ".log" ? Faults(25) : Faults(25) / 5;
    for (int i = 0; i < faults; ++i) {
      std::string changed = text;
      // The last changes are near the end, where a log may be torn and a sorted file has its root.
      const auto size = static_cast<uint32_t>(text.size());
      const size_t at = i < faults / 2 ? random.Below(size)
                                       : size - 1 - random.Below(std::min<uint32_t>(size, 100));
      changed[at] = static_cast<char>(changed[at] ^ (1 + random.Below(255)));
      WriteText(file, changed);
      SCOPED_TRACE(Cat(file.string(), " byte ", at));
      std::optional<Contents> read;
      const std::string error = test::DataErrorOf([&] { read = ReadAll(path_); });
      std::string named;
      const std::string check_error = test::DataErrorOf([&] {
        for (const StoreDamage& damage : CheckStore(path_).damage) {
          named += damage.file + " " + damage.what;
        }
      });
      named += check_error;
      ++kinds[kind].first;
      if (error.empty()) {
        EXPECT_TRUE(*read == whole);
      } else {
        ++kinds[kind].second;
        EXPECT_NE(named.find(file.filename().string()), std::string::npos)
            << error << "; " << named;
        EXPECT_EQ(error.rfind(path_.string(), 0), 0u) << error;
        if (extension == ".sst") {  // to whoever reads, too
          EXPECT_NE(error.find(file.filename().string()), std::string::npos) << error;
        }
      }
      if (extension == ".sst" || extension == ".log") {
        EXPECT_NE(named, "") << "no harm, but unnoticed too";
      }
    }
    WriteText(file, text);
  }
  EXPECT_TRUE(ReadAll(path_) == whole);
  for (const auto& [kind, counts] : kinds) {
    std::cout << kind << ": " << counts.second << " of " << counts.first << " changes are errors\n";
  }
  EXPECT_GT(kinds[".sst"].second, 0);
  EXPECT_GT(kinds[".log"].second, 0);
  EXPECT_GT(kinds["eta_store"].second, 0);
}

}  // namespace
}  // namespace eta
