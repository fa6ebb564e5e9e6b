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
  std::string retrieval = "own";  // or the method that replaces the model's
  size_t k = 0;                   // behaviours attended to; 0 where the model retrieves none
  std::shared_ptr<const CtrExport> data;
  ItemTables tables = ItemTables::kAll;
  Precision precision = Precision::kFloat32;
  std::unique_ptr<CtrModel> model;
  CtrCheck check;

  std::vector<double> prepare_seconds;  // from item ids to what Score reads
  std::vector<double> score_seconds;
  double cpu_seconds = 0;  // processor time of this thread for all these requests
  double user_bytes = 0;   // what is held of a user, mean

  std::vector<double> request_seconds() const;  // prepare and score together
  // Whether the served model is the exported one, so that logits must agree.
  bool is_as_exported() const { return retrieval == "own" && k == data->settings.k; }
};

// Reads a folder and compares the logits of its test samples with the exported ones: one contender
// for each retrieval of the options, with and without tables of items and in each precision, as
// they say. Throws DataError; std::invalid_argument when a model cannot be served so.
std::vector<CtrContender> ReadContenders(const std::string& folder, const CtrOptions& options);

// Times requests of all models, which take turns in rounds so that drift of the machine hits all
// alike. `progress` is called with a text for each step. Throws std::invalid_argument when the
// length is above a model's max_history.
void MeasureContenders(const CtrOptions& options, std::vector<CtrContender>& contenders,
                       const std::function<void(const std::string&)>& progress);

}  // namespace eta::bench
