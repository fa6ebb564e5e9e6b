// SPDX-License-Identifier: Apache-2.0
// The methods of baselines/ against brute-force definitions, and FAISS as an independent oracle of
// the Hamming kernels.
#include <faiss/IndexBinaryFlat.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "baselines/faiss_common.h"
#include "baselines/methods.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/retrieval/codes.h"
#include "simd/hamming.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 500;
constexpr int32_t kCategories = 7;

// Small integers: float32 sums of their products are exact in any order, and many are equal.
ItemTable IntegerItems(size_t items, size_t dim, uint64_t seed) {
  Random random(seed);
  ItemTable table;
  table.embeddings = Matrix<float>(items, dim);
  for (float& x : table.embeddings.values) x = static_cast<float>(random.Below(7)) - 3;
  for (size_t i = 0; i < items; ++i) {
    table.categories.push_back(static_cast<int32_t>(random.Below(kCategories)) - 2);
  }
  return table;
}

ItemTable NormalItems(size_t items, size_t dim, uint64_t seed) {
  ItemTable table = IntegerItems(items, dim, seed);
  Random random(seed, 1);
  for (float& x : table.embeddings.values) x = static_cast<float>(random.Normal());
  return table;
}

// Items are drawn with replacement, so a long list repeats many.
std::vector<int32_t> DrawItems(size_t n, size_t items, uint64_t seed) {
  Random random(seed, 2);
  std::vector<int32_t> list(n);
  for (int32_t& id : list) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(items)));
  return list;
}

// One list of valid positions per candidate. Checks what every retriever promises: counts in range,
// valid positions without duplicates, -1 after them.
using Lists = std::vector<std::vector<int32_t>>;
Lists Retrieve(const Retriever& retriever, const PreparedHistory& history,
               const std::vector<int32_t>& candidates, size_t k) {
  const auto scratch = retriever.NewScratch();
  std::vector<int32_t> positions(candidates.size() * k, 12345);
  std::vector<int32_t> counts(candidates.size(), 12345);
  retriever.Retrieve(history, candidates, k, *scratch, {positions, counts});
  Lists lists;
  for (size_t b = 0; b < candidates.size(); ++b) {
    const auto row = positions.begin() + static_cast<ptrdiff_t>(b * k);
    EXPECT_GE(counts[b], 0);
    EXPECT_LE(static_cast<size_t>(counts[b]), std::min(k, history.length()));
    const auto end = row + std::clamp<ptrdiff_t>(counts[b], 0, static_cast<ptrdiff_t>(k));
    lists.emplace_back(row, end);
    const std::set<int32_t> unique(row, end);
    EXPECT_EQ(unique.size(), lists.back().size()) << retriever.name() << " repeats a position";
    for (const int32_t position : unique) {
      EXPECT_GE(position, 0);
      EXPECT_LT(static_cast<size_t>(position), history.length());
    }
    EXPECT_TRUE(std::all_of(end, row + static_cast<ptrdiff_t>(k), [](int32_t p) {
      return p == -1;
    })) << retriever.name();
  }
  return lists;
}

Lists Sorted(Lists lists) {
  for (auto& list : lists) std::ranges::sort(list);
  return lists;
}

// Reports the first difference only: whole lists are thousands of numbers.
void ExpectSame(const Lists& actual, const Lists& expected, const std::string& what = "") {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t b = 0; b < actual.size(); ++b) {
    ASSERT_EQ(actual[b], expected[b]) << what << " candidate " << b;
  }
}

struct Problem {
  ItemTable items;
  std::vector<int32_t> history;
  std::vector<int32_t> candidates;

  Problem(ItemTable table, size_t n, size_t num_candidates, uint64_t seed)
      : items(std::move(table)),
        history(DrawItems(n, items.size(), seed)),
        candidates(DrawItems(num_candidates, items.size(), seed + 1)) {}

  Lists Run(const std::string& spec, size_t k, const MethodOptions& options = {}) const {
    const auto retriever = MakeMethod(spec, items, options);
    return Retrieve(*retriever, *retriever->Prepare(history), candidates, k);
  }
};

