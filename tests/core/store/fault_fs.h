// SPDX-License-Identifier: Apache-2.0
// A file system for RocksDB that can lose power, which drops what was not synced, and run full.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/base/random.h"

namespace eta::test {

class FaultFs : public rocksdb::FileSystemWrapper {
 public:
  using IOStatus = rocksdb::IOStatus;

  FaultFs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultFs"; }

  // From now on every write fails: what follows is no longer seen by the disk.
  void CutPower() { is_off_ = true; }

  // Cuts each file to what was synced, or to a random length between that and what was written;
  // removes files whose folder was not synced since they were made. The store must be closed.
  void DropUnsynced(Random& random, bool keep_some) {
    for (const auto& [path, file] : files_) {
      if (!std::filesystem::exists(path)) continue;
      if (!file.is_in_folder && !(keep_some && random.Below(2) == 0)) {
        std::filesystem::remove(path);
        continue;
      }
      const uint64_t kept =
          keep_some ? file.synced + random.Below(static_cast<uint32_t>(file.size - file.synced) + 1)
                    : file.synced;
      if (kept < std::filesystem::file_size(path)) std::filesystem::resize_file(path, kept);
      dropped_ += file.size - kept;
    }
    files_.clear();
  }
  uint64_t dropped() const { return dropped_; }  // bytes, in all

  // So many bytes may still be written.
  void SetSpace(int64_t bytes) { space_ = bytes; }

  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           rocksdb::IODebugContext* context) override {
    if (is_off_) return Off();
    const IOStatus status = target()->NewWritableFile(path, options, file, context);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    files_[path] = {};
    *file = std::make_unique<File>(std::move(*file), *this, path);
    return status;
  }

  IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* folder,
                        rocksdb::IODebugContext* context) override {
    const IOStatus status = target()->NewDirectory(path, options, folder, context);
    if (status.ok()) *folder = std::make_unique<Folder>(std::move(*folder), *this, path);
    return status;
  }

  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const rocksdb::IOOptions& options,
                      rocksdb::IODebugContext* context) override {
    if (is_off_) return Off();
    const IOStatus status = target()->RenameFile(from, to, options, context);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    if (const auto found = files_.find(from); found != files_.end()) {
      files_[to] = found->second;
      files_.erase(from);
    }
    // The new name is on the disk at once, and with it all that were made before: a file system
    // with a journal keeps the order. CURRENT would else name a manifest that is gone.
    KeepNames(std::filesystem::path(to).parent_path());
    return status;
  }

  IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                      rocksdb::IODebugContext* context) override {
    if (is_off_) return Off();
    const std::lock_guard lock(mutex_);
    files_.erase(path);
    return target()->DeleteFile(path, options, context);
  }

 private:
  struct State {
    uint64_t size = 0;
    uint64_t synced = 0;
    bool is_in_folder = false;  // the folder was synced since
  };

  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile>&& file, FaultFs& fs, std::string path)
        : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}

    IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                    rocksdb::IODebugContext* context) override {
      if (const IOStatus status = fs_.Take(data.size()); !status.ok()) return status;
      const IOStatus status = target()->Append(data, options, context);
      if (status.ok()) fs_.Change(path_, [&](State& state) { state.size += data.size(); });
      return status;
    }
    IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                    const rocksdb::DataVerificationInfo&,
                    rocksdb::IODebugContext* context) override {
      return Append(data, options, context);
    }
    IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
      if (fs_.is_off_) return Off();
      fs_.Change(path_, [](State& state) { state.synced = state.size; });
      return target()->Flush(options, context);  // nobody loses power in fact
    }
    IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
      return Sync(options, context);
    }

   private:
    FaultFs& fs_;
    std::string path_;
  };

  class Folder : public rocksdb::FSDirectoryWrapper {
   public:
    Folder(std::unique_ptr<rocksdb::FSDirectory>&& folder, FaultFs& fs, std::string path)
        : FSDirectoryWrapper(std::move(folder)), fs_(fs), path_(std::move(path)) {}

    IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return Keep(); }
    IOStatus FsyncWithDirOptions(const rocksdb::IOOptions&, rocksdb::IODebugContext*,
                                 const rocksdb::DirFsyncOptions&) override {
      return Keep();
    }

   private:
    IOStatus Keep() {
      if (fs_.is_off_) return Off();
      const std::lock_guard lock(fs_.mutex_);
      fs_.KeepNames(path_);
      return IOStatus::OK();
    }

    FaultFs& fs_;
    std::filesystem::path path_;
  };

  static IOStatus Off() { return IOStatus::IOError("the power is off"); }

  // The names in a folder are on the disk; under the mutex.
  void KeepNames(const std::filesystem::path& folder) {
    for (auto& [path, state] : files_) {
      if (std::filesystem::path(path).parent_path() == folder) state.is_in_folder = true;
    }
  }

  IOStatus Take(size_t bytes) {
    if (is_off_) return Off();
    const auto wanted = static_cast<int64_t>(bytes);
    if (space_.fetch_sub(wanted) >= wanted) return IOStatus::OK();
    space_ += wanted;
    return IOStatus::NoSpace("No space left on device");
  }

  template <class Alter>
  void Change(const std::string& path, const Alter& alter) {
    const std::lock_guard lock(mutex_);
    if (const auto found = files_.find(path); found != files_.end()) alter(found->second);
  }

  std::mutex mutex_;
  std::map<std::string, State> files_;
  std::atomic<bool> is_off_ = false;
  std::atomic<int64_t> space_ = std::numeric_limits<int64_t>::max();
  uint64_t dropped_ = 0;
};

}  // namespace eta::test
