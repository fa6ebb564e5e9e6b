// SPDX-License-Identifier: Apache-2.0
// Rows for SimHash encoding, packing into blocks and gathering from the code table.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "baselines/faiss_kernels.h"
#include "bench/kernel/kernel_bench.h"
#include "bench/kernel/limits.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/reference/code_blocks.h"
#include "core/reference/simhash.h"
#include "simd/code_blocks.h"
#include "simd/simhash.h"

namespace eta::bench {
namespace {

struct EncodeShape {
  size_t rows, dim, bits;
};

const EncodeShape kEncodeShapes[] = {{1024, 64, 64},   {1024, 64, 128},  {1024, 64, 256},
                                     {1024, 128, 128}, {1024, 128, 256}, {1024, 256, 256},
                                     {1, 64, 64},      {1, 64, 256}};

void ReportRows(benchmark::State& state, size_t rows, size_t bytes_per_row) {
  const auto per_iteration = static_cast<int64_t>(rows);
  state.SetItemsProcessed(state.iterations() * per_iteration);
  state.SetBytesProcessed(state.iterations() * per_iteration * static_cast<int64_t>(bytes_per_row));
}

void Encode(benchmark::State& state, const EncodeShape& s) {
  const auto rows = RandomNormals(s.rows * s.dim, 1);
  const auto planes = RandomNormals(s.dim * s.bits, 2);
  AlignedVector<float> packed(simd::PackedHyperplanesSize(s.dim, s.bits));
  simd::PackHyperplanes(simd::DenseRows(planes.data(), s.dim, s.bits), packed.data());
  const size_t code_bytes = simd::CodeBytes(s.bits);
  AlignedVector<uint8_t> codes(s.rows * code_bytes);
  const auto encode = [&] {
    simd::SimHashEncode(simd::DenseRows(rows.data(), s.rows, s.dim), {packed.data(), s.dim, s.bits},
                        codes.data(), code_bytes);
  };
  encode();
  const auto expected = reference::SimHashRows(rows, s.dim, planes, s.bits);
  if (!std::equal(codes.begin(), codes.end(), expected.begin(), expected.end())) {
    return state.SkipWithError("differs from the reference");
  }
  const double share = ShareOfFmaLimit(static_cast<double>(s.rows * s.dim * s.bits), encode);
  for (auto _ : Counted(state)) {
    encode();
    benchmark::ClobberMemory();
  }
  ReportRows(state, s.rows, s.dim * sizeof(float));
  state.counters["of_limit"] = share;
}

void FaissEncode(benchmark::State& state, const EncodeShape& s) {
  const auto rows = RandomNormals(s.rows * s.dim, 1);
  const FaissLshEncoder encoder(s.dim, s.bits);
  AlignedVector<uint8_t> codes(s.rows * simd::CodeBytes(s.bits));
  for (auto _ : Counted(state)) {
    encoder.Encode(rows, codes);
    benchmark::ClobberMemory();
  }
  ReportRows(state, s.rows, s.dim * sizeof(float));
}

void Pack(benchmark::State& state, size_t n, size_t code_bytes) {
  const auto codes = RandomBytes(n * code_bytes, 1);
  AlignedVector<uint8_t> blocks(simd::CodeBlocksBytes(n, code_bytes));
  const auto pack = [&] {
    simd::PackCodeBlocks(simd::DenseRows(codes.data(), n, code_bytes), blocks.data());
  };
  pack();
  const auto expected = reference::PackCodeBlocks(codes, code_bytes);
  if (!std::equal(blocks.begin(), blocks.end(), expected.begin(), expected.end())) {
    return state.SkipWithError("differs from the reference");
  }
  for (auto _ : Counted(state)) {
    pack();
    benchmark::ClobberMemory();
  }
  ReportRows(state, n, code_bytes);
}

void Gather(benchmark::State& state, size_t table_rows, size_t n, size_t code_bytes) {
  const auto table = RandomBytes(table_rows * code_bytes, 1);
  // Enough histories that a later one does not find its codes in the cache.
  constexpr size_t kHistories = 1024;
  std::vector<int32_t> ids(kHistories * n);
  Random random(2);
  for (int32_t& id : ids)
    id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(table_rows)));
  AlignedVector<uint8_t> blocks(simd::CodeBlocksBytes(n, code_bytes));
  const auto gather = [&](size_t h) {
    simd::GatherCodeBlocks(simd::DenseRows(table.data(), table_rows, code_bytes),
                           {ids.data() + h * n, n}, blocks.data());
  };
  gather(0);
  const auto expected = reference::GatherCodeBlocks(table, code_bytes, {ids.data(), n});
  if (!std::equal(blocks.begin(), blocks.end(), expected.begin(), expected.end())) {
    return state.SkipWithError("differs from the reference");
  }
  size_t h = 0, limit_h = 0;
  uint64_t sink = 0;
  const auto seconds =
      BestSeconds({[&] {
                     sink += LimitRandomRead(table.data(), code_bytes,
                                             ids.data() + limit_h++ % kHistories * n, n);
                   },
                   [&] { gather(h++ % kHistories); }});
  benchmark::DoNotOptimize(sink);
  for (auto _ : Counted(state)) {
    gather(h++ % kHistories);
    benchmark::ClobberMemory();
  }
  ReportRows(state, n, code_bytes);
  state.counters["of_limit"] = seconds[0] / seconds[1];
}