const std::vector<std::string> kAllSpecs = {"exact",
                                            "scan_f32",
                                            "scan_i8",
                                            "eta:24",
                                            "eta:24+rerank:3",
                                            "eta:24+rerank_i8:3",
                                            "eta_gather:24",
                                            "eta_asym:24",
                                            "faiss_exact",
                                            "faiss_binary:24",
                                            "faiss_binary:24:heap",
                                            "faiss_binary:24:counting",
                                            "faiss_binary:24:single",
                                            "sim_hard",
                                            "sim_soft:ivf",
                                            "sim_soft:ivf:3",
                                            "sim_soft:hnsw",
                                            "sim_soft:hnsw:20",
                                            "recent"};

// --- every method ---

class EveryMethod : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Specs, EveryMethod, testing::ValuesIn(kAllSpecs), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, ':', '_');
  std::ranges::replace(name, '+', '_');
  return name;
});

// Retrieve() above does most of the checking here.
TEST_P(EveryMethod, KeepsTheContractAtAwkwardSizes) {
  for (const size_t n : {0, 1, 2, 63, 64, 65, 255, 256, 257, 1000}) {
    const Problem problem(IntegerItems(kItems, 16, 3), n, 100, n + 1);
    const auto retriever = MakeMethod(GetParam(), problem.items, {});
    const auto history = retriever->Prepare(problem.history);
    const bool may_return_fewer =
        GetParam() == "sim_hard" || (GetParam().starts_with("sim_soft") && n >= 256);
    for (const size_t num_candidates : {0, 1, 19, 20, 33, 100}) {
      const std::vector<int32_t> candidates(
          problem.candidates.begin(),
          problem.candidates.begin() + static_cast<ptrdiff_t>(num_candidates));
      for (const size_t k : {size_t{1}, size_t{64}, std::max<size_t>(n, 1), n + 5}) {
        const Lists lists = Retrieve(*retriever, *history, candidates, k);
        ASSERT_EQ(lists.size(), num_candidates);
        if (may_return_fewer) continue;
        for (const auto& list : lists) {
          ASSERT_EQ(list.size(), std::min(n, k)) << "n=" << n << " k=" << k;
        }
      }
    }
  }
}

TEST_P(EveryMethod, ThrowsOnBadArguments) {
  const Problem problem(IntegerItems(kItems, 8, 3), 100, 2, 5);
  const auto retriever = MakeMethod(GetParam(), problem.items, {});
  const auto past_the_end = static_cast<int32_t>(kItems);
  for (const int32_t bad : {-1, past_the_end, std::numeric_limits<int32_t>::max()}) {
    const std::vector<int32_t> ids = {1, bad};
    EXPECT_THROW(retriever->Prepare(ids), std::invalid_argument);
    const auto history = retriever->Prepare(problem.history);
    EXPECT_THROW(Retrieve(*retriever, *history, ids, 4), std::invalid_argument);
  }
  const auto history = retriever->Prepare(problem.history);
  EXPECT_THROW(Retrieve(*retriever, *history, problem.candidates, 0), std::invalid_argument);
}

TEST_P(EveryMethod, KnowsItself) {
  const Problem problem(IntegerItems(kItems, 8, 3), 300, 2, 5);
  const auto retriever = MakeMethod(GetParam(), problem.items, {});
  EXPECT_EQ(retriever->name(), GetParam());
  EXPECT_FALSE(retriever->target().empty());
  EXPECT_EQ(retriever->target().find("FAISS ") == 0,
            GetParam().starts_with("faiss") || GetParam().starts_with("sim_soft"));
  EXPECT_EQ(retriever->bits(), GetParam().find(":24") == std::string::npos ? 0u : 24u);
  EXPECT_EQ(retriever->Prepare({})->bytes(), 0u + (GetParam() == "sim_hard" ? 4 : 0));
  const size_t bytes = retriever->Prepare(problem.history)->bytes();
  if (GetParam() == "recent") {
    EXPECT_EQ(bytes, 0u);
  } else {
    EXPECT_GE(bytes, 300u * 3);
    EXPECT_LE(bytes, 300u * 8 * 4 * 20);
  }
}

