// SPDX-License-Identifier: Apache-2.0
// The newest behaviours, as a method.
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// The newest K behaviours, newest first, whatever the candidate: what truncating the history does.
// Only the number of `items` is kept.
std::unique_ptr<Retriever> MakeRecentRetriever(std::string name, const ItemTable& items);

}  // namespace eta
