// SPDX-License-Identifier: Apache-2.0
#include "core/data/movielens.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "core/base/check.h"
#include "core/base/random.h"
#include "tests/support/mutation.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int64_t>;
using Items = std::vector<int32_t>;

const std::string kRatingsHeader = "userId,movieId,rating,timestamp\n";
const std::string kMoviesHeader = "movieId,title,genres\n";

// User 7 before user 2, equal times, a movie that movies.csv lacks, one that nobody has rated.
const std::string kRatings = kRatingsHeader +
                             "7,50,4.0,300\n"
                             "7,3,0.5,100\n"
                             "7,9,5.0,100\n"
                             "2,3,3.5,900\n"
                             "2,1000,3.5,800\n";
const std::string kMovies = kMoviesHeader +
                            "3,Plain (1995),War|Comedy\n"
                            "9,\"Quoted, with \"\"quotes\"\", (1996)\",Comedy\n"
                            "50,\"\",(no genres listed)\n"
                            "60,Never rated,Adventure\n";

MovielensLog Parse(const std::string& ratings, const std::string& movies,
                   MovielensFormat format = MovielensFormat::kCsv) {
  std::istringstream ratings_in(ratings);
  std::istringstream movies_in(movies);
  return ParseMovielens(ratings_in, movies_in, format);
}