// Two threads share a retriever and a history; each must get what one alone gets.
TEST_P(EveryMethod, IsSafeToShare) {
  const Problem problem(NormalItems(kItems, 16, 3), 700, 40, 5);
  auto retriever = MakeMethod(GetParam(), problem.items, {});
  const auto history = retriever->Prepare(problem.history);
  const Lists serial = Retrieve(*retriever, *history, problem.candidates, 32);
  std::vector<Lists> results(40);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < results.size(); i += 2) {
        results[i] = Retrieve(*retriever, *history, problem.candidates, 32);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Lists& lists : results) ExpectSame(lists, serial);
}

// Each item once: FAISS's BLAS path rounds equal rows differently by position and thread count, so
// ties are broken at random there.
Problem ProblemWithoutTies() {
  Problem problem(NormalItems(3000, 16, 3), 1500, 40, 5);
  std::iota(problem.history.begin(), problem.history.end(), 700);
  return problem;
}

TEST_P(EveryMethod, IsDeterministic) {
  const Problem problem = ProblemWithoutTies();
  const Lists first = problem.Run(GetParam(), 32, {.seed = 9});
  ExpectSame(problem.Run(GetParam(), 32, {.seed = 9}), first);
  ExpectSame(Sorted(problem.Run(GetParam(), 32, {.seed = 9, .threads = 2})), Sorted(first));
}

TEST_P(EveryMethod, RunsInsideAParallelRegion) {
  const Problem problem = ProblemWithoutTies();
  const auto retriever = MakeMethod(GetParam(), problem.items, {.threads = 2});
  const auto history = retriever->Prepare(problem.history);
  const Lists alone = Sorted(Retrieve(*retriever, *history, problem.candidates, 32));
  std::vector<Lists> results(4);
#pragma omp parallel for num_threads(2)
  for (size_t i = 0; i < 4; ++i) {
    results[i] = Sorted(Retrieve(*retriever, *history, problem.candidates, 32));
  }
  for (const Lists& lists : results) ExpectSame(lists, alone);
}

// --- FAISS as the oracle of the Hamming kernels ---

struct Codes {
  std::vector<uint8_t> rows;     // of the history, one after another
  std::vector<uint8_t> blocks;   // the same in the scan layout
  std::vector<uint8_t> queries;  // of the candidates
  size_t code_bytes;

  Codes(const Problem& problem, const Hyperplanes& hyperplanes)
      : code_bytes(hyperplanes.code_bytes()) {
    const CodeTable table(problem.items, hyperplanes);
    const auto append = [&](int32_t id, std::vector<uint8_t>& to) {
      const auto row = table.row(static_cast<size_t>(id));
      to.insert(to.end(), row.begin(), row.end());
    };
    for (const int32_t id : problem.history) append(id, rows);
    for (const int32_t id : problem.candidates) append(id, queries);
    blocks.resize(simd::CodeBlocksBytes(problem.history.size(), code_bytes));
    simd::PackCodeBlocks(rows.data(), problem.history.size(), code_bytes, code_bytes,
                         blocks.data());
  }
};

// What FAISS says of a query: labels and distances of the k nearest, oldest first among equals.
struct FaissAnswer {
  std::vector<FaissId> labels;
  std::vector<int32_t> distances;
};

FaissAnswer AskFaiss(const Codes& codes, size_t num_queries, size_t k, bool use_heap) {
  faiss::IndexBinaryFlat index(static_cast<FaissId>(codes.code_bytes * 8));
  index.use_heap = use_heap;
  index.add(static_cast<FaissId>(codes.rows.size() / codes.code_bytes), codes.rows.data());
  FaissAnswer answer{std::vector<FaissId>(num_queries * k), std::vector<int32_t>(num_queries * k)};
  index.search(static_cast<FaissId>(num_queries), codes.queries.data(), static_cast<FaissId>(k),
               answer.distances.data(), answer.labels.data());
  return answer;
}

template <class Distance>
void ExpectDistancesOfFaiss(const Codes& codes, size_t n, size_t num_queries) {
  const FaissAnswer faiss = AskFaiss(codes, num_queries, n, true);
  std::vector<Distance> distances(simd::PaddedRows(n));
  for (size_t q = 0; q < num_queries; ++q) {
    simd::HammingDistances(codes.blocks.data(), n, codes.code_bytes,
                           codes.queries.data() + q * codes.code_bytes, distances.data());
    for (size_t i = q * n; i < (q + 1) * n; ++i) {
      ASSERT_EQ(distances[static_cast<size_t>(faiss.labels[i])], faiss.distances[i])
          << "bytes=" << codes.code_bytes << " query=" << q << " label=" << faiss.labels[i];
    }
  }
}

