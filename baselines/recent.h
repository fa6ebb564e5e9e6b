// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// The most recent K behaviours whatever the candidate: what truncating the history does.
std::unique_ptr<Retriever> MakeRecentRetriever(std::string name, const ItemTable& items);

}  // namespace eta
