// SPDX-License-Identifier: Apache-2.0
#include "core/data/histories.h"

#include "core/base/check.h"

namespace eta {

void ValidateItemLists(const ItemLists& lists, size_t num_items, const char* name) {
  const auto& offsets = lists.offsets;
  Require(!offsets.empty(), name, "_offsets is empty (expected users + 1 entries)");
  Require(offsets[0] == 0, name, "_offsets[0] is ", offsets[0], " (expected 0)");
  for (size_t i = 1; i < offsets.size(); ++i) {
    Require(offsets[i] >= offsets[i - 1], name, "_offsets[", i, "] is ", offsets[i],
            ", less than the entry before it, ", offsets[i - 1]);
  }
  Require(static_cast<uint64_t>(offsets.back()) == lists.items.size(), name, "_offsets ends at ",
          offsets.back(), " (expected ", lists.items.size(), ", the length of ", name, "_items)");
  for (size_t i = 0; i < lists.items.size(); ++i) {
    const int32_t item = lists.items[i];
    Require(item >= 0 && static_cast<size_t>(item) < num_items, name, "_items[", i, "] is ", item,
            " (expected an item id in [0, ", num_items, "))");
  }
}

}  // namespace eta