constexpr size_t kAwkwardBits[] = {1, 3, 8, 9, 16, 31, 32, 64, 65, 100, 128, 248, 249, 256, 520};

TEST(FaissOracle, HammingDistances) {
  for (const size_t bits : kAwkwardBits) {
    const Problem problem(NormalItems(kItems, 24, bits), 300, 5, 7);
    const Codes codes(problem, Hyperplanes::Make(HyperplaneKind::kGaussian, 24, bits, 1));
    ExpectDistancesOfFaiss<uint16_t>(codes, 300, 5);
    if (codes.code_bytes <= simd::kMaxByteDistanceCodeBytes) {
      ExpectDistancesOfFaiss<uint8_t>(codes, 300, 5);
    }
  }
}

TEST(FaissOracle, SortedTopKOldestFirst) {
  constexpr size_t kRows = 1000, kQueries = 40;
  for (const size_t bits : kAwkwardBits) {
    const Problem problem(NormalItems(kItems, 24, bits), kRows, kQueries, 7);
    const Codes codes(problem, Hyperplanes::Make(HyperplaneKind::kGaussian, 24, bits, 1));
    for (const size_t k : {size_t{1}, size_t{17}, size_t{64}, size_t{999}, kRows}) {
      std::vector<int32_t> positions(kQueries * k);
      std::vector<uint16_t> distances(kQueries * k);
      std::vector<uint8_t> scratch(simd::HammingTopKScratchBytes(kRows, codes.code_bytes, k));
      simd::HammingTopK(codes.blocks.data(), kRows, codes.code_bytes, codes.queries.data(),
                        kQueries, codes.code_bytes, k, simd::TieOrder::kOldestFirst,
                        simd::ResultOrder::kSorted, scratch.data(),
                        {positions.data(), distances.data()});
      for (const bool use_heap : {true, false}) {
        const FaissAnswer faiss = AskFaiss(codes, kQueries, k, use_heap);
        ASSERT_TRUE(std::ranges::equal(positions, faiss.labels))
            << "bits=" << bits << " k=" << k << " use_heap=" << use_heap;
        ASSERT_TRUE(std::ranges::equal(distances, faiss.distances));
      }
    }
  }
}

// --- faiss_binary ---

TEST(FaissBinary, FindsTheSetsOfEta) {
  for (const size_t bits : kAwkwardBits) {
    const Problem problem(NormalItems(60, 24, bits), 1000, 40, 7);  // each item about 17 times
    for (const size_t k : {1, 16, 64, 999}) {
      const Lists expected = Sorted(problem.Run(Cat("eta:", bits), k));
      for (const char* mode : {"", ":heap", ":counting", ":single"}) {
        const std::string spec = Cat("faiss_binary:", bits, mode);
        ExpectSame(Sorted(problem.Run(spec, k)), expected, Cat(spec, " k=", k));
      }
    }
  }
}

TEST(FaissBinary, FindsTheSetsOfEtaForEveryKindOfHyperplanes) {
  const Problem problem(NormalItems(kItems, 24, 4), 1000, 40, 7);
  Lists previous;
  for (const auto kind : {HyperplaneKind::kGaussian, HyperplaneKind::kSigns,
                          HyperplaneKind::kOrthogonal, HyperplaneKind::kHadamard}) {
    const MethodOptions options{.seed = 11, .hyperplanes = kind};
    const Lists sets = Sorted(problem.Run("eta:64", 50, options));
    ExpectSame(Sorted(problem.Run("faiss_binary:64", 50, options)), sets);
    EXPECT_TRUE(sets != previous) << "the kind of hyperplanes is ignored";
    previous = sets;
  }
}

