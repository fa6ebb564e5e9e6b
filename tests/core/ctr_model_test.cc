// SPDX-License-Identifier: Apache-2.0
// core/ctr/model.h against the scalar forward pass, for every unit on every target.
#include "core/ctr/model.h"

#include <tuple>
#include <utility>

#include "core/reference/ctr.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/recent.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/ctr_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 60;
constexpr double kTolerance = 1e-4;

std::vector<int32_t> RandomItems(Rng& rng, size_t count) {
  std::vector<int32_t> items(count);
  for (int32_t& item : items) item = static_cast<int32_t>(Below(rng, kItems));
  return items;
}

// A model with what serves its requests.
struct Server {
  Server(const CtrExport& data, ItemTables tables, Precision precision = Precision::kFloat32)
      : model(data, tables, {}, precision), user(model.NewUser()), scratch(model.NewScratch()) {}

  std::vector<float> Serve(size_t user_id, const std::vector<int32_t>& history,
                           const std::vector<int32_t>& candidates) {
    std::vector<float> logits(candidates.size());
    const size_t before = allocations;
    model.Prepare(user_id, history, scratch, user);
    model.Score(user, candidates, scratch, logits);
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(user.length(), history.size());
    EXPECT_GT(user.bytes(), 0u);
    return logits;
  }

  CtrModel model;
  CtrUser user;
  CtrScratch scratch;
};

// With and without item tables. One user and one scratch for all requests, long and short by turns:
// nothing may be left over. Once there are `most` candidates: more than are served together, where
// the model is small, for 100,000 emulated multiply-adds a logit take minutes under a sanitizer.
void ExpectAsReference(const CtrExport& data, size_t most = 7) {
  SCOPED_TRACE(::testing::Message() << CtrUnitName(data.unit) << " dim=" << data.settings.dim
                                    << " heads=" << data.settings.heads);
  Server without(data, ItemTables::kNone), with(data, ItemTables::kAll);
  Rng rng(data.settings.dim);
  double largest = 0;
  for (const size_t length : {90, 0, 1, 4, 5, 6, 11, 12, 13, 64, 65, 90}) {
    for (const size_t count : {size_t{1}, length == 13 ? most : size_t{7}}) {
      const auto history = RandomItems(rng, length), candidates = RandomItems(rng, count);
      const size_t user_id = Below(rng, data.users());
      const auto plain = without.Serve(user_id, history, candidates);
      const auto tables = with.Serve(user_id, history, candidates);
      for (size_t b = 0; b < count; ++b) {
        const double expected = reference::CtrLogit(data, user_id, history, candidates[b]);
        ASSERT_NEAR(plain[b], expected, kTolerance) << "length " << length << " candidate " << b;
        ASSERT_NEAR(tables[b], expected, kTolerance) << "length " << length << " candidate " << b;
        largest = std::max(largest, std::abs(expected));
      }
    }
  }
  EXPECT_GT(largest, 0.5);  // else the tolerance would hide everything
}

class CtrModelTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(CtrModelTest);

TEST_P(CtrModelTest, EveryUnitScoresAsTheReference) {
  for (const CtrUnit unit : kCtrUnits) {
    for (const auto& [dim, heads] : {std::pair<size_t, size_t>{20, 5}, {6, 1}, {32, 2}}) {
      ExpectAsReference(ModelMaker(unit, SomeSettings(dim, heads), kItems, dim).Make(),
                        dim == 6 ? 140 : 7);
    }
  }
}

TEST(CtrModel, ScoresEveryUnitAsTheReferenceWithTheUsualSettings) {
  for (const CtrUnit unit : kCtrUnits) {
    CtrSettings settings = SomeSettings(64, 4);
    settings.k = 64;
    settings.bits = unit == CtrUnit::kSdim ? 48 : 128;
    settings.hashes = 16;
    settings.short_length = 16;
    ExpectAsReference(ModelMaker(unit, settings, kItems, 3).Make());
  }
}

TEST(CtrModel, SaysWhatAUserTakes) {
  CtrSettings settings = SomeSettings(64, 4);
  settings.max_history = 1024;
  settings.bits = 128;
  settings.short_length = 16;
  const size_t shared = sizeof(float) * (200 + 2 * 64 * settings.short_length);  // docs/serving.md
  for (const auto& [unit, bytes] : {std::pair<CtrUnit, size_t>{CtrUnit::kNone, 0},
                                    {CtrUnit::kAvgPool, 4 * 64},
                                    {CtrUnit::kFullAttention, 8 * 64 * 1024},
                                    {CtrUnit::kEta, (4 + 128 / 8) * 1024}}) {
    const CtrExport data = ModelMaker(unit, settings, kItems, 3).Make();
    const CtrModel model(data);
    CtrUser user = model.NewUser();
    CtrScratch scratch = model.NewScratch();
    Rng rng(1);
    model.Prepare(0, RandomItems(rng, 1024), scratch, user);
    EXPECT_EQ(user.bytes(), shared + bytes) << CtrUnitName(unit);
  }
}

