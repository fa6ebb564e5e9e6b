// SPDX-License-Identifier: Apache-2.0
// Reformer's LSH (arXiv 2001.04451) as a retrieval: behaviours in the candidate's hash buckets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/export.h"
#include "core/base/matrix.h"
#include "core/retrieval/refillable.h"

namespace eta {

// The K behaviours that share most buckets with the candidate, at least one; ties go to the newest.
// `buckets` is items x rounds, rounds < 2^16: row i holds item i's bucket of each round, from 0 to
// 65,535. It is copied and need not outlive the retriever. Throws std::invalid_argument when a
// bucket is out of range or there are no rounds.
ETA_CORE_API std::unique_ptr<RefillableRetriever> MakeReformerRetriever(
    std::string name, const Matrix<int32_t>& buckets);

}  // namespace eta