TEST(FaissBinary, CalibrationChoosesAModeAndChangesNoResult) {
  const Problem problem(NormalItems(kItems, 24, 4), 1000, 40, 7);
  const auto best = MakeMethod("faiss_binary:64", problem.items, {});
  const auto history = best->Prepare(problem.history);
  const Lists before = Sorted(Retrieve(*best, *history, problem.candidates, 50));
  EXPECT_NE(best->target().find("best: counting"), std::string::npos) << best->target();
  best->Calibrate(*history, problem.candidates, 50);
  ExpectSame(Sorted(Retrieve(*best, *history, problem.candidates, 50)), before);
  EXPECT_NE(best->target().find("best: "), std::string::npos) << best->target();
  EXPECT_THROW(best->Calibrate(*history, problem.candidates, 0), std::invalid_argument);
  best->Calibrate(*best->Prepare({}), problem.candidates, 50);  // nothing to time

  const auto heap = MakeMethod("faiss_binary:64:heap", problem.items, {});
  heap->Calibrate(*heap->Prepare(problem.history), problem.candidates, 50);
  EXPECT_NE(heap->target().find(", heap"), std::string::npos) << heap->target();
}

TEST(FaissBinary, RefusesAHistoryOfAnotherWidth) {
  const Problem problem(NormalItems(kItems, 24, 4), 100, 4, 7);
  const auto narrow = MakeMethod("faiss_binary:64", problem.items, {});
  const auto wide = MakeMethod("faiss_binary:128", problem.items, {});
  EXPECT_THROW(Retrieve(*wide, *narrow->Prepare(problem.history), problem.candidates, 4),
               std::invalid_argument);
}

// --- exact search ---

float Dot(const ItemTable& items, int32_t a, int32_t b) {
  const float* row = items.embeddings.row(static_cast<size_t>(a));
  return std::inner_product(row, row + items.dim(), items.embeddings.row(static_cast<size_t>(b)),
                            0.0f);
}

// Positions whose score is above the k-th best one, and how many more at exactly that score
// complete the top-K. Any choice among the latter is right for a method without a tie rule.
struct TopSet {
  std::vector<int32_t> surely;  // ascending
  float border = 0;
  size_t at_border = 0;
};

TopSet FindTop(const Problem& problem, int32_t candidate, size_t k) {
  std::vector<float> scores;
  for (const int32_t id : problem.history) scores.push_back(Dot(problem.items, id, candidate));
  std::vector<float> ranked = scores;
  std::ranges::sort(ranked, std::greater());
  const size_t count = std::min(k, ranked.size());
  TopSet top{.surely = {}, .border = ranked[count - 1], .at_border = 0};
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > top.border) top.surely.push_back(static_cast<int32_t>(i));
  }
  top.at_border = count - top.surely.size();
  return top;
}

void ExpectTop(const Problem& problem, int32_t candidate, size_t k, std::vector<int32_t> returned) {
  const TopSet top = FindTop(problem, candidate, k);
  const auto at_border = std::erase_if(returned, [&](int32_t position) {
    return Dot(problem.items, problem.history[static_cast<size_t>(position)], candidate) ==
           top.border;
  });
  std::ranges::sort(returned);
  EXPECT_EQ(returned, top.surely) << "k=" << k;
  EXPECT_EQ(at_border, top.at_border) << "k=" << k;
}

// FAISS follows no tie rule for inner products (see baselines/faiss_exact.cc), so both are held to
// the tie-free part of the answer and to the number of ties.
TEST(FaissExact, AgreesWithExactUpToTies) {
  // 3 candidates take FAISS's own loop, 50 its BLAS path; from k = 100 on it uses no heap.
  for (const size_t num_candidates : {3, 50}) {
    const Problem problem(IntegerItems(kItems, 16, 8), 1000, num_candidates, 7);
    for (const size_t k : {1, 16, 64, 128, 999, 1000}) {
      const Lists ours = problem.Run("exact", k);
      const Lists theirs = problem.Run("faiss_exact", k);
      for (size_t b = 0; b < num_candidates; ++b) {
        ExpectTop(problem, problem.candidates[b], k, ours[b]);
        ExpectTop(problem, problem.candidates[b], k, theirs[b]);
      }
    }
  }
}

TEST(FaissExact, FindsTheSetsOfExactWhereNothingTies) {
  const Problem problem = ProblemWithoutTies();
  ExpectSame(Sorted(problem.Run("faiss_exact", 64)), Sorted(problem.Run("exact", 64)));
}

