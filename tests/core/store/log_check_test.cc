// SPDX-License-Identifier: Apache-2.0
// Damage to a log is told from an end that a crash tore off.
#include "core/store/internal/log_check.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/store/internal/folder.h"
#include "tests/core/store/store_test_util.h"

namespace eta::store {
namespace {

namespace fs = std::filesystem;
using test::BatchOf;
using test::EventOf;

// The bytes of a log with batches of few and of many events, so that records span blocks.
class LogCheckTest : public ::testing::Test {
 protected:
  static constexpr int kBatches = 40;
  static constexpr size_t kBlock = 32768;

  LogCheckTest() {
    HistoryStore::Create(path_);
    HistoryStore store(path_);
    for (int i = 0; i < kBatches; ++i) {
      EventBatch batch;
      for (int user = 0; user < (i % 13 == 5 ? 2000 : 1 + i % 3); ++user) {
        batch.events.push_back(EventOf(user, i, i));
      }
      store.Append(batch, Durability::kFlushed);
      sizes_.push_back(ReadWholeFile(Log()).size());
    }
    bytes_ = ReadWholeFile(Log());
  }

  fs::path Log() const { return NumberedFiles(path_, ".log").back(); }

  TempFolder folder_;
  fs::path path_ = folder_ / "store";
  std::string bytes_;
  std::vector<size_t> sizes_;  // of the log after each batch
};

TEST_F(LogCheckTest, AcceptsAWholeLog) {
  const LogContent log = CheckLog(bytes_, LogKind::kAppends);
  EXPECT_EQ(log.damage, "");
  EXPECT_EQ(log.records, static_cast<uint64_t>(kBatches));
  EXPECT_EQ(log.torn_bytes, 0u);
  ASSERT_TRUE(log.first_sequence && log.next_sequence);
  EXPECT_GT(*log.next_sequence, *log.first_sequence + 4000);
  EXPECT_GT(bytes_.size(), 3u * kBlock);
  EXPECT_EQ(CheckLog("", LogKind::kAppends).damage, "");
  EXPECT_EQ(CheckLog(bytes_ + std::string(5000, '\0'), LogKind::kAppends).damage, "");
}

// Cut anywhere, a log is torn and not damaged, and holds the batches that were whole.
TEST_F(LogCheckTest, AcceptsATornEnd) {
  size_t whole = 0;
  for (size_t size = 0; size < bytes_.size(); ++size) {
    if (size % 211 != 0 && size % kBlock < kBlock - 20) continue;
    while (whole < sizes_.size() && sizes_[whole] <= size) ++whole;
    const LogContent log = CheckLog(std::string_view(bytes_).substr(0, size), LogKind::kAppends);
    ASSERT_EQ(log.damage, "") << size;
    ASSERT_EQ(log.records, whole) << size;
  }
}

// No byte can change without notice, apart from those at the end of a block that hold nothing.
TEST_F(LogCheckTest, RefusesAChangedByte) {
  const LogContent whole = CheckLog(bytes_, LogKind::kAppends);
  std::string changed = bytes_;
  size_t unnoticed = 0;
  // Near the ends of blocks and of the file every byte, elsewhere a sample.
  for (size_t at = 0; at < bytes_.size(); ++at) {
    if (at % 397 != 0 && at % kBlock < kBlock - 20 && at + 150 < bytes_.size()) continue;
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      changed[at] = static_cast<char>(bytes_[at] ^ flip);
      const LogContent log = CheckLog(changed, LogKind::kAppends);
      if (log.damage.empty()) {
        ++unnoticed;
        ASSERT_EQ(log.records, whole.records) << at;
        ASSERT_EQ(log.next_sequence, whole.next_sequence) << at;
        ASSERT_EQ(log.torn_bytes, 0u) << at;
      }
    }
    changed[at] = bytes_[at];
  }
  EXPECT_LE(unnoticed, 6u * 3 * (bytes_.size() / kBlock));
}

TEST_F(LogCheckTest, RefusesAMissingBatch) {
  const std::string missing = bytes_.substr(0, sizes_[0]) + bytes_.substr(sizes_[1], 100);
  EXPECT_NE(
      CheckLog(missing.substr(0, sizes_[0] + sizes_[2] - sizes_[1]), LogKind::kAppends).damage, "");
}

}  // namespace
}  // namespace eta::store
