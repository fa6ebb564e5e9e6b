// SPDX-License-Identifier: Apache-2.0
// core/retrieval/codes.h, Hyperplanes::Encode and the two retrievers of core/retrieval/eta.h.
#include "core/retrieval/codes.h"

#include <limits>
#include <set>
#include <stdexcept>

#include "core/reference/code_blocks.h"
#include "core/reference/dot.h"
#include "core/reference/hamming.h"
#include "core/reference/simhash.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/exact.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

using simd::TieOrder;

ItemTable MakeItems(const std::vector<float>& rows, size_t dim) {
  ItemTable items;
  items.embeddings = Matrix<float>(rows.size() / dim, dim);
  std::ranges::copy(rows, items.embeddings.values.begin());
  return items;
}

ItemTable BellItems(size_t count, size_t dim, uint64_t seed) {
  Rng rng(seed);
  return MakeItems(MakeFloats(count * dim, [&] { return BellFloat(rng); }), dim);
}

// Among them rows with NaN, infinities, denormals and huge values.
ItemTable HardItems(size_t count, size_t dim, uint64_t seed) {
  Rng rng(seed);
  return MakeItems(HardRows(rng, count, dim), dim);
}

Hyperplanes Planes(size_t dim, size_t bits) {
  return Hyperplanes::Make(HyperplaneKind::kGaussian, dim, bits, 1);
}

std::vector<uint8_t> ReferenceCodes(const ItemTable& items, const Hyperplanes& planes) {
  return reference::SimHashRows(items.embeddings.values, items.dim(), planes.matrix().values,
                                planes.bits());
}

std::span<const uint8_t> Bytes(const CodeTable& table) { return {table.data(), table.bytes()}; }
std::span<const uint8_t> Bytes(const CodeBlocks& blocks) { return {blocks.data(), blocks.bytes()}; }

// Ids with duplicates, unless there is but one item.
std::vector<int32_t> RandomIds(Rng& rng, size_t count, size_t items) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(Below(rng, items)));
  return ids;
}

// What a function throws as std::invalid_argument; empty when it throws nothing.
template <class F>
std::string Error(F function) {
  try {
    function();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(EncodeTest, AsReference) {
  for (const size_t bits : {size_t{1}, size_t{64}, size_t{100}, size_t{520}}) {
    const ItemTable items = HardItems(70, 24, bits);
    const Hyperplanes planes = Planes(24, bits);
    Buffer<uint8_t> codes(70 * planes.code_bytes());
    planes.Encode(items.embeddings.values, codes.span());
    EXPECT_TRUE(SameValues<uint8_t>(codes.span(), ReferenceCodes(items, planes))) << bits;
  }
}

TEST(EncodeTest, LoadedPlanesAsReference) {
  Rng rng(3);
  Matrix<float> matrix(7, 30);
  for (float& value : matrix.values) value = SmallInteger(rng, 2);
  const Hyperplanes planes = Hyperplanes::FromMatrix(matrix);
  const auto x = MakeFloats(9 * 7, [&] { return SmallInteger(rng, 2); });
  std::vector<uint8_t> codes(9 * 4);
  planes.Encode(x, codes);
  EXPECT_TRUE(SameValues<uint8_t>(codes, reference::SimHashRows(x, 7, matrix.values, 30)));
}

TEST(EncodeTest, NoRowsNeedNoMemory) { EXPECT_NO_THROW(Planes(8, 16).Encode({}, {})); }

TEST(EncodeTest, SizesThatDoNotFit) {
  const Hyperplanes planes = Planes(8, 20);
  std::vector<float> x(16);
  std::vector<uint8_t> codes(6, 0xC5);
  const std::span<uint8_t> all(codes);
  EXPECT_TRUE(Has(Error([&] { planes.Encode({x.data(), 15}, all); }), "15"));
  EXPECT_TRUE(Has(Error([&] { planes.Encode(x, all.first(5)); }), "5"));
  EXPECT_NE(Error([&] { planes.Encode(x, {}); }), "");
  EXPECT_NE(Error([&] { planes.Encode({}, all); }), "");
  EXPECT_NE(Error([&] { planes.Encode({x.data(), 8}, all); }), "");
  EXPECT_EQ(codes, std::vector<uint8_t>(6, 0xC5)) << "written in spite of the error";
  EXPECT_EQ(Error([&] { planes.Encode(x, all); }), "");
}

TEST(CodeTableTest, AsReferenceWithAnyNumberOfThreads) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{1023}, size_t{1025}, size_t{5000}}) {
    for (const size_t bits : {size_t{13}, size_t{64}}) {
      const ItemTable items = HardItems(count, 16, count);
      const Hyperplanes planes = Planes(16, bits);
      const std::vector<uint8_t> expected = ReferenceCodes(items, planes);
      for (const int threads : {1, 2, 5}) {
        const CodeTable table(items, planes, threads);
        SCOPED_TRACE(::testing::Message()
                     << "items=" << count << " bits=" << bits << " threads=" << threads);
        EXPECT_EQ(table.size(), count);
        EXPECT_EQ(table.bits(), bits);
        EXPECT_EQ(table.code_bytes(), (bits + 7) / 8);
        EXPECT_TRUE(SameValues<uint8_t>(Bytes(table), expected));
      }
    }
  }
}

