// SPDX-License-Identifier: Apache-2.0
// Reads the MovieLens data sets as GroupLens publishes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <string>
#include <vector>

#include "core/base/export.h"
#include "core/data/histories.h"

namespace eta {

// The two shapes in which the data sets come.
enum class MovielensFormat {
  kCsv,  // ratings.csv, movies.csv: ml-latest-small, 20M, 25M, 32M
  kDat,  // ratings.dat, movies.dat, fields parted by "::": 1M, 10M
};

// A MovieLens data set with users and items numbered from 0. Every rating is a behaviour, with few
// stars or many. Behaviours are ordered by (user, time), equal times by their order in the file.
// Users and items are ordered by their original ids; items are the movies that have been rated.
struct ETA_CORE_API MovielensLog {
  Histories histories;                      // with times
  std::vector<int32_t> categories;          // per item, an index into category_names
  std::vector<std::string> category_names;  // first genres in byte order; "unknown" without a genre
  std::vector<int64_t> user_ids;            // original ids, ascending
  std::vector<int64_t> item_ids;
};

// Reads ratings and movies from `folder`, in whichever format is there. Throws DataError on
// the first malformed line: "file:line: what (expected ..., found ...)".
ETA_CORE_API MovielensLog ReadMovielens(const std::filesystem::path& folder);

// The same from open streams; `folder` stands for their place in messages.
ETA_CORE_API MovielensLog ParseMovielens(std::istream& ratings, std::istream& movies,
                                         MovielensFormat format,
                                         const std::filesystem::path& folder = {});

}  // namespace eta
