// SPDX-License-Identifier: Apache-2.0
// The scan of int8 embeddings: what ETA must beat where memory and time count and a little recall
// does not.
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// Top-K of inner products of embeddings quantised to int8 with one scale a row. The table of
// quantised items is made here and kept; `items` need not outlive the retriever.
std::unique_ptr<Retriever> MakeScanI8Retriever(std::string name, const ItemTable& items);

}  // namespace eta
