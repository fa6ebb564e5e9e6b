// SPDX-License-Identifier: Apache-2.0
// --dump: what every method returned, as NumPy files (docs/columns.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "bench/retrieval/options.h"
#include "bench/retrieval/requests.h"
#include "core/data/npy.h"

namespace eta::bench {

// Throws std::invalid_argument when two methods would have one folder. Before the work, because a
// dump is made when all methods are built.
void CheckDumpFolders(const std::vector<std::string>& methods);

// Writes row after row, one for each request and candidate, while the benchmark runs.
class Dump {
 public:
  // Writes to `folder`, which exists and is empty. `data` and `requests` must outlive the dump;
  // `methods` are those that run, of folders of their own (CheckDumpFolders). Throws DataError when
  // a file cannot be written.
  Dump(const std::filesystem::path& folder, const Options& options, const DataSet& data,
       std::span<const UserRequest> requests, const std::vector<std::string>& methods);

  // Adds the next candidate: the method numbered `method` returned `positions`, and `scores` are
  // the exact inner products with all behaviours. Every method is called once for each candidate,
  // requests and candidates in order.
  void Add(size_t method, const UserRequest& request, std::span<const int32_t> positions,
           std::span<const float> scores);

  // Closes the files. Throws DataError when one is not whole.
  void Finish();

 private:
  struct Files {
    NpyRowWriter<int32_t> positions;
    NpyRowWriter<int32_t> counts;
    NpyRowWriter<float> scores;
  };

  const DataSet& data_;
  size_t k_;
  std::vector<Files> files_;
  std::vector<int32_t> order_;  // scratch
  std::vector<float> row_;      // scratch
};

}  // namespace eta::bench
