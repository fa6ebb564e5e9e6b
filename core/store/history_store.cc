// SPDX-License-Identifier: Apache-2.0
#include "core/store/history_store.h"

#include <rocksdb/db.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string_view>

#include "core/base/check.h"
#include "core/base/staged_folder.h"
#include "core/store/internal/encoding.h"
#include "core/store/internal/folder.h"
#include "core/store/internal/rocks.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLeastBufferBytes = 64 << 10;  // RocksDB takes no less

struct Source {
  std::mutex mutex;  // held while a batch of this partition is written
  std::optional<uint64_t> offset;
};

void CheckBatch(const EventBatch& batch) {
  Require(batch.events.size() <= kMaxBatchEvents, "a batch has ", batch.events.size(),
          " events (expected at most ", kMaxBatchEvents, ")");
  for (const Event& event : batch.events) {
    Require(event.behaviour.item >= 0, "a batch has item ", event.behaviour.item,
            " (expected 0 or more)");
  }
}

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

}  // namespace

struct HistoryStore::Impl {
  Impl(const fs::path& in, const StoreOptions& options)
      : folder(in),
        limits(store::ReadDescription(in)),
        lock(in, options.read_only),
        clock(store::ClockOf(options.clock)),
        read_only(options.read_only) {
    Require(options.buffer_bytes >= kLeastBufferBytes, "buffer_bytes is ", options.buffer_bytes,
            " (expected at least ", kLeastBufferBytes, ")");
    const auto damaged = store::FindDamagedLogs(folder);
    if (!damaged.empty()) {
      throw DataError(Cat((folder / damaged[0].file).string(), ": damaged: ", damaged[0].what));
    }
    const rocksdb::Options made = store::MakeOptions(limits, options, clock);
    const std::string path = (folder / store::kDatabase).string();
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status = read_only ? rocksdb::DB::OpenForReadOnly(made, path, &opened)
                                             : rocksdb::DB::Open(made, path, &opened);
    if (!status.ok()) Check(status, Cat("cannot be opened", UnreadableTable(made)).c_str());
    db.reset(opened);
    ReadSources();
  }

  void Check(const rocksdb::Status& status, const char* what) const {
    store::CheckStatus(status, folder, what);
  }

  // For a message: RocksDB names the manifest where the footer of a sorted file is damaged.
  std::string UnreadableTable(const rocksdb::Options& made) const {
    for (const fs::path& file : store::NumberedFiles(folder, ".sst")) {
      if (rocksdb::SstFileReader(made).Open(file.string()).ok()) continue;
      return Cat(" (", store::kDatabase, "/", file.filename().string(), " cannot be read)");
    }
    return "";
  }

  void ReadSources() {
    const std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator({}));
    const std::string prefix{store::kSourcePrefix};
    for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
      const auto offset = store::ParseOffset(View(rows->value()));
      if (!offset) throw DataError(Cat(folder.string(), ": holds an offset that is none"));
      sources[rows->key().ToString().substr(1)].offset = offset;
    }
    Check(rows->status(), "cannot be read");
  }

  void CheckWritable() const {
    if (read_only) throw DataError(Cat(folder.string(), ": opened for reading only"));
    if (failed) {
      throw DataError(Cat(folder.string(), ": a change has failed before (open it again)"));
    }
  }

  // As Check, of a change: after a failure nothing is known about the end of the log.
  void CheckChange(const rocksdb::Status& status, const char* what) {
    if (!status.ok()) failed = true;
    Check(status, what);
  }

  void Write(rocksdb::WriteBatch& updates, Durability durability) {
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kSynced;
    CheckChange(db->Write(options, &updates), "cannot append");
    if (durability == Durability::kFlushed) MakeDurable(durability);
  }

  // All that was appended.
  void MakeDurable(Durability durability) {
    if (durability == Durability::kNone) return;
    CheckChange(db->FlushWAL(durability == Durability::kSynced), "cannot write the log");
  }

  // Whose address stays.
  Source& SourceOf(const std::string& partition) {
    const std::lock_guard lock_sources(sources_mutex);
    return sources[partition];
  }

  // A changed value in a file of its own, so that the manifest is written without what it held.
  void WriteMarker() {
    rocksdb::WriteBatch updates;
    updates.Put(store::kOwnKey, "");
    Write(updates, Durability::kNone);
    CheckChange(db->Flush({}), "cannot be compacted");
  }

  fs::path folder;
  StoreLimits limits;
  store::FolderLock lock;
  store::Clock clock;
  bool read_only;
  std::atomic<bool> failed = false;
  std::mutex sources_mutex;
  std::map<std::string, Source> sources;
  std::unique_ptr<rocksdb::DB> db;
};

