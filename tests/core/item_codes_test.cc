// SPDX-License-Identifier: Apache-2.0
// core/retrieval/item_codes.h.
#include "core/retrieval/item_codes.h"

#include <sched.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <limits>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/retrieval_test_util.h"

namespace eta::test {
namespace {

using Held = std::shared_ptr<const ItemCodesVersion>;

std::span<const uint8_t> Bytes(const CodeTable& table) { return {table.data(), table.bytes()}; }

void ExpectSame(const ItemCodesVersion& version, const ItemCodesVersion& expected) {
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(version.table), Bytes(expected.table)));
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(version.candidates()), Bytes(expected.candidates())));
  EXPECT_EQ(version.candidate_table.has_value(), expected.candidate_table.has_value());
}

ItemTable Items(size_t count, bool two_towers, uint64_t seed) {
  ItemTable items = BellItems(count, 16, seed);
  if (two_towers) items.candidate_embeddings = BellItems(count, 16, seed + 1000).embeddings;
  return items;
}

// Row i of `rows` becomes the embedding of item ids[i].
void Change(ItemTable& items, const std::vector<int32_t>& ids, const ItemTable& rows) {
  const auto copy = [&](Matrix<float>& to, const Matrix<float>& from) {
    for (size_t i = 0; i < ids.size(); ++i) {
      std::copy_n(from.row(i), from.cols, to.row(static_cast<size_t>(ids[i])));
    }
  };
  copy(items.embeddings, rows.embeddings);
  if (rows.candidate_embeddings) copy(*items.candidate_embeddings, *rows.candidate_embeddings);
}

TEST(ItemCodesTest, VersionsAreThoseOfCodeTables) {
  const ItemTable first = Items(70, false, 1), second = Items(50, true, 2);
  ItemCodes codes(first, Planes(16, 20), 2);
  const Held one = codes.Current();
  EXPECT_EQ(one->number, 1u);
  EXPECT_EQ(one->model, 1u);
  EXPECT_EQ(one->hyperplanes->bits(), 20u);
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(one->table), Bytes(CodeTable(first, Planes(16, 20)))));
  EXPECT_EQ(&one->candidates(), &one->table);

  const Held two = codes.Rebuild(second, Planes(16, 64), 2);
  EXPECT_EQ(two, codes.Current());
  EXPECT_EQ(two->number, 2u);
  EXPECT_EQ(two->model, 2u);
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(two->table), Bytes(CodeTable(second, Planes(16, 64)))));
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(two->candidates()),
                                  Bytes(*CodeTable::OfCandidates(second, Planes(16, 64)))));
}

TEST(ItemCodesTest, CodesAreTheSameAtIdlePriority) {
  const ItemTable items = Items(20'000, true, 1);
  ItemCodes codes(items, Planes(16, 64));
  const Held version = codes.Rebuild(items, Planes(16, 96), 1, ThreadPriority::kIdle);
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(version->table), Bytes(CodeTable(items, Planes(16, 96)))));
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(version->candidates()),
                                  Bytes(*CodeTable::OfCandidates(items, Planes(16, 96)))));
  const ItemTable other = Items(10, false, 1);
  EXPECT_THROW(codes.Rebuild(other, Planes(8, 64), 1, ThreadPriority::kIdle),
               std::invalid_argument);
  EXPECT_EQ(codes.Current()->table.size(), items.size());
}

// What a thread has that asks for SCHED_IDLE: that, unless the system refuses it.
int IdlePolicy() {
  int policy = -1;
  std::thread([&] {
    const sched_param none{};
    ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none);
    policy = ::sched_getscheduler(0);
  }).join();
  return policy;
}