TEST(CodeTableTest, RowsAndReplace) {
  const ItemTable items = BellItems(10, 16, 1);
  const Hyperplanes planes = Planes(16, 20);
  CodeTable table(items, planes);
  std::vector<uint8_t> expected = ReferenceCodes(items, planes);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(SameValues<uint8_t>(table.row(i), {expected.data() + i * 3, 3})) << "item " << i;
  }
  const std::vector<uint8_t> code = {1, 2, 3};
  for (const size_t item : {size_t{0}, size_t{9}}) {
    table.Replace(item, code);
    std::ranges::copy(code, expected.begin() + item * 3);
    EXPECT_TRUE(SameValues<uint8_t>(Bytes(table), expected)) << "item " << item;
  }
}

TEST(CodeTableTest, WrongArguments) {
  const ItemTable items = BellItems(10, 16, 1);
  const std::string dims = Error([&] { CodeTable(items, Planes(17, 8)); });
  EXPECT_TRUE(Has(dims, "16") && Has(dims, "17")) << dims;
  EXPECT_NE(Error([&] { CodeTable(items, Planes(16, 8), 0); }), "");
  EXPECT_NE(Error([&] { CodeTable(items, Planes(16, 8), -1); }), "");
  CodeTable table(items, Planes(16, 20));
  const std::vector<uint8_t> before(table.data(), table.data() + table.bytes());
  const std::vector<uint8_t> code(4, 0);
  const std::span<const uint8_t> bytes(code);
  EXPECT_TRUE(Has(Error([&] { table.Replace(10, bytes.first(3)); }), "10"));
  EXPECT_NE(Error([&] { table.Replace(SIZE_MAX, bytes.first(3)); }), "");
  EXPECT_NE(Error([&] { table.Replace(0, bytes.first(2)); }), "");
  EXPECT_NE(Error([&] { table.Replace(0, bytes); }), "");
  EXPECT_NE(Error([&] { table.Replace(0, {}); }), "");
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(table), before));
}

// A table that claims more values than it holds.
TEST(CodeTableTest, ItemsShorterThanTheirShape) {
  ItemTable items = BellItems(10, 16, 1);
  items.embeddings.values.resize(159);
  EXPECT_NE(Error([&] { CodeTable(items, Planes(16, 8)); }), "");
}

TEST(CodeBlocksTest, GatherAsPackedFromScratch) {
  for (const size_t bits : {size_t{1}, size_t{20}, size_t{64}, size_t{129}}) {
    const CodeTable table(BellItems(40, 16, 1), Planes(16, bits));
    for (const size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{200}}) {
      SCOPED_TRACE(::testing::Message() << "bits=" << bits << " n=" << n);
      Rng rng(n);
      const std::vector<int32_t> ids = RandomIds(rng, n, 40);
      const CodeBlocks blocks(table, ids);
      EXPECT_EQ(blocks.size(), n);
      EXPECT_EQ(blocks.bits(), bits);
      EXPECT_EQ(blocks.code_bytes(), table.code_bytes());
      EXPECT_TRUE(SameValues<uint8_t>(
          Bytes(blocks), reference::GatherCodeBlocks(Bytes(table), table.code_bytes(), ids)));
    }
  }
}

TEST(CodeBlocksTest, AppendAsPackedFromScratch) {
  for (const size_t bits : {size_t{7}, size_t{64}, size_t{100}}) {
    Rng rng(bits);
    CodeBlocks blocks(bits);
    std::vector<uint8_t> all;
    EXPECT_EQ(blocks.size(), 0u);
    for (size_t i = 0; i < 130; ++i) {
      const std::vector<uint8_t> code = RandomBytes(rng, blocks.code_bytes());
      blocks.Append(code);
      all.insert(all.end(), code.begin(), code.end());
      ASSERT_EQ(blocks.size(), i + 1);
      ASSERT_TRUE(
          SameValues<uint8_t>(Bytes(blocks), reference::PackCodeBlocks(all, blocks.code_bytes())))
          << "bits=" << bits << " after " << i + 1;
    }
  }
}

