// SPDX-License-Identifier: Apache-2.0
// core/c/eta_simd.h against the C++ that it wraps.
#include "core/c/eta_simd.h"

#include <malloc.h>

#include <set>
#include <string>
#include <thread>

#include "core/ctr/model.h"
#include "tests/c/c_fixture.h"
#include "tests/support/ctr_test_util.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_folder.h"

namespace eta::test {
namespace {

// In use; 0 where the allocator is not glibc's own.
size_t HeapBytes() { return ETA_IS_SANITIZED != 0 ? 0 : mallinfo2().uordblks; }

TEST_F(CInterface, SaysWhatItIs) {
  EXPECT_EQ(eta_abi_version(), uint32_t{ETA_ABI_VERSION});
  EXPECT_NE(std::string(eta_version()).find('.'), std::string::npos);
  EXPECT_STREQ(eta_target(), simd::TargetName(simd::ActiveTarget()));
  size_t dim = 0, bits = 0, items = 0, length = 0;
  EXPECT_EQ(eta_hyperplanes_shape(planes_, &dim, &bits), ETA_OK);
  EXPECT_EQ(dim, kDim);
  EXPECT_EQ(bits, kBits);
  EXPECT_EQ(eta_code_table_shape(table_, &items, &bits), ETA_OK);
  EXPECT_EQ(items, kItems);
  EXPECT_EQ(bits, kBits);
  EXPECT_EQ(eta_history_length(user_, &length), ETA_OK);
  EXPECT_EQ(length, history_.size());
}

TEST_F(CInterface, CodesAreThoseOfTheCppInterface) {
  const auto planes = Hyperplanes::Make(HyperplaneKind::kGaussian, kDim, kBits, 3);
  std::vector<uint8_t> expected(codes_.size());
  planes.Encode(items_, expected);
  EXPECT_EQ(codes_, expected);
  eta_hyperplanes* loaded = nullptr;
  const auto& matrix = planes.matrix().values;
  ASSERT_EQ(eta_hyperplanes_from_matrix(matrix.data(), matrix.size(), kDim, kBits, &loaded),
            ETA_OK);
  std::vector<uint8_t> codes(codes_.size());
  ASSERT_EQ(eta_encode(loaded, items_.data(), items_.size(), kItems, codes.data(), codes.size()),
            ETA_OK);
  EXPECT_EQ(codes, expected);
  EXPECT_EQ(eta_hyperplanes_close(loaded), ETA_OK);
}

// From an empty history over the edges of blocks.
TEST_F(CInterface, RetrievesWhileBehavioursAreAppended) {
  eta_history* user = nullptr;
  ASSERT_EQ(eta_history_prepare(table_, nullptr, 0, &user), ETA_OK);
  std::vector<int32_t> history;
  for (const int32_t item : history_) {
    ASSERT_EQ(Retrieve(user), ETA_OK);
    EXPECT_EQ(Sorted(positions_), Expected(history));
    EXPECT_EQ(counts_.back(), static_cast<int32_t>(std::min(history.size(), kTop)));
    ASSERT_EQ(eta_history_append(user, item), ETA_OK);
    history.push_back(item);
  }
  EXPECT_EQ(eta_history_close(user), ETA_OK);
}

// Item i as a candidate has the code that item i + 7 has as a behaviour, so that a request finds
// what one of other candidates finds with one tower.
TEST_F(CInterface, CandidatesOfTwoTowersHaveCodesOfTheirOwn) {
  std::vector<uint8_t> turned = codes_;
  std::rotate(turned.begin(), turned.begin() + 7 * kBytes, turned.end());
  std::vector<int32_t> others = candidates_;
  for (int32_t& item : others) item = (item + 7) % static_cast<int32_t>(kItems);
  eta_code_table* table = nullptr;
  eta_history* user = nullptr;
  ASSERT_EQ(eta_code_table_make_two_towers(codes_.data(), codes_.size(), turned.data(),
                                           turned.size(), kItems, kBits, &table),
            ETA_OK)
      << eta_last_error();
  ASSERT_EQ(eta_history_prepare(table, history_.data(), history_.size() - 1, &user), ETA_OK);
  ASSERT_EQ(eta_history_append(user, history_.back()), ETA_OK);
  ASSERT_EQ(Retrieve(user), ETA_OK);
  EXPECT_EQ(Sorted(positions_), Expected(history_, others));
  EXPECT_NE(Sorted(positions_), Expected(history_));
  EXPECT_EQ(eta_code_table_close(table), ETA_OK);
  EXPECT_EQ(eta_history_close(user), ETA_OK);
}

// What is closed is used again, and no call that succeeds loses a message.
TEST_F(CInterface, ManyHandlesOpenAndCloseInTheSameMemory) {
  const auto turn = [&] {
    eta_history* user = nullptr;
    EXPECT_EQ(eta_history_prepare(table_, history_.data(), history_.size(), &user), ETA_OK);
    EXPECT_EQ(eta_history_close(user), ETA_OK);
    return user;
  };
  for (int i = 0; i < 1100; ++i) turn();  // now as many handles wait as ever do
  EXPECT_EQ(eta_history_append(user_, -5), ETA_INVALID_ARGUMENT);
  const std::string message = eta_last_error();
  std::set<eta_history*> used;
  const size_t before = HeapBytes();
  for (int i = 0; i < 3000; ++i) used.insert(turn());
  EXPECT_LT(used.size(), 1100u);
  EXPECT_LT(HeapBytes(), before + 3000 * 100);  // the set; a history takes 600 bytes and more
  EXPECT_EQ(eta_last_error(), message);
}

TEST_F(CInterface, ABatchIsItsRequests) {
  eta_history* other = nullptr;
  ASSERT_EQ(eta_history_prepare(table_, history_.data(), 3, &other), ETA_OK);
  const eta_history* histories[] = {user_, other, user_};
  const size_t n = candidates_.size(), offsets[] = {0, 4, 4, n};
  ASSERT_EQ(Retrieve(user_), ETA_OK);
  for (const int32_t threads : {1, 2}) {
    std::vector<int32_t> positions(positions_.size()), counts(n);
    ASSERT_EQ(eta_retrieve_batch(histories, 3, offsets, candidates_.data(), n, kTop, threads,
                                 positions.data(), positions.size(), counts.data(), n),
              ETA_OK)
        << eta_last_error();
    EXPECT_EQ(Sorted(positions), Sorted(positions_));
    EXPECT_EQ(counts, counts_);
  }
  EXPECT_EQ(eta_retrieve_batch(nullptr, 0, offsets, nullptr, 0, kTop, 1, nullptr, 0, nullptr, 0),
            ETA_OK);
  EXPECT_EQ(eta_history_close(other), ETA_OK);
}

TEST_F(CInterface, HandlesAreClosedInAnyOrder) {
  EXPECT_EQ(eta_code_table_close(table_), ETA_OK);
  EXPECT_EQ(eta_hyperplanes_close(planes_), ETA_OK);
  EXPECT_EQ(Retrieve(user_), ETA_OK);
  EXPECT_EQ(Sorted(positions_), Expected(history_));
  table_ = nullptr;
  planes_ = nullptr;
}

TEST_F(CInterface, ManyThreadsRetrieveFromOneHistory) {
  const auto expected = Expected(history_);
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int turn = 0; turn < 20; ++turn) {
        std::vector<int32_t> positions(positions_.size()), counts(counts_.size());
        const eta_status status =
            eta_retrieve(user_, candidates_.data(), candidates_.size(), kTop, positions.data(),
                         positions.size(), counts.data(), counts.size());
        right[t] += status == ETA_OK && Sorted(positions) == expected ? 1 : 0;
        // Its own message, whatever the others do.
        eta_hyperplanes* none = nullptr;
        const size_t bits = 5000 + t;
        right[t] += eta_hyperplanes_make("gaussian", 1, bits, 0, &none) == ETA_INVALID_ARGUMENT &&
                            Contains(eta_last_error(), std::to_string(bits))
                        ? 1
                        : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, std::vector<int>(right.size(), 40));
}

TEST(CInterfaceCtr, ScoresAsTheCppInterface) {
  TempFolder folder;
  ModelMaker maker(CtrUnit::kEta, SomeSettings(8, 2), 60, 5);
  const CtrExport model = maker.Make();
  const ExportWriter writer(model, Matrix<float>(), folder / "model");
  eta_ctr_model* loaded = nullptr;
  ASSERT_EQ(eta_ctr_model_load((folder / "model").c_str(), &loaded), ETA_OK) << eta_last_error();
  size_t users = 0, items = 0, max_history = 0;
  EXPECT_EQ(eta_ctr_model_shape(loaded, &users, &items, &max_history), ETA_OK);
  EXPECT_EQ(users, model.users());
  EXPECT_EQ(items, model.items());
  EXPECT_EQ(max_history, model.settings.max_history);

  const std::vector<int32_t> history = {3, 1, 4, 1, 5, 9, 2, 6}, candidates = {0, 5, 8, 9, 7};
  const CtrModel served(model);
  CtrScratch scratch = served.NewScratch();
  CtrUser expected_user = served.NewUser();
  served.Prepare(2, history, scratch, expected_user);
  std::vector<float> expected(candidates.size()), logits(candidates.size());
  served.Score(expected_user, candidates, scratch, expected);

  eta_ctr_user* user = nullptr;
  ASSERT_EQ(eta_ctr_user_prepare(loaded, 2, history.data(), history.size(), &user), ETA_OK);
  eta_ctr_user* none = nullptr;
  EXPECT_EQ(eta_ctr_user_prepare(loaded, users, history.data(), history.size(), &none),
            ETA_INVALID_ARGUMENT);
  EXPECT_EQ(eta_ctr_user_prepare(loaded, 0, history.data(), max_history + 1, &none),
            ETA_INVALID_ARGUMENT);
  EXPECT_EQ(eta_ctr_user_prepare(loaded, 0, nullptr, 1, &none), ETA_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(eta_ctr_model_close(loaded), ETA_OK);
  EXPECT_EQ(eta_ctr_model_close(loaded), ETA_BAD_HANDLE);
  ASSERT_EQ(eta_ctr_score(user, candidates.data(), 5, logits.data(), 5), ETA_OK);
  EXPECT_EQ(logits, expected);
  EXPECT_EQ(eta_ctr_score(user, candidates.data(), 5, logits.data(), 4), ETA_INVALID_ARGUMENT);
  EXPECT_EQ(eta_ctr_score(user, nullptr, 5, logits.data(), 5), ETA_INVALID_ARGUMENT);
  const int32_t outside = 60;
  EXPECT_EQ(eta_ctr_score(user, &outside, 1, logits.data(), 1), ETA_INVALID_ARGUMENT);
  EXPECT_EQ(eta_ctr_user_close(user), ETA_OK);
  EXPECT_EQ(eta_ctr_score(user, candidates.data(), 5, logits.data(), 5), ETA_BAD_HANDLE);
}

// The logits of one user by the C interface; none where a call failed.
std::vector<float> CLogits(const TempFolder& folder, eta_precision precision,
                           const std::vector<int32_t>& history,
                           const std::vector<int32_t>& candidates) {
  eta_ctr_model* model = nullptr;
  eta_ctr_user* user = nullptr;
  std::vector<float> logits(candidates.size());
  const bool is_done =
      eta_ctr_model_load_as((folder / "model").c_str(), precision, &model) == ETA_OK &&
      eta_ctr_user_prepare(model, 2, history.data(), history.size(), &user) == ETA_OK &&
      eta_ctr_score(user, candidates.data(), candidates.size(), logits.data(), logits.size()) ==
          ETA_OK;
  EXPECT_EQ(eta_ctr_user_close(user), ETA_OK);
  EXPECT_EQ(eta_ctr_model_close(model), ETA_OK);
  return is_done ? logits : std::vector<float>();
}

TEST(CInterfaceCtr, ScoresInEachPrecision) {
  TempFolder folder;
  ModelMaker maker(CtrUnit::kEta, SomeSettings(8, 2), 60, 5);
  CtrExport model = maker.Make();
  const ExportWriter writer(model, Matrix<float>(), folder / "model");
  const std::vector<int32_t> history = {3, 1, 4, 1, 5, 9, 2, 6}, candidates = {0, 5, 8, 9, 7};
  const auto by_cpp = [&](Precision precision) {
    const CtrModel served(model, ItemTables::kAll, {}, precision);
    CtrScratch scratch = served.NewScratch();
    CtrUser user = served.NewUser();
    served.Prepare(2, history, scratch, user);
    std::vector<float> logits(candidates.size());
    served.Score(user, candidates, scratch, logits);
    return logits;
  };
  EXPECT_EQ(CLogits(folder, ETA_FLOAT32, history, candidates), by_cpp(Precision::kFloat32));
  EXPECT_EQ(CLogits(folder, ETA_INT8, history, candidates), by_cpp(Precision::kInt8));
  EXPECT_NE(by_cpp(Precision::kInt8), by_cpp(Precision::kFloat32));
}

TEST(CInterfaceCtr, RefusesWhatEightBitsCannotHold) {
  TempFolder folder;
  ModelMaker maker(CtrUnit::kEta, SomeSettings(8, 2), 60, 5);
  CtrExport model = maker.Make();
  model.mlp_weight[0].values[0] = 1e35f;
  const ExportWriter writer(model, Matrix<float>(), folder / "model");
  eta_ctr_model* loaded = nullptr;
  const std::string path = folder / "model";
  EXPECT_EQ(eta_ctr_model_load_as(path.c_str(), ETA_INT8, &loaded), ETA_INVALID_ARGUMENT);
  EXPECT_TRUE(Contains(eta_last_error(), "in eight bits")) << eta_last_error();
  EXPECT_EQ(loaded, nullptr);
  ASSERT_EQ(eta_ctr_model_load_as(path.c_str(), ETA_FLOAT32, &loaded), ETA_OK);
  EXPECT_EQ(eta_ctr_model_close(loaded), ETA_OK);
}

}  // namespace
}  // namespace eta::test
