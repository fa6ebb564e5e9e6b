// SPDX-License-Identifier: Apache-2.0
// simd/pq4.h against core/reference/pq4.h on every target.
#include "simd/pq4.h"

#include <limits>
#include <ostream>

#include "core/reference/code_blocks.h"
#include "core/reference/pq4.h"
#include "tests/support/target_test_util.h"
#include "tests/support/topk_calls.h"

namespace eta::test {
namespace {

using simd::ResultOrder;
using simd::TieOrder;

constexpr size_t kCounts[] = {0,   1,   2,   63,  64,  65,   127,  128, 129,
                              191, 255, 256, 257, 320, 1000, 4097, 9000};
// About the width at which penalties are ranked in 16 bits, and odd numbers of planes.
constexpr size_t kCodeBytes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 18, 19, 32, 33, 128, 512};

enum Table {
  kSmall,    // all sums fit a byte, as they do for up to 128 bits and data without outliers
  kFull,     // any entry up to the largest: most sums of more than 4 bytes do not fit
  kLargest,  // all entries are the largest, all rows are equal
  kZero,
  kFar,  // all rows but a few are too far for a byte
  kTables
};

struct Case {
  size_t n, code_bytes;
  Table table;
  size_t offset;  // elements by which the buffers are misaligned
  uint64_t seed;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << "target=" << simd::TargetName(simd::ActiveTarget()) << " n=" << c.n
               << " code_bytes=" << c.code_bytes << " table=" << c.table << " offset=" << c.offset
               << " seed=" << c.seed;
  }
};

using Bytes = std::vector<uint8_t>;

Bytes MakeTables(Table kind, Rng& rng, size_t code_bytes) {
  Bytes tables(simd::Pq4TableBytes(code_bytes));
  for (size_t i = 0; i < tables.size(); ++i) {
    const size_t most = kind == kSmall ? std::min<size_t>(127 / code_bytes, 63) : 63;
    tables[i] = static_cast<uint8_t>(kind == kLargest ? 63
                                     : kind == kZero  ? 0
                                     : kind == kFar   ? (i % 16 == 0 ? 0 : 50 + Below(rng, 14))
                                                      : Below(rng, most + 1));
  }
  return tables;
}

struct Data {
  Bytes tables;
  Bytes codes;  // n x code_bytes
};

Data MakeData(const Case& c) {
  Rng rng(c.seed);
  Data data;
  data.tables = MakeTables(c.table, rng, c.code_bytes);
  for (size_t i = 0; i < c.n; ++i) {
    const bool near = c.table == kFar && i % 7 == 0;
    const Bytes code = near ? Bytes(c.code_bytes, 0) : RandomBytes(rng, c.code_bytes);
    data.codes.insert(data.codes.end(), code.begin(), code.end());
  }
  return data;
}

// The blocks of the codes, made without the kernels; the unused rows hold noise or the code 0,
// which is among the nearest.
Buffer<uint8_t> MakeBlocks(const Case& c, const Data& data) {
  Bytes blocks = reference::PackCodeBlocks(data.codes, c.code_bytes);
  Rng rng(c.seed + 1);
  for (size_t i = c.n; i < reference::RoundUpToBlocks(c.n); ++i) {
    for (size_t p = 0; p < c.code_bytes; ++p) {
      blocks[reference::BlockIndex(i, p, c.code_bytes)] =
          c.seed % 3 == 0 ? static_cast<uint8_t>(rng()) : uint8_t{0};
    }
  }
  return Buffer<uint8_t>(std::span<const uint8_t>(blocks), c.offset);
}

// Every pair of count and width, and every kind of table at some of them.
std::vector<Case> Sweep() {
  std::vector<Case> cases;
  for (size_t a = 0; a < std::size(kCounts); ++a) {
    for (size_t b = 0; b < std::size(kCodeBytes); ++b) {
      if (kCounts[a] * kCodeBytes[b] > 200000) continue;
      cases.push_back({kCounts[a], kCodeBytes[b], static_cast<Table>((a + b) % kTables),
                       (a + b) % 4 * 3, 100 * a + b});
    }
  }
  for (const size_t code_bytes : {size_t{4}, size_t{8}, size_t{16}, size_t{17}, size_t{512}}) {
    for (int table = 0; table < kTables; ++table) {
      cases.push_back({150, code_bytes, static_cast<Table>(table), 0, code_bytes + 1});
    }
  }
  return cases;
}

class Pq4Test : public TargetTest {};
ETA_FOR_EVERY_TARGET(Pq4Test);

template <class T>
void ExpectPenalties(const Case& c) {
  SCOPED_TRACE(c);
  const Data data = MakeData(c);
  Buffer<uint8_t> blocks = MakeBlocks(c, data);
  Buffer<uint8_t> tables(std::span<const uint8_t>(data.tables), c.offset);
  Buffer<T> penalties(simd::PaddedRows(c.n), c.offset, c.seed % 2 * 64);
  simd::Pq4Penalties({blocks.data(), c.n, c.code_bytes}, tables.data(), penalties.data());
  std::vector<T> expected;
  for (const uint32_t sum : reference::Pq4Penalties(data.codes, data.tables)) {
    expected.push_back(static_cast<T>(std::min<uint32_t>(sum, std::numeric_limits<T>::max())));
  }
  EXPECT_TRUE(SameValues<T>({penalties.data(), c.n}, expected));
}