TEST(RunWhenIdleTest, AnIdleThreadRunsEachPieceOnce) {
  const std::thread::id caller = std::this_thread::get_id();
  const int before = ::sched_getscheduler(0), policy = IdlePolicy();
  for (const size_t pieces : {0, 1, 100}) {
    std::vector<int> runs(pieces);
    RunWhenIdle(pieces, std::chrono::hours(1), [&](size_t i) {
      ++runs[i];
      EXPECT_NE(std::this_thread::get_id(), caller);
      EXPECT_EQ(::sched_getscheduler(0), policy);
    });
    EXPECT_EQ(runs, std::vector<int>(pieces, 1));
  }
  EXPECT_EQ(::sched_getscheduler(0), before);
}

TEST(RunWhenIdleTest, TheCallerDoesTheRestWhenItsPatienceEnds) {
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<std::atomic<int>> runs(100);
  std::atomic<int> by_caller = 0;
  RunWhenIdle(runs.size(), std::chrono::milliseconds(1), [&](size_t i) {
    ++runs[i];
    // The idle thread stays in its first piece until the caller has done another one.
    if (std::this_thread::get_id() == caller) return void(++by_caller);
    while (by_caller == 0) std::this_thread::yield();
  });
  EXPECT_GT(by_caller, 0);
  for (const auto& run : runs) EXPECT_EQ(run, 1);
}

TEST(RunWhenIdleTest, ThrowsWhatAPieceThrows) {
  for (const auto patience : {std::chrono::hours(1), std::chrono::hours(0)}) {
    std::atomic<int> runs = 0;
    EXPECT_THROW(RunWhenIdle(1000, patience,
                             [&](size_t) {
                               ++runs;
                               throw std::logic_error("piece");
                             }),
                 std::logic_error);
    EXPECT_LE(runs, 2);  // one of each thread
  }
}

TEST(ItemCodesTest, RefreshEqualsRebuild) {
  constexpr size_t kItems = 200;
  uint64_t seed = 0;
  for (const HyperplaneKind kind : {HyperplaneKind::kGaussian, HyperplaneKind::kHadamard}) {
    for (const size_t bits : {size_t{13}, size_t{64}, size_t{129}}) {
      for (const bool two_towers : {false, true}) {
        const Hyperplanes planes = Hyperplanes::Make(kind, 16, bits, 1);
        ItemTable items = Items(kItems, two_towers, ++seed);
        ItemCodes codes(items, planes);
        Rng rng(seed);
        for (const size_t count : {size_t{0}, size_t{1}, size_t{7}, size_t{500}}) {
          SCOPED_TRACE(::testing::Message() << "bits=" << bits << " count=" << count);
          std::vector<int32_t> changed = RandomIds(rng, count, kItems);
          if (count == 7) changed = {0, 199, 63, 64, 65, 0, 5};
          const ItemTable rows = Items(count, two_towers, ++seed);
          const Held before = codes.Current();
          const ItemCodesVersion old = *before;
          Change(items, changed, rows);
          const Held after = codes.Refresh(1, changed, rows);
          ExpectSame(*after, *ItemCodes(items, planes).Current());
          ExpectSame(*before, old);
          EXPECT_EQ(after, codes.Current());
          EXPECT_EQ(after->number, before->number + 1);
          EXPECT_EQ(after->model, 1u);
          EXPECT_EQ(after->hyperplanes, before->hyperplanes) << "copied";
        }
      }
    }
  }
}

TEST(ItemCodesTest, AVersionIsFreedWithItsLastHolder) {
  const ItemTable items = Items(70, false, 1);
  ItemCodes codes(items, Planes(16, 20));
  Held request = codes.Current(), other = request;
  const std::weak_ptr<const ItemCodesVersion> first = request;
  const std::weak_ptr<const ItemCodesVersion> second = codes.Refresh(1, {}, Items(0, false, 1));
  EXPECT_FALSE(second.expired());
  const std::weak_ptr<const Hyperplanes> planes = request->hyperplanes;
  codes.Rebuild(items, Planes(16, 20));
  EXPECT_TRUE(second.expired()) << "nobody held it when it was replaced";
  request.reset();
  EXPECT_FALSE(first.expired());
  EXPECT_FALSE(planes.expired());
  other.reset();
  EXPECT_TRUE(first.expired());
  EXPECT_TRUE(planes.expired());
}