TEST(CodeBlocksTest, AppendAfterGatherAndReplaceAnywhere) {
  const CodeTable table(BellItems(40, 16, 1), Planes(16, 100));
  Rng rng(6);
  const std::vector<int32_t> ids = RandomIds(rng, 127, 40);
  CodeBlocks blocks(table, ids);
  std::vector<uint8_t> all;
  for (const int32_t id : ids) {
    const auto row = table.row(static_cast<size_t>(id));
    all.insert(all.end(), row.begin(), row.end());
  }
  for (int i = 0; i < 3; ++i) {
    const std::vector<uint8_t> code = RandomBytes(rng, 13);
    blocks.Append(code);
    all.insert(all.end(), code.begin(), code.end());
  }
  for (const size_t at : {size_t{0}, size_t{63}, size_t{64}, size_t{127}, size_t{129}}) {
    const std::vector<uint8_t> code = RandomBytes(rng, 13);
    blocks.Replace(at, code);
    std::ranges::copy(code, all.begin() + at * 13);
    const AlignedVector<uint8_t> read = blocks.code(at);
    EXPECT_TRUE(SameValues<uint8_t>(read, code)) << "position " << at;
  }
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(blocks), reference::PackCodeBlocks(all, 13)));
}

TEST(CodeBlocksTest, WrongArguments) {
  EXPECT_TRUE(Has(Error([] { CodeBlocks(size_t{0}); }), "0"));
  EXPECT_TRUE(Has(Error([] { CodeBlocks(size_t{4097}); }), "4097"));
  EXPECT_EQ(CodeBlocks(size_t{4096}).code_bytes(), 512u);
  const CodeTable table(BellItems(10, 16, 1), Planes(16, 20));
  for (const int32_t bad : {-1, 10, std::numeric_limits<int32_t>::min()}) {
    const std::vector<int32_t> ids = {0, 9, bad};
    EXPECT_TRUE(Has(Error([&] { CodeBlocks(table, ids); }), std::to_string(bad))) << bad;
  }
  CodeBlocks blocks(table, std::vector<int32_t>{1, 2});
  const std::vector<uint8_t> before(blocks.data(), blocks.data() + blocks.bytes());
  const std::vector<uint8_t> code(4, 0xFF);
  const std::span<const uint8_t> bytes(code);
  for (const auto wrong : {bytes, bytes.first(2), bytes.first(0)}) {
    EXPECT_NE(Error([&] { blocks.Append(wrong); }), "") << wrong.size();
    EXPECT_NE(Error([&] { blocks.Replace(0, wrong); }), "") << wrong.size();
  }
  EXPECT_NE(Error([&] { blocks.Replace(2, bytes.first(3)); }), "");
  EXPECT_NE(Error([&] { blocks.Replace(SIZE_MAX, bytes.first(3)); }), "");
  EXPECT_NE(Error([&] { blocks.code(2); }), "");
  EXPECT_EQ(blocks.size(), 2u);
  EXPECT_TRUE(SameValues<uint8_t>(Bytes(blocks), before));
}

// Both retrievers, on every target, against the reference.
class RetrieverTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(RetrieverTest);

using Sets = std::vector<std::set<int32_t>>;  // positions for each candidate

// Runs one request and checks what holds for every method: full counts, no duplicates, -1 behind.
Sets Retrieve(const Retriever& retriever, const std::vector<int32_t>& history,
              const std::vector<int32_t>& candidates, size_t k, Scratch& scratch) {
  const auto prepared = retriever.Prepare(history);
  EXPECT_EQ(prepared->length(), history.size());
  Buffer<int32_t> positions(candidates.size() * k, 0, 16);
  Buffer<int32_t> counts(candidates.size(), 0, 16);
  retriever.Retrieve(*prepared, candidates, k, scratch, {positions.span(), counts.span()});
  Sets sets;
  for (size_t b = 0; b < candidates.size(); ++b) {
    const auto count = static_cast<size_t>(counts[b]);
    EXPECT_EQ(count, std::min(k, history.size())) << "candidate " << b;
    const int32_t* row = positions.data() + b * k;
    sets.emplace_back(row, row + count);
    EXPECT_EQ(sets.back().size(), count) << "a position twice for candidate " << b;
    EXPECT_TRUE(std::all_of(row + count, row + k, [](int32_t p) { return p == -1; }));
  }
  return sets;
}

