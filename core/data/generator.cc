// SPDX-License-Identifier: Apache-2.0
// How histories are made. A user has a few topics or pairs as interests and dwells on one for a
// while before turning to another.
#include "core/data/generator.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/portable_math.h"
#include "core/base/random.h"
#include "core/data/internal/generator_world.h"
#include "core/data/limits.h"

namespace eta {
namespace {

using generator::Draw;
using generator::MakeRandom;
using generator::Shuffle;
using generator::Stream;
using generator::Topic;
using generator::Vector;
using generator::World;

constexpr double kStay = 0.75;  // chance that a behaviour keeps its predecessor's interest
constexpr double kStray = 0.1;  // chance that a behaviour follows popularity alone
constexpr int64_t kFirstTime = 1'600'000'000;

// Writes one user's behaviours.
class User {
 public:
  User(const GeneratorOptions& options, const World& world, size_t index)
      : world_(world), random_(MakeRandom(options, Stream::kUsers, index)) {
    double weight = 0;
    for (size_t i = 0; i < options.interests_per_user; ++i) {
      const bool is_pair = random_.Uniform() < options.cross_category_share;
      interests_.push_back(is_pair ? RandomPair() : PopularTopic());
      running_weights_.push_back(weight += 1.0 / static_cast<double>(i + 1));
    }
    time_ = kFirstTime + random_.Below(kMonth);
    interest_ = Draw(running_weights_, random_);
  }

  // Appends `length` behaviours.
  void Write(size_t length, Histories& histories) {
    for (size_t i = 0; i < length; ++i) {
      const bool turns = random_.Uniform() >= kStay;
      if (turns) interest_ = Draw(running_weights_, random_);
      time_ += 5 + random_.Below(turns ? kQuarterDay : kMinutes);
      histories.items.push_back(NextItem());
      histories.times.push_back(time_);
    }
  }

 private:
  static constexpr uint32_t kMinutes = 300;  // seconds, like the next two
  static constexpr uint32_t kQuarterDay = 6 * 3600;
  static constexpr uint32_t kMonth = 30 * 24 * 3600;

  using Interest = std::pair<size_t, size_t>;  // two topics, or twice the same

  Interest RandomPair() {
    return world_.pairs[random_.Below(static_cast<uint32_t>(world_.pairs.size()))];
  }

  Interest PopularTopic() {
    const size_t topic = world_.topic_of_item[Draw(world_.running_popularity, random_)];
    return {topic, topic};
  }

  int32_t NextItem() {
    if (random_.Uniform() < kStray) {
      return static_cast<int32_t>(Draw(world_.running_popularity, random_));
    }
    const auto [first, second] = interests_[interest_];
    const Topic& topic = world_.topics[random_.Below(2) == 0 ? first : second];
    return topic.items[Draw(topic.running_popularity, random_)];
  }

