// SPDX-License-Identifier: Apache-2.0
#include "core/store/check.h"

#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/sst_file_reader.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <span>
#include <utility>

#include "core/base/check.h"
#include "core/base/files.h"
#include "core/store/internal/folder.h"
#include "core/store/internal/rocks.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

std::string CheckTable(const rocksdb::Options& options, const fs::path& file) {
  rocksdb::SstFileReader reader(options);
  rocksdb::Status status = reader.Open(file.string());
  if (status.ok()) status = reader.VerifyChecksum();
  return status.ok() ? "" : status.ToString();
}

std::string ChecksumOf(rocksdb::FileChecksumGenFactory& factory, const fs::path& file) {
  const auto checksum = factory.CreateFileChecksumGenerator({});
  std::ifstream in = OpenRegularFile(file);
  std::vector<char> chunk(1 << 20);
  do {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    checksum->Update(chunk.data(), static_cast<size_t>(in.gcount()));
  } while (in);
  if (in.bad()) throw DataError(Cat(file.string(), ": cannot be read"));
  checksum->Finalize();
  return checksum->GetChecksum();
}

// Calls `add` for each sorted file whose whole content has not the checksum in the manifest.
template <class Add>
void CheckWholeFiles(const rocksdb::Options& options, const fs::path& folder, const Add& add) {
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(options, (folder / store::kDatabase).string(), &opened);
  store::CheckStatus(status, folder, "cannot be opened");
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& file : files) {
    const std::string name = store::kDatabase + file.name;  // which starts with a slash
    if (ChecksumOf(*options.file_checksum_gen_factory, folder / name) != file.file_checksum) {
      add(name, "differs from what was written");
    }
  }
}

}  // namespace

StoreReport CheckStore(const fs::path& folder, const StoreOptions& options) {
  StoreReport report;
  const StoreLimits limits = store::ReadDescription(folder);
  const store::FolderLock lock(folder, /*read_only=*/true);
  const auto add = [&](std::string file, std::string what) {
    std::ranges::replace(what, '\n', ' ');
    report.damage.push_back({std::move(file), std::move(what)});
  };
  report.files = 2 + store::NumberedFiles(folder, ".log").size();  // description and manifest
  for (StoreDamage& log : store::FindDamagedLogs(folder)) {
    add(std::move(log.file), std::move(log.what));
  }
  const rocksdb::Options made = store::MakeOptions(limits, options, store::ClockOf(options.clock));
  for (const fs::path& file : store::NumberedFiles(folder, ".sst")) {
    ++report.files;
    const std::string what = CheckTable(made, file);
    if (!what.empty()) add(Cat(store::kDatabase, "/", file.filename().string()), what);
  }
  if (!report.damage.empty()) return report;  // which also keeps the database from being opened
  try {
    CheckWholeFiles(made, folder, add);
    StoreOptions reading = options;
    reading.read_only = true;
    const HistoryStore histories(folder, reading);
    histories.ForEachUser([](const UserId&, std::span<const Behaviour>) {});
  } catch (const DataError& error) {
    add(store::kDatabase, error.what());
  }
  return report;
}

}  // namespace eta
