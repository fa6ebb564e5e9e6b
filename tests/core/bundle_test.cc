// SPDX-License-Identifier: Apache-2.0
#include "core/data/bundle.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/base/staged_folder.h"
#include "core/data/npy.h"
#include "tests/support/mutation.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

// Five items of three dimensions, three users (the second without a history), all optional parts.
Bundle FullBundle() {
  Bundle bundle;
  bundle.items.embeddings = Matrix<float>(5, 3);
  for (size_t i = 0; i < 15; ++i) bundle.items.embeddings.values[i] = static_cast<float>(i) - 7;
  bundle.items.embeddings.values[4] = std::nanf("");  // legal: gives bit 0
  bundle.items.embeddings.values[5] = std::numeric_limits<float>::infinity();
  bundle.items.categories = {0, 1, 1, 0, 9};
  bundle.histories.offsets = {0, 4, 4, 6};
  bundle.histories.items = {4, 0, 0, 2, 1, 3};
  bundle.histories.times = {10, 20, 20, 40, -5, 60};
  bundle.candidates = ItemLists{.offsets = {0, 1, 2, 2}, .items = {3, 4}};
  bundle.hyperplanes = Matrix<float>(3, 2);
  bundle.hyperplanes->values = {1, -1, 0.5f, 2, 0, 3};
  bundle.name = "test \"quoted\"";
  bundle.source = "here";
  bundle.licence = "none";
  bundle.made_by = "bundle_test";
  return bundle;
}

Bundle SmallestBundle() {
  Bundle bundle;
  bundle.items.embeddings = Matrix<float>(0, 1);
  return bundle;
}

