// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/pq4.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/retrieval/internal/code_retriever.h"
#include "simd/pq4.h"

namespace eta {
namespace {

Matrix<uint8_t> MakeTables(const ItemTable& items, const Pq4Codebooks& codebooks, int threads) {
  constexpr size_t kRowsPerTask = 1024;  // as for hashing (CodeTable)
  Matrix<uint8_t> tables(items.size(), codebooks.table_bytes());
  const auto tasks = static_cast<int64_t>((items.size() + kRowsPerTask - 1) / kRowsPerTask);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const size_t first = static_cast<size_t>(task) * kRowsPerTask;
    const size_t rows = std::min(kRowsPerTask, items.size() - first);
    codebooks.MakeTables({items.queries().row(first), rows * items.dim()},
                         {tables.row(first), rows * tables.cols});
  }
  return tables;
}

class Pq4Retriever final : public CodeRetriever {
 public:
  Pq4Retriever(std::string name, const ItemTable& items, const Pq4Codebooks& codebooks, int threads)
      : CodeRetriever(std::move(name), CodeTable(items, codebooks, threads)),
        tables_(MakeTables(items, codebooks, threads)) {
    set_encoder_bytes(codebooks.bytes());
  }

  Pq4Retriever(std::string name, size_t bits, Matrix<uint8_t> codes, Matrix<uint8_t> tables)
      : CodeRetriever(std::move(name), bits, std::move(codes)), tables_(std::move(tables)) {}

  size_t table_bytes() const override {
    return CodeRetriever::table_bytes() + tables_.values.size();
  }
  size_t query_bytes() const override { return tables_.cols; }

 private:
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override {
    const auto& prepared = dynamic_cast<const CodeHistory&>(history);
    auto& buffers = dynamic_cast<KernelScratch&>(scratch);
    const auto queries = GatherQueries(tables_.view(), candidates, buffers.queries);
    const simd::ScratchView work =
        ScratchFor(buffers.kernel, simd::Pq4TopKScratchBytes(prepared.length(), code_bytes(), k));
    const size_t count =
        simd::Pq4TopK(prepared.view(), queries, {.k = k}, work, {out.positions.data()});
    std::ranges::fill(out.counts, static_cast<int32_t>(count));
  }

  Matrix<uint8_t> tables_;  // items x Pq4TableBytes
};

}  // namespace

std::unique_ptr<RefillableRetriever> MakePq4Retriever(std::string name, const ItemTable& items,
                                                      const Pq4Codebooks& codebooks, int threads) {
  return std::make_unique<Pq4Retriever>(std::move(name), items, codebooks, threads);
}

std::unique_ptr<RefillableRetriever> MakePq4TableRetriever(std::string name, size_t bits,
                                                           Matrix<uint8_t> codes,
                                                           Matrix<uint8_t> tables) {
  Require(bits % 8 == 0 && codes.cols == bits / 8 && tables.rows == codes.rows &&
              tables.cols == simd::Pq4TableBytes(codes.cols),
          name, ": codes [", codes.rows, ", ", codes.cols, "] and tables [", tables.rows, ", ",
          tables.cols, "] are not of ", bits, " bits");
  return std::make_unique<Pq4Retriever>(std::move(name), bits, std::move(codes), std::move(tables));
}

}  // namespace eta