TEST(FaissExact, LeavesOutScoresThatAreNotNumbers) {
  Problem problem(IntegerItems(kItems, 16, 8), 100, 30, 7);
  problem.history[40] = 0;
  problem.items.embeddings.row(0)[3] = std::numeric_limits<float>::quiet_NaN();
  std::ranges::replace(problem.candidates, 0, 1);
  for (const auto& list : problem.Run("faiss_exact", 100)) {
    EXPECT_LT(list.size(), 100u);
    EXPECT_EQ(std::ranges::count(list, 40), 0);
  }
}

// --- SIM hard and the newest K ---

TEST(SimHard, ReturnsTheNewestOfTheSameCategory) {
  const Problem problem(IntegerItems(kItems, 4, 8), 400, 100, 7);
  const auto category = [&](int32_t id) {
    return problem.items.categories[static_cast<size_t>(id)];
  };
  for (const size_t k : {size_t{1}, size_t{20}, size_t{60}, size_t{400}}) {
    const Lists lists = problem.Run("sim_hard", k);
    for (size_t b = 0; b < problem.candidates.size(); ++b) {
      std::vector<int32_t> expected;
      for (size_t i = problem.history.size(); i-- > 0 && expected.size() < k;) {
        if (category(problem.history[i]) == category(problem.candidates[b])) {
          expected.push_back(static_cast<int32_t>(i));
        }
      }
      ASSERT_EQ(lists[b], expected);
    }
  }
}

TEST(SimHard, ReturnsNothingForACategoryWithoutBehaviours) {
  Problem problem(IntegerItems(kItems, 4, 8), 400, 3, 7);
  std::ranges::fill(problem.items.categories, 1);
  problem.candidates = {0, 1, 2};
  std::ranges::replace(problem.history, 0, 3);
  std::ranges::replace(problem.history, 2, 3);
  problem.items.categories[0] = 0;  // before and after the only category of the history
  problem.items.categories[2] = 2;
  const Lists lists = problem.Run("sim_hard", 10);
  EXPECT_TRUE(lists[0].empty());
  EXPECT_EQ(lists[1].size(), 10u);
  EXPECT_TRUE(lists[2].empty());
}

TEST(SimHard, NeedsACategoryPerItem) {
  ItemTable items = IntegerItems(10, 4, 8);
  items.categories.pop_back();
  EXPECT_THROW(MakeMethod("sim_hard", items, {}), std::invalid_argument);
  items.categories.clear();
  EXPECT_THROW(MakeMethod("sim_hard", items, {}), std::invalid_argument);
}

TEST(Recent, ReturnsTheNewest) {
  const Problem problem(IntegerItems(kItems, 4, 8), 5, 2, 7);
  EXPECT_EQ(problem.Run("recent", 3), (Lists{{4, 3, 2}, {4, 3, 2}}));
  EXPECT_EQ(problem.Run("recent", 9), (Lists{{4, 3, 2, 1, 0}, {4, 3, 2, 1, 0}}));
}

// --- SIM soft ---

double MeanRecall(const Lists& returned, const Lists& exact) {
  size_t hits = 0, total = 0;
  for (size_t b = 0; b < exact.size(); ++b) {
    total += exact[b].size();
    for (const int32_t position : returned[b]) {
      hits += static_cast<size_t>(std::ranges::count(exact[b], position));
    }
  }
  return static_cast<double>(hits) / static_cast<double>(total);
}

// Independent normal embeddings have no clusters to find: the hardest case for an index.
TEST(SimSoft, HasRecallThatGrowsWithEffort) {
  for (const size_t n : {300, 1000, 5000}) {
    const Problem problem(NormalItems(20000, 32, 8), n, 60, 7);
    const Lists exact = problem.Run("exact", 64);
    const auto recall = [&](const char* spec) { return MeanRecall(problem.Run(spec, 64), exact); };
    EXPECT_GE(recall("sim_soft:ivf"), 0.5) << n;
    EXPECT_GE(recall("sim_soft:hnsw"), 0.5) << n;
    EXPECT_LT(recall("sim_soft:ivf:1"), recall("sim_soft:ivf")) << n;
    EXPECT_GE(recall("sim_soft:ivf:1000000"), 0.999) << n;  // all lists
    EXPECT_GE(recall("sim_soft:hnsw:2000"), recall("sim_soft:hnsw")) << n;
  }
}

