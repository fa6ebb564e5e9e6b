// SPDX-License-Identifier: Apache-2.0
#include "core/ctr/internal/activation_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/base/check.h"

namespace eta {
namespace {

// The largest magnitude; infinite where a value is not finite.
double Largest(std::span<const float> values) {
  double largest = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  return largest;
}

// The largest magnitude of an output of `matrix` for inputs of magnitude up to 1.
double Gain(const Matrix<float>& matrix) {
  std::vector<double> sums(matrix.cols);
  for (size_t r = 0; r < matrix.rows; ++r) {
    for (size_t c = 0; c < matrix.cols; ++c) {
      sums[c] += std::abs(static_cast<double>(matrix.row(r)[c]));
    }
  }
  return sums.empty() ? 0 : *std::ranges::max_element(sums);
}

// Attention is a mean of values, whatever the queries and keys, times the output matrix.
double AttentionBound(const AttentionWeights& weights, double rows) {
  return rows * Gain(weights.value) * Gain(weights.output);
}

// Of a query, a key, and their score.
double ScoreBound(const AttentionWeights& weights, double items, double rows) {
  const double query = items * Gain(weights.query), key = rows * Gain(weights.key);
  return std::max({query, key, static_cast<double>(weights.query.cols) * query * key});
}

// Of the rows that the long-term unit attends to.
double RowsBound(const CtrExport& model, double items) {
  if (model.unit != CtrUnit::kMimn) return items;
  // Each behaviour adds less than 1 to the memory; the interest state stays within 1.
  return std::max(
      1.0, Largest(model.mimn.memory.values) + static_cast<double>(model.settings.max_history));
}

double InterestBound(const CtrExport& model, double items) {
  switch (model.unit) {
    case CtrUnit::kNone:
      return 0;
    case CtrUnit::kAvgPool:
      return items;
    case CtrUnit::kSdim:  // the mean of vectors of length 1
      return Gain(model.sdim_value);
    default:
      return AttentionBound(model.long_term, RowsBound(model, items));
  }
}

void RequireBelow(double bound, const std::string& what) {
  Require(bound <= kLargestActivation, "CTR model: ", what, " can reach ", bound,
          " (expected finite weights, and up to ", kLargestActivation, " in eight bits)");
}

void RequireFinite(const CtrExport& model) {
  const auto check = [](std::span<const float> values, const std::string& what) {
    Require(std::isfinite(Largest(values)), "CTR model: ", what,
            " has a weight that is not finite");
  };
  for (size_t i = 0; i < 3; ++i) {
    check(model.mlp_weight[i].values, Cat("mlp_", i, "_weight"));
    check(model.mlp_bias[i], Cat("mlp_", i, "_bias"));
  }
  check(model.wide, "wide");
  for (const auto& [attention, name] :
       {std::pair(&model.short_term, "short"), {&model.long_term, "long"}}) {
    check(attention->query.values, Cat(name, "_query"));
    check(attention->key.values, Cat(name, "_key"));
    check(attention->value.values, Cat(name, "_value"));
    check(attention->output.values, Cat(name, "_output"));
  }
  check(model.bundle.items.embeddings.values, "item_embeddings");
  check(model.user_embeddings.values, "user_embeddings");
}

}  // namespace

void RequireFloatActivations(const CtrExport& model) {
  RequireFinite(model);
  const auto dim = static_cast<double>(model.settings.dim);
  const double items = Largest(model.bundle.items.embeddings.values);
  RequireBelow(ScoreBound(model.short_term, items, items), "a score of the short-term attention");
  RequireBelow(ScoreBound(model.long_term, items, RowsBound(model, items)),
               "a score of the long-term attention");
  const double interests[] = {AttentionBound(model.short_term, items), InterestBound(model, items)};
  double features = std::max(items, Largest(model.user_embeddings.values)), wide = 0;
  for (size_t i = 0; i < model.wide.size(); ++i) {
    features = std::max({features, interests[i], items * interests[i]});
    wide += std::abs(static_cast<double>(model.wide[i])) * dim * items * interests[i];
  }
  RequireBelow(features, "a feature");
  double bound = features;
  for (size_t i = 0; i < 3; ++i) {
    bound = bound * Gain(model.mlp_weight[i]) + Largest(model.mlp_bias[i]);
    RequireBelow(bound, Cat("an output of mlp_", i));
  }
  RequireBelow(bound + wide, "a logit");
}

}  // namespace eta
