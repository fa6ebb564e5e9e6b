// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "core/base/aligned.h"
#include "core/base/check.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "python/src/runtime.h"
#include "simd/dot.h"

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

// All measures of the retrievals of one history, whose embeddings are `rows`, as retrieval_bench
// takes them: what depends on the scores alone is done once, and those of one query are held.
py::tuple Measures(py::handle returned, py::handle rows, py::handle queries, py::handle k) {
  const Array<int32_t> found(returned, "returned", 2);
  const Array<float> history(rows, "rows", 2), given(queries, "queries", 2);
  const size_t n = history.shape(0), dim = history.shape(1), count = found.shape(0);
  Require(dim >= 1 && n <= kMaxCount, "rows: of shape ", n, " x ", dim,
          ", must have a column or more and at most ", kMaxCount, " rows");
  Require(given.shape(1) == dim, "queries: ", given.shape(1), " columns, rows has ", dim);
  RequireRows("queries", given.shape(0), found);
  Judge judge(ToCount(k, "k", 1, kMaxCount), dim);
  NewArray<double> recall = MakeArray<double>({count}), ties = MakeArray<double>({count}),
                   mass = MakeArray<double>({count});
  {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    const KernelCall call;
    AlignedVector<float> blocks(simd::FloatBlocksSize(n, dim)), scores(simd::PaddedRows(n));
    if (n > 0) simd::PackFloatBlocks(simd::DenseRows(history.values(), n, dim), blocks.data());
    for (size_t row = 0; row < count; ++row) {
      if (n > 0) {
        simd::DotScores({blocks.data(), n, dim}, {given.values() + row * dim, 1, dim},
                        scores.data(), scores.size());
      }
      judge.SetScores(std::span(scores).first(n));
      const std::optional<Quality> quality = judge.Rate(ValidPart(found, row));
      recall.values[row] = quality ? quality->recall : kNone;
      ties.values[row] = quality ? quality->recall_ties : kNone;
      mass.values[row] = quality ? quality->attention_mass.value_or(kNone) : kNone;
    }
  }
  return py::make_tuple(std::move(recall.array), std::move(ties.array), std::move(mass.array));
}

}  // namespace

void BindMetrics(py::module_& module) {
  module.def("recall", Recall);
  module.def("recall_ties", RecallTies);
  module.def("attention_mass", Mass);
  module.def("measures", Measures);
}

}  // namespace eta::python