TEST(SimSoft, HnswReturnsKWhenKExceedsEfSearch) {
  const Problem problem(NormalItems(20000, 32, 8), 5000, 20, 7);
  const Lists exact = problem.Run("exact", 500);
  const Lists lists = problem.Run("sim_soft:hnsw:1", 500);
  for (const auto& list : lists) EXPECT_EQ(list.size(), 500u);
  EXPECT_GE(MeanRecall(lists, exact), 0.5);
}

TEST(SimSoft, KeepsTheEmbeddingsOfItsConstruction) {
  for (const char* spec : {"sim_soft:ivf", "sim_soft:hnsw"}) {
    Problem problem(NormalItems(kItems, 16, 8), 1000, 30, 7);
    const auto soft = MakeMethod(spec, problem.items, {});
    const auto exact = MakeMethod("exact", problem.items, {});
    const auto before = soft->Prepare(problem.history);
    const Lists soft_before = Retrieve(*soft, *before, problem.candidates, 20);
    const Lists exact_before =
        Retrieve(*exact, *exact->Prepare(problem.history), problem.candidates, 20);
    Random random(99);
    for (float& x : problem.items.embeddings.values) x = static_cast<float>(random.Normal());
    ExpectSame(Retrieve(*soft, *before, problem.candidates, 20), soft_before);
    ExpectSame(Retrieve(*soft, *soft->Prepare(problem.history), problem.candidates, 20),
               soft_before);
    EXPECT_TRUE(Retrieve(*exact, *exact->Prepare(problem.history), problem.candidates, 20) !=
                exact_before);
  }
}

TEST(SimSoft, DependsOnTheSeed) {
  const Problem problem(NormalItems(20000, 16, 8), 3000, 30, 7);
  for (const char* spec : {"sim_soft:ivf:2", "sim_soft:hnsw:1"}) {
    EXPECT_TRUE(problem.Run(spec, 20, {.seed = 1}) != problem.Run(spec, 20, {.seed = 2})) << spec;
  }
}

// Data that make k-means split empty clusters again and again, and a graph of equal nodes.
TEST(SimSoft, SurvivesDegenerateEmbeddingsInSilence) {
  for (const float value : {0.0f, 1.0f, -1e18f}) {
    Problem problem(IntegerItems(kItems, 16, 8), 1000, 30, 7);
    std::ranges::fill(problem.items.embeddings.values, value);
    for (const char* spec : {"sim_soft:ivf", "sim_soft:hnsw"}) {
      testing::internal::CaptureStderr();
      const Lists lists = problem.Run(spec, 20);
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << spec;
      EXPECT_EQ(lists.size(), 30u);
    }
  }
}

TEST(SimSoft, RefusesEmbeddingsItCannotMultiply) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e19f}) {
    ItemTable items = IntegerItems(kItems, 16, 8);
    items.embeddings.row(kItems - 1)[15] = bad;
    EXPECT_THROW(MakeMethod("sim_soft:ivf", items, {}), std::invalid_argument) << bad;
    EXPECT_THROW(MakeMethod("sim_soft:hnsw", items, {}), std::invalid_argument) << bad;
  }
}

// --- specs ---