TEST(ItemCodesTest, WrongArgumentsLeaveTheCurrentVersion) {
  EXPECT_NE(Error([] { ItemCodes(Items(9, false, 1), Planes(17, 20)); }), "");
  ItemCodes codes(Items(10, false, 1), Planes(16, 20));
  codes.Rebuild(Items(10, false, 2), Planes(16, 20));
  const Held current = codes.Current();
  const ItemCodesVersion before = *current;
  const ItemTable rows = Items(2, false, 3);
  const std::vector<int32_t> ids = {9, 0};
  const auto refresh = [&](uint64_t model, std::vector<int32_t> changed, const ItemTable& with,
                           int threads = 1) {
    return Error([&] { codes.Refresh(model, changed, with, threads); });
  };
  EXPECT_TRUE(Has(refresh(1, ids, rows), "model 1, the current one is 2"));
  EXPECT_NE(refresh(0, ids, rows), "");
  EXPECT_NE(refresh(3, ids, rows), "");
  EXPECT_TRUE(Has(refresh(2, {1, 2, 3}, rows), "3 changed items, 2 rows"));
  EXPECT_NE(refresh(2, {}, rows), "");
  for (const int32_t bad : {-1, 10, std::numeric_limits<int32_t>::min()}) {
    EXPECT_TRUE(Has(refresh(2, {0, bad}, rows), "changed[1] = " + std::to_string(bad)));
  }
  EXPECT_TRUE(Has(refresh(2, ids, Items(2, true, 3)), "candidates"));
  EXPECT_NE(refresh(2, ids, BellItems(2, 15, 3)), "");
  EXPECT_NE(refresh(2, ids, rows, 0), "");
  ItemTable torn = rows;
  torn.embeddings.values.resize(31);
  EXPECT_NE(refresh(2, ids, torn), "");
  EXPECT_NE(Error([&] { codes.Rebuild(torn, Planes(16, 20)); }), "");
  EXPECT_NE(Error([&] { codes.Rebuild(rows, Planes(15, 20)); }), "");
  EXPECT_NE(Error([&] { codes.Rebuild(rows, Planes(16, 20), 0); }), "");
  EXPECT_EQ(codes.Current(), current);
  ExpectSame(*current, before);
  EXPECT_EQ(refresh(2, ids, rows), "");

  ItemCodes towers(Items(10, true, 1), Planes(16, 20));
  EXPECT_TRUE(Has(Error([&] { towers.Refresh(1, ids, rows); }), "candidates"));
}

// Versions that show by each code which one they are of: 64 hyperplanes of one dimension each, so
// that a code is what its embedding was made of.
constexpr size_t kBits = 64;
struct Mark {
  uint32_t model;
  uint32_t refresh;  // 0: as the model was built
  bool operator==(const Mark&) const = default;
};

ItemTable Marked(size_t count, Mark mark) {
  uint64_t code;
  static_assert(sizeof code == sizeof mark);
  std::memcpy(&code, &mark, sizeof code);
  ItemTable items;
  items.embeddings = Matrix<float>(count, kBits);
  for (size_t i = 0; i < count * kBits; ++i) {
    items.embeddings.values[i] = (code >> i % kBits & 1) != 0 ? 1.0f : -1.0f;
  }
  return items;
}

// What they are multiplied by tells hyperplanes apart and leaves the codes.
Hyperplanes MarkedPlanes(uint32_t model) {
  Matrix<float> matrix(kBits, kBits);
  for (size_t i = 0; i < kBits; ++i) matrix.row(i)[i] = static_cast<float>(model);
  return Hyperplanes::FromMatrix(std::move(matrix));
}

Mark MarkOf(const CodeTable& table, size_t item) {
  Mark mark;
  std::memcpy(&mark, table.row(item).data(), sizeof mark);
  return mark;
}

