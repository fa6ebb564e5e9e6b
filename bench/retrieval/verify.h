// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <stdexcept>
#include <vector>

#include "bench/retrieval/measure.h"

namespace eta::bench {

// A kernel and its scalar reference disagree. what() is one line.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Checks, on a few requests and before anything is timed, that what is measured is right: the exact
// scores that recall is judged by, and what "exact" and every "eta:BITS", "eta_gather:BITS" and
// "eta_asym:BITS" return, against core/reference. Throws Mismatch.
void Verify(std::span<const Contender> contenders, const DataSet& data,
            std::span<const UserRequest> requests, const Options& options);

}  // namespace eta::bench
