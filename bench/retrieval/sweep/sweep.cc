// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/sweep/sweep.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "bench/common/options.h"
#include "bench/common/text.h"
#include "bench/retrieval/options.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

// What can be swept, up to which value, and how a value is set.
struct AxisKind {
  const char* name;
  size_t max;
  void (*apply)(size_t value, Options& options);
};

void SetLength(size_t length, Options& o) {
  if (o.data.empty()) {
    o.generator.fixed_length = length + o.held_out;
  } else {
    o.max_history = length;
  }
}

constexpr AxisKind kAxes[] = {
    {"bits", kMaxBits, [](size_t, Options&) {}},
    {"L", kMaxCount, SetLength},
    {"k", kMaxK, [](size_t value, Options& o) { o.k = value; }},
    {"b", kMaxCandidates, [](size_t value, Options& o) { o.b = value; }},
    {"dim", kMaxDim, [](size_t value, Options& o) { o.generator.dim = value; }},
    {"threads", kMaxThreads, [](size_t value, Options& o) { o.threads = static_cast<int>(value); }},
};

const AxisKind* FindAxis(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kAxes, [&](const AxisKind& kind) { return kind.name == name; });
  return found == std::end(kAxes) ? nullptr : found;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Values of one axis while its text is read.
class AxisReader {
 public:
  AxisReader(std::string_view text, const AxisKind& kind) : text_(text), kind_(kind) {}

  void Add(std::string_view part) {
    const auto fields = Split(part, ':');
    Require(fields.size() == 1 || fields.size() == 3, Where(), "\"", part,
            "\" is neither a number nor a range such as 256:65536:x4 or 16:64:+16");
    const size_t first = Number(fields[0], 1, kind_.max);
    if (fields.size() == 1) {
      Push(first);
      return;
    }
    const size_t last = Number(fields[1], first, kind_.max);
    const std::string_view step = fields[2];
    const bool is_factor = step.starts_with('x');
    Require(is_factor || step.starts_with('+'), Where(), "the step \"", step,
            "\" of a range begins with neither x nor +");
    const size_t by = Number(step.substr(1), is_factor ? 2 : 1, kind_.max);
    for (size_t value = first; value <= last; value = is_factor ? value * by : value + by) {
      Push(value);
    }
  }

  std::vector<size_t> values() && { return std::move(values_); }

 private:
  std::string Where() const { return Cat("--sweep ", text_, ": "); }

  size_t Number(std::string_view digits, size_t min, size_t max) const {
    const std::optional<uint64_t> value = ParseWhole(digits);
    Require(value && *value >= min && *value <= max, Where(), "\"", digits,
            "\" is not a whole number from ", min, " to ", max);
    return *value;
  }

  void Push(size_t value) {
    Require(std::ranges::find(values_, value) == values_.end(), Where(), value, " is given twice");
    Require(values_.size() < kMaxCells, Where(), "more than ", kMaxCells, " values");
    values_.push_back(value);
  }

  std::string_view text_;
  const AxisKind& kind_;
  std::vector<size_t> values_;
};

}  // namespace

SweepAxis ParseSweep(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const AxisKind* kind = FindAxis(name);
  Require(kind != nullptr && equals != std::string_view::npos, "--sweep \"", text,
          "\" is not NAME=VALUES with one of the names bits, L, k, b, dim, threads");
  AxisReader reader(text, *kind);
  for (const std::string_view part : Split(text.substr(equals + 1), ',')) reader.Add(part);
  return {std::string(name), std::move(reader).values()};
}

std::string ExpandBits(std::string_view methods, const std::vector<size_t>& bits) {
  constexpr std::string_view kPlace = "{bits}";
  const bool has_place = methods.find(kPlace) != std::string_view::npos;
  Require(has_place || bits.empty(),
          "--sweep bits needs a method with {bits} in --methods, such as eta:{bits}");
  Require(!has_place || !bits.empty(), "{bits} in --methods needs --sweep bits=...");
  std::string expanded;
  for (const std::string_view method : Split(methods, ',')) {
    const size_t place = method.find(kPlace);
    const bool is_plain = place == std::string_view::npos;
    for (size_t i = 0; i < (is_plain ? 1 : bits.size()); ++i) {
      if (!expanded.empty() || method.data() != methods.data()) expanded += ',';
      expanded += method.substr(0, place);
      if (!is_plain) expanded += Cat(bits[i], method.substr(place + kPlace.size()));
    }
  }
  return expanded;
}

std::string SweepCell::Text() const {
  std::string text;
  for (const auto& [name, value] : values) {
    text += Cat(text.empty() ? "" : ", ", name, " = ", value);
  }
  return text.empty() ? "all" : text;
}

std::vector<SweepCell> MakeCells(const std::vector<SweepAxis>& axes) {
  std::vector<SweepCell> cells(1);
  for (const SweepAxis& axis : axes) {
    if (axis.name == "bits") continue;
    Require(cells.size() * axis.values.size() <= kMaxCells, "--sweep: more than ", kMaxCells,
            " combinations");
    std::vector<SweepCell> longer;
    for (const SweepCell& cell : cells) {
      for (const size_t value : axis.values) {
        longer.push_back(cell);
        longer.back().values.emplace_back(axis.name, value);
      }
    }
    cells = std::move(longer);
  }
  return cells;
}

Options CellOptions(const Options& options, const SweepCell& cell) {
  Options changed = options;
  for (const auto& [name, value] : cell.values) FindAxis(name)->apply(value, changed);
  return changed;
}

}  // namespace eta::bench
