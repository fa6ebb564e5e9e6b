// SPDX-License-Identifier: Apache-2.0
// core/serving/ranking_service.h, by one thread.
#include "core/serving/ranking_service.h"

#include <chrono>
#include <cmath>
#include <memory>

#include "core/ctr/model.h"
#include "core/retrieval/eta.h"
#include "tests/core/serving/serving_test_util.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/ctr_test_util.h"

namespace eta::test {
namespace {

using std::chrono::nanoseconds;

constexpr size_t kItems = 200;

// What a request got.
struct Answer {
  Answer(size_t candidates, size_t k)
      : positions(candidates * k, -7), items(candidates * k, -7), counts(candidates, -7) {}
  RetrievedView view() { return {positions, counts}; }
  bool IsUntouched() const {
    const auto same = [](int32_t value) { return value == -7; };
    return std::ranges::all_of(positions, same) && std::ranges::all_of(items, same) &&
           std::ranges::all_of(counts, same);
  }

  std::vector<int32_t> positions, items, counts;
};

// A model whose items and users are those of the tests.
std::shared_ptr<const CtrExport> SomeModel(CtrUnit unit, size_t items, uint64_t seed) {
  return std::make_shared<const CtrExport>(
      ModelMaker(unit, SomeSettings(12, 2), items, seed).Make());
}

std::vector<int32_t> AppendHistory(RankingService& service, const UserId& user, size_t length,
                                   Rng& rng) {
  const std::vector<int32_t> history = RandomIds(rng, length, kItems);
  EventBatch batch;
  for (size_t i = 0; i < length; ++i) {
    batch.events.push_back(EventOf(user, history[i], static_cast<int64_t>(i)));
  }
  EXPECT_TRUE(service.Append(batch, Durability::kNone));
  return history;
}

class RankingServiceTest : public TargetTest {};

TEST_P(RankingServiceTest, RetrievesWhatEtaRetrieves) {
  Rng rng(1);
  for (const size_t bits : {size_t{21}, size_t{64}}) {
    for (const bool two_towers : {false, true}) {
      ItemTable items = BellItems(kItems, 16, bits);
      if (two_towers) items.candidate_embeddings = BellItems(kItems, 16, bits + 1).embeddings;
      const auto eta = MakeEtaRetriever("eta", items, Planes(16, bits));
      ItemCodes codes(items, Planes(16, bits));
      MemoryKeeper keeper;
      for (const bool has_budget : {false, true}) {  // with one, candidates come in pieces
        RankingService service(keeper, codes,
                               {.time_budget = nanoseconds(has_budget ? int64_t{1} << 50 : 0)});
        for (const size_t length : {size_t{0}, size_t{1}, size_t{200}}) {
          SCOPED_TRACE(::testing::Message() << "bits=" << bits << " length=" << length);
          const UserId user = std::to_string(length) + (has_budget ? "b" : "");
          const auto history = AppendHistory(service, user, length, rng);
          for (const size_t k : {size_t{1}, size_t{20}, size_t{300}}) {
            const auto candidates = RandomIds(rng, 150, kItems);
            const auto expected = RetrieveSets(*eta, history, candidates, k, *eta->NewScratch());
            Answer answer(candidates.size(), k);
            const RequestReport report =
                service.Retrieve(user, candidates, k, answer.view(), answer.items);
            EXPECT_EQ(report.answered, candidates.size());
            EXPECT_FALSE(report.is_late);
            EXPECT_EQ(report.length, length);
            EXPECT_EQ(report.hit, k != 1);
            const size_t count = std::min(k, length);
            for (size_t b = 0; b < candidates.size(); ++b) {
              ASSERT_EQ(answer.counts[b], static_cast<int32_t>(count));
              const std::span row(answer.positions.data() + b * k, k);
              const std::span of_items(answer.items.data() + b * k, k);
              for (size_t i = 0; i < k; ++i) {
                ASSERT_EQ(of_items[i], i < count ? history[static_cast<size_t>(row[i])] : -1);
              }
              std::vector<int32_t> found(row.begin(), row.begin() + static_cast<ptrdiff_t>(count));
              std::ranges::sort(found);
              ASSERT_EQ(found, expected[b]);
              ASSERT_EQ(std::ranges::count(row, -1), static_cast<ptrdiff_t>(k - count));
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllTargets, RankingServiceTest, ::testing::ValuesIn(SupportedTargetList()),
                         TargetParamName);

TEST(RankingServiceTest, ReportsWhatARequestSaw) {
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  MemoryKeeper keeper;
  RankingService service(keeper, codes);
  const std::vector<int32_t> candidates = {3};
  Answer answer(1, 1);
  RequestReport report = service.Retrieve("u", candidates, 1, answer.view());
  EXPECT_EQ(report.newest_time, 0);
  EXPECT_EQ(answer.counts[0], 0);
  EXPECT_EQ(answer.positions[0], -1);
  service.Append({{EventOf("u", 3, 77)}, {}}, Durability::kNone);
  report = service.Retrieve("u", candidates, 1, answer.view());
  EXPECT_EQ(report.version, 1u);
  EXPECT_EQ(report.newest_time, 77);
  EXPECT_EQ(report.length, 1u);
  EXPECT_TRUE(report.hit);
  EXPECT_EQ(answer.positions[0], 0);
  const auto old = codes.Current();
  service.Refresh(1, candidates, MarkedItems(candidates, 2));
  service.Rebuild(MarkedItems(kItems, 3), MarkPlanes());
  service.Refresh(2, candidates, MarkedItems(candidates, 4));
  report = service.Retrieve("u", candidates, 1, answer.view());
  EXPECT_EQ(report.version, 4u);
  EXPECT_EQ(report.model, 2u);
  EXPECT_TRUE(report.hit);
  EXPECT_GE(report.version_age_ns, 0);
  const auto since_first = std::chrono::steady_clock::now() - old->published;
  EXPECT_LT(nanoseconds(report.version_age_ns), since_first);
  service.Forget("u");
  EXPECT_EQ(service.Retrieve("u", candidates, 1, answer.view()).length, 0u);
}

TEST(RankingServiceTest, ReplacedModelsAreFreed) {
  ItemCodes codes(MarkedItems(kItems, 1), MarkPlanes());
  MemoryKeeper keeper;
  RankingService service(keeper, codes);
  std::weak_ptr<const ItemCodesVersion> version = codes.Current();
  service.Refresh(1, {}, MarkedItems(size_t{0}, 2));
  EXPECT_TRUE(version.expired());
  auto held = codes.Current();
  version = held;
  service.Rebuild(MarkedItems(kItems, 2), MarkPlanes());
  EXPECT_FALSE(version.expired()) << "nor does it wait for ever";
  held.reset();
  EXPECT_TRUE(version.expired());
  auto model = SomeModel(CtrUnit::kEta, kItems, 5);
  const std::weak_ptr<const CtrExport> exported = model;
  service.ServeCtr(std::move(model));
  EXPECT_FALSE(exported.expired());
  service.ServeCtr(SomeModel(CtrUnit::kEta, kItems, 6));
  EXPECT_TRUE(exported.expired());
}

TEST(RankingServiceTest, ATimeBudgetCutsARequestShort) {
  ItemCodes codes(BellItems(kItems, 16, 1), Planes(16, 64));
  MemoryKeeper keeper;
  int64_t now = 1000, step = 0;
  RankingService service(keeper, codes, {.time_budget = nanoseconds(100), .clock = [&] {
                                           return std::exchange(now, now + step);
                                         }});
  Rng rng(1);
  AppendHistory(service, 1, 100, rng);
  const auto candidates = RandomIds(rng, 200, kItems);
  constexpr size_t kPiece = RankingService::kRetrievedAtOnce;
  // The clock is read at the beginning, before each piece and at the end. A look at just the budget
  // is in time.
  const auto expect = [&](int64_t at_step, size_t answered) {
    step = at_step;
    Answer answer(200, 5);
    const RequestReport report = service.Retrieve(1, candidates, 5, answer.view(), answer.items);
    EXPECT_EQ(report.answered, answered) << at_step;
    EXPECT_EQ(report.is_late, answered < 200);
    for (size_t b = 0; b < 200; ++b) {
      EXPECT_EQ(answer.counts[b], b < answered ? 5 : 0);
      EXPECT_EQ(answer.positions[b * 5 + 4] == -1, b >= answered);
      EXPECT_EQ(answer.items[b * 5 + 4] == -1, b >= answered);
    }
    return report;
  };
  EXPECT_EQ(expect(25, 200).took_ns, 125);
  expect(26, 3 * kPiece);
  expect(50, 2 * kPiece);
  expect(51, kPiece);
  expect(100, kPiece);
  EXPECT_EQ(expect(101, 0).took_ns, 202);
  EXPECT_TRUE(Has(service.PrometheusText(), "eta_late_requests_total{kind=\"retrieve\"} 5\n"));
  EXPECT_EQ(service.retrieve_latency().count(), 6u);
}

TEST(RankingServiceTest, WrongArgumentsLeaveTheOutput) {
  ItemCodes codes(BellItems(kItems, 16, 1), Planes(16, 64));
  MemoryKeeper keeper;
  RankingService service(keeper, codes);
  Rng rng(1);
  AppendHistory(service, 1, 100, rng);
  Answer answer(2, 3);
  const auto error = [&](std::vector<int32_t> candidates, size_t k, RetrievedView out,
                         std::span<int32_t> items) {
    return Error([&] { service.Retrieve(1, candidates, k, out, items); });
  };
  EXPECT_TRUE(Has(error({1, 2}, 0, answer.view(), answer.items), "k must be"));
  EXPECT_TRUE(Has(error({1, -1}, 3, answer.view(), answer.items), "candidates[1] = -1"));
  EXPECT_TRUE(Has(error({200, 1}, 3, answer.view(), answer.items), "candidates[0] = 200"));
  EXPECT_TRUE(Has(error({1}, 3, answer.view(), answer.items), "positions has 6"));
  EXPECT_TRUE(Has(error({1, 2}, SIZE_MAX, answer.view(), answer.items), "positions has 6"));
  EXPECT_TRUE(Has(error({1, 2}, 3, {answer.positions, std::span(answer.counts).first(1)}, {}),
                  "counts has 1"));
  EXPECT_TRUE(
      Has(error({1, 2}, 3, answer.view(), std::span(answer.items).first(5)), "items has 5"));
  keeper.fail_reads = true;
  const std::vector<int32_t> candidates = {1, 2};
  EXPECT_THROW(service.Retrieve(2, candidates, 3, answer.view(), answer.items), DataError);
  keeper.fail_appends = true;
  EXPECT_THROW(service.Append({{EventOf(1, 1, 1)}, {}}, Durability::kNone), DataError);
  EXPECT_THROW(service.Forget(1), DataError);
  EXPECT_TRUE(answer.IsUntouched());
  EXPECT_NE(Error([&] { RankingService(keeper, codes, {.time_budget = nanoseconds(-1)}); }), "");
  EXPECT_NE(Error([&] { RankingService(keeper, codes, {.cache = {.max_behaviours = 0}}); }), "");
  EXPECT_NE(Error([&] { service.Refresh(9, {}, BellItems(0, 16, 1)); }), "");
  const std::string text = service.PrometheusText();
  EXPECT_TRUE(Has(text, "eta_failed_requests_total{kind=\"retrieve\"} 8\n")) << text;
  EXPECT_TRUE(Has(text, "eta_failed_appends_total 1\n")) << text;
  EXPECT_EQ(service.retrieve_latency().count(), 0u);
}

TEST(RankingServiceTest, ScoresAsTheModelDoes) {
  ItemCodes codes(BellItems(kItems, 16, 1), Planes(16, 64));
  MemoryKeeper keeper;
  RankingService service(keeper, codes);
  Rng rng(1);
  // More than a window, and items that the model does not have.
  const std::vector<int32_t> history = AppendHistory(service, 3, 300, rng);
  const auto candidates = RandomIds(rng, 150, 120);
  std::vector<float> logits(150, 7.0f);
  EXPECT_TRUE(Has(Error([&] { service.Score(3, candidates, logits); }), "no CTR model"));
  uint64_t number = 0;
  for (const CtrUnit unit : {CtrUnit::kEta, CtrUnit::kNone, CtrUnit::kSdim}) {
    for (const size_t items : {size_t{120}, kItems}) {
      const auto model = SomeModel(unit, items, 5);
      EXPECT_EQ(service.ServeCtr(model), ++number);
      const CtrModel served(*model);
      std::vector<int32_t> window;
      for (const int32_t item : std::span(history).last(90)) {
        if (static_cast<size_t>(item) < items) window.push_back(item);
      }
      EXPECT_EQ(window.size() < 90, items < kItems);
      CtrUser user = served.NewUser();
      CtrScratch scratch = served.NewScratch();
      served.Prepare(3, window, scratch, user);
      std::vector<float> expected(150);
      served.Score(user, candidates, scratch, expected);
      const RequestReport report = service.Score(3, candidates, logits);
      EXPECT_EQ(logits, expected);
      EXPECT_EQ(report.version, number);
      EXPECT_EQ(report.length, window.size());
      EXPECT_EQ(report.newest_time, 299);
      EXPECT_EQ(report.answered, 150u);
    }
  }
  const std::vector<float> before = logits;
  EXPECT_TRUE(Has(Error([&] { service.Score(5, candidates, logits); }), "row 5 of 5"));
  EXPECT_NE(Error([&] { service.Score(-1, candidates, logits); }), "");
  EXPECT_NE(Error([&] { service.Score("3", candidates, logits); }), "");
  EXPECT_NE(Error([&] { service.Score(3, candidates, std::span(logits).first(9)); }), "");
  EXPECT_NE(Error([&] { service.Score(3, std::vector<int32_t>(150, 200), logits); }), "");
  EXPECT_NE(Error([&] { service.ServeCtr(nullptr); }), "");
  EXPECT_EQ(logits, before);
}

TEST(RankingServiceTest, ATimeBudgetCutsScoresShort) {
  ItemCodes codes(BellItems(kItems, 16, 1), Planes(16, 64));
  MemoryKeeper keeper;
  int64_t now = 0;
  RankingServiceOptions options{.time_budget = nanoseconds(2), .clock = [&] { return now++; }};
  options.ctr_row = [](const UserId&) { return size_t{1}; };
  RankingService service(keeper, codes, options);
  service.ServeCtr(SomeModel(CtrUnit::kEta, kItems, 5));
  Rng rng(1);
  AppendHistory(service, "text", 50, rng);
  const auto candidates = RandomIds(rng, 200, kItems);
  std::vector<float> logits(200);
  const RequestReport report = service.Score("text", candidates, logits);
  EXPECT_EQ(report.answered, 2 * RankingService::kScoredAtOnce);
  EXPECT_TRUE(report.is_late);
  for (size_t b = 0; b < 200; ++b) EXPECT_EQ(std::isnan(logits[b]), b >= report.answered);
}

TEST(RankingServiceTest, ACachedRequestAllocatesNothing) {
  ItemCodes codes(BellItems(kItems, 16, 1), Planes(16, 64));
  MemoryKeeper keeper;
  RankingService service(keeper, codes, {.time_budget = nanoseconds(int64_t{1} << 50)});
  service.ServeCtr(SomeModel(CtrUnit::kEta, kItems, 5));
  Rng rng(1);
  AppendHistory(service, 1, 1000, rng);
  const auto candidates = RandomIds(rng, 200, kItems);
  Answer answer(200, 20);
  std::vector<float> logits(200);
  const auto request = [&] {
    service.Retrieve(1, candidates, 20, answer.view(), answer.items);
    service.Score(1, candidates, logits);
  };
  request();
  const size_t before = allocations;
  for (int i = 0; i < 3; ++i) request();
  EXPECT_EQ(allocations, before);
}

TEST(RankingServiceTest, PrometheusTextHasEveryMetricOnce) {
  ItemCodes codes(BellItems(kItems, 16, 1), Planes(16, 64));
  MemoryKeeper keeper;
  RankingService service(keeper, codes, {.cache = {.budget_bytes = 123456}});
  Rng rng(1);
  AppendHistory(service, 1, 10, rng);
  const std::vector<int32_t> candidates = {1};
  Answer answer(1, 1);
  for (int i = 0; i < 3; ++i) service.Retrieve(1, candidates, 1, answer.view());
  service.Rebuild(BellItems(kItems, 16, 2), Planes(16, 64));
  service.Forget(2);
  const std::string text = service.PrometheusText();
  for (const char* line :
       {"# TYPE eta_request_seconds histogram\n",
        "eta_request_seconds_count{kind=\"retrieve\"} 3\n",
        "eta_request_seconds_count{kind=\"score\"} 0\n", "eta_append_seconds_count 1\n",
        "eta_appended_behaviours_total 10\n", "eta_swap_seconds_count 1\n",
        "eta_cache_hits_total 2\n", "eta_cache_misses_total 1\n", "eta_forgotten_users_total 1\n",
        "eta_cache_budget_bytes 123456\n", "eta_cache_users 1\n", "eta_item_codes_version 2\n",
        "eta_item_codes_model 2\n", "eta_ctr_model 0\n"}) {
    EXPECT_TRUE(Has(text, line)) << line;
  }
  std::vector<std::string> names;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_FALSE(line.empty());
    if (line.starts_with("# TYPE ")) names.push_back(line.substr(7, line.find(' ', 7) - 7));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace eta::test
