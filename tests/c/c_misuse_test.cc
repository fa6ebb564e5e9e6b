// SPDX-License-Identifier: Apache-2.0
// Every misuse of core/c/eta_simd.h that can be detected is an error that writes nothing.
#include <cmath>

#include "tests/c/c_fixture.h"

namespace eta::test {
namespace {

constexpr size_t kHuge = SIZE_MAX / 2 + 2;  // twice that is 2
const int32_t kOutside = kItems, kNegative = -1;

class CMisuse : public CInterface {
 protected:
  void SetUp() override {
    CInterface::SetUp();
    ASSERT_EQ(eta_history_prepare(table_, nullptr, 0, &closed_), ETA_OK);
    ASSERT_EQ(eta_history_close(closed_), ETA_OK);
    std::fill(positions_.begin(), positions_.end(), -7);
    std::fill(counts_.begin(), counts_.end(), -7);
    codes_before_ = codes_;
  }
  void TearDown() override {
    EXPECT_TRUE(no_planes_ == nullptr && no_table_ == nullptr && no_user_ == nullptr &&
                no_model_ == nullptr);
    EXPECT_EQ(number_, 77u);
    EXPECT_EQ(positions_, std::vector<int32_t>(positions_.size(), -7));
    EXPECT_EQ(counts_, std::vector<int32_t>(counts_.size(), -7));
    EXPECT_EQ(codes_, codes_before_);
    CInterface::TearDown();
  }

  // The status of a call that was just made, and a word of its message.
  static void Invalid(eta_status status, const char* word) {
    Refused(status, ETA_INVALID_ARGUMENT, word);
  }
  static void BadHandle(eta_status status, const char* word) {
    Refused(status, ETA_BAD_HANDLE, word);
  }
  static void BadData(eta_status status, const char* word) { Refused(status, ETA_BAD_DATA, word); }
  static void Refused(eta_status status, eta_status expected, const char* word) {
    EXPECT_EQ(status, expected) << word;
    EXPECT_TRUE(Contains(eta_last_error(), word)) << word << ": " << eta_last_error();
  }

  eta_history* table_as_history() const { return reinterpret_cast<eta_history*>(table_); }

