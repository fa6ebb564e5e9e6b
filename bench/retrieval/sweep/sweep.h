// SPDX-License-Identifier: Apache-2.0
// --sweep: the settings that a run goes through.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace eta::bench {

struct Options;

// One --sweep.
struct SweepAxis {
  std::string name;  // bits, L, k, b, dim or threads
  std::vector<size_t> values;
};

// Reads "L=256:65536:x4" or "bits=32,64,128": values and ranges, separated by commas. A range goes
// from its first number by factors (x) or steps (+), as long as they do not exceed its second
// number. Throws std::invalid_argument, one line, on anything else, on values outside the range of
// their axis and on values given twice.
SweepAxis ParseSweep(std::string_view text);

// "exact,eta:{bits}" with bits 32 and 64 -> "exact,eta:32,eta:64". Methods without {bits} stay as
// they are. Throws std::invalid_argument where no method has {bits} although `bits` is not empty,
// or the other way round.
std::string ExpandBits(std::string_view methods, const std::vector<size_t>& bits);

// One combination of values of all axes but bits. Bits make methods instead, so that all widths are
// measured on the same requests within one cell.
struct SweepCell {
  std::vector<std::pair<std::string, size_t>> values;

  // "L = 256, k = 64"; "all" where there is no axis but bits.
  std::string Text() const;
};

// All combinations; the last axis changes fastest. Throws std::invalid_argument when there are more
// than kMaxCells.
std::vector<SweepCell> MakeCells(const std::vector<SweepAxis>& axes);

inline constexpr size_t kMaxCells = 100'000;

// The options of one cell. L is the length of every history: generated histories get that length
// plus the held-out behaviours, those of a bundle are cut to the L most recent behaviours.
Options CellOptions(const Options& options, const SweepCell& cell);

}  // namespace eta::bench
