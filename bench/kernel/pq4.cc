// SPDX-License-Identifier: Apache-2.0
// Rows for product codes of 4 bits: top-K and penalties beside those of eta_asym, encoding beside
// SimHash, and tables.
#include <algorithm>
#include <vector>

#include "bench/kernel/kernel_bench.h"
#include "core/base/check.h"
#include "core/reference/pq4.h"
#include "core/retrieval/pq4_codebooks.h"
#include "simd/asym.h"
#include "simd/code_blocks.h"
#include "simd/pq4.h"
#include "simd/simhash.h"

namespace eta::bench {
namespace {

const Shape kShapes[] = {
    {64, 1024, 64, 256}, {64, 16384, 64, 64}, {128, 1024, 64, 256}, {256, 1024, 64, 256}};

ItemTable Normals(size_t rows, size_t dim, uint64_t seed) {
  ItemTable items;
  items.embeddings = Matrix<float>(rows, dim);
  items.embeddings.values = RandomNormals(rows * dim, seed);
  return items;
}

// Codebooks, codes and tables of random rows, with four dimensions to a subspace; weights of
// eta_asym for the same blocks.
struct Fixture {
  explicit Fixture(const Shape& s)
      : s(s),
        turn(s.queries),
        dim(s.bits),
        codebooks(
            Pq4Codebooks::Train(Normals(2000, dim, 1), s.bits, {.rotation = Pq4Rotation::kNone})),
        codes(s.length * s.code_bytes()),
        blocks(simd::CodeBlocksBytes(s.length, s.code_bytes())),
        tables(turn.all() * codebooks.table_bytes()),
        weights(turn.all() * weight_bytes()),
        scratch(std::max(simd::Pq4TopKScratchBytes(s.length, s.code_bytes(), s.k),
                         simd::AsymTopKScratchBytes(s.length, s.code_bytes(), s.k))),
        penalties(simd::PaddedRows(s.length)),
        positions(s.queries * s.k),
        values(s.queries * s.k) {
    codebooks.Encode(RandomNormals(s.length * dim, 2), codes);
    simd::PackCodeBlocks(simd::DenseRows(codes.data(), s.length, s.code_bytes()), blocks.data());
    codebooks.MakeTables(RandomNormals(turn.all() * dim, 3), tables);
    const auto projections = RandomNormals(turn.all() * s.bits, 4);
    for (size_t q = 0; q < turn.all(); ++q) {
      simd::QuantizeProjections(projections.data() + q * s.bits, s.bits,
                                weights.data() + q * weight_bytes());
    }
  }

  simd::CodeBlocksView rows() const { return {blocks.data(), s.length, s.code_bytes()}; }
  size_t weight_bytes() const { return simd::WeightBytes(s.code_bytes()); }
  std::span<const uint8_t> table(size_t q) const {
    return std::span(tables).subspan((turn.first() + q) * codebooks.table_bytes(),
                                     codebooks.table_bytes());
  }

  void TopK(simd::ResultOrder order) {
    simd::Pq4TopK(
        rows(), {table(0).data(), s.queries, codebooks.table_bytes()}, {.k = s.k, .order = order},
        scratch.data(),
        {positions.data(), order == simd::ResultOrder::kSorted ? values.data() : nullptr});
  }

  void AsymTopK(simd::ResultOrder order) {
    simd::AsymTopK(
        rows(), {weights.data() + turn.first() * weight_bytes(), s.queries, weight_bytes()},
        {.k = s.k, .order = order}, scratch.data(),
        {positions.data(), order == simd::ResultOrder::kSorted ? values.data() : nullptr});
  }

  void AllPenalties() {
    for (size_t q = 0; q < s.queries; ++q) {
      simd::Pq4Penalties(rows(), table(q).data(), penalties.data());
    }
  }

  bool TopKIsRight() {
    TopK(simd::ResultOrder::kSorted);
    for (const size_t q : {size_t{0}, s.queries - 1}) {
      const auto expected = reference::Pq4TopK(codes, table(q), s.k, simd::TieOrder::kNewestFirst);
      for (size_t i = 0; i < expected.size(); ++i) {
        if (positions[q * s.k + i] != expected[i].position) return false;
      }
    }
    return true;
  }

  bool PenaltiesAreRight() {
    const auto expected = reference::Pq4Penalties(codes, table(0));
    simd::Pq4Penalties(rows(), table(0).data(), penalties.data());
    return std::equal(expected.begin(), expected.end(), penalties.begin());
  }

