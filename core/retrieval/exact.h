// SPDX-License-Identifier: Apache-2.0
// The exact float32 scan, which ETA must beat and whose answers recall is measured against.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/data/items.h"
#include "core/retrieval/refillable.h"

namespace eta {

// All inner products in float32, then the K largest, equal ones to the newest: recall 1 by
// definition. A prepared history is a copy of its embeddings. Candidates are read from `items`,
// which must outlive the retriever. Throws std::invalid_argument when the item table is malformed.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeExactRetriever(std::string name,
                                                                     const ItemTable& items);

// The same with cosines in place of inner products. Codes of signs estimate them, so that with ever
// more bits their recall tends to that of this method. A copy of the embeddings, scaled to length
// 1, is made here; `items` need not outlive the retriever. Throws as MakeExactRetriever does.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeCosineRetriever(std::string name,
                                                                      const ItemTable& items);

}  // namespace eta