  std::vector<uint8_t> codes_before_;
  size_t number_ = 77;
  eta_history* closed_ = nullptr;
  eta_hyperplanes* no_planes_ = nullptr;
  eta_code_table* no_table_ = nullptr;
  eta_history* no_user_ = nullptr;
  eta_ctr_model* no_model_ = nullptr;
};

TEST_F(CMisuse, Hyperplanes) {
  const float* x = items_.data();
  const size_t size = items_.size(), bytes = codes_.size();
  const std::vector<float> bad = {1, std::nanf("")};
  uint8_t* codes = codes_.data();
  Invalid(eta_hyperplanes_make(nullptr, 4, 4, 0, &no_planes_), "kind");
  Invalid(eta_hyperplanes_make("round", 4, 4, 0, &no_planes_), "round");
  Invalid(eta_hyperplanes_make("signs", 4, 4, 0, nullptr), "out");
  Invalid(eta_hyperplanes_make("signs", 0, 4, 0, &no_planes_), "dim");
  Invalid(eta_hyperplanes_make("signs", 4, 4097, 0, &no_planes_), "4097");
  Invalid(eta_hyperplanes_from_matrix(nullptr, 4, 2, 2, &no_planes_), "matrix");
  Invalid(eta_hyperplanes_from_matrix(x, 5, 2, 2, &no_planes_), "5");
  Invalid(eta_hyperplanes_from_matrix(x, 2, kHuge, 2, &no_planes_), "matrix");
  Invalid(eta_hyperplanes_from_matrix(bad.data(), 2, 1, 2, &no_planes_), "finite");
  Invalid(eta_hyperplanes_from_matrix(x, 4, 2, 2, nullptr), "out");
  Invalid(eta_hyperplanes_shape(nullptr, &number_, &number_), "null");
  Invalid(eta_hyperplanes_shape(planes_, nullptr, &number_), "dim");
  Invalid(eta_hyperplanes_shape(planes_, &number_, nullptr), "bits");
  Invalid(eta_encode(nullptr, x, size, kItems, codes, bytes), "null");
  Invalid(eta_encode(planes_, nullptr, size, kItems, codes, bytes), "values");
  Invalid(eta_encode(planes_, x, size - 1, kItems, codes, bytes), "values");
  Invalid(eta_encode(planes_, x, size, kItems, codes, bytes + 1), "codes");
  Invalid(eta_encode(planes_, x, size, kItems, nullptr, bytes), "codes");
  Invalid(eta_encode(planes_, x, size, kHuge, codes, bytes), "values");
}

TEST_F(CMisuse, CodeTables) {
  const std::vector<uint8_t> tail = {0, 0, 0x10};
  const uint8_t* codes = codes_.data();
  const size_t bytes = codes_.size();
  Invalid(eta_code_table_make(codes, bytes, kItems, 0, &no_table_), "bits");
  Invalid(eta_code_table_make(codes, bytes, kItems, 25, &no_table_), "codes");
  Invalid(eta_code_table_make(nullptr, bytes, kItems, kBits, &no_table_), "codes");
  Invalid(eta_code_table_make(codes, bytes, kItems, kBits, nullptr), "out");
  Invalid(eta_code_table_make(codes, bytes, kHuge, kBits, &no_table_), "items");
  Invalid(eta_code_table_make(tail.data(), 3, 1, kBits, &no_table_), "bit");
  const auto towers = [&](const uint8_t* others, size_t others_bytes) {
    return eta_code_table_make_two_towers(codes, bytes, others, others_bytes, kItems, kBits,
                                          &no_table_);
  };
  const std::vector<uint8_t> all_tails(bytes, 0xff);
  Invalid(towers(nullptr, bytes), "candidate_codes");
  Invalid(towers(codes, bytes - 1), "candidate_codes");
  Invalid(towers(all_tails.data(), bytes), "bit");
  Invalid(eta_code_table_make_two_towers(codes, bytes, codes, bytes, kItems, kBits, nullptr),
          "out");
  Invalid(eta_code_table_make_two_towers(codes, 1, codes, bytes, kItems, kBits, &no_table_),
          "codes has 1 ");
  Invalid(eta_code_table_shape(nullptr, &number_, &number_), "null");
  Invalid(eta_code_table_shape(table_, nullptr, &number_), "items");
  Invalid(eta_code_table_shape(table_, &number_, nullptr), "bits");
}

TEST_F(CMisuse, Histories) {
  const int32_t* ids = candidates_.data();
  const size_t n = candidates_.size();
  Invalid(eta_history_prepare(nullptr, ids, n, &no_user_), "null");
  Invalid(eta_history_prepare(table_, nullptr, n, &no_user_), "items");
  Invalid(eta_history_prepare(table_, ids, n, nullptr), "out");
  Invalid(eta_history_prepare(table_, ids, kHuge, &no_user_), "items");
  Refused(eta_history_prepare(table_, ids, size_t{1} << 31, &no_user_), ETA_TOO_LONG,
          "2147483647");  // before any is read
  Invalid(eta_history_prepare(table_, &kOutside, 1, &no_user_), "300");
  Invalid(eta_history_prepare(table_, &kNegative, 1, &no_user_), "-1");
  Invalid(eta_history_append(nullptr, 0), "null");
  Invalid(eta_history_append(user_, kOutside), "300");
  BadHandle(eta_history_append(closed_, 0), "history");
  BadHandle(eta_history_append(table_as_history(), 0), "history");
  Invalid(eta_history_length(user_, nullptr), "length");
  BadHandle(eta_history_length(closed_, &number_), "history");
}

TEST_F(CMisuse, Retrieval) {
  const int32_t* ids = candidates_.data();
  const size_t n = candidates_.size();
  int32_t *positions = positions_.data(), *counts = counts_.data();
  Invalid(Retrieve(nullptr), "null");
  BadHandle(Retrieve(closed_), "history");
  BadHandle(Retrieve(table_as_history()), "history");
  Invalid(eta_retrieve(user_, ids, n, 0, positions, 0, counts, n), "k ");
  Invalid(eta_retrieve(user_, ids, n, kHuge, positions, n * kTop, counts, n), "positions");
  Invalid(eta_retrieve(user_, ids, n, kTop, nullptr, n * kTop, counts, n), "positions");
  Invalid(eta_retrieve(user_, ids, n, kTop, positions, n, counts, n), "positions");
  Invalid(eta_retrieve(user_, ids, n, kTop, positions, n * kTop, nullptr, n), "counts");
  Invalid(eta_retrieve(user_, ids, n, kTop, positions, n * kTop, counts, n + 1), "counts");
  Invalid(eta_retrieve(user_, nullptr, n, kTop, positions, n * kTop, counts, n), "candidates");
  Invalid(eta_retrieve(user_, &kOutside, 1, kTop, positions, kTop, counts, 1), "300");
}

TEST_F(CMisuse, Batches) {
  const int32_t* ids = candidates_.data();
  const size_t n = candidates_.size();
  int32_t *positions = positions_.data(), *counts = counts_.data();
  eta_code_table* other_table = nullptr;
  eta_history* of_other = nullptr;
  ASSERT_EQ(eta_code_table_make(codes_.data(), codes_.size(), kItems, kBits, &other_table), ETA_OK);
  ASSERT_EQ(eta_history_prepare(other_table, nullptr, 0, &of_other), ETA_OK);
  const eta_history *twice[] = {user_, user_}, *both[] = {user_, of_other};
  const eta_history *with_null[] = {user_, nullptr}, *with_closed[] = {user_, closed_};
  const size_t whole[] = {0, 4, n}, falling[] = {0, n + 1, n}, short_of[] = {0, 4, n - 1},
               late[] = {1, 4, n};
  const auto batch = [&](const eta_history* const* histories, const size_t* offsets,
                         int32_t threads) {
    return eta_retrieve_batch(histories, 2, offsets, ids, n, kTop, threads, positions,
                              positions_.size(), counts, n);
  };
  Invalid(batch(nullptr, whole, 1), "histories");
  Invalid(batch(with_null, whole, 1), "null");
  Invalid(batch(both, whole, 1), "another code table");
  Invalid(batch(twice, whole, 0), "threads");
  Invalid(batch(twice, whole, 5000), "threads");
  Invalid(batch(twice, nullptr, 1), "offsets");
  Invalid(batch(twice, falling, 1), "offsets");
  Invalid(batch(twice, short_of, 1), "offsets");
  Invalid(batch(twice, late, 1), "offsets");
  Invalid(
      eta_retrieve_batch(twice, SIZE_MAX, whole, ids, n, kTop, 1, positions, n * kTop, counts, n),
      "histories");
  BadHandle(batch(with_closed, whole, 1), "history");
  EXPECT_EQ(eta_history_close(of_other), ETA_OK);
  EXPECT_EQ(eta_code_table_close(other_table), ETA_OK);
}

TEST_F(CMisuse, CtrModels) {
  const int32_t* ids = candidates_.data();
  const size_t n = candidates_.size();
  float logit = 0;
  Invalid(eta_ctr_model_load(nullptr, &no_model_), "folder");
  Invalid(eta_ctr_model_load("x", nullptr), "out");
  BadData(eta_ctr_model_load("/nonexistent", &no_model_), "/nonexistent");
  Invalid(eta_ctr_model_load_as(nullptr, ETA_INT8, &no_model_), "folder");
  Invalid(eta_ctr_model_load_as("x", ETA_INT8, nullptr), "out");
  Invalid(eta_ctr_model_load_as("x", -1, &no_model_), "precision = -1");
  Invalid(eta_ctr_model_load_as("x", 2, &no_model_), "precision = 2");
  BadData(eta_ctr_model_load_as("/nonexistent", ETA_INT8, &no_model_), "/nonexistent");
  Invalid(eta_ctr_model_shape(nullptr, &number_, &number_, &number_), "null");
  BadHandle(eta_ctr_model_close(reinterpret_cast<eta_ctr_model*>(table_)), "model");
  Invalid(eta_ctr_user_prepare(nullptr, 0, ids, n, nullptr), "null");
  Invalid(eta_ctr_score(nullptr, ids, n, &logit, 1), "null");
}

TEST_F(CMisuse, Closing) {
  BadHandle(eta_history_close(closed_), "history");
  BadHandle(eta_hyperplanes_close(reinterpret_cast<eta_hyperplanes*>(table_)), "hyperplanes");
}

}  // namespace
}  // namespace eta::test