  Shape s;
  QueryTurn turn;
  size_t dim;
  Pq4Codebooks codebooks;
  AlignedVector<uint8_t> codes, blocks, tables;
  AlignedVector<int8_t> weights;
  AlignedVector<uint8_t> scratch;
  AlignedVector<uint16_t> penalties;
  std::vector<int32_t> positions;
  std::vector<uint16_t> values;
};

void ReportCodes(benchmark::State& state, const Shape& s) {
  const auto codes = static_cast<int64_t>(s.queries * s.length);
  state.SetItemsProcessed(state.iterations() * codes);
  state.SetBytesProcessed(state.iterations() * codes * static_cast<int64_t>(s.code_bytes()));
  state.counters["s_per_query"] = benchmark::Counter(
      static_cast<double>(s.queries),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void TopK(benchmark::State& state, const Shape& s, simd::ResultOrder order) {
  Fixture f(s);
  if (!f.TopKIsRight()) return state.SkipWithError("differs from the reference");
  const auto topk = f.turn.Before([&] { f.TopK(order); });
  const auto asym_topk = f.turn.Before([&] { f.AsymTopK(order); });
  const auto seconds = BestSeconds({topk, asym_topk});
  for (auto _ : Counted(state)) {
    topk();
    benchmark::ClobberMemory();
  }
  ReportCodes(state, s);
  state.counters["x_asym"] = seconds[0] / seconds[1];
}

void Penalties(benchmark::State& state, const Shape& s) {
  Fixture f(s);
  if (!f.PenaltiesAreRight()) return state.SkipWithError("differs from the reference");
  for (auto _ : Counted(state)) {
    f.AllPenalties();
    benchmark::ClobberMemory();
  }
  ReportCodes(state, s);
}

// Rows of `dim` dimensions, in codes of `bits` bits.
constexpr size_t kRows = 1024;

reference::Pq4Codebooks Twin(const Pq4Codebooks& codebooks) {
  return reference::MakePq4Codebooks(codebooks.centroids().values, codebooks.centroids().cols,
                                     codebooks.dim(), codebooks.subspaces());
}

void Encode(benchmark::State& state, size_t dim, size_t bits) {
  const auto codebooks =
      Pq4Codebooks::Train(Normals(2000, dim, 1), bits, {.rotation = Pq4Rotation::kNone});
  const auto rows = RandomNormals(kRows * dim, 2);
  const auto planes = RandomNormals(dim * bits, 3);
  AlignedVector<float> packed(simd::PackedHyperplanesSize(dim, bits));
  simd::PackHyperplanes(simd::DenseRows(planes.data(), dim, bits), packed.data());
  AlignedVector<uint8_t> codes(kRows * codebooks.code_bytes()), hashes(codes.size());
  const auto encode = [&] { codebooks.Encode(rows, codes); };
  encode();
  const auto expected = reference::Pq4Encode({rows.data(), dim}, Twin(codebooks));
  if (!std::equal(expected.begin(), expected.end(), codes.begin())) {
    return state.SkipWithError("differs from the reference");
  }
  const auto seconds = BestSeconds({encode, [&] {
                                      simd::SimHashEncode(simd::DenseRows(rows.data(), kRows, dim),
                                                          {packed.data(), dim, bits}, hashes.data(),
                                                          codebooks.code_bytes());
                                    }});
  for (auto _ : Counted(state)) {
    encode();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRows));
  state.counters["x_simhash"] = seconds[0] / seconds[1];
}

void Tables(benchmark::State& state, size_t dim, size_t bits) {
  const auto codebooks =
      Pq4Codebooks::Train(Normals(2000, dim, 1), bits, {.rotation = Pq4Rotation::kNone});
  const auto rows = RandomNormals(kRows * dim, 2);
  AlignedVector<uint8_t> tables(kRows * codebooks.table_bytes());
  const auto make = [&] { codebooks.MakeTables(rows, tables); };
  make();
  const auto expected = reference::Pq4Tables({rows.data(), dim}, Twin(codebooks));
  if (!std::equal(expected.begin(), expected.end(), tables.begin())) {
    return state.SkipWithError("differs from the reference");
  }
  for (auto _ : Counted(state)) {
    make();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRows));
}

}  // namespace

void RegisterPq4() {
  for (const Shape& s : kShapes) {
    RegisterPerTarget("pq4_penalties/" + s.text(),
                      [s](benchmark::State& state) { Penalties(state, s); });
    const std::string size = Cat(s.text(), "/K:", s.k);
    RegisterPerTarget("pq4_topk_any/" + size,
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kAny); });
    RegisterPerTarget("pq4_topk_sorted/" + size,
                      [s](benchmark::State& state) { TopK(state, s, simd::ResultOrder::kSorted); });
  }
  // Copied by name, for clang before version 16 captures no structured bindings.
  for (const auto& [d, b] : {std::pair{size_t{64}, size_t{64}}, {64, 128}, {128, 128}}) {
    const std::string size = Cat("rows:", kRows, "/dim:", d, "/bits:", b);
    RegisterPerTarget("pq4_encode/" + size,
                      [dim = d, bits = b](benchmark::State& state) { Encode(state, dim, bits); });
    RegisterPerTarget("pq4_tables/" + size,
                      [dim = d, bits = b](benchmark::State& state) { Tables(state, dim, bits); });
  }
}

}  // namespace eta::bench