// of_limit: against memcpy of as many bytes.
void Copy(benchmark::State& state, size_t n, size_t code_bytes) {
  const auto codes = RandomBytes(n * code_bytes, 1);
  AlignedVector<uint8_t> blocks(simd::CodeBlocksBytes(n, code_bytes)), copy(blocks.size());
  simd::PackCodeBlocks(simd::DenseRows(codes.data(), n, code_bytes), blocks.data());
  const auto run = [&] { simd::CopyCodeBlocks({blocks.data(), n, code_bytes}, copy.data()); };
  run();
  if (copy != blocks) return state.SkipWithError("differs from what was copied");
  const auto seconds = BestSeconds({[&] {
                                      std::memcpy(copy.data(), blocks.data(), blocks.size());
                                      benchmark::ClobberMemory();
                                    },
                                    run});
  for (auto _ : Counted(state)) {
    run();
    benchmark::ClobberMemory();
  }
  ReportRows(state, n, code_bytes);
  state.counters["of_limit"] = seconds[0] / seconds[1];
}

}  // namespace

void RegisterSimHash() {
  for (const EncodeShape& s : kEncodeShapes) {
    const std::string name = Cat("simhash_encode/rows:", s.rows, "/dim:", s.dim, "/bits:", s.bits);
    RegisterPerTarget(name, [s](benchmark::State& state) { Encode(state, s); });
    RegisterRow(name + "/faiss_lsh", [s](benchmark::State& state) { FaissEncode(state, s); });
  }
}

void RegisterBlocks() {
  for (size_t code_bytes : {8, 16, 32, 128}) {
    RegisterPerTarget(Cat("pack_code_blocks/L:1024/bytes:", code_bytes),
                      [=](benchmark::State& state) { Pack(state, 1024, code_bytes); });
    // Not whole blocks: the rows that the last one lacks are cleared.
    RegisterPerTarget(Cat("copy_code_blocks/L:1000/bytes:", code_bytes),
                      [=](benchmark::State& state) { Copy(state, 1000, code_bytes); });
    for (size_t table_rows : {size_t{1} << 12, size_t{1} << 22}) {
      RegisterPerTarget(
          Cat("gather_code_blocks/table:", table_rows, "/L:1024/bytes:", code_bytes),
          [=](benchmark::State& state) { Gather(state, table_rows, 1024, code_bytes); });
    }
  }
}

}  // namespace eta::bench
