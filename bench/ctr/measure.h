// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/ctr/options.h"
#include "core/ctr/check.h"
#include "core/ctr/export.h"
#include "core/ctr/model.h"

namespace eta::bench {

// A model under test and what was measured of it. Times in seconds, one entry a request.
struct CtrContender {
  std::string folder;
  std::shared_ptr<const CtrExport> data;
  ItemTables tables;
  std::unique_ptr<CtrModel> model;
  CtrCheck check;

  std::vector<double> prepare_seconds;  // from item ids to what Score reads
  std::vector<double> score_seconds;
  double cpu_seconds = 0;  // of this thread, in all of these requests
  double user_bytes = 0;   // mean

  std::vector<double> request_seconds() const;  // both together
};

// Reads a folder and checks the logits of its test samples, with tables, without, or both: one
// contender each. Throws DataError.
std::vector<CtrContender> ReadContenders(const std::string& folder, const CtrOptions& options);

// Times requests of all models, in rounds by turns. `progress` is told what is going on. Throws
// std::invalid_argument when the length is above a model's max_history.
void MeasureContenders(const CtrOptions& options, std::vector<CtrContender>& contenders,
                       const std::function<void(const std::string&)>& progress);

}  // namespace eta::bench
