// SPDX-License-Identifier: Apache-2.0
#include "baselines/sim_hard.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "core/base/check.h"

namespace eta {
namespace {

// Inverted lists in compressed sparse rows: list c belongs to categories_[c].
class CategoryLists final : public PreparedHistory {
 public:
  // categories[i] is the category of behaviour i.
  explicit CategoryLists(std::span<const int32_t> categories);

  size_t bytes() const override {
    return (categories_.size() + starts_.size() + positions_.size()) * sizeof(int32_t);
  }

  // Positions of one category, newest first.
  std::span<const int32_t> Find(int32_t category) const {
    const auto found = std::ranges::lower_bound(categories_, category);
    if (found == categories_.end() || *found != category) return {};
    const auto list = static_cast<size_t>(found - categories_.begin());
    return std::span(positions_)
        .subspan(static_cast<size_t>(starts_[list]),
                 static_cast<size_t>(starts_[list + 1] - starts_[list]));
  }

 private:
  std::vector<int32_t> categories_;  // ascending, each once
  std::vector<int32_t> starts_;
  std::vector<int32_t> positions_;
};

CategoryLists::CategoryLists(std::span<const int32_t> categories)
    : PreparedHistory(categories.size()), positions_(categories.size()) {
  const auto category_of = [&](int32_t i) { return categories[static_cast<size_t>(i)]; };
  std::iota(positions_.rbegin(), positions_.rend(), 0);
  std::ranges::stable_sort(positions_, {}, category_of);
  for (size_t i = 0; i < positions_.size(); ++i) {
    const int32_t category = category_of(positions_[i]);
    if (!categories_.empty() && categories_.back() == category) continue;
    categories_.push_back(category);
    starts_.push_back(static_cast<int32_t>(i));
  }
  starts_.push_back(static_cast<int32_t>(positions_.size()));
  // Every user keeps these, and bytes() counts sizes.
  categories_.shrink_to_fit();
  starts_.shrink_to_fit();
}

class SimHard final : public Retriever {
 public:
  SimHard(std::string name, const ItemTable& items)
      : Retriever(std::move(name), items.size()), items_(items) {
    Require(!items.categories.empty(), this->name(), " needs item categories, and there are none");
    Require(items.categories.size() == items.size(), this->name(), ": ", items.categories.size(),
            " categories for ", items.size(), " items");
  }

  std::string target() const override { return "scalar"; }
  size_t table_bytes() const override { return items_.categories.size() * sizeof(int32_t); }

 private:
  int32_t CategoryOf(int32_t item) const { return items_.categories[static_cast<size_t>(item)]; }

  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override {
    std::vector<int32_t> categories(history.size());
    std::ranges::transform(history, categories.begin(), [&](int32_t i) { return CategoryOf(i); });
    return std::make_unique<CategoryLists>(categories);
  }

  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch&, RetrievedView out) const override {
    const auto& lists = dynamic_cast<const CategoryLists&>(history);
    for (size_t b = 0; b < candidates.size(); ++b) {
      const std::span<const int32_t> list = lists.Find(CategoryOf(candidates[b]));
      const size_t count = std::min(k, list.size());
      std::ranges::copy(list.first(count), out.positions.begin() + static_cast<ptrdiff_t>(b * k));
      out.counts[b] = static_cast<int32_t>(count);
    }
  }

  const ItemTable& items_;
};

}  // namespace

std::unique_ptr<Retriever> MakeSimHardRetriever(std::string name, const ItemTable& items) {
  return std::make_unique<SimHard>(std::move(name), items);
}

}  // namespace eta