std::string ErrorOf(const std::string& ratings, const std::string& movies,
                    MovielensFormat format = MovielensFormat::kCsv) {
  try {
    Parse(ratings, movies, format);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

void ExpectKnownLog(const MovielensLog& log) {
  EXPECT_EQ(log.user_ids, (Ids{2, 7}));
  EXPECT_EQ(log.item_ids, (Ids{3, 9, 50, 1000}));
  EXPECT_EQ(log.histories.offsets, (Ids{0, 2, 5}));
  EXPECT_EQ(log.histories.items, (Items{3, 0, 0, 1, 2}));
  EXPECT_EQ(log.histories.times, (Ids{800, 900, 100, 100, 300}));
  EXPECT_EQ(log.category_names,
            (std::vector<std::string>{"(no genres listed)", "Comedy", "War", "unknown"}));
  EXPECT_EQ(log.categories, (Items{2, 1, 0, 3}));
}

TEST(MovielensTest, ReadsCsv) { ExpectKnownLog(Parse(kRatings, kMovies)); }

TEST(MovielensTest, TakesWindowsLinesAndNoLastNewline) {
  std::string ratings;
  for (const char c : kRatings) ratings += c == '\n' ? "\r\n" : std::string(1, c);
  ExpectKnownLog(Parse(ratings, kMovies));
  ExpectKnownLog(Parse(kRatings.substr(0, kRatings.size() - 1), kMovies));
}

TEST(MovielensTest, ReadsDat) {
  ExpectKnownLog(Parse("7::50::4::300\n7::3::1::100\n7::9::5::100\n2::3::3::900\n2::1000::3::800\n",
                       "3::Plain, with comma (1995)::War|Comedy\n9::Caf\xe9 (1996)::Comedy\n"
                       "50::Odd: one::(no genres listed)\n60::Never rated::Adventure\n",
                       MovielensFormat::kDat));
}

TEST(MovielensTest, ReadsFoldersOfBothKinds) {
  TempFolder folder;
  EXPECT_THROW(ReadMovielens(folder.path()), DataError);
  WriteText(folder / "ratings.dat", "1::5::3::7\n");
  EXPECT_THROW(ReadMovielens(folder.path()), DataError);  // no movies.dat
  WriteText(folder / "movies.dat", "5::T::Drama\n");
  EXPECT_EQ(ReadMovielens(folder.path()).item_ids, Ids{5});
  WriteText(folder / "ratings.csv", kRatings);
  WriteText(folder / "movies.csv", kMovies);
  ExpectKnownLog(ReadMovielens(folder.path()));
  WriteText(folder / "ratings.csv", kRatings + "x\n");
  try {
    ReadMovielens(folder.path());
    FAIL() << "took a bad line";
  } catch (const DataError& error) {
    EXPECT_EQ(std::string(error.what()).rfind((folder / "ratings.csv").string() + ":7: ", 0), 0u)
        << error.what();
  }
  fs::remove(folder / "movies.csv");
  fs::create_directory(folder / "movies.csv");
  EXPECT_THROW(ReadMovielens(folder.path()), DataError);
}

TEST(MovielensTest, NamesTheScriptThatReadsTheFormOf100K) {
  TempFolder folder;
  WriteText(folder / "u.data", "196\t242\t3\t881250949\n");
  try {
    ReadMovielens(folder.path());
    FAIL() << "u.data was taken";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("scripts/import_movielens.py"), std::string::npos)
        << error.what();
  }
}

TEST(MovielensTest, KeepsFileOrderForEqualTimes) {
  std::string ratings = kRatingsHeader + "1,500,3,9\n";
  for (int movie = 100; movie > 0; --movie) ratings += Cat("1,", movie, ",3,8\n");
  const MovielensLog log = Parse(ratings, kMoviesHeader);
  ASSERT_EQ(log.histories.items.size(), 101u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(log.histories.items[i], 99 - i);
  EXPECT_EQ(log.histories.items[100], 100);
  EXPECT_EQ(log.category_names, std::vector<std::string>{"unknown"});
}

TEST(MovielensTest, RefusesMalformedRatings) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "wrong header"},
      {"1,1,3,7\n", "wrong header"},
      {kRatingsHeader, "no ratings"},
      {kRatingsHeader + "\n", "too few fields"},
      {kRatingsHeader + "1,1,3\n", "too few fields"},
      {kRatingsHeader + "1,1,3,7,8\n", "malformed timestamp"},
      {kRatingsHeader + "x,1,3,7\n", "malformed user id"},
      {kRatingsHeader + "-1,1,3,7\n", "malformed user id"},
      {kRatingsHeader + "1,1.5,3,7\n", "malformed movie id"},
      {kRatingsHeader + "1,,3,7\n", "malformed movie id"},
      {kRatingsHeader + "1,99999999999999999999,3,7\n", "malformed movie id"},
      {kRatingsHeader + "1,1,nan,7\n", "malformed rating"},
      {kRatingsHeader + "1,1,5.5,7\n", "malformed rating"},
      {kRatingsHeader + "1,1,0,7\n", "malformed rating"},
      {kRatingsHeader + "1,1, 3,7\n", "malformed rating"},
      {kRatingsHeader + "1,1,3,\n", "malformed timestamp"},
      {kRatingsHeader + "1,1,3,7 \n", "malformed timestamp"},
      {kRatingsHeader + std::string(1 << 20, '1'), "line too long"},
      {kRatingsHeader + std::string(100000, '1') + "\n", "line too long"},
  };
  for (const auto& [ratings, reason] : cases) {
    const std::string error = ErrorOf(ratings, kMovies);
    EXPECT_NE(error.find(reason), std::string::npos) << "wanted " << reason << ", got " << error;
    EXPECT_EQ(error.rfind("ratings.csv:", 0), 0u) << error;
  }
  EXPECT_EQ(
      ErrorOf(kRatingsHeader + "1,1,3,7\n1,\x1b\n,3,7\n", kMovies),
      "ratings.csv:3: too few fields (expected userId,movieId,rating,timestamp, found \"?\")");
  EXPECT_NE(ErrorOf("1::2::3\n", "", MovielensFormat::kDat), "");
}

TEST(MovielensTest, RefusesMalformedMovies) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "wrong header"},
      {kMoviesHeader + "1,T\n", "too few fields"},
      {kMoviesHeader + "x,T,War\n", "malformed movie id"},
      {kMoviesHeader + "1,T,\n", "malformed genres"},
      {kMoviesHeader + "1,T,|War\n", "malformed genres"},
      {kMoviesHeader + "1,Comma, unquoted,War\n", "malformed genres"},
      {kMoviesHeader + "1,\"T,War\n", "unclosed quotes"},
      {kMoviesHeader + "1,\"T\"\",War\n", "unclosed quotes"},
      {kMoviesHeader + "1,\"T\"x,War\n", "unclosed quotes"},
      {kMoviesHeader + "1,\"", "unclosed quotes"},
      {kMoviesHeader + "1,T,War\n1,T,War\n", "repeated movie id"},
  };
  for (const auto& [movies, reason] : cases) {
    const std::string error = ErrorOf(kRatings, movies);
    EXPECT_NE(error.find(reason), std::string::npos) << "wanted " << reason << ", got " << error;
    EXPECT_EQ(error.rfind("movies.csv:", 0), 0u) << error;
  }
}