TEST_P(Pq4Test, Penalties) {
  for (const Case& c : Sweep()) {
    if (c.code_bytes <= simd::kPq4MaxByteCodeBytes) ExpectPenalties<uint8_t>(c);
    ExpectPenalties<uint16_t>(c);
  }
}

Ranking<uint16_t> Ranked(const Data& data, const Bytes& tables, TieOrder ties) {
  Ranking<uint16_t> ranking;
  const size_t n = data.codes.size() * 32 / tables.size();
  for (const auto& row : reference::Pq4TopK(data.codes, tables, n, ties)) {
    ranking.push_back({row.position, static_cast<uint16_t>(row.distance)});
  }
  return ranking;
}

// Runs one call on the first rankings.size() queries and compares each row with its ranking.
void ExpectPq4TopK(const Case& c, Buffer<uint8_t>& blocks, const std::vector<Bytes>& queries,
                   std::span<const Ranking<uint16_t>> rankings, const TopKCall& call) {
  SCOPED_TRACE(c);
  Bytes dense;
  for (size_t q = 0; q < rankings.size(); ++q) {
    dense.insert(dense.end(), queries[q].begin(), queries[q].end());
  }
  const size_t width = simd::Pq4TableBytes(c.code_bytes), stride = width + c.seed % 3;
  Buffer<uint8_t> tables(WithStride<uint8_t>(dense, width, stride, 0xFF), c.offset);
  const size_t k = call.options.k;
  ExpectTopK<uint16_t>(
      call, {c.n, simd::Pq4TopKScratchBytes(c.n, c.code_bytes, k), c.offset, c.seed + k}, rankings,
      [&](const auto& options, void* scratch, const auto& result) {
        return simd::Pq4TopK({blocks.data(), c.n, c.code_bytes},
                             {tables.data(), rankings.size(), stride}, options, scratch, result);
      });
}

TEST_P(Pq4Test, TopK) {
  for (const Case& c : Sweep()) {
    const Data data = MakeData(c);
    Buffer<uint8_t> blocks = MakeBlocks(c, data);
    std::vector<size_t> ks = {1, 64, c.n / 2 + 1, c.n, c.n + 1};
    std::erase(ks, 0u);
    for (const TieOrder ties : {TieOrder::kNewestFirst, TieOrder::kOldestFirst}) {
      const std::vector<Ranking<uint16_t>> rankings = {Ranked(data, data.tables, ties)};
      ForEachTopKCall(ks, ties, c.seed, [&](const TopKCall& call, uint64_t) {
        ExpectPq4TopK(c, blocks, {data.tables}, rankings, call);
      });
    }
  }
}

// More queries than share a pass, some whose penalties fit a byte and some whose do not, over one
// chunk and over several.
TEST_P(Pq4Test, ManyQueriesAreAsSingleOnes) {
  constexpr std::pair<size_t, size_t> kSizes[] = {{300, 8}, {5000, 8}, {700, 17}, {1500, 16}};
  for (const auto& [n, code_bytes] : kSizes) {
    const Case c{n, code_bytes, kFar, 1, n + 2};
    const Data data = MakeData(c);
    Rng rng(c.seed);
    std::vector<Bytes> queries = {data.tables};
    while (queries.size() < 67) {
      queries.push_back(MakeTables(static_cast<Table>(queries.size() % kTables), rng, code_bytes));
    }
    Buffer<uint8_t> blocks = MakeBlocks(c, data);
    std::vector<Ranking<uint16_t>> rankings;
    for (const auto& query : queries) {
      rankings.push_back(Ranked(data, query, TieOrder::kNewestFirst));
    }
    for (const size_t take : {size_t{0}, size_t{31}, size_t{33}, size_t{67}}) {
      for (const ResultOrder order : {ResultOrder::kSorted, ResultOrder::kAny}) {
        ExpectPq4TopK(c, blocks, queries, std::span(rankings).first(take),
                      {{64, TieOrder::kNewestFirst, order}, true});
      }
    }
  }
}

// Penalties and ties in literals, so that kernel and oracle cannot agree on others.
TEST_P(Pq4Test, ByHand) {
  Bytes tables(32);
  for (size_t m = 0; m < 16; ++m) {
    tables[m] = static_cast<uint8_t>(m);           // of the lower half
    tables[16 + m] = static_cast<uint8_t>(4 * m);  // of the upper half
  }
  const Bytes codes = {0x00, 0x0F, 0xF0, 0xFF, 0x03, 0x21};  // 0 15 60 75 3 9
  const auto blocks = reference::PackCodeBlocks(codes, 1);
  Bytes penalties(64);
  simd::Pq4Penalties({blocks.data(), 6, 1}, tables.data(), penalties.data());
  penalties.resize(6);
  EXPECT_EQ(penalties, (Bytes{0, 15, 60, 75, 3, 9}));
  std::vector<int32_t> positions(3);
  Buffer<uint8_t> scratch(simd::Pq4TopKScratchBytes(6, 1, 3));
  simd::Pq4TopK({blocks.data(), 6, 1}, {tables.data(), 1, 32},
                {3, TieOrder::kNewestFirst, ResultOrder::kSorted}, scratch.data(),
                {positions.data()});
  EXPECT_EQ(positions, (std::vector<int32_t>{0, 4, 5}));
}

}  // namespace
}  // namespace eta::test
