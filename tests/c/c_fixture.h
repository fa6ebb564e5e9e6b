// SPDX-License-Identifier: Apache-2.0
// Open handles of the C interface, for its tests.
#pragma once

#include <algorithm>
#include <string_view>

#include "core/c/eta_simd.h"
#include "core/retrieval/eta.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

inline bool Contains(const char* text, std::string_view word) {
  return std::string_view(text).find(word) != std::string_view::npos;
}

inline constexpr size_t kItems = 300, kDim = 12, kBits = 20, kBytes = 3, kTop = 7;

// Hyperplanes, a table, a user and a model, all open.
class CInterface : public ::testing::Test {
 protected:
  void SetUp() override {
    Rng rng(1);
    items_ = MakeFloats(kItems * kDim, [&] { return BellFloat(rng); });
    history_ = RandomIds(rng, 130, kItems);
    candidates_ = RandomIds(rng, 9, kItems);
    codes_.resize(kItems * kBytes);
    ASSERT_EQ(eta_hyperplanes_make("gaussian", kDim, kBits, 3, &planes_), ETA_OK);
    ASSERT_EQ(
        eta_encode(planes_, items_.data(), items_.size(), kItems, codes_.data(), codes_.size()),
        ETA_OK);
    ASSERT_EQ(eta_code_table_make(codes_.data(), codes_.size(), kItems, kBits, &table_), ETA_OK);
    ASSERT_EQ(eta_history_prepare(table_, history_.data(), history_.size(), &user_), ETA_OK);
    positions_.resize(candidates_.size() * kTop);
    counts_.resize(candidates_.size());
  }
  void TearDown() override {
    EXPECT_EQ(eta_history_close(user_), ETA_OK);
    EXPECT_EQ(eta_code_table_close(table_), ETA_OK);
    EXPECT_EQ(eta_hyperplanes_close(planes_), ETA_OK);
  }

  eta_status Retrieve(const eta_history* user) {
    return eta_retrieve(user, candidates_.data(), candidates_.size(), kTop, positions_.data(),
                        positions_.size(), counts_.data(), counts_.size());
  }

  // What the C++ interface finds, each row sorted.
  std::vector<int32_t> Expected(const std::vector<int32_t>& history) const {
    return Expected(history, candidates_);
  }
  std::vector<int32_t> Expected(const std::vector<int32_t>& history,
                                const std::vector<int32_t>& candidates) const {
    Matrix<uint8_t> codes(kItems, kBytes);
    std::ranges::copy(codes_, codes.values.begin());
    const auto retriever = MakeEtaRetriever("eta", kBits, codes);
    std::vector<int32_t> positions(candidates.size() * kTop), counts(candidates.size());
    retriever->Retrieve(*retriever->Prepare(history), candidates, kTop, *retriever->NewScratch(),
                        {positions, counts});
    return Sorted(positions);
  }
  static std::vector<int32_t> Sorted(std::vector<int32_t> positions) {
    for (size_t i = 0; i < positions.size(); i += kTop) {
      std::sort(positions.begin() + static_cast<ptrdiff_t>(i),
                positions.begin() + static_cast<ptrdiff_t>(i + kTop));
    }
    return positions;
  }

  std::vector<float> items_;
  std::vector<int32_t> history_, candidates_, positions_, counts_;
  std::vector<uint8_t> codes_;
  eta_hyperplanes* planes_ = nullptr;
  eta_code_table* table_ = nullptr;
  eta_history* user_ = nullptr;
};

}  // namespace eta::test