std::string ErrorOf(const std::string& spec, const MethodOptions& options = {}) {
  static const ItemTable kTable = IntegerItems(10, 4, 8);
  try {
    MakeMethod(spec, kTable, options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(MakeMethod, ListsTheMethodsWhenTheNameIsUnknown) {
  for (const char* spec : {"", "etta:64", "ETA:64", " eta:64", "eta64", ":64"}) {
    const std::string error = ErrorOf(spec);
    EXPECT_NE(error.find(Cat("'", spec, "'")), std::string::npos) << error;
    for (const char* name :
         {"exact", "eta", "faiss_exact", "faiss_binary", "sim_hard", "sim_soft", "recent"}) {
      EXPECT_NE(error.find(name), std::string::npos) << error;
    }
  }
}

TEST(MakeMethod, RefusesMalformedSpecs) {
  for (const std::string spec : {"exact:",
                                 "exact:1",
                                 "eta",
                                 "eta:",
                                 "eta:0",
                                 "eta:-1",
                                 "eta:+8",
                                 "eta: 8",
                                 "eta:8 ",
                                 "eta:08",
                                 "eta:8.0",
                                 "eta:0x8",
                                 "eta:4097",
                                 "eta:99999999999999999999",
                                 "eta:8:heap",
                                 "faiss_exact:1",
                                 "faiss_binary",
                                 "faiss_binary:0",
                                 "faiss_binary:8:",
                                 "faiss_binary:8:best",
                                 "faiss_binary:8:heap:1",
                                 "sim_hard:1",
                                 "sim_soft",
                                 "sim_soft:",
                                 "sim_soft:pq",
                                 "sim_soft:ivf:0",
                                 "sim_soft:ivf:x",
                                 "sim_soft:hnsw:",
                                 "sim_soft:hnsw:4294967296",
                                 "sim_soft:ivf:1:1",
                                 "recent:5"}) {
    const std::string error = ErrorOf(spec);
    EXPECT_EQ(error.find(Cat("method '", spec, "': ")), 0u) << error;
  }
  EXPECT_NE(ErrorOf("eta:8", {.threads = 0}), "no error");
}

TEST(MakeMethod, AcceptsTheLimitsOfBits) {
  for (const char* spec : {"eta:1", "eta:4096", "faiss_binary:1", "faiss_binary:4096:single"}) {
    EXPECT_EQ(ErrorOf(spec), "no error");
  }
}

TEST(MakeMethod, UsesLoadedHyperplanesOfTheSameWidthOnly) {
  const Problem problem(NormalItems(kItems, 24, 4), 1000, 40, 7);
  const Hyperplanes loaded =
      Hyperplanes::FromMatrix(Hyperplanes::Make(HyperplaneKind::kGaussian, 24, 64, 77).matrix());
  const MethodOptions options{.seed = 1, .loaded = &loaded};
  const Lists expected = problem.Run("eta:64", 50, {.seed = 77});
  ExpectSame(problem.Run("eta:64", 50, options), expected);
  ExpectSame(Sorted(problem.Run("faiss_binary:64", 50, options)), Sorted(expected));
  EXPECT_TRUE(problem.Run("eta:64", 50, {.seed = 1}) != expected);
  ExpectSame(problem.Run("eta:32", 50, options), problem.Run("eta:32", 50, {.seed = 1}));
  EXPECT_NE(ErrorOf("eta:64", options).find("dimension 24"), std::string::npos);
}

TEST(SplitMethods, SplitsAndChecks) {
  EXPECT_EQ(SplitMethods("exact"), std::vector<std::string>{"exact"});
  EXPECT_EQ(SplitMethods("exact,eta:64"), (std::vector<std::string>{"exact", "eta:64"}));
  for (const char* list : {"", ",", "exact,", ",exact", "exact,,recent", "eta:8,exact,eta:8"}) {
    EXPECT_THROW(SplitMethods(list), std::invalid_argument) << list;
  }
}

TEST(MethodsHelp, HasALinePerMethod) {
  const std::string help = MethodsHelp();
  EXPECT_EQ(std::ranges::count(help, '\n'), 14);
  for (const std::string& spec : kAllSpecs) {
    EXPECT_NE(help.find(spec.substr(0, spec.find(':'))), std::string::npos) << spec;
  }
}

TEST(FaissBuild, NamesVersionAndOptions) {
  const std::string build = FaissBuild();
  EXPECT_EQ(build.find(std::to_string(FAISS_VERSION_MAJOR) + "."), 0u) << build;
  EXPECT_EQ(build.find(" )"), std::string::npos) << build;
  EXPECT_EQ(build.back(), ')') << build;
}

TEST(FaissThreadGuard, SetsAndRestoresTheThreads) {
  const int before = omp_get_max_threads();
  {
    const FaissThreadGuard guard({.openmp = before + 1, .blas = 1});
    EXPECT_EQ(omp_get_max_threads(), before + 1);
  }
  EXPECT_EQ(omp_get_max_threads(), before);
  int inside = 0;
#pragma omp parallel num_threads(2)
  {
    const FaissThreadGuard guard({.openmp = 2, .blas = 2});
#pragma omp critical
    inside = std::max(inside, omp_get_max_threads());
  }
  EXPECT_EQ(inside, 1);
}

}  // namespace
}  // namespace eta::test
