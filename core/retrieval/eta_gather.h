// SPDX-License-Identifier: Apache-2.0
// ETA without packed blocks per user: codes are gathered for each request.
#pragma once

#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta {

// The same answers as MakeEtaRetriever: a prepared history is its item ids, and each Retrieve
// gathers their codes from the code table before it scans them. Neither `items` nor `hyperplanes`
// need outlive the retriever. Throws as MakeEtaRetriever does.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeEtaGatherRetriever(
    std::string name, const ItemTable& items, const Hyperplanes& hyperplanes, int threads = 1);

}  // namespace eta
