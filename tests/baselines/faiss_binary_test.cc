// SPDX-License-Identifier: Apache-2.0
// FAISS as an independent oracle of the Hamming kernels, and faiss_binary beside ETA.
#include <faiss/IndexBinaryFlat.h>
#include <gtest/gtest.h>
#include "baselines/faiss_common.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "baselines/faiss_common.h"
#include "baselines/methods.h"
#include "core/base/check.h"
#include "core/retrieval/codes.h"
#include "simd/code_blocks.h"
#include "simd/hamming.h"
#include "tests/support/method_problem.h"

namespace eta::test {
namespace {

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
    simd::PackCodeBlocks(simd::DenseRows(rows.data(), problem.history.size(), code_bytes),
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
    simd::HammingDistances({codes.blocks.data(), n, codes.code_bytes},
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
      simd::HammingTopK({codes.blocks.data(), kRows, codes.code_bytes},
                        {codes.queries.data(), kQueries, codes.code_bytes},
                        {k, simd::TieOrder::kOldestFirst, simd::ResultOrder::kSorted},
                        scratch.data(), {positions.data(), distances.data()});
      for (const bool use_heap : {true, false}) {
        const FaissAnswer faiss = AskFaiss(codes, kQueries, k, use_heap);
        ASSERT_TRUE(std::ranges::equal(positions, faiss.labels))
            << "bits=" << bits << " k=" << k << " use_heap=" << use_heap;
        ASSERT_TRUE(std::ranges::equal(distances, faiss.distances));
      }
    }
  }
}

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

}  // namespace
}  // namespace eta::test
