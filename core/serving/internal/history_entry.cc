// SPDX-License-Identifier: Apache-2.0
#include "core/serving/internal/history_entry.h"

#include <algorithm>

#include "simd/code_blocks.h"

namespace eta::serving {
namespace {

bool IsKnown(int32_t item, const ItemCodesVersion& version) {
  return item >= 0 && static_cast<size_t>(item) < version.table.size();
}

// Makes room for `size` elements. Growth by an eighth wastes little of the budget, and copies each
// element about eight times while a history grows from nothing.
template <class Vector>
void GrowTo(Vector& vector, size_t size, size_t least_step) {
  if (size <= vector.capacity()) return;
  vector.reserve(std::max(size, vector.capacity() + std::max(least_step, vector.capacity() / 8)));
}

}  // namespace

size_t HistoryEntry::bytes() const {
  return sizeof(*this) + items.capacity() * sizeof(int32_t) + blocks.capacity();
}

void HistoryEntry::Fill(std::span<const Behaviour> history, const ItemCodesVersion& version) {
  items.clear();
  items.reserve(history.size());
  first = 0;
  for (const Behaviour& behaviour : history) {
    if (IsKnown(behaviour.item, version)) items.push_back(behaviour.item);
  }
  is_incomplete = items.size() != history.size();
  oldest_time = history.empty() ? 0 : history.front().time;
  newest_time = history.empty() ? 0 : history.back().time;
  number = version.number;
  blocks.resize(simd::CodeBlocksBytes(items.size(), version.table.code_bytes()));
  simd::GatherCodeBlocks(version.table.rows(), {items.data(), items.size()}, blocks.data());
}

bool HistoryEntry::Gather(const ItemCodesVersion& version) {
  const auto known = [&](int32_t item) { return IsKnown(item, version); };
  if (is_incomplete || !std::ranges::all_of(window(), known)) return false;
  const size_t bytes = simd::CodeBlocksBytes(window().size(), version.table.code_bytes());
  number = 0;             // if there is no memory
  blocks.reserve(bytes);  // no more than is needed, unlike resize
  blocks.resize(bytes);
  simd::GatherCodeBlocks(version.table.rows(), {window().data(), window().size()}, blocks.data());
  number = version.number;
  return true;
}

bool HistoryEntry::Append(std::span<const Behaviour> behaviours, bool overlapped, size_t most,
                          const ItemCodesVersion& version) {
  const size_t code_bytes = version.table.code_bytes();
  const size_t slack = std::max<size_t>(64, most / 8);  // how far a window slides before it moves
  // What others may have appended, or a load have read; the order of `behaviours` is known.
  const bool was_empty = window().empty();
  const int64_t before = newest_time;
  for (const Behaviour& behaviour : behaviours) {
    if (is_incomplete || !IsKnown(behaviour.item, version)) return false;
    if (!was_empty && (behaviour.time < before || (overlapped && behaviour.time == before))) {
      return false;
    }
    const bool is_first = window().empty();
    if (window().size() == most) {
      ++first;
      number = 0;
      if (first == slack) {
        items.erase(items.begin(), items.begin() + static_cast<ptrdiff_t>(first));
        first = 0;
      }
    }
    if (number != version.number) number = 0;
    GrowTo(items, items.size() + 1, 16);
    items.push_back(behaviour.item);
    if (is_first) oldest_time = behaviour.time;
    newest_time = behaviour.time;
    if (number == 0) continue;
    const size_t n = window().size();
    const size_t bytes = simd::CodeBlocksBytes(n, code_bytes);
    GrowTo(blocks, bytes, simd::kBlockRows * code_bytes);
    blocks.resize(bytes);
    simd::SetBlockCode(blocks.data(), code_bytes, n - 1,
                       version.table.row(static_cast<size_t>(behaviour.item)).data());
  }
  return true;
}

}  // namespace eta::serving
