// SPDX-License-Identifier: Apache-2.0
// Which users qualify for requests.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "bench/retrieval/report.h"
#include "bench/retrieval/requests.h"
#include "core/data/bundle.h"

namespace eta::bench {
namespace {

// A user for each length.
DataSet MakeData(const std::vector<size_t>& lengths) {
  DataSet data;
  data.bundle.items.embeddings = Matrix<float>(10, 1);
  for (const size_t length : lengths) {
    data.bundle.histories.items.resize(data.bundle.histories.items.size() + length, 3);
    data.bundle.histories.offsets.push_back(
        static_cast<int64_t>(data.bundle.histories.items.size()));
  }
  return data;
}

// 30 users with 1 to 30 behaviours, of which 2 are held out; the median is 13.
DataSet RisingLengths() {
  std::vector<size_t> lengths;
  for (size_t length = 1; length <= 30; ++length) lengths.push_back(length);
  return MakeData(lengths);
}

Options MakeOptions(size_t k, size_t requests) {
  Options options;
  options.k = k;
  options.requests = requests;
  options.held_out = 2;
  return options;
}

TEST(ChooseUsers, TakesAllWhereTheMedianIsTwoK) {
  const UserChoice choice = ChooseUsers(RisingLengths(), MakeOptions(6, 100));
  EXPECT_EQ(choice.users, 30u);
  EXPECT_EQ(choice.median, 13u);
  EXPECT_EQ(choice.asked_for, 0u);
  EXPECT_EQ(choice.min_history, 0u);
  EXPECT_EQ(UsersText(choice, 6), "");
}

TEST(ChooseUsers, TakesThoseWithMoreThanTwoKBelow) {
  const DataSet data = RisingLengths();
  const UserChoice choice = ChooseUsers(data, MakeOptions(7, 10));
  EXPECT_EQ(choice.asked_for, 15u);
  EXPECT_EQ(choice.min_history, 15u);
  EXPECT_EQ(choice.qualifying, 14u);  // 17 to 30 behaviours, less 2
  EXPECT_EQ(UsersText(choice, 7),
            "14 of 30 users, those with more than 2 K = 14 behaviours, because the median history "
            "is 13 behaviours (--min-history 0 takes all)");
  const auto requests = DrawRequests(data, MakeOptions(7, 100), choice.min_history);
  EXPECT_EQ(requests.size(), 14u);
  for (const UserRequest& request : requests) EXPECT_GE(request.history.size(), 15u);
}

TEST(ChooseUsers, TakesAllWhereTooFewHaveMore) {
  const UserChoice choice = ChooseUsers(RisingLengths(), MakeOptions(7, 100));
  EXPECT_EQ(choice.asked_for, 15u);
  EXPECT_EQ(choice.qualifying, 14u);  // fewer than kFewestUsers and than the requests
  EXPECT_EQ(choice.min_history, 0u);
  EXPECT_EQ(UsersText(choice, 7),
            "all 30: the median history is 13 behaviours, but only 14 have more than 2 K = 14");
}

TEST(ChooseUsers, DoesAsMinHistorySays) {
  Options options = MakeOptions(7, 100);
  options.min_history = 0;
  UserChoice choice = ChooseUsers(RisingLengths(), options);
  EXPECT_EQ(choice.min_history, 0u);
  EXPECT_FALSE(choice.is_default);
  EXPECT_EQ(UsersText(choice, 7), "");
  options.min_history = 28;  // however few there are
  choice = ChooseUsers(RisingLengths(), options);
  EXPECT_EQ(choice.min_history, 28u);
  EXPECT_EQ(choice.qualifying, 1u);
  EXPECT_EQ(UsersText(choice, 7), "1 of 30 users, those with 28 behaviours or more");
}

// Behaviours that --max-history cuts off count, so that a sweep over L asks about the same users in
// every cell; held-out ones do not, and with candidates of the bundle none are held out.
TEST(ChooseUsers, CountsTheBehavioursBeforeTheCut) {
  Options options = MakeOptions(7, 10);
  options.max_history = 3;
  EXPECT_EQ(ChooseUsers(RisingLengths(), options).qualifying, 14u);
  DataSet data = RisingLengths();
  data.bundle.candidates.emplace();
  data.bundle.candidates->items.assign(30, 1);
  for (int64_t user = 1; user <= 30; ++user) data.bundle.candidates->offsets.push_back(user);
  EXPECT_EQ(ChooseUsers(data, options).median, 15u);
  options.k = 8;
  EXPECT_EQ(ChooseUsers(data, options).qualifying, 14u);  // 17 to 30
}

TEST(ChooseUsers, AcceptsDataWithoutUsers) {
  const UserChoice choice = ChooseUsers(MakeData({}), MakeOptions(7, 10));
  EXPECT_EQ(choice.users, 0u);
  EXPECT_EQ(choice.min_history, 0u);
}

}  // namespace
}  // namespace eta::bench
