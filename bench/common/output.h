// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace eta::bench {

// Throws DataError unless a file can be written at `path`. Changes nothing, so that a long run can
// find out at its start.
void CheckWritable(const std::string& path);

// Writes a file so that it appears complete or not at all: through a temporary file beside it that
// is renamed. A device or pipe, such as /dev/stdout, is appended to directly. Throws DataError.
void WriteWholeFile(const std::string& path, const std::string& content);

// For as long as it lives, no other process can have the lock of the same file, by whatever path.
// It is a file beside it, path + ".lock", because WriteWholeFile puts another file in its place; a
// killed process may leave it, unlocked. Throws DataError where another has it. Nothing to do
// without a name.
class FileLock {
 public:
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::string lock_path_;
  int file_ = -1;
};

// Shows how far a run is on one line of stderr, if that is a terminal, and wipes the line at the
// end.
class Progress {
 public:
  explicit Progress(bool is_wanted);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const std::string& text);
  void SetPrefix(const std::string& prefix) { prefix_ = prefix; }  // of all texts from now on

 private:
  bool is_shown_;
  std::string prefix_;
};

}  // namespace eta::bench