template <class Neighbors>
std::set<int32_t> Positions(const Neighbors& neighbors) {
  std::set<int32_t> positions;
  for (const auto& neighbor : neighbors) positions.insert(neighbor.position);
  return positions;
}

// The rows of `width` values of a list of items, one after another.
template <class T>
std::vector<T> RowsOf(std::span<const T> table, size_t width, const std::vector<int32_t>& ids) {
  std::vector<T> rows;
  for (const int32_t id : ids) {
    const auto row = table.subspan(static_cast<size_t>(id) * width, width);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

Sets ReferenceEta(const ItemTable& items, const Hyperplanes& planes,
                  const std::vector<int32_t>& history, const std::vector<int32_t>& candidates,
                  size_t k) {
  const std::vector<uint8_t> table = ReferenceCodes(items, planes);
  const auto codes = RowsOf<uint8_t>(table, planes.code_bytes(), history);
  Sets sets;
  for (const int32_t candidate : candidates) {
    const auto query = RowsOf<uint8_t>(table, planes.code_bytes(), {candidate});
    sets.push_back(Positions(reference::HammingTopK(codes, query, k, TieOrder::kNewestFirst)));
  }
  return sets;
}

Sets ReferenceExact(const ItemTable& items, const std::vector<int32_t>& history,
                    const std::vector<int32_t>& candidates, size_t k) {
  const std::span<const float> table(items.embeddings.values);
  const auto rows = RowsOf<float>(table, items.dim(), history);
  Sets sets;
  for (const int32_t candidate : candidates) {
    const auto query = RowsOf<float>(table, items.dim(), {candidate});
    sets.push_back(Positions(reference::DotTopK(rows, query, k, TieOrder::kNewestFirst)));
  }
  return sets;
}

// The items repeat in the longer histories. One Scratch serves all requests, large before small.
TEST_P(RetrieverTest, AsReference) {
  constexpr size_t kItems = 90, kDim = 12;
  for (const ItemTable& items : {BellItems(kItems, kDim, 1), HardItems(kItems, kDim, 2)}) {
    for (const size_t bits : {size_t{16}, size_t{64}, size_t{300}}) {
      const Hyperplanes planes = Planes(kDim, bits);
      const auto eta = MakeEtaRetriever("eta", items, planes, 2);
      const auto exact = MakeExactRetriever("exact", items);
      const auto eta_scratch = eta->NewScratch(), exact_scratch = exact->NewScratch();
      for (const size_t n : {size_t{400}, size_t{0}, size_t{1}, size_t{64}, size_t{65}}) {
        for (const size_t k : {size_t{100}, size_t{1}, size_t{64}}) {
          SCOPED_TRACE(::testing::Message() << "target=" << simd::TargetName(GetParam())
                                            << " n=" << n << " bits=" << bits << " k=" << k);
          Rng rng(n + k);
          const auto history = RandomIds(rng, n, kItems);
          const auto candidates = RandomIds(rng, 11, kItems);
          EXPECT_EQ(Retrieve(*eta, history, candidates, k, *eta_scratch),
                    ReferenceEta(items, planes, history, candidates, k));
          EXPECT_EQ(Retrieve(*exact, history, candidates, k, *exact_scratch),
                    ReferenceExact(items, history, candidates, k));
        }
      }
    }
  }
}

TEST_P(RetrieverTest, AHistoryOfOneItemKeepsItsNewest) {
  const ItemTable items = BellItems(3, 8, 1);
  const Hyperplanes planes = Planes(8, 32);
  const std::vector<int32_t> history(200, 2);
  std::set<int32_t> newest;
  for (int32_t i = 190; i < 200; ++i) newest.insert(i);
  const auto eta = MakeEtaRetriever("eta", items, planes);
  const auto exact = MakeExactRetriever("exact", items);
  for (const Retriever* retriever : {eta.get(), exact.get()}) {
    const auto scratch = retriever->NewScratch();
    EXPECT_EQ(Retrieve(*retriever, history, {0, 1, 2}, 10, *scratch), Sets(3, newest))
        << retriever->name();
  }
}

TEST_P(RetrieverTest, SaysWhatItIs) {
  const ItemTable items = BellItems(100, 8, 1);
  const auto eta = MakeEtaRetriever("eta:20", items, Planes(8, 20));
  const auto exact = MakeExactRetriever("exact", items);
  EXPECT_EQ(eta->name(), "eta:20");
  EXPECT_EQ(eta->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(eta->bits(), 20u);
  EXPECT_EQ(eta->table_bytes(), 300u);
  EXPECT_EQ(eta->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 3);
  EXPECT_EQ(exact->name(), "exact");
  EXPECT_EQ(exact->target(), simd::TargetName(GetParam()));
  EXPECT_EQ(exact->bits(), 0u);
  EXPECT_EQ(exact->table_bytes(), 100u * 8 * sizeof(float));
  EXPECT_EQ(exact->Prepare(std::vector<int32_t>(65, 1))->bytes(), 128u * 8 * sizeof(float));
}

TEST(RetrieverErrorTest, MismatchedTables) {
  const ItemTable items = BellItems(10, 8, 1);
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", items, Planes(9, 16)); }), "");
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", items, Planes(8, 16), 0); }), "");
  ItemTable short_items = items;
  short_items.embeddings.values.resize(79);
  EXPECT_NE(Error([&] { MakeEtaRetriever("eta", short_items, Planes(8, 16)); }), "");
  EXPECT_NE(Error([&] { MakeExactRetriever("exact", short_items); }), "");
}

void ExpectRequestErrors(const Retriever& retriever) {
  SCOPED_TRACE(retriever.name());
  for (const int32_t bad : {-1, 10, std::numeric_limits<int32_t>::max()}) {
    const std::vector<int32_t> ids = {3, bad};
    EXPECT_TRUE(Has(Error([&] { retriever.Prepare(ids); }), std::to_string(bad))) << bad;
  }
  const auto history = retriever.Prepare(std::vector<int32_t>{1, 2, 3});
  const auto scratch = retriever.NewScratch();
  const std::vector<int32_t> good = {4, 5}, bad = {4, 10}, negative = {-1, 4};
  std::vector<int32_t> positions(7, 77), counts(3, 77);
  const auto error = [&](const std::vector<int32_t>& ids, size_t k, size_t room,
                         size_t count_room) {
    return Error([&] {
      retriever.Retrieve(*history, ids, k, *scratch,
                         {{positions.data(), room}, {counts.data(), count_room}});
    });
  };
  EXPECT_NE(error(good, 0, 0, 2), "");
  EXPECT_TRUE(Has(error(bad, 3, 6, 2), "10"));
  EXPECT_TRUE(Has(error(negative, 3, 6, 2), "-1"));
  EXPECT_NE(error(good, 3, 5, 2), "");
  EXPECT_NE(error(good, 3, 7, 2), "");
  EXPECT_NE(error(good, 3, 6, 1), "");
  EXPECT_NE(error(good, 3, 6, 3), "");
  EXPECT_EQ(positions, std::vector<int32_t>(7, 77)) << "written in spite of the errors";
  EXPECT_EQ(counts, std::vector<int32_t>(3, 77)) << "written in spite of the errors";
  EXPECT_EQ(error(good, 3, 6, 2), "");
}

// What another retriever made is refused, not read as something it is not.
TEST(RetrieverErrorTest, HistoryAndScratchOfAnother) {
  const ItemTable items = BellItems(10, 8, 1);
  const auto eta = MakeEtaRetriever("eta", items, Planes(8, 16));
  const auto exact = MakeExactRetriever("exact", items);
  const std::vector<int32_t> ids = {1, 2, 3};
  std::vector<int32_t> positions(6), counts(3);
  const RetrievedView out{positions, counts};
  Scratch foreign;
  for (const auto& [mine, other] : {std::pair(eta.get(), exact.get()), {exact.get(), eta.get()}}) {
    const auto scratch = mine->NewScratch();
    EXPECT_ANY_THROW(mine->Retrieve(*other->Prepare(ids), ids, 2, *scratch, out)) << mine->name();
    EXPECT_ANY_THROW(mine->Retrieve(*mine->Prepare(ids), ids, 2, foreign, out)) << mine->name();
    EXPECT_NO_THROW(mine->Retrieve(*mine->Prepare(ids), ids, 2, *scratch, out)) << mine->name();
  }
}

TEST(RetrieverErrorTest, BadRequests) {
  const ItemTable items = BellItems(10, 8, 1);
  ExpectRequestErrors(*MakeEtaRetriever("eta", items, Planes(8, 16)));
  ExpectRequestErrors(*MakeExactRetriever("exact", items));
}

}  // namespace
}  // namespace eta::test