TEST(CtrModel, SaysWhatTablesTake) {
  for (const auto& [unit, floats, bytes] :
       {std::tuple<CtrUnit, size_t, size_t>{CtrUnit::kNone, 1056, 460},
        {CtrUnit::kEta, 1824, 676},
        {CtrUnit::kTwin, 1824, 676},
        {CtrUnit::kFullAttention, 1824, 1228}}) {  // docs/serving.md
    const CtrExport data = ModelMaker(unit, SomeSettings(64, 4), kItems, 3).Make();
    const CtrModel exact(data), narrow(data, ItemTables::kAll, {}, Precision::kInt8);
    EXPECT_EQ(exact.table_bytes(), kItems * floats) << CtrUnitName(unit);
    EXPECT_EQ(narrow.table_bytes(), kItems * bytes) << CtrUnitName(unit);
  }
}

TEST(CtrModel, RefusesWhatAnotherModelMade) {
  const CtrExport data = ModelMaker(CtrUnit::kEta, SomeSettings(20, 5), kItems, 1).Make();
  const CtrModel model(data), other(data, ItemTables::kNone);
  CtrUser user = model.NewUser(), foreign_user = other.NewUser();
  CtrScratch scratch = model.NewScratch(), foreign_scratch = other.NewScratch();
  const std::vector<int32_t> items(3);
  std::vector<float> logits(3);
  model.Prepare(0, items, scratch, user);
  const auto refuses = [&](CtrUser& u, CtrScratch& s) {
    EXPECT_THROW(model.Prepare(0, items, s, u), std::invalid_argument);
    EXPECT_THROW(model.Score(u, items, s, logits), std::invalid_argument);
  };
  refuses(foreign_user, scratch);
  refuses(user, foreign_scratch);
  CtrUser empty_user;
  CtrScratch empty_scratch;
  refuses(empty_user, scratch);
  refuses(user, empty_scratch);
  const CtrUser taken = std::move(user);
  refuses(user, scratch);  // NOLINT(bugprone-use-after-move)
  model.Score(taken, items, scratch, logits);
}

// Eight bits change logits a little; what comes before them, and the default, stay float32.
TEST(CtrModel, EightBitsAreCloseToFloat32ForEveryUnit) {
  for (const CtrUnit unit : kCtrUnits) {
    const CtrExport data = ModelMaker(unit, SomeSettings(20, 5), kItems, 1).Make();
    for (const ItemTables tables : {ItemTables::kAll, ItemTables::kNone}) {
      Server exact(data, tables), narrow(data, tables, Precision::kInt8);
      EXPECT_EQ(exact.model.precision(), Precision::kFloat32);
      EXPECT_EQ(narrow.model.precision(), Precision::kInt8);
      Rng rng(4);
      double largest = 0, spread = 0;
      for (const size_t length : {60, 0, 3}) {
        const auto history = RandomItems(rng, length), candidates = RandomItems(rng, 140);
        const auto expected = exact.Serve(1, history, candidates);
        const auto logits = narrow.Serve(1, history, candidates);
        for (size_t b = 0; b < logits.size(); ++b) {
          largest = std::max(largest, std::abs(static_cast<double>(logits[b]) - expected[b]));
          spread = std::max(spread, std::abs(static_cast<double>(expected[b])));
        }
      }
      EXPECT_GT(largest, 1e-4) << CtrUnitName(unit);
      EXPECT_LT(largest, 0.03 * spread) << CtrUnitName(unit);
      EXPECT_EQ(exact.model.table_bytes() == 0, tables == ItemTables::kNone);
      EXPECT_LE(narrow.model.table_bytes(), exact.model.table_bytes());
    }
  }
}

// A unit that were ignored, or given the wrong behaviours, would pass the tests above if its share
// of a logit were small.
TEST(CtrModel, LogitsDependOnTheLongPast) {
  for (const CtrUnit unit : kCtrUnits) {
    const CtrExport data = ModelMaker(unit, SomeSettings(20, 5), kItems, 1).Make();
    const CtrModel model(data);
    CtrUser user = model.NewUser();
    CtrScratch scratch = model.NewScratch();
    Rng rng(4);
    auto history = RandomItems(rng, 60);
    const auto candidates = RandomItems(rng, 30);
    std::vector<float> one(30), other(30);
    model.Prepare(1, history, scratch, user);
    model.Score(user, candidates, scratch, one);
    for (size_t l = 0; l < 55; ++l) history[l] = (history[l] + 7) % static_cast<int32_t>(kItems);
    model.Prepare(1, history, scratch, user);
    model.Score(user, candidates, scratch, other);
    double change = 0;
    for (size_t b = 0; b < one.size(); ++b) {
      change = std::max(change, std::abs(static_cast<double>(one[b]) - other[b]));
    }
    if (unit == CtrUnit::kNone) {
      EXPECT_EQ(change, 0);
    } else {
      EXPECT_GT(change, 0.02) << CtrUnitName(unit);
    }
  }
}

