// SPDX-License-Identifier: Apache-2.0
// Item lists in compressed sparse rows from two arrays.
#pragma once

#include <cstddef>

#include "core/base/check.h"
#include "core/data/histories.h"
#include "python/src/arrays.h"

namespace eta::python {

// A checked copy of the arrays, of which messages say NAME_offsets and NAME_items. Throws TypeError
// or ValueError as Buffer does, and ValueError where ValidateItemLists throws.
inline ItemLists ToLists(py::handle offsets, py::handle items, size_t num_items, const char* name) {
  ItemLists lists;
  lists.offsets = Array<int64_t>(offsets, Cat(name, "_offsets").c_str(), 1).copy();
  lists.items = Array<int32_t>(items, Cat(name, "_items").c_str(), 1).copy();
  Require(!lists.offsets.empty(), name, "_offsets: empty, must hold a number more than there are ",
          "requests");
  ValidateItemLists(lists, num_items, name);
  return lists;
}

}  // namespace eta::python
