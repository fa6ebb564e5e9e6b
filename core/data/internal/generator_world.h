// SPDX-License-Identifier: Apache-2.0
// What all users of generated data have in common: items, topics, popularity.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/base/matrix.h"
#include "core/base/random.h"
#include "core/data/generator.h"

namespace eta::generator {

// One stream of random numbers per thing, so that more users or items leave the earlier ones alone.
enum class Stream : uint64_t {
  kCommon,
  kFamilies,
  kCategories,
  kTopics,
  kTopicSizes,
  kTopicOfItem,
  kItems,
  kPopularity,
  kPairs,
  kLengths,
  kUsers,
};

inline Random MakeRandom(const GeneratorOptions& options, Stream stream, size_t index = 0) {
  return Random(options.seed, static_cast<uint64_t>(stream) << 40 | index);
}

using Vector = std::vector<double>;

template <class T>
void Shuffle(std::span<T> values, Random& random) {
  for (size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[random.Below(static_cast<uint32_t>(i))]);
  }
}

// The index that `random` hits when each has the share that it adds to the running sums.
inline size_t Draw(std::span<const double> running_sums, Random& random) {
  const double target = random.Uniform() * running_sums.back();
  const auto hit = std::upper_bound(running_sums.begin(), running_sums.end(), target);
  return std::min(static_cast<size_t>(hit - running_sums.begin()), running_sums.size() - 1);
}

struct Topic {
  int32_t category;
  Vector centre;
  std::vector<int32_t> items;
  Vector running_popularity;  // of items
};

// All that users have in common.
struct World {
  Matrix<float> embeddings;
  std::vector<int32_t> categories;
  std::vector<Topic> topics;
  std::vector<std::pair<size_t, size_t>> pairs;  // topics of different categories in one place
  std::vector<size_t> topic_of_item;
  Vector running_popularity;  // of all items
};

// `options` are checked; what concerns histories alone has no effect.
World BuildWorld(const GeneratorOptions& options);

}  // namespace eta::generator
