// SPDX-License-Identifier: Apache-2.0
// The subcommands of bundle_tool that make codes of items, or what codes are made with.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

namespace eta::bench {

// How hyperplanes or codebooks are trained on a bundle's items.
struct TrainOptions {
  std::string input;
  std::string output;
  size_t bits = 64;
  uint64_t seed = 1;
};

// Which codes are written.
struct CodesOptions {
  std::string input;
  std::string output;
  std::string hyperplanes;     // a kind; empty: those of eta:BITS
  bool of_candidates = false;  // of candidate embeddings
  size_t bits = 64;
  uint64_t seed = 1;
};

// What the subcommands read from the command line.
struct EncodingArguments {
  TrainOptions itq;
  TrainOptions pq4;
  CodesOptions codes;
};

// Adds train-itq, train-pq4 and codes. `arguments` must outlive the parsing, which runs them.
void AddEncodingCommands(CLI::App& app, EncodingArguments& arguments);

}  // namespace eta::bench
