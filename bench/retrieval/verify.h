// SPDX-License-Identifier: Apache-2.0
// Checks methods against the scalar reference.
#pragma once

#include <span>

#include "bench/retrieval/measure.h"

namespace eta::bench {

// Checks on a few requests, before anything is timed, that the kernels are right: compares the
// exact scores that recall is judged by, and what "exact" and every "eta:BITS",
// "eta_gather:BITS", "eta_norm:BITS", "eta_asym:BITS", "eta_asym_plain:BITS" and "pq4:BITS" return,
// with core/reference. Hyperplanes and codebooks are those of the methods. Throws Mismatch.
void Verify(std::span<const Contender> contenders, const DataSet& data,
            std::span<const UserRequest> requests, const Options& options);

}  // namespace eta::bench
