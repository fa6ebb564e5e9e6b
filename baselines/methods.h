// SPDX-License-Identifier: Apache-2.0
// Retrieval methods by name, as written in --methods.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "core/retrieval/retriever.h"

namespace eta {

// What a method needs beside its spec and the items.
struct MethodOptions {
  uint64_t seed = 1;  // of generated hyperplanes and of indexes
  // Of generated hyperplanes; without it each method's own: orthogonal for eta_norm and eta_asym,
  // which they serve best, Gaussian for the others, as in the paper.
  std::optional<HyperplaneKind> hyperplanes = {};
  const Hyperplanes* loaded =
      nullptr;  // used instead of generated ones for its own width; not kept
  const Pq4Codebooks* loaded_pq4 = nullptr;  // likewise, in place of trained ones
  int threads = 1;                           // given to FAISS, and used to hash the item table
};

// Builds the method that `spec` names: "exact", "eta:64", "eta:64+rerank_i8:4", "faiss_exact",
// "sim_hard", ... (MethodsHelp lists all). `items` must outlive the retriever: exact search, float
// rescoring and SIM hard read it at every request. Throws std::invalid_argument, naming the spec,
// when it is unknown or malformed, a value in it is out of range, or the method cannot work on
// these items or hyperplanes.
std::unique_ptr<Retriever> MakeMethod(std::string_view spec, const ItemTable& items,
                                      const MethodOptions& options);

// The hyperplanes that the method `spec` uses for codes of `bits` bits: the loaded ones where they
// have that width, else ones generated from the seed or, of kind kItq, trained on the items. Throws
// std::invalid_argument, naming the spec, when the loaded ones have another dimension than the
// items.
Hyperplanes MethodHyperplanes(std::string_view spec, size_t bits, const ItemTable& items,
                              const MethodOptions& options);

// The codebooks that the method `spec` uses for codes of `bits` bits: the loaded ones where they
// have that width, else ones trained on the items from the seed. Throws std::invalid_argument,
// naming the spec, when the loaded ones have another dimension than the items.
Pq4Codebooks MethodCodebooks(std::string_view spec, size_t bits, const ItemTable& items,
                             const MethodOptions& options);

// Splits "exact,eta:64" at its commas. Throws std::invalid_argument when a name is empty or given
// twice; the names themselves are not checked.
std::vector<std::string> SplitMethods(std::string_view list);

// How the methods are written, one entry each, such as "faiss_binary:BITS[:MODE]": words in
// capitals stand for values, and what is in brackets may be left out.
std::vector<std::string> MethodForms();

// One line for each form with what it means, for --help.
std::string MethodsHelp();

// FAISS version and compile options, such as "1.7.3 (OPTIMIZE)"; "none" for a build without it.
std::string FaissBuild();

}  // namespace eta