std::vector<float> LogitsOf(const CtrExport& data, CtrRetrieval retrieval) {
  const CtrModel model(data, ItemTables::kAll, std::move(retrieval));
  CtrUser user = model.NewUser();
  CtrScratch scratch = model.NewScratch();
  Rng rng(4);
  const auto history = RandomItems(rng, 60), candidates = RandomItems(rng, 30);
  std::vector<float> logits(candidates.size());
  model.Prepare(1, history, scratch, user);
  model.Score(user, candidates, scratch, logits);
  return logits;
}

TEST(CtrModel, AnotherRetrievalServesAUnitThatRetrieves) {
  const CtrExport eta = ModelMaker(CtrUnit::kEta, SomeSettings(20, 5), kItems, 1).Make();
  CtrExport recent = eta;
  recent.unit = CtrUnit::kRecent;
  CtrExport fewer = eta;
  fewer.settings.k = 3;
  const auto own = LogitsOf(eta, {});
  EXPECT_EQ(LogitsOf(eta, {MakeEtaRetriever("codes", eta.settings.bits, eta.item_codes)}), own);
  const auto newest = LogitsOf(eta, {MakeRecentRetriever("newest", kItems)});
  EXPECT_EQ(newest, LogitsOf(recent, {}));
  EXPECT_NE(newest, own);
  EXPECT_EQ(LogitsOf(eta, {nullptr, 3}), LogitsOf(fewer, {}));
  EXPECT_NE(LogitsOf(fewer, {}), own);
}

TEST(CtrModel, RefusesARetrievalWhereNoneIsUsed) {
  for (const CtrUnit unit : kCtrUnits) {
    if (Retrieves(unit)) continue;
    const CtrExport data = ModelMaker(unit, SomeSettings(20, 5), kItems, 1).Make();
    EXPECT_THROW(LogitsOf(data, {MakeRecentRetriever("newest", kItems)}), std::invalid_argument);
    EXPECT_THROW(LogitsOf(data, {nullptr, 3}), std::invalid_argument);
  }
}

TEST(CtrModel, RefusesUsersOfAnotherRetrieval) {
  const CtrExport data = ModelMaker(CtrUnit::kEta, SomeSettings(20, 5), kItems, 1).Make();
  const CtrModel model(data),
      other(data, ItemTables::kAll, {MakeRecentRetriever("newest", kItems)});
  CtrUser user = other.NewUser();
  CtrScratch scratch = model.NewScratch();
  EXPECT_THROW(model.Prepare(0, {}, scratch, user), std::invalid_argument);
}

TEST(CtrModel, RefusesUsersOfAnotherPrecision) {
  const CtrExport data = ModelMaker(CtrUnit::kEta, SomeSettings(20, 5), kItems, 1).Make();
  const CtrModel model(data), narrow(data, ItemTables::kAll, {}, Precision::kInt8);
  CtrUser user = narrow.NewUser();
  CtrScratch scratch = model.NewScratch();
  EXPECT_THROW(model.Prepare(0, {}, scratch, user), std::invalid_argument);
}

TEST(CtrModel, ChecksItsArguments) {
  const CtrExport data = ModelMaker(CtrUnit::kEta, SomeSettings(20, 5), kItems, 1).Make();
  const CtrModel model(data);
  CtrUser user = model.NewUser();
  CtrScratch scratch = model.NewScratch();
  const std::vector<int32_t> good = {1, 2}, negative = {-1}, beyond = {kItems};
  const std::vector<int32_t> too_long(data.settings.max_history + 1);
  std::vector<float> logits(1);
  EXPECT_THROW(model.Prepare(data.users(), good, scratch, user), std::invalid_argument);
  for (const auto& history : {negative, beyond, too_long}) {
    EXPECT_THROW(model.Prepare(0, history, scratch, user), std::invalid_argument);
  }
  model.Prepare(0, good, scratch, user);
  EXPECT_THROW(model.Score(user, negative, scratch, logits), std::invalid_argument);
  EXPECT_THROW(model.Score(user, beyond, scratch, logits), std::invalid_argument);
  EXPECT_THROW(model.Score(user, good, scratch, logits), std::invalid_argument);
  model.Score(user, {}, scratch, {});
}

}  // namespace
}  // namespace eta::test
