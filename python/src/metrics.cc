// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "core/base/check.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "python/src/runtime.h"

namespace eta::python {
namespace {

// The positions of a row up to the first -1; copied, so that those which are checked are used.
std::vector<int32_t> ValidPart(const Array<int32_t>& rows, size_t row) {
  const std::span<const int32_t> all = rows.span().subspan(row * rows.shape(1), rows.shape(1));
  std::vector<int32_t> valid(all.begin(), all.end());
  valid.erase(std::ranges::find(valid, -1), valid.end());
  return valid;
}

void RequireRows(const char* name, size_t rows, const Array<int32_t>& returned) {
  Require(rows == returned.shape(0), name, ": ", rows, " rows, returned has ", returned.shape(0));
}

// measure(row) for each row of `returned`, NaN where it is undefined.
template <class Measure>
py::object ForRows(const Array<int32_t>& returned, const Measure& measure) {
  NewArray<double> values = MakeArray<double>({returned.shape(0)});
  const KernelCall call;
  for (size_t row = 0; row < returned.shape(0); ++row) {
    const std::optional<double> value = measure(row);
    values.values[row] = value.value_or(std::numeric_limits<double>::quiet_NaN());
  }
  return std::move(values.array);
}

py::object Recall(py::handle returned, py::handle exact, py::handle n) {
  const Array<int32_t> found(returned, "returned", 2), best(exact, "exact", 2);
  RequireRows("exact", best.shape(0), found);
  const size_t length = ToCount(n, "n", 0, kMaxCount);
  return ForRows(found, [&](size_t row) {
    return RecallById(ValidPart(found, row), ValidPart(best, row), length);
  });
}

// measure(positions, scores, number) for each row, where `number` is an argument called `name`.
template <class Measure>
py::object ForScores(py::handle returned, py::handle scores, py::handle number, const char* name,
                     const Measure& measure) {
  const Array<int32_t> found(returned, "returned", 2);
  const Array<float> exact(scores, "scores", 2);
  RequireRows("scores", exact.shape(0), found);
  const size_t count = ToCount(number, name, 1, kMaxCount), n = exact.shape(1);
  return ForRows(found, [&](size_t row) {
    return measure(ValidPart(found, row), exact.span().subspan(row * n, n), count);
  });
}

py::object RecallTies(py::handle returned, py::handle scores, py::handle k) {
  return ForScores(returned, scores, k, "k",
                   [](const auto& positions, std::span<const float> exact, size_t count) {
                     return RecallTieAware(positions, exact, count);
                   });
}

py::object Mass(py::handle returned, py::handle scores, py::handle dim, py::handle temperature) {
  const double divisor = ToNumber(temperature, "temperature");
  return ForScores(returned, scores, dim, "dim",
                   [=](const auto& positions, std::span<const float> exact, size_t dims) {
                     return AttentionMass(positions, exact, dims, divisor);
                   });
}

}  // namespace

void BindMetrics(py::module_& module) {
  module.def("recall", Recall);
  module.def("recall_ties", RecallTies);
  module.def("attention_mass", Mass);
}

}  // namespace eta::python
