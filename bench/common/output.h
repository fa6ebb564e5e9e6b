// SPDX-License-Identifier: Apache-2.0
// Files that appear whole or not at all, locks on them, and progress on a terminal.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/staged_folder.h"

namespace eta::bench {

// Checks the names of all outputs of a program, so that a long run fails at its start; changes
// nothing. `inputs` are the files and folders that the program reads. Empty names are left out.
// Throws DataError when a file cannot be written, and std::invalid_argument when an output would be
// written over another one, stdout included, or over an input: the same file by whatever path or
// link, or in a folder that is read a name that data bundles or exported models own.
void CheckOutputs(const std::vector<std::string>& outputs,
                  const std::vector<std::string>& inputs = {});

// The output files of one run, which appear together once all of them are written: a disk that is
// full at the second leaves none. Each is a temporary file beside its final name until Commit
// renames it. What goes to a device or pipe, such as /dev/stdout, is held until then.
class OutputFiles {
 public:
  OutputFiles() = default;
  ~OutputFiles();  // removes what was not committed
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;

  // Throws DataError when the temporary file cannot be written.
  void Add(const std::string& path, std::string content);

  // Appends to devices, commits `folder`, where there is one, and renames the files: in this order,
  // because a rename is what fails least. Throws DataError at the first that fails; nothing after
  // it appears.
  void Commit(StagedFolder* folder = nullptr);

 private:
  struct Staged {
    std::string path;                 // as given, for messages
    std::filesystem::path temporary;  // empty for a device
    std::filesystem::path target;
    std::string content;  // for a device
  };

  std::vector<Staged> staged_;
};

// OutputFiles of one file.
void WriteWholeFile(const std::string& path, std::string content);

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
