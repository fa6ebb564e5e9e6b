// SPDX-License-Identifier: Apache-2.0
// Histories of bundles go into a store and come out of it.
#include "core/store/transfer.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>

#include "core/base/check.h"
#include "core/data/generator.h"
#include "core/store/history_store.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

TEST(StoreTransfer, BundlesGoInAndComeOut) {
  const TempFolder folder;
  GeneratorOptions options;
  options.users = 20;
  options.items = 200;
  options.dim = 4;
  Bundle bundle = GenerateBundle(options);
  ASSERT_EQ(bundle.histories.times.size(), bundle.histories.items.size());
  const fs::path path = folder / "imported";
  ImportHistories(bundle.histories, path);
  const HistoryStore store(path);
  const ExportedHistories exported = ExportHistories(store);
  EXPECT_EQ(exported.histories.offsets, bundle.histories.offsets);
  EXPECT_EQ(exported.histories.items, bundle.histories.items);
  EXPECT_EQ(exported.histories.times, bundle.histories.times);
  for (size_t row = 0; row < exported.users.size(); ++row) {
    EXPECT_EQ(exported.users[row], UserId(static_cast<int64_t>(row)));
  }
  bundle.histories.times.assign(bundle.histories.items.size(), 5);
  bundle.histories.times[0] = 6;
  EXPECT_THROW(ImportHistories(bundle.histories, folder / "no"), std::invalid_argument);
  bundle.histories.times.clear();
  EXPECT_THROW(ImportHistories(bundle.histories, folder / "no", {.max_age_seconds = 1}),
               std::invalid_argument);
  EXPECT_THROW(ImportHistories(bundle.histories, path), DataError);
  EXPECT_EQ(folder.CountEntries(), 1u);
  // Without times a behaviour's time is its position.
  ImportHistories(bundle.histories, folder / "timeless");
  const HistoryStore timeless(folder / "timeless");
  const Histories positions = ExportHistories(timeless).histories;
  EXPECT_EQ(positions.offsets, bundle.histories.offsets);
  EXPECT_EQ(positions.items, bundle.histories.items);
  ASSERT_EQ(positions.times.size(), positions.items.size());
  for (size_t user = 0; user < positions.users(); ++user) {
    const int64_t begin = positions.offsets[user];
    for (int64_t i = begin; i < positions.offsets[user + 1]; ++i) {
      ASSERT_EQ(positions.times[static_cast<size_t>(i)], i - begin) << "user " << user;
    }
  }
}

}  // namespace
}  // namespace eta
