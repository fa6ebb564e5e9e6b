// SPDX-License-Identifier: Apache-2.0
// SIM's search by category, as a method.
#pragma once

#include <memory>
#include <string>

#include "core/data/items.h"
#include "core/retrieval/retriever.h"

namespace eta {

// SIM's hard search (arXiv 2006.05639, section 3.2): the newest K behaviours of the candidate's own
// category, newest first; fewer than K when the category has fewer. Throws std::invalid_argument
// unless every item has a category. `items` must outlive the retriever.
std::unique_ptr<Retriever> MakeSimHardRetriever(std::string name, const ItemTable& items);

}  // namespace eta
