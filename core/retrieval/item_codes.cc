// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/item_codes.h"

#include <utility>

#include "core/base/check.h"

namespace eta {

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
  const auto shared = std::make_shared<const Hyperplanes>(std::move(hyperplanes));
  std::optional<ItemCodesVersion> next;
  // Hashing alone: what follows takes the mutex that requests wait for.
  RunAtPriority(threads == 1 ? priority : ThreadPriority::kNormal, [&] {
    next = ItemCodesVersion{0,
                            0,
                            shared,
                            CodeTable(items, *shared, threads),
                            CodeTable::OfCandidates(items, *shared, threads),
                            {}};
  });
  const std::lock_guard<std::mutex> lock(writers_);
  next->model = current_ ? current_->model + 1 : 1;
  return Publish(std::move(*next));
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
