// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/item_codes.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/aligned.h"
#include "core/base/check.h"

namespace eta {

namespace {

// How much later a new model may come where all CPUs are busy.
constexpr std::chrono::seconds kPatience{1};

// The codes of all rows of some matrices, hashed by RunWhenIdle. A table is a copy of them: little
// beside the rows, of which the hash reads 32 times as many bytes at 64 dimensions and 64 bits.
std::vector<CodeTable> HashWhenIdle(const std::vector<const Matrix<float>*>& matrices,
                                    const Hyperplanes& hyperplanes) {
  // At most two million multiply-adds, because the caller may have to wait for a piece.
  const size_t rows_of_piece =
      std::clamp<size_t>((size_t{1} << 21) / (hyperplanes.dim() * hyperplanes.bits()), 1, 1024);
  const size_t code_bytes = hyperplanes.code_bytes();
  std::vector<AlignedVector<uint8_t>> codes;
  std::vector<std::pair<size_t, size_t>> pieces;  // a matrix and the first of its rows
  for (size_t m = 0; m < matrices.size(); ++m) {
    codes.emplace_back(matrices[m]->rows * code_bytes);
    for (size_t r = 0; r < matrices[m]->rows; r += rows_of_piece) pieces.emplace_back(m, r);
  }
  RunWhenIdle(pieces.size(), kPatience, [&](size_t i) {
    const auto [m, first] = pieces[i];
    const Matrix<float>& matrix = *matrices[m];
    const size_t count = std::min(rows_of_piece, matrix.rows - first);
    hyperplanes.Encode({matrix.row(first), count * matrix.cols},
                       {codes[m].data() + first * code_bytes, count * code_bytes});
  });
  std::vector<CodeTable> tables;
  for (size_t m = 0; m < matrices.size(); ++m) {
    tables.emplace_back(codes[m], matrices[m]->rows, hyperplanes.bits());
  }
  return tables;
}

ItemCodesVersion Hash(const ItemTable& items, std::shared_ptr<const Hyperplanes> hyperplanes,
                      int threads, ThreadPriority priority) {
  if (threads != 1 || priority == ThreadPriority::kNormal) {
    return {0,
            0,
            hyperplanes,
            CodeTable(items, *hyperplanes, threads),
            CodeTable::OfCandidates(items, *hyperplanes, threads),
            {}};
  }
  ValidateItemTable(items);
  Require(items.dim() == hyperplanes->dim(), "item codes: items have dim = ", items.dim(),
          ", the hyperplanes ", hyperplanes->dim());
  std::vector<const Matrix<float>*> matrices = {&items.embeddings};
  if (items.candidate_embeddings) matrices.push_back(&*items.candidate_embeddings);
  std::vector<CodeTable> tables = HashWhenIdle(matrices, *hyperplanes);
  std::optional<CodeTable> candidates;
  if (tables.size() > 1) candidates = std::move(tables[1]);
  return {0, 0, hyperplanes, std::move(tables[0]), std::move(candidates), {}};
}

}  // namespace

ItemCodes::ItemCodes(const ItemTable& items, Hyperplanes hyperplanes, int threads) {
  Rebuild(items, std::move(hyperplanes), threads);
}

std::shared_ptr<const ItemCodesVersion> ItemCodes::Current() const {
  const std::lock_guard<std::mutex> lock(pointer_);
  return current_;
}

std::shared_ptr<const ItemCodesVersion> ItemCodes::Rebuild(const ItemTable& items,
                                                           Hyperplanes hyperplanes, int threads,
                                                           ThreadPriority priority) {
  ItemCodesVersion next =
      Hash(items, std::make_shared<const Hyperplanes>(std::move(hyperplanes)), threads, priority);
  const std::lock_guard<std::mutex> lock(writers_);
  next.model = current_ ? current_->model + 1 : 1;
  return Publish(std::move(next));
}

std::shared_ptr<const ItemCodesVersion> ItemCodes::Refresh(uint64_t model,
                                                           std::span<const int32_t> changed,
                                                           const ItemTable& rows, int threads) {
  Require(changed.size() == rows.size(), "item codes: ", changed.size(), " changed items, ",
          rows.size(), " rows");
  const std::lock_guard<std::mutex> lock(writers_);
  const ItemCodesVersion& base = *current_;
  Require(model == base.model, "item codes: rows of model ", model, ", the current one is ",
          base.model);
  Require(rows.candidate_embeddings.has_value() == base.candidate_table.has_value(),
          "item codes: embeddings of candidates are needed where the model has them, and only "
          "there");
  for (size_t i = 0; i < changed.size(); ++i) {
    Require(changed[i] >= 0 && static_cast<size_t>(changed[i]) < base.table.size(),
            "item codes: changed[", i, "] = ", changed[i], " is not one of ", base.table.size(),
            " items");
  }
  // Not at idle priority: whoever else wants to publish waits for writers_ meanwhile.
  const CodeTable codes(rows, *base.hyperplanes, threads);
  const auto candidates = CodeTable::OfCandidates(rows, *base.hyperplanes, threads);
  ItemCodesVersion next = base;
  for (size_t i = 0; i < changed.size(); ++i) {
    const auto item = static_cast<size_t>(changed[i]);
    next.table.Replace(item, codes.row(i));
    if (candidates) next.candidate_table->Replace(item, candidates->row(i));
  }
  return Publish(std::move(next));
}

std::shared_ptr<const ItemCodesVersion> ItemCodes::Publish(ItemCodesVersion next) {
  next.number = current_ ? current_->number + 1 : 1;
  next.published = std::chrono::steady_clock::now();
  auto published = std::make_shared<const ItemCodesVersion>(std::move(next));
  auto previous = published;
  {
    const std::lock_guard<std::mutex> lock(pointer_);
    current_.swap(previous);
  }
  return published;  // `previous` ends here, so that no request waits for megabytes to be freed
}

}  // namespace eta
