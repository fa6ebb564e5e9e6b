// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/requests.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/retrieval/metrics.h"

namespace eta::bench {
namespace {

// Streams of the seed; candidates of user u use kCandidateStream + u.
constexpr uint64_t kUserStream = 1;
constexpr uint64_t kCandidateStream = 2;

size_t Below(Random& random, size_t bound) {
  return std::min(bound - 1, static_cast<size_t>(random.Uniform() * static_cast<double>(bound)));
}

// Nothing where no norm is finite.
std::optional<NormSpread> SpreadOfNorms(const Matrix<float>& rows) {
  std::vector<double> norms;
  for (size_t r = 0; r < rows.rows; ++r) {
    double sum = 0;
    for (const float x : std::span(rows.row(r), rows.cols)) sum += static_cast<double>(x) * x;
    if (std::isfinite(sum)) norms.push_back(std::sqrt(sum));
  }
  if (norms.empty()) return std::nullopt;
  std::ranges::sort(norms);
  return NormSpread{Percentile(norms, 5), Percentile(norms, 50), Percentile(norms, 95)};
}

// Chooses candidates in one data set; holds what all users share.
class CandidateChooser {
 public:
  CandidateChooser(const Bundle& bundle, const Options& options)
      : histories_(bundle.histories),
        num_items_(bundle.items.size()),
        b_(std::min(options.b, num_items_)),
        seed_(options.seed),
        is_taken_(num_items_, false) {}

  std::vector<int32_t> Draw(size_t user, std::span<const int32_t> held_out) {
    for (const int32_t item : held_out) Take(item);
    Random random(seed_, kCandidateStream + user);
    // A uniform draw among behaviours is a draw of items by their number of occurrences. Few items
    // may hold nearly all behaviours, so luck gets a limited number of attempts.
    const size_t attempts = histories_.items.empty() ? 0 : 64 * b_;
    for (size_t i = 0; i < attempts && candidates_.size() < b_; ++i) {
      Take(histories_.items[Below(random, histories_.items.size())]);
    }
    FillUp();
    return Finish();
  }

  // The first `b` distinct ones of those that the bundle gives.
  std::vector<int32_t> Accept(std::span<const int32_t> given) {
    for (const int32_t item : given) Take(item);
    return Finish();
  }

 private:
  void Take(int32_t item) {
    if (candidates_.size() == b_ || is_taken_[static_cast<size_t>(item)]) return;
    is_taken_[static_cast<size_t>(item)] = true;
    candidates_.push_back(item);
  }

  std::vector<int32_t> Finish() {
    for (const int32_t item : candidates_) is_taken_[static_cast<size_t>(item)] = false;
    return std::exchange(candidates_, {});
  }

  // The most popular of the items that are left.
  void FillUp() {
    if (candidates_.size() == b_) return;
    if (by_popularity_.empty()) RankByPopularity();
    for (const int32_t item : by_popularity_) Take(item);
  }

  void RankByPopularity() {
    std::vector<int64_t> counts(num_items_, 0);
    for (const int32_t item : histories_.items) ++counts[static_cast<size_t>(item)];
    by_popularity_.resize(num_items_);
    std::iota(by_popularity_.begin(), by_popularity_.end(), 0);
    std::ranges::stable_sort(by_popularity_, std::greater<>(),
                             [&](int32_t item) { return counts[static_cast<size_t>(item)]; });
  }

  const Histories& histories_;
  size_t num_items_;
  size_t b_;
  uint64_t seed_;
  std::vector<bool> is_taken_;          // all false between calls
  std::vector<int32_t> candidates_;     // empty between calls
  std::vector<int32_t> by_popularity_;  // made when first needed
};

std::vector<size_t> ShuffledUsers(size_t users, uint64_t seed) {
  std::vector<size_t> order(users);
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(seed, kUserStream);
  for (size_t i = users; i > 1; --i) std::swap(order[i - 1], order[Below(random, i)]);
  return order;
}

// Behaviours that leave the user's history to become candidates.
size_t HeldOut(const Bundle& bundle, const Options& options, size_t user) {
  return bundle.candidates ? 0 : std::min(options.held_out, bundle.histories[user].size());
}

}  // namespace

DataSet LoadData(const Options& options) {
  DataSet data;
  data.bundle = options.data.empty() ? GenerateBundle(options.generator) : ReadBundle(options.data);
  Require(data.bundle.items.size() > 0, "the data set has no items");
  Require(data.bundle.items.dim() >= 1 && data.bundle.items.dim() <= kMaxDim,
          "the embeddings have ", data.bundle.items.dim(), " dimensions; 1 to ", kMaxDim,
          " are supported");
  data.digest = BundleDigest(data.bundle);
  ItemTable& items = data.bundle.items;
  if (options.normalize) {
    NormalizeRows(items.embeddings);
    if (items.candidate_embeddings) NormalizeRows(*items.candidate_embeddings);
  }
  data.norms = SpreadOfNorms(data.bundle.items.embeddings);
  if (data.bundle.hyperplanes && !options.hyperplanes) {
    data.hyperplanes = Hyperplanes::FromMatrix(*data.bundle.hyperplanes);
  }
  if (data.bundle.pq_codebooks) {
    data.codebooks = Pq4Codebooks::FromMatrices(data.bundle.items.dim(), *data.bundle.pq_codebooks,
                                                data.bundle.pq_rotation);
  }
  return data;
}

UserChoice ChooseUsers(const DataSet& data, const Options& options) {
  const Histories& histories = data.bundle.histories;
  std::vector<size_t> lengths;
  for (size_t user = 0; user < histories.users(); ++user) {
    lengths.push_back(histories[user].size() - HeldOut(data.bundle, options, user));
  }
  std::ranges::sort(lengths);
  UserChoice choice{};
  choice.users = lengths.size();
  choice.median = lengths.empty() ? 0 : lengths[(lengths.size() - 1) / 2];
  choice.is_default = !options.min_history;
  choice.asked_for = options.min_history             ? *options.min_history
                     : choice.median < 2 * options.k ? 2 * options.k + 1
                                                     : 0;
  choice.qualifying =
      static_cast<size_t>(lengths.end() - std::ranges::lower_bound(lengths, choice.asked_for));
  const bool are_enough = choice.qualifying >= std::min(options.requests, kFewestUsers);
  choice.min_history = choice.is_default && !are_enough ? 0 : choice.asked_for;
  return choice;
}

std::vector<UserRequest> DrawRequests(const DataSet& data, const Options& options,
                                      size_t min_history) {
  const Bundle& bundle = data.bundle;
  CandidateChooser chooser(bundle, options);
  std::vector<UserRequest> requests;
  for (const size_t user : ShuffledUsers(bundle.histories.users(), options.seed)) {
    if (requests.size() == options.requests) break;
    std::span<const int32_t> history = bundle.histories[user];
    const size_t held_out = HeldOut(bundle, options, user);
    const std::span<const int32_t> next = history.last(held_out);
    history = history.first(history.size() - held_out);
    if (history.size() < min_history) continue;
    if (options.max_history > 0) {
      history = history.last(std::min(options.max_history, history.size()));
    }
    std::vector<int32_t> candidates =
        bundle.candidates ? chooser.Accept((*bundle.candidates)[user]) : chooser.Draw(user, next);
    if (!candidates.empty()) requests.push_back({user, history, std::move(candidates)});
  }
  Require(!requests.empty(), "none of the ", bundle.histories.users(),
          " users has candidates and a history of at least ", min_history, " behaviours");
  return requests;
}

}  // namespace eta::bench