void HistoryStore::Create(const fs::path& folder, const StoreLimits& limits) {
  StagedFolder staged(folder);
  store::WriteDescription(staged.path(), limits);
  rocksdb::Options options = store::MakeOptions(limits, {}, store::ClockOf({}));
  options.create_if_missing = true;
  options.error_if_exists = true;
  rocksdb::DB* opened = nullptr;
  store::CheckStatus(
      rocksdb::DB::Open(options, (staged.path() / store::kDatabase).string(), &opened), folder,
      "cannot be made");
  const std::unique_ptr<rocksdb::DB> db(opened);
  store::CheckStatus(db->Close(), folder, "cannot be made");
  staged.Commit();
}

HistoryStore::HistoryStore(const fs::path& folder, const StoreOptions& options)
    : impl_(std::make_unique<Impl>(folder, options)) {}

HistoryStore::~HistoryStore() {
  if (impl_->read_only || impl_->failed) return;
  impl_->db->FlushWAL(true).PermitUncheckedError();  // a destructor cannot report it
}

const StoreLimits& HistoryStore::limits() const { return impl_->limits; }

bool HistoryStore::Append(const EventBatch& batch, Durability durability) {
  CheckBatch(batch);
  std::map<std::string, std::string> histories;  // one update a user
  for (const Event& event : batch.events) {
    store::AppendBehaviour(event.behaviour, histories[store::UserKey(event.user)]);
  }
  rocksdb::WriteBatch updates;
  for (auto& [key, value] : histories) {
    store::SortByTime(value);
    updates.Merge(key, value);
  }
  impl_->CheckWritable();
  if (!batch.source) {
    if (updates.Count() > 0) impl_->Write(updates, durability);
    return true;
  }
  const std::string key = store::SourceKey(batch.source->partition);
  Source& source = impl_->SourceOf(batch.source->partition);
  const std::lock_guard lock(source.mutex);
  impl_->CheckWritable();  // again: what another thread wrote meanwhile may have failed
  if (source.offset && batch.source->offset <= *source.offset) {
    impl_->MakeDurable(durability);
    return false;
  }
  updates.Put(key, store::EncodeOffset(batch.source->offset));
  impl_->Write(updates, durability);
  source.offset = batch.source->offset;
  return true;
}

void HistoryStore::Sync() {
  impl_->CheckWritable();
  impl_->MakeDurable(Durability::kSynced);
}

std::vector<Behaviour> HistoryStore::Read(const UserId& user, size_t newest) const {
  const std::string key = store::UserKey(user);
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = impl_->db->Get({}, impl_->db->DefaultColumnFamily(), key, &value);
  if (status.IsNotFound()) return {};
  impl_->Check(status, "cannot be read");
  if (!store::IsHistory(View(value))) {
    throw DataError(Cat(impl_->folder.string(), ": holds a history that is none"));
  }
  const std::string_view kept = store::Keep(View(value), impl_->limits, impl_->clock());
  const size_t count = kept.size() / store::kBehaviourBytes;
  return store::Decode(kept.substr((count - std::min(count, newest)) * store::kBehaviourBytes));
}