std::string ReadError(const fs::path& folder) {
  try {
    ReadBundle(folder);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

class BundleTest : public ::testing::Test {
 protected:
  BundleTest() { WriteBundle(FullBundle(), bundle_); }

  // The bundle must be refused for `reason`, on one line that names the folder.
  void ExpectRefused(const std::string& reason) {
    const std::string error = ReadError(bundle_);
    EXPECT_NE(error.find(reason), std::string::npos) << "wanted " << reason << ", got " << error;
    EXPECT_EQ(error.rfind(bundle_.string(), 0), 0u) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }

  template <class T>
  void Put(const char* file, std::vector<T> values) {
    WriteNpyVector<T>(bundle_ / file, values);
  }

  TempFolder folder_;
  fs::path bundle_ = folder_ / "bundle";
};

TEST_F(BundleTest, ReadsWhatItWrote) {
  const Bundle bundle = ReadBundle(bundle_);
  const Bundle expected = FullBundle();
  EXPECT_EQ(BundleDigest(bundle), BundleDigest(expected));
  EXPECT_EQ(bundle.items.dim(), 3u);
  EXPECT_TRUE(std::isnan(bundle.items.embeddings.values[4]));
  EXPECT_EQ(bundle.items.categories, expected.items.categories);
  EXPECT_EQ(bundle.histories.offsets, expected.histories.offsets);
  EXPECT_EQ(bundle.histories.items, expected.histories.items);
  EXPECT_EQ(bundle.histories.times, expected.histories.times);
  EXPECT_EQ(bundle.candidates->items, expected.candidates->items);
  EXPECT_EQ(bundle.hyperplanes->values, expected.hyperplanes->values);
  EXPECT_EQ(bundle.name, expected.name);
  EXPECT_EQ(bundle.source, expected.source);
  EXPECT_EQ(bundle.licence, expected.licence);
  EXPECT_EQ(bundle.made_by, expected.made_by);
}

TEST_F(BundleTest, HoldsEmbeddingsOfCandidates) {
  Bundle bundle = FullBundle();
  EXPECT_EQ(&bundle.items.queries(), &bundle.items.embeddings);
  bundle.items.candidate_embeddings = Matrix<float>(5, 3);
  bundle.items.candidate_embeddings->values[7] = 3;
  EXPECT_EQ(bundle.items.queries().values[7], 3);
  const fs::path path = folder_ / "towers";
  WriteBundle(bundle, path);
  const Bundle again = ReadBundle(path);
  EXPECT_EQ(again.items.candidate_embeddings->values, bundle.items.candidate_embeddings->values);
  EXPECT_EQ(BundleDigest(again), BundleDigest(bundle));
  EXPECT_NE(BundleDigest(bundle), BundleDigest(FullBundle()));
  bundle.items.candidate_embeddings->values[7] = 4;
  EXPECT_NE(BundleDigest(bundle), BundleDigest(again));

  for (const auto& [rows, cols] : {std::pair<size_t, size_t>{4, 3}, {6, 3}, {5, 2}, {0, 3}}) {
    bundle.items.candidate_embeddings = Matrix<float>(rows, cols);
    EXPECT_THROW(WriteBundle(bundle, folder_ / "bad"), std::invalid_argument);
    EXPECT_THROW(ValidateItemTable(bundle.items), std::invalid_argument);
    WriteNpyMatrix(bundle_ / "candidate_embeddings.npy", *bundle.items.candidate_embeddings);
    ExpectRefused(Cat("candidate_embeddings is ", rows, " x ", cols, " (expected 5 x 3"));
  }
  bundle.items.candidate_embeddings = Matrix<float>(5, 3);
  bundle.items.candidate_embeddings->values.resize(14);
  EXPECT_THROW(ValidateBundle(bundle), std::invalid_argument);
  EXPECT_THROW(ValidateItemTable(bundle.items), std::invalid_argument);
  Put<float>("candidate_embeddings.npy", std::vector<float>(15));
  ExpectRefused("candidate_embeddings.npy: wrong number of dimensions");
}

TEST_F(BundleTest, ReadsWithoutOptionalFiles) {
  for (const char* file : {"item_categories.npy", "history_times.npy", "candidates_offsets.npy",
                           "candidates_items.npy", "hyperplanes.npy"}) {
    ASSERT_TRUE(fs::remove(bundle_ / file));
  }
  WriteText(bundle_ / "bundle.json", "{}");
  const Bundle bundle = ReadBundle(bundle_);
  EXPECT_TRUE(bundle.items.categories.empty());
  EXPECT_TRUE(bundle.histories.times.empty());
  EXPECT_FALSE(bundle.candidates.has_value());
  EXPECT_FALSE(bundle.hyperplanes.has_value());
  EXPECT_EQ(bundle.name, "");
}

TEST_F(BundleTest, NeedsTheOtherFiles) {
  for (const char* file : {"item_embeddings.npy", "history_offsets.npy", "history_items.npy",
                           "bundle.json", "candidates_items.npy"}) {
    fs::rename(bundle_ / file, folder_ / "aside");
    ExpectRefused(file);
    fs::rename(folder_ / "aside", bundle_ / file);
  }
  EXPECT_EQ(ReadError(bundle_), "");
  EXPECT_EQ(ReadError(folder_ / "none"), (folder_ / "none").string() + ": does not exist");
  EXPECT_NE(ReadError(bundle_ / "bundle.json"), "");
}

TEST_F(BundleTest, DanglingLinkIsNotAnAbsentFile) {
  fs::remove(bundle_ / "hyperplanes.npy");
  fs::create_symlink("nowhere", bundle_ / "hyperplanes.npy");
  ExpectRefused("hyperplanes.npy: links to a file that does not exist");
}

TEST_F(BundleTest, RefusesTruncatedFiles) {
  for (const auto& entry : fs::directory_iterator(bundle_)) {
    if (entry.path().extension() != ".npy") continue;
    const std::string text = ReadText(entry.path());
    fs::resize_file(entry.path(), text.size() - 1);
    ExpectRefused(entry.path().filename().string());
    WriteText(entry.path(), text);
  }
  EXPECT_EQ(ReadError(bundle_), "");
}

TEST_F(BundleTest, RefusesWrongTypesAndRanks) {
  Put<int64_t>("history_items.npy", {4, 0, 0, 2, 1, 3});
  ExpectRefused("history_items.npy: wrong dtype");
  Put<int32_t>("history_items.npy", {4, 0, 0, 2, 1, 3});
  Put<float>("item_embeddings.npy", std::vector<float>(15));
  ExpectRefused("item_embeddings.npy: wrong number of dimensions");
}

TEST_F(BundleTest, RefusesBadOffsets) {
  const std::vector<std::pair<std::vector<int64_t>, const char*>> cases = {
      {{}, "history_offsets is empty"},
      {{1, 4, 4, 6}, "history_offsets[0] is 1"},
      {{-1, 4, 4, 6}, "history_offsets[0] is -1"},
      {{0, 4, 3, 6}, "history_offsets[2] is 3"},
      {{0, 4, -4, 6}, "history_offsets[2] is -4"},
      {{0, 7, 4, 6}, "history_offsets[2] is 4"},
      {{0, 4, 4, 5}, "history_offsets ends at 5"},
      {{0, 4, 4, 7}, "history_offsets ends at 7"},
      {{0, 4, 4, std::numeric_limits<int64_t>::max()}, "history_offsets ends at"},
      {{0, 4, 6}, "candidates_offsets has 3 users"},
  };
  for (const auto& [offsets, reason] : cases) {
    Put<int64_t>("history_offsets.npy", offsets);
    ExpectRefused(reason);
  }
}

TEST_F(BundleTest, RefusesItemsOutOfRange) {
  Put<int32_t>("history_items.npy", {4, 0, 0, 5, 1, 3});
  ExpectRefused("history_items[3] is 5 (expected an item id in [0, 5))");
  Put<int32_t>("history_items.npy", {4, 0, 0, 2, -1, 3});
  ExpectRefused("history_items[4] is -1");
  Put<int32_t>("history_items.npy", {4, 0, 0, 2, 1, 3});
  Put<int32_t>("candidates_items.npy", {3, 500});
  ExpectRefused("candidates_items[1] is 500");
}

TEST_F(BundleTest, RefusesWrongLengths) {
  Put<int64_t>("history_times.npy", {1, 2, 3});
  ExpectRefused("history_times.npy: wrong number of entries (expected 6, found 3)");
  Put<int64_t>("history_times.npy", {});
  ExpectRefused("history_times.npy");
  fs::remove(bundle_ / "history_times.npy");
  Put<int32_t>("item_categories.npy", {1, 2, 3, 4});
  ExpectRefused("item_categories.npy");
  Put<int32_t>("item_categories.npy", {1, 2, 3, 4, -5});
  ExpectRefused("item_categories[4] is -5");
}

TEST_F(BundleTest, RefusesTimesThatRunBackwards) {
  Put<int64_t>("history_times.npy", {10, 20, 15, 40, -5, 60});
  ExpectRefused(
      "history_times runs backwards: user 0, position 2: 15 comes after 20 (expected the oldest "
      "behaviour first)");
  Put<int64_t>("history_times.npy", {10, 20, 20, 40, 60, 59});
  ExpectRefused("user 2, position 1: 59 comes after 60");
  Put<int64_t>("history_times.npy", {10, 20, 20, 40, -9, -9});
  EXPECT_EQ(ReadError(bundle_), "");
}

// A pipe would be waited for without end.
TEST_F(BundleTest, RefusesWhatIsNoRegularFile) {
  for (const char* file : {"item_embeddings.npy", "item_categories.npy", "history_offsets.npy",
                           "history_items.npy", "history_times.npy", "candidates_offsets.npy",
                           "candidates_items.npy", "hyperplanes.npy", "bundle.json"}) {
    fs::rename(bundle_ / file, folder_ / "aside");
    ASSERT_EQ(::mkfifo((bundle_ / file).c_str(), 0600), 0);
    ExpectRefused(Cat(file, ": not a regular file"));
    fs::remove(bundle_ / file);
    fs::create_symlink("/dev/zero", bundle_ / file);
    ExpectRefused(Cat(file, ": not a regular file"));
    fs::remove(bundle_ / file);
    fs::create_directory(bundle_ / file);
    ExpectRefused(Cat(file, ": cannot be read (expected a file, found a folder)"));
    fs::remove(bundle_ / file);
    fs::rename(folder_ / "aside", bundle_ / file);
  }
}

TEST_F(BundleTest, RefusesBadHyperplanes) {
  WriteNpyMatrix(bundle_ / "hyperplanes.npy", Matrix<float>(4, 2));
  ExpectRefused("hyperplanes has 4 rows (expected 3");
  WriteNpyMatrix(bundle_ / "hyperplanes.npy", Matrix<float>(3, 0));
  ExpectRefused("hyperplanes has 0 columns");
  WriteNpyMatrix(bundle_ / "hyperplanes.npy", Matrix<float>(3, 4097));
  ExpectRefused("hyperplanes has 4097 columns");
  Matrix<float> matrix(3, 2);
  matrix.values[3] = std::nanf("");
  WriteNpyMatrix(bundle_ / "hyperplanes.npy", matrix);
  ExpectRefused("hyperplanes[1, 1] is nan");
}

TEST_F(BundleTest, RefusesBadDimensions) {
  WriteNpyMatrix(bundle_ / "item_embeddings.npy", Matrix<float>(5, 0));
  ExpectRefused("item_embeddings has 0 columns");
  WriteNpyMatrix(bundle_ / "item_embeddings.npy", Matrix<float>(5, 4097));
  ExpectRefused("item_embeddings has 4097 columns");
}

TEST_F(BundleTest, RefusesBadJson) {
  for (const char* text :
       {"", "{", "[]", "3", "{\"name\": 3}", "{\"source\": null}", "{\"counts\": 1}",
        "{\"counts\": {\"items\": 6}}", "{\"counts\": {\"users\": -3}}", "\xff\xfe",
        "{\"counts\": {\"behaviours\": \"6\"}}", "{\"counts\": {\"dim\": 3.0}}",
        "{\"counts\": {\"items\": 99999999999999999999999}}", "{\"counts\": {\"bits\": 0}}"}) {
    WriteText(bundle_ / "bundle.json", text);
    ExpectRefused("bundle.json");
  }
  WriteText(bundle_ / "bundle.json", std::string(500000, '['));
  ExpectRefused("bundle.json");
  WriteText(bundle_ / "bundle.json", std::string(2000000, ' ') + "{}");
  ExpectRefused("bundle.json");
  WriteText(bundle_ / "bundle.json",
            "{\"counts\": {\"items\": 5, \"dim\": 3, \"users\": 3, \"behaviours\": 6, \"bits\": 2,"
            " \"categories\": 3, \"candidates\": 2}, \"more\": []}");
  EXPECT_EQ(ReadError(bundle_), "");
}

TEST_F(BundleTest, WritesAllOrNothing) {
  EXPECT_THROW(WriteBundle(FullBundle(), bundle_), DataError);           // exists
  EXPECT_THROW(WriteBundle(FullBundle(), folder_ / "no/x"), DataError);  // no parent
  EXPECT_THROW(WriteBundle(FullBundle(), ""), DataError);
  EXPECT_THROW(WriteBundle(FullBundle(), "/"), DataError);
  fs::create_directory(folder_ / "empty");
  EXPECT_THROW(WriteBundle(FullBundle(), folder_ / "empty"), DataError);
  Bundle bad = FullBundle();
  bad.histories.items[0] = 5;
  EXPECT_THROW(WriteBundle(bad, folder_ / "bad"), std::invalid_argument);
  EXPECT_EQ(folder_.CountEntries(), 2u);  // the first bundle and the empty folder
  WriteBundle(SmallestBundle(), folder_ / "with_slash/");
  EXPECT_EQ(ReadError(folder_ / "with_slash"), "");
  EXPECT_EQ(folder_.CountEntries(), 3u);
}

TEST_F(BundleTest, AbandonedFolderLeavesNothing) {
  {
    StagedFolder staged(folder_ / "abandoned");
    WriteText(staged.path() / "half", "written");
    EXPECT_EQ(folder_.CountEntries(), 2u);
  }
  EXPECT_EQ(folder_.CountEntries(), 1u);
}

TEST_F(BundleTest, FolderMadeMeanwhileIsNotReplaced) {
  StagedFolder staged(folder_ / "contested");
  fs::create_directory(folder_ / "contested");
  EXPECT_THROW(staged.Commit(), DataError);
  EXPECT_TRUE(fs::is_empty(folder_ / "contested"));
}

TEST_F(BundleTest, TextsThatAreNotUtf8AreWritten) {
  Bundle bundle = SmallestBundle();
  bundle.name = "caf\xe9\n";
  WriteBundle(bundle, folder_ / "latin1");
  EXPECT_EQ(ReadBundle(folder_ / "latin1").name, "caf\xef\xbf\xbd\n");
}

TEST_F(BundleTest, SurvivesMutations) {
  Random random(11);
  int taken = 0;
  int refused = 0;
  for (const auto& entry : fs::directory_iterator(bundle_)) {
    const std::string text = ReadText(entry.path());
    for (int round = 0; round < 150; ++round) {
      WriteText(entry.path(), Mutate(text, random));
      const std::string error = ReadError(bundle_);
      ++(error.empty() ? taken : refused);
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    }
    WriteText(entry.path(), text);
  }
  EXPECT_GT(taken, 25);
  EXPECT_GT(refused, 500);
}

TEST(ValidateBundleTest, FindsContradictions) {
  EXPECT_NO_THROW(ValidateBundle(FullBundle()));
  EXPECT_NO_THROW(ValidateBundle(SmallestBundle()));
  EXPECT_THROW(ValidateBundle(Bundle()), std::invalid_argument);  // dim 0
  const auto expect_refused = [](auto spoil) {
    Bundle bundle = FullBundle();
    spoil(bundle);
    EXPECT_THROW(ValidateBundle(bundle), std::invalid_argument);
  };
  expect_refused([](Bundle& b) { b.items.embeddings.values.pop_back(); });
  expect_refused([](Bundle& b) { b.items.categories.pop_back(); });
  expect_refused([](Bundle& b) { b.histories.offsets.clear(); });
  expect_refused([](Bundle& b) { b.histories.times.push_back(0); });
  expect_refused([](Bundle& b) { b.histories.times[3] = 19; });
  expect_refused([](Bundle& b) { b.candidates->offsets.pop_back(); });
  expect_refused([](Bundle& b) { b.hyperplanes->values.pop_back(); });
}

TEST(BundleDigestTest, IsFrozen) {
  Bundle bundle = FullBundle();
  bundle.items.embeddings.values[4] = 0;  // the bits of a NaN are the platform's
  bundle.histories.times[2] = 15;
  EXPECT_EQ(BundleDigest(bundle), "fe8d245286f92185");
}

TEST(BundleDigestTest, SeesEveryPartOfTheDataAndNoText) {
  const std::string digest = BundleDigest(FullBundle());
  const auto digest_of = [](auto change) {
    Bundle bundle = FullBundle();
    change(bundle);
    return BundleDigest(bundle);
  };
  EXPECT_EQ(digest_of([](Bundle& b) { b.name = b.source = b.licence = b.made_by = "x"; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.items.embeddings.values[14] += 1; }), digest);
  EXPECT_NE(
      digest_of([](Bundle& b) { std::swap(b.items.embeddings.rows, b.items.embeddings.cols); }),
      digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.items.categories[4] = 8; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.items.categories.clear(); }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.histories.offsets[1] = 3; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { std::swap(b.histories.items[0], b.histories.items[1]); }),
            digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.histories.times[5] = 61; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.candidates->items[1] = 0; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.candidates.reset(); }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.hyperplanes->values[0] = -1; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.hyperplanes.reset(); }), digest);
}

}  // namespace
}  // namespace eta