// Every third item is of the version's refresh, the others are of the model as it was built.
constexpr size_t kMarkedItems = 300;
bool IsWhole(const ItemCodesVersion& version, uint32_t refresh) {
  const auto model = static_cast<uint32_t>(version.model);
  if (version.hyperplanes->matrix().row(0)[0] != static_cast<float>(model)) return false;
  for (size_t i = 0; i < version.table.size(); ++i) {
    if (MarkOf(version.table, i) != Mark{model, i % 3 == 0 ? refresh : 0}) return false;
  }
  return version.table.size() == kMarkedItems;
}

// Publishes a new model and three refreshes of it, again and again, until `is_done`.
template <class IsDone>
std::vector<std::weak_ptr<const ItemCodesVersion>> Swap(ItemCodes& codes, IsDone is_done) {
  std::vector<int32_t> changed;
  for (size_t i = 0; i < kMarkedItems; i += 3) changed.push_back(static_cast<int32_t>(i));
  std::vector<std::weak_ptr<const ItemCodesVersion>> published = {codes.Current()};
  for (uint32_t model = 2; !is_done(); ++model) {
    published.push_back(codes.Rebuild(Marked(kMarkedItems, {model, 0}), MarkedPlanes(model)));
    for (uint32_t refresh = 1; refresh <= 3; ++refresh) {
      published.push_back(codes.Refresh(model, changed, Marked(changed.size(), {model, refresh})));
    }
  }
  return published;
}

TEST(ItemCodesThreadsTest, ARequestSeesOneVersion) {
  constexpr int kReaders = 3, kVersions = 15;
  ItemCodes codes(Marked(kMarkedItems, {1, 0}), MarkedPlanes(1));
  std::atomic<int> reading = kReaders;
  std::atomic<int> mixed = 0, backwards = 0;
  const auto read = [&] {
    uint64_t last = 0;
    for (int versions = 0; versions < kVersions;) {
      const Held version = codes.Current();
      const uint32_t refresh = MarkOf(version->table, 0).refresh;
      // The second look comes after others had the time to publish.
      if (!IsWhole(*version, refresh)) ++mixed;
      std::this_thread::yield();
      if (!IsWhole(*version, refresh)) ++mixed;
      if (version->number < last) ++backwards;
      versions += version->number != last ? 1 : 0;
      last = version->number;
    }
    --reading;
  };
  std::vector<std::thread> readers;
  for (int r = 0; r < kReaders; ++r) readers.emplace_back(read);
  const auto published = Swap(codes, [&] { return reading == 0; });
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(mixed, 0);
  EXPECT_EQ(backwards, 0);
  EXPECT_EQ(codes.Current()->number, published.size());
  for (size_t i = 0; i + 1 < published.size(); ++i) {
    EXPECT_TRUE(published[i].expired()) << "version " << i + 1 << " of " << published.size();
  }
  EXPECT_FALSE(published.back().expired());
}

TEST(ItemCodesThreadsTest, NoRefreshIsLost) {
  constexpr int32_t kThreads = 3, kEach = 50;
  // So many items that a refresh takes long enough for threads to meet.
  ItemCodes codes(Marked(20000, {1, 0}), MarkedPlanes(1));
  std::atomic<int> waiting = kThreads;
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&codes, &waiting, t] {
      for (--waiting; waiting > 0;) std::this_thread::yield();
      for (int32_t i = 0; i < kEach; ++i) {
        const int32_t item = i * kThreads + t;
        codes.Refresh(1, {&item, 1}, Marked(1, {1, static_cast<uint32_t>(item) + 1}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Held last = codes.Current();
  EXPECT_EQ(last->number, uint64_t{1 + kThreads * kEach});
  for (uint32_t i = 0; i < kThreads * kEach; ++i) {
    EXPECT_EQ(MarkOf(last->table, i).refresh, i + 1);
  }
}

}  // namespace
}  // namespace eta::test
