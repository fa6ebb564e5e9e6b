// SPDX-License-Identifier: Apache-2.0
// A seeded synthetic data set with the traits that make retrieval hard or easy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/export.h"
#include "core/data/bundle.h"

namespace eta {

// What to generate.
struct ETA_CORE_API GeneratorOptions {
  uint64_t seed = 1;
  size_t users = 200;
  size_t items = 50000;
  size_t dim = 64;
  size_t categories = 100;
  // History length: log-normal around `median_length` with this sigma, clipped to max_length; about
  // 1 % of users have no history, 2 % fewer than 64 behaviours, 1 % max_length. When fixed_length
  // is not 0 every user has exactly that many.
  size_t median_length = 1024;
  double sigma = 0.8;
  size_t max_length = 20000;
  size_t fixed_length = 0;
  size_t interests_per_user = 4;
  // Share of a user's interests that are pairs across two categories (beer and diapers): items
  // close in embedding, apart in category, which a search by category must miss.
  double cross_category_share = 0.2;
};

// Same options, same bytes, on every platform. Throws std::invalid_argument that names
// the first option that is out of range.
ETA_CORE_API Bundle GenerateBundle(const GeneratorOptions& options);

// The items and histories of GenerateBundle, one user at a time: for more behaviours than memory
// holds. Threads may share a const one.
class ETA_CORE_API DataGenerator {
 public:
  // Throws as GenerateBundle does.
  explicit DataGenerator(const GeneratorOptions& options);
  ~DataGenerator();
  DataGenerator(const DataGenerator&) = delete;
  DataGenerator& operator=(const DataGenerator&) = delete;

  const ItemTable& items() const;    // valid while this lives
  size_t users() const;              // GeneratorOptions::users
  size_t length(size_t user) const;  // behaviours; throws as AppendUser

  // Appends the history of a user to `histories`. Throws std::invalid_argument when there is no
  // such user.
  void AppendUser(size_t user, Histories& histories) const;

 private:
  void RequireUser(size_t user) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eta
