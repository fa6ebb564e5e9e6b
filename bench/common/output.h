// SPDX-License-Identifier: Apache-2.0
// Files that appear whole or not at all, locks on them, and progress on a terminal.
#pragma once

#include <string>
#include <vector>

namespace eta::bench {

// Checks the names of all outputs of a program, so that a long run fails at its start; changes
// nothing. `inputs` are the files and folders that the program reads. Empty names are left out.
// Throws DataError when a file cannot be written, and std::invalid_argument when an output would be
// written over another one, stdout included, or over an input: the same file by whatever path or
// link, or in a folder that is read a name that data bundles or exported models own.
void CheckOutputs(const std::vector<std::string>& outputs,
                  const std::vector<std::string>& inputs = {});

// Writes a file so that it appears complete or not at all: through a temporary file beside it that
// is renamed. A device or pipe, such as /dev/stdout, is appended to directly. Throws DataError.
void WriteWholeFile(const std::string& path, const std::string& content);

// During its life no other process can have the lock of the same file, by whatever path. The lock
// is a file beside it, path + ".lock", because WriteWholeFile puts a new file in the place of the
// old one; a killed process may leave the lock file behind, unlocked. The constructor throws
// DataError when another process has the lock. An empty path locks nothing.
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

// Shows how far a run is, on one line of stderr, and wipes the line at the end. Shows nothing where
// stderr is not a terminal.
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
