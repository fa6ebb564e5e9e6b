// SPDX-License-Identifier: Apache-2.0
// How items are made. Items belong to topics, topics to categories. A category has a centre on the
// unit sphere, near that of its family; a topic lies near its category, an item near its topic.
// Some topics of different categories lie in one place: these are the planted pairs.
#include "core/data/internal/generator_world.h"

#include <cmath>
#include <numeric>

#include "core/base/portable_math.h"

namespace eta::generator {
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

}  // namespace

World BuildWorld(const GeneratorOptions& options) { return WorldBuilder(options).Build(); }

}  // namespace eta::generator