  const World& world_;
  Random random_;
  std::vector<Interest> interests_;
  Vector running_weights_;
  size_t interest_;
  int64_t time_;
};

size_t LogNormalLength(const GeneratorOptions& options, Random& random) {
  const double length =
      static_cast<double>(options.median_length) * PortableExp(options.sigma * random.Normal());
  if (length >= static_cast<double>(options.max_length)) return options.max_length;
  return std::max<size_t>(1, static_cast<size_t>(length + 0.5));
}

// The special lengths come in exact shares, because a share of 1 % left to chance is often none.
std::vector<size_t> MakeLengths(const GeneratorOptions& options) {
  if (options.fixed_length > 0) return std::vector<size_t>(options.users, options.fixed_length);
  constexpr uint32_t kShort = 64;
  const size_t one_percent = (options.users + 50) / 100;
  Random random = MakeRandom(options, Stream::kLengths);
  std::vector<size_t> lengths(one_percent, 0);
  lengths.insert(lengths.end(), one_percent, options.max_length);
  for (size_t i = 0; i < 2 * one_percent; ++i) {
    lengths.push_back(std::min<size_t>(1 + random.Below(kShort - 1), options.max_length));
  }
  while (lengths.size() < options.users) lengths.push_back(LogNormalLength(options, random));
  Shuffle(std::span(lengths), random);
  return lengths;
}

void RequireBetween(size_t value, size_t low, size_t high, const char* name) {
  Require(value >= low && value <= high, name, " is ", value, " (expected ", low, " to ", high,
          ")");
}

const GeneratorOptions& Checked(const GeneratorOptions& options) {
  constexpr size_t kMaxCount = std::numeric_limits<int32_t>::max();
  RequireBetween(options.users, 1, kMaxCount, "users");
  RequireBetween(options.items, 1, kMaxCount, "items");
  RequireBetween(options.dim, 1, kMaxDim, "dim");
  RequireBetween(options.categories, 1, options.items, "categories");
  RequireBetween(options.fixed_length, 0, kMaxCount, "fixed_length");
  RequireBetween(options.max_length, 1, kMaxCount, "max_length");
  RequireBetween(options.interests_per_user, 1, 1000, "interests_per_user");
  if (options.fixed_length == 0) {
    RequireBetween(options.median_length, 1, options.max_length, "median_length");
    Require(options.sigma >= 0 && options.sigma <= 10, "sigma is ", options.sigma,
            " (expected 0 to 10)");
  }
  const double share = options.cross_category_share;
  Require(share >= 0 && share <= 1, "cross_category_share is ", share, " (expected 0 to 1)");
  Require(share == 0 || options.categories >= 2, "cross_category_share is ", share,
          " (expected 0 when there is one category only)");
  return options;
}

std::string Describe(const GeneratorOptions& options) {
  std::string lengths = Cat("fixed_length=", options.fixed_length);
  if (options.fixed_length == 0) {
    lengths = Cat("median_length=", options.median_length, " sigma=", options.sigma,
                  " max_length=", options.max_length);
  }
  return Cat("eta::GenerateBundle seed=", options.seed, " users=", options.users,
             " items=", options.items, " dim=", options.dim, " categories=", options.categories,
             " ", lengths, " interests_per_user=", options.interests_per_user,
             " cross_category_share=", options.cross_category_share);
}

// What the histories of all users are made from.
struct Source {
  explicit Source(const GeneratorOptions& given) : options(Checked(given)) {}

  void AppendUser(size_t user, Histories& histories) const {
    User(options, world, user).Write(lengths[user], histories);
    histories.offsets.push_back(static_cast<int64_t>(histories.items.size()));
  }

  // Histories do not need the embeddings.
  ItemTable TakeItems() {
    return {std::move(world.embeddings), std::move(world.categories), std::nullopt};
  }

  GeneratorOptions options;
  World world = generator::BuildWorld(options);
  std::vector<size_t> lengths = MakeLengths(options);
};

}  // namespace

Bundle GenerateBundle(const GeneratorOptions& options) {
  Source source(options);
  Bundle bundle;
  Histories& histories = bundle.histories;
  const size_t behaviours =
      std::accumulate(source.lengths.begin(), source.lengths.end(), size_t{0});
  histories.items.reserve(behaviours);
  histories.times.reserve(behaviours);
  for (size_t user = 0; user < options.users; ++user) source.AppendUser(user, histories);
  bundle.items = source.TakeItems();
  bundle.name = Cat("synthetic-", options.seed);
  bundle.source = "synthetic";
  bundle.licence = "Apache-2.0";
  bundle.made_by = Describe(options);
  return bundle;
}

struct DataGenerator::Impl {
  explicit Impl(const GeneratorOptions& options) : source(options), items(source.TakeItems()) {}

  Source source;
  ItemTable items;
};

DataGenerator::DataGenerator(const GeneratorOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}

DataGenerator::~DataGenerator() = default;

const ItemTable& DataGenerator::items() const { return impl_->items; }

size_t DataGenerator::users() const { return impl_->source.lengths.size(); }

size_t DataGenerator::length(size_t user) const {
  RequireUser(user);
  return impl_->source.lengths[user];
}

void DataGenerator::AppendUser(size_t user, Histories& histories) const {
  RequireUser(user);
  impl_->source.AppendUser(user, histories);
}

void DataGenerator::RequireUser(size_t user) const {
  Require(user < users(), "the generator has no user ", user, " (there are ", users(), ")");
}

}  // namespace eta
