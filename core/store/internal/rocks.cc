// SPDX-License-Identifier: Apache-2.0
#include "core/store/internal/rocks.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/slice.h>
#include <rocksdb/table.h>

#include <chrono>
#include <cstdarg>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/store/internal/encoding.h"

namespace eta::store {
namespace {

using rocksdb::Slice;

std::string_view View(const Slice& slice) { return {slice.data(), slice.size()}; }

class JoinHistories : public rocksdb::MergeOperator {
 public:
  JoinHistories(const StoreLimits& limits, Clock clock)
      : limits_(limits), clock_(std::move(clock)) {}

  const char* Name() const override { return "eta.JoinHistories.1"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    std::vector<std::string_view> values;
    if (in.existing_value != nullptr) values.push_back(View(*in.existing_value));
    for (const Slice& operand : in.operand_list) values.push_back(View(operand));
    return JoinValid(values, out->new_value);
  }

  bool PartialMergeMulti(const Slice&, const std::deque<Slice>& operands, std::string* joined,
                         rocksdb::Logger*) const override {
    std::vector<std::string_view> values;
    for (const Slice& operand : operands) values.push_back(View(operand));
    return JoinValid(values, *joined);
  }

 private:
  // False, which RocksDB reports as corruption, for what no store has written.
  bool JoinValid(std::span<const std::string_view> values, std::string& joined) const {
    for (const std::string_view value : values) {
      if (!IsHistory(value)) return false;
    }
    joined = Join(values, limits_, clock_());
    return true;
  }

  StoreLimits limits_;
  Clock clock_;
};

class ApplyLimits : public rocksdb::CompactionFilter {
 public:
  ApplyLimits(const StoreLimits& limits, int64_t now) : limits_(limits), now_(now) {}

  const char* Name() const override { return "eta.ApplyLimits.1"; }

  // Values and operands that are not merged yet alike. A damaged one stays for reads to report.
  Decision FilterV2(int, const Slice& key, ValueType type, const Slice& value,
                    std::string* new_value, std::string*) const override {
    if (type != kValue && type != kMergeOperand) return Decision::kKeep;
    if (key.empty() || key[0] != kUserPrefix || !IsHistory(View(value))) return Decision::kKeep;
    const std::string_view kept = Keep(View(value), limits_, now_);
    if (kept.empty()) return Decision::kRemove;
    if (kept.size() == value.size()) return Decision::kKeep;
    new_value->assign(kept);
    return Decision::kChangeValue;
  }

 private:
  StoreLimits limits_;
  int64_t now_;
};

class ApplyLimitsFactory : public rocksdb::CompactionFilterFactory {
 public:
  ApplyLimitsFactory(const StoreLimits& limits, Clock clock)
      : limits_(limits), clock_(std::move(clock)) {}

  const char* Name() const override { return "eta.ApplyLimits.1"; }

  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<ApplyLimits>(limits_, clock_());
  }

 private:
  StoreLimits limits_;
  Clock clock_;
};

// RocksDB's own log would keep the names of users that were compacted away.
class NoLog : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, std::va_list) override {}
};

rocksdb::BlockBasedTableOptions TableOptions(const StoreOptions& options) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.cache_bytes);
  table.cache_index_and_filter_blocks = true;  // within the budget, however many files there are
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));  // 1 % false positives
  return table;
}

}  // namespace

Clock ClockOf(const Clock& given) {
  if (given) return given;
  return [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<int64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
  };
}

rocksdb::Options MakeOptions(const StoreLimits& limits, const StoreOptions& options,
                             const Clock& clock) {
  rocksdb::Options made;
  if (options.env != nullptr) made.env = options.env;
  made.merge_operator = std::make_shared<JoinHistories>(limits, clock);
  made.compaction_filter_factory = std::make_shared<ApplyLimitsFactory>(limits, clock);
  made.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(options)));
  made.compression = options.compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  made.write_buffer_size = options.buffer_bytes;
  made.info_log = std::make_shared<NoLog>();
  made.stats_dump_period_sec = 0;
  made.stats_persist_period_sec = 0;
  // One log in order of appends, so that what a fault loses is its end. Records wait in memory
  // until Append asks for more.
  made.manual_wal_flush = true;
  // A crash may tear the end of a log; all other damage has been refused before (log_check.h).
  made.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // Not track_and_verify_wals_in_manifest: RocksDB 7.8 then takes logs that it has deleted for
  // missing ones, after a sync beside a flush and with the manifests below (its pull request
  // 10892). Of whole files, in the manifest: a sorted file's footer has bytes that no other
  // checksum covers.
  made.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  // A new manifest with each change of the set of files: old ones name users that were forgotten.
  made.max_manifest_file_size = 1;
  return made;
}

void CheckStatus(const rocksdb::Status& status, const std::filesystem::path& folder,
                 const char* what) {
  if (status.ok()) return;
  std::string text = status.ToString();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  throw DataError(Cat(folder.string(), ": ", what, ": ", text));
}

}  // namespace eta::store
