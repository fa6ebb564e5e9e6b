// SPDX-License-Identifier: Apache-2.0
// The readers of MovieLens files (core/data/movielens.h). An input is one byte for the format, the
// ratings, "\n\xFF\n" and the movies.
#include "core/data/movielens.h"

#include <set>
#include <sstream>

#include "tests/fuzz/reading.h"

namespace eta::fuzz {
namespace {

void CheckLog(const MovielensLog& log) {
  const Histories& histories = log.histories;
  ASSERT_NO_THROW(ValidateItemLists(histories, log.item_ids.size(), "history"));
  ASSERT_EQ(histories.times.size(), histories.items.size());
  ASSERT_EQ(histories.users(), log.user_ids.size());
  ASSERT_EQ(log.categories.size(), log.item_ids.size());
  for (size_t user = 0; user < histories.users(); ++user) {
    ASSERT_FALSE(histories[user].empty());
    const auto* times = histories.times.data() + histories.offsets[user];
    ASSERT_TRUE(std::is_sorted(times, times + histories[user].size()));
  }
  const auto ascend = [](const auto& values) {
    return std::ranges::adjacent_find(values, std::ranges::greater_equal()) == values.end();
  };
  ASSERT_TRUE(ascend(log.user_ids) && ascend(log.item_ids) && ascend(log.category_names));
  for (const int32_t category : log.categories) {
    ASSERT_LT(static_cast<size_t>(category), log.category_names.size());
  }
  ASSERT_EQ(std::set<int32_t>(histories.items.begin(), histories.items.end()).size(),
            log.item_ids.size());
}

void Run(Input in) {
  const auto format = in.OneOf({MovielensFormat::kCsv, MovielensFormat::kDat});
  const std::string text = in.Text(in.left());
  constexpr std::string_view kSeparator = "\n\xFF\n";
  const size_t end = std::min(text.find(kSeparator), text.size());
  std::istringstream ratings(text.substr(0, end));
  std::istringstream movies(text.substr(std::min(end + kSeparator.size(), text.size())));
  MovielensLog log;
  if (Takes([&] { log = ParseMovielens(ratings, movies, format, "folder"); })) CheckLog(log);
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
