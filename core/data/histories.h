// SPDX-License-Identifier: Apache-2.0
// Histories and candidates of all users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/export.h"

namespace eta {

// Lists of item ids, one per user, in compressed sparse rows: the list of user u is
// items[offsets[u] .. offsets[u + 1]). Used for histories (oldest first) and for candidates.
struct ETA_CORE_API ItemLists {
  std::vector<int64_t> offsets{0};  // users + 1
  std::vector<int32_t> items;

  size_t users() const { return offsets.size() - 1; }  // lists
  // The list of a user, who is not checked; valid while `items` is neither resized nor destroyed.
  std::span<const int32_t> operator[](size_t user) const {
    const auto begin = static_cast<size_t>(offsets[user]);
    return {items.data() + begin, static_cast<size_t>(offsets[user + 1]) - begin};
  }
};

// The behaviours of all users, oldest first.
struct ETA_CORE_API Histories : ItemLists {
  std::vector<int64_t> times;  // seconds, one per behaviour, or empty when unknown
};

// Throws std::invalid_argument unless offsets start at 0, never decrease and end at items.size(),
// and every item id lies in [0, num_items). The message calls the lists `name`.
ETA_CORE_API void ValidateItemLists(const ItemLists& lists, size_t num_items, const char* name);

}  // namespace eta
