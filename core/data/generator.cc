// SPDX-License-Identifier: Apache-2.0
// How the data are made. Items belong to topics, topics to categories. A category has a centre on
// the unit sphere, near that of its family; a topic lies near its category, an item near its topic.
// Some topics of different categories lie in one place: these are the planted pairs. A user has a
// few topics or pairs as interests and dwells on one for a while before turning to another.
#include "core/data/generator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/portable_math.h"
#include "core/base/random.h"
#include "core/data/limits.h"

namespace eta {
namespace {

constexpr size_t kFamilySize = 8;       // categories per family
constexpr size_t kItemsPerTopic = 60;   // about
constexpr size_t kMaxTopics = 16;       // per category
constexpr double kCommonWeight = 0.35;  // learned embeddings all lean one way a little
constexpr double kFamilyWeight = 0.6;
constexpr double kTopicSpread = 0.8;  // from its category's centre
constexpr double kPairSpread = 0.25;  // between the two halves of a pair
constexpr double kItemSpread = 0.9;   // from its topic's centre
constexpr double kNormSigma = 0.2;
constexpr double kTopicSizeSigma = 0.5;
constexpr double kSpectrumPower = -0.3;  // learned embeddings have a falling spectrum
constexpr double kZipfExponent = 0.9;
constexpr double kZipfShift = 10;  // flattens the head, as in real logs
constexpr double kStay = 0.75;     // chance that a behaviour keeps its predecessor's interest
constexpr double kStray = 0.1;     // chance that a behaviour follows popularity alone
constexpr int64_t kFirstTime = 1'600'000'000;

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

Random MakeRandom(const GeneratorOptions& options, Stream stream, size_t index = 0) {
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
size_t Draw(std::span<const double> running_sums, Random& random) {
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

class WorldBuilder {
 public:
  explicit WorldBuilder(const GeneratorOptions& options) : options_(options) {
    for (size_t d = 0; d < options.dim; ++d) {
      spectrum_.push_back(PortablePow(static_cast<double>(d + 1), kSpectrumPower));
    }
  }

  World Build() {
    MakeTopics();
    if (options_.cross_category_share > 0) PlantPairs();
    DealItems();
    SetPopularity();
    return std::move(world_);
  }

 private:
  Random NewRandom(Stream stream, size_t index = 0) const {
    return MakeRandom(options_, stream, index);
  }

  static void Normalise(Vector& vector) {
    double square = 0;
    for (const double value : vector) square += value * value;
    if (square == 0) vector[0] = square = 1;
    const double norm = std::sqrt(square);
    for (double& value : vector) value /= norm;
  }

  Vector Direction(Random random) const {
    Vector direction(options_.dim);
    for (size_t d = 0; d < options_.dim; ++d) direction[d] = random.Normal() * spectrum_[d];
    Normalise(direction);
    return direction;
  }

  // A point of the unit sphere: `centre` moved by `spread` in a random direction.
  Vector Near(const Vector& centre, double spread, Random random) const {
    Vector point = Direction(random);
    for (size_t d = 0; d < point.size(); ++d) point[d] = centre[d] + spread * point[d];
    Normalise(point);
    return point;
  }

  Vector CategoryCentre(size_t category) const {
    const Vector common = Direction(NewRandom(Stream::kCommon));
    const Vector family = Direction(NewRandom(Stream::kFamilies, category / kFamilySize));
    Vector lean(options_.dim);
    for (size_t d = 0; d < lean.size(); ++d) {
      lean[d] = kCommonWeight * common[d] + kFamilyWeight * family[d];
    }
    return Near(lean, 1, NewRandom(Stream::kCategories, category));
  }

  // Topic t belongs to category t % categories.
  void MakeTopics() {
    const size_t per_category =
        std::clamp<size_t>(options_.items / options_.categories / kItemsPerTopic, 1, kMaxTopics);
    world_.topics.resize(per_category * options_.categories);
    for (size_t category = 0; category < options_.categories; ++category) {
      const Vector centre = CategoryCentre(category);
      for (size_t t = category; t < world_.topics.size(); t += options_.categories) {
        world_.topics[t].category = static_cast<int32_t>(category);
        world_.topics[t].centre = Near(centre, kTopicSpread, NewRandom(Stream::kTopics, t));
      }
    }
  }

  // Moves the first topic of half the categories to that of a partner category.
  void PlantPairs() {
    std::vector<size_t> order(options_.categories);
    std::iota(order.begin(), order.end(), size_t{0});
    Random random = NewRandom(Stream::kPairs);
    Shuffle(std::span(order), random);
    for (size_t i = 0; i + 1 < order.size(); i += 2) {
      const auto [beer, diapers] = std::pair(order[i], order[i + 1]);
      world_.topics[diapers].centre =
          Near(world_.topics[beer].centre, kPairSpread, NewRandom(Stream::kPairs, diapers + 1));
      world_.pairs.emplace_back(beer, diapers);
    }
  }

  // Every topic gets an item, the others fall to topics of various sizes.
  void DealItems() {
    Vector running_sizes;
    Random sizes = NewRandom(Stream::kTopicSizes);
    for (size_t t = 0; t < world_.topics.size(); ++t) {
      const double before = t > 0 ? running_sizes.back() : 0;
      running_sizes.push_back(before + PortableExp(kTopicSizeSigma * sizes.Normal()));
    }
    Random deal = NewRandom(Stream::kTopicOfItem);
    world_.embeddings = Matrix<float>(options_.items, options_.dim);
    for (size_t item = 0; item < options_.items; ++item) {
      const size_t t = item < world_.topics.size() ? item : Draw(running_sizes, deal);
      world_.topics[t].items.push_back(static_cast<int32_t>(item));
      world_.topic_of_item.push_back(t);
      world_.categories.push_back(world_.topics[t].category);
      SetEmbedding(item, world_.topics[t].centre);
    }
  }

  // The norm is about sqrt(dim), so that a value is about 1 and q k / sqrt(dim), as attention has
  // it, spreads over several units.
  void SetEmbedding(size_t item, const Vector& centre) {
    Random random = NewRandom(Stream::kItems, item);
    const double norm =
        std::sqrt(static_cast<double>(options_.dim)) * PortableExp(kNormSigma * random.Normal());
    const Vector point = Near(centre, kItemSpread, random);
    float* row = world_.embeddings.row(item);
    for (size_t d = 0; d < options_.dim; ++d) row[d] = static_cast<float>(norm * point[d]);
  }

  void SetPopularity() {
    std::vector<uint32_t> ranks(options_.items);
    std::iota(ranks.begin(), ranks.end(), 0u);
    Random random = NewRandom(Stream::kPopularity);
    Shuffle(std::span(ranks), random);
    double sum = 0;
    for (size_t item = 0; item < options_.items; ++item) {
      const double popularity = PortablePow(ranks[item] + kZipfShift, -kZipfExponent);
      world_.running_popularity.push_back(sum += popularity);
      Vector& of_topic = world_.topics[world_.topic_of_item[item]].running_popularity;
      of_topic.push_back((of_topic.empty() ? 0 : of_topic.back()) + popularity);
    }
  }

  const GeneratorOptions& options_;
  Vector spectrum_;
  World world_;
};

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
  World world = WorldBuilder(options).Build();
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