void HistoryStore::Forget(const UserId& user) {
  rocksdb::WriteBatch updates;
  updates.Delete(store::UserKey(user));
  impl_->CheckWritable();
  impl_->Write(updates, Durability::kSynced);
}

void HistoryStore::Compact() {
  impl_->CheckWritable();
  impl_->WriteMarker();
  rocksdb::CompactRangeOptions options;
  // The last level too, where nothing else would rewrite what the limits drop.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  impl_->CheckChange(impl_->db->CompactRange(options, nullptr, nullptr), "cannot be compacted");
  impl_->WriteMarker();
  // Removes files that nobody reads any more at once.
  impl_->CheckChange(impl_->db->DisableFileDeletions(), "cannot be compacted");
#if ROCKSDB_MAJOR >= 9
  const rocksdb::Status enabled = impl_->db->EnableFileDeletions();
#else
  const rocksdb::Status enabled = impl_->db->EnableFileDeletions(/*force=*/false);
#endif
  impl_->CheckChange(enabled, "cannot be compacted");
}

std::optional<uint64_t> HistoryStore::Offset(const std::string& partition) const {
  store::SourceKey(partition);  // throws for a name that cannot be one
  const std::lock_guard lock_sources(impl_->sources_mutex);
  const auto found = impl_->sources.find(partition);
  if (found == impl_->sources.end()) return std::nullopt;
  const std::lock_guard lock(found->second.mutex);
  return found->second.offset;
}

void HistoryStore::ForEachUser(
    const std::function<void(const UserId&, std::span<const Behaviour>)>& visit) const {
  const int64_t now = impl_->clock();
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // a scan must not push out what requests need
  const std::unique_ptr<rocksdb::Iterator> rows(impl_->db->NewIterator(options));
  const std::string prefix{store::kUserPrefix};
  for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
    const auto user = store::ParseUserKey(View(rows->key()));
    if (!user || !store::IsHistory(View(rows->value()))) {
      throw DataError(Cat(impl_->folder.string(), ": holds a history that is none"));
    }
    const auto kept = store::Decode(store::Keep(View(rows->value()), impl_->limits, now));
    if (!kept.empty()) visit(*user, kept);
  }
  impl_->Check(rows->status(), "cannot be read");
}

StoreStats HistoryStore::Stats() const {
  StoreStats stats;
  ForEachUser([&](const UserId&, std::span<const Behaviour> behaviours) {
    const int64_t oldest = behaviours.front().time, newest = behaviours.back().time;
    stats.oldest = stats.users == 0 ? oldest : std::min(stats.oldest, oldest);
    stats.newest = stats.users == 0 ? newest : std::max(stats.newest, newest);
    ++stats.users;
    stats.behaviours += behaviours.size();
  });
  const auto property = [&](const std::string& name) {
    uint64_t value = 0;
    impl_->db->GetIntProperty(name, &value);
    return value;
  };
  stats.table_bytes = property(rocksdb::DB::Properties::kTotalSstFilesSize);
  stats.buffer_bytes = property(rocksdb::DB::Properties::kCurSizeAllMemTables);
  stats.cache_bytes = property(rocksdb::DB::Properties::kBlockCacheUsage);
  const std::lock_guard lock_sources(impl_->sources_mutex);
  for (auto& [partition, source] : impl_->sources) {
    const std::lock_guard lock(source.mutex);
    if (source.offset) stats.sources.push_back({partition, *source.offset});
  }
  return stats;
}

void HistoryStore::Snapshot(const fs::path& folder) {
  impl_->CheckWritable();
  StagedFolder staged(folder);
  store::WriteDescription(staged.path(), impl_->limits);
  rocksdb::Checkpoint* made = nullptr;
  impl_->Check(rocksdb::Checkpoint::Create(impl_->db.get(), &made), "no snapshot can be made");
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  impl_->Check(checkpoint->CreateCheckpoint((staged.path() / store::kDatabase).string()),
               "no snapshot can be made");
  staged.Commit();
}

}  // namespace eta
