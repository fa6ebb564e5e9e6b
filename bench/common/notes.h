// SPDX-License-Identifier: Apache-2.0
// Notes about what makes a measurement misleading.
#pragma once

#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "core/data/bundle.h"

namespace eta::bench {

using Notes = std::vector<std::string>;

// Prints each as "note: ..." on stderr.
void PrintNotes(const Notes& notes);

// What is known at the start: which SIMD target runs and what it costs, if it is a poor one.
Notes TargetNotes();

// Where `threads` have less than a CPU each, or other programs run.
Notes MachineNotes(const Environment& environment, int threads);

// A bundle that can be measured and yet is likely to be broken: many empty histories, embeddings
// that are not finite.
Notes DataNotes(const Bundle& bundle);

}  // namespace eta::bench
