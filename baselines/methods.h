// SPDX-License-Identifier: Apache-2.0
// Methods by name, as written in --methods.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/retriever.h"

namespace eta {

struct MethodOptions {
  uint64_t seed = 1;
  HyperplaneKind hyperplanes = HyperplaneKind::kGaussian;
  const Hyperplanes* loaded = nullptr;  // used instead of generated ones for its own width
  int threads = 1;                      // given to FAISS, and used to hash the item table
};

// Builds the method that `spec` names: "exact", "eta:64", "faiss_exact", "faiss_binary:64",
// "sim_hard", "sim_soft:ivf", "sim_soft:hnsw", "recent", ... (MethodsHelp lists all).
// Throws std::invalid_argument, naming the spec and what is wrong with it. `items` and
// options.loaded must outlive the retriever.
std::unique_ptr<Retriever> MakeMethod(std::string_view spec, const ItemTable& items,
                                      const MethodOptions& options);

// Splits "exact,eta:64" and checks that no name is empty or given twice.
std::vector<std::string> SplitMethods(std::string_view list);

// One line per method, for --help.
std::string MethodsHelp();

// FAISS version and compile options, such as "1.7.3 (OPTIMIZE)".
std::string FaissBuild();

}  // namespace eta