// A pipe would be waited for without end.
TEST(MovielensTest, RefusesWhatIsNoRegularFile) {
  const TempFolder folder;
  const auto error_of = [&](const fs::path& path) -> std::string {
    try {
      ReadMovielens(path);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(error_of(folder / "none"), (folder / "none").string() + ": does not exist");
  WriteText(folder / "movies.csv", kMovies);
  WriteText(folder / "ratings.csv", kRatings);
  EXPECT_EQ(error_of(folder.path()), "");
  for (const char* file : {"movies.csv", "ratings.csv"}) {
    fs::rename(folder / file, folder / "aside");
    ASSERT_EQ(::mkfifo((folder / file).c_str(), 0600), 0);
    EXPECT_NE(error_of(folder.path()).find(Cat(file, ": not a regular file")), std::string::npos);
    fs::remove(folder / file);
    fs::rename(folder / "aside", folder / file);
  }
}

// Lines that straddle the ends of the reader's buffer (256 KiB) are read whole.
TEST(MovielensTest, ReadsMoreThanOneBuffer) {
  std::string ratings = kRatingsHeader;
  constexpr int kUsers = 600;
  constexpr int kMovies = 100;
  for (int user = 0; user < kUsers; ++user) {
    for (int movie = 0; movie < kMovies; ++movie) ratings += Cat(user, ",", movie, ",3.5,1\n");
  }
  ASSERT_GT(ratings.size(), 512u << 10);
  const MovielensLog log = Parse(ratings, kMoviesHeader);
  EXPECT_EQ(log.user_ids.size(), size_t{kUsers});
  ASSERT_EQ(log.histories.items.size(), size_t{kUsers * kMovies});
  for (size_t i = 0; i < log.histories.items.size(); ++i) {
    ASSERT_EQ(log.histories.items[i], static_cast<int32_t>(i % kMovies)) << i;
  }
}

TEST(MovielensTest, SurvivesMutations) {
  Random random(12);
  int taken = 0;
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    const bool change_ratings = random.Below(2) == 0;
    const std::string error = ErrorOf(change_ratings ? Mutate(kRatings, random) : kRatings,
                                      change_ratings ? kMovies : Mutate(kMovies, random));
    ++(error.empty() ? taken : refused);
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
  EXPECT_GT(taken, 130);
  EXPECT_GT(refused, 350);
}

// The numbers are those that awk and sort find in the files.
TEST(MovielensTest, ReadsTheRealDataSet) {
  const fs::path folder = fs::path(ETA_SOURCE_DIR) / "../shared/data/ml-latest-small";
  if (!fs::exists(folder / "ratings.csv")) GTEST_SKIP() << folder << " is not there";
  const MovielensLog log = ReadMovielens(folder);
  EXPECT_EQ(log.user_ids.size(), 610u);
  EXPECT_EQ(log.item_ids.size(), 9724u);
  EXPECT_EQ(log.histories.items.size(), 100836u);
  EXPECT_EQ(log.histories.users(), 610u);
  ASSERT_NO_THROW(ValidateItemLists(log.histories, log.item_ids.size(), "history"));
  std::vector<size_t> lengths;
  for (size_t user = 0; user < 610; ++user) {
    lengths.push_back(log.histories[user].size());
    const auto* times = log.histories.times.data() + log.histories.offsets[user];
    EXPECT_TRUE(std::is_sorted(times, times + lengths.back())) << user;
  }
  EXPECT_EQ(lengths[0], 232u);
  std::sort(lengths.begin(), lengths.end());
  EXPECT_EQ(lengths.front(), 20u);
  EXPECT_EQ(lengths.back(), 2698u);
  EXPECT_EQ(log.category_names.size(), 19u);
  EXPECT_EQ(log.category_names[log.categories[0]], "Adventure");  // Toy Story
  EXPECT_EQ(std::set<int32_t>(log.histories.items.begin(), log.histories.items.end()).size(),
            log.item_ids.size());
}

}  // namespace
}  // namespace eta
