// SPDX-License-Identifier: Apache-2.0
// Times requests of CTR models.
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

// A model under test and its measurements. Times are in seconds, one for each request.
struct CtrContender {
  std::string folder;
  std::shared_ptr<const CtrExport> data;
  ItemTables tables;
  std::unique_ptr<CtrModel> model;
  CtrCheck check;

  std::vector<double> prepare_seconds;  // from item ids to what Score reads
  std::vector<double> score_seconds;
  double cpu_seconds = 0;  // processor time of this thread for all these requests
  double user_bytes = 0;   // what is held of a user, mean

  std::vector<double> request_seconds() const;  // prepare and score together
};

// Reads a folder and compares the logits of its test samples with the exported ones: one contender
// with tables of items, one without, or both, as the options say. Throws DataError.
std::vector<CtrContender> ReadContenders(const std::string& folder, const CtrOptions& options);

// Times requests of all models, which take turns in rounds so that drift of the machine hits all
// alike. `progress` is called with a text for each step. Throws std::invalid_argument when the
// length is above a model's max_history.
void MeasureContenders(const CtrOptions& options, std::vector<CtrContender>& contenders,
                       const std::function<void(const std::string&)>& progress);

}  // namespace eta::bench
