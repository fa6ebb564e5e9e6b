// SPDX-License-Identifier: Apache-2.0
#include "core/reference/attention.h"

#include <algorithm>
#include <cmath>

namespace eta::reference {

Vector Linear(const Vector& x, const MatrixView& weight, std::span<const float> bias) {
  Vector y(weight.cols);
  for (size_t j = 0; j < y.size(); ++j) {
    for (size_t i = 0; i < x.size(); ++i) y[j] += x[i] * weight.at(i, j);
    if (!bias.empty()) y[j] += static_cast<double>(bias[j]);
  }
  return y;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Vector Softmax(const Vector& x) {
  if (x.empty()) return {};
  const double largest = *std::ranges::max_element(x);
  Vector weights;
  double sum = 0;
  for (const double value : x) sum += weights.emplace_back(std::exp(value - largest));
  for (double& weight : weights) weight /= sum;
  return weights;
}

Vector TargetAttention(const AttentionView& attention, const Vector& candidate,
                       const std::vector<Vector>& rows) {
  const size_t dim = candidate.size();
  const size_t part = dim / attention.heads;
  std::vector<Vector> keys, values;
  for (const Vector& row : rows) {
    keys.push_back(Linear(row, attention.key, {}));
    values.push_back(Linear(row, attention.value, {}));
  }
  const Vector query = Linear(candidate, attention.query, {});
  Vector joined(dim);
  for (size_t first = 0; first < dim; first += part) {  // a head's columns
    Vector scores;
    for (const Vector& key : keys) {
      double score = 0;
      for (size_t i = first; i < first + part; ++i) score += query[i] * key[i];
      scores.push_back(score / std::sqrt(static_cast<double>(part)));
    }
    const Vector weights = Softmax(scores);
    for (size_t l = 0; l < rows.size(); ++l) {
      for (size_t i = first; i < first + part; ++i) joined[i] += weights[l] * values[l][i];
    }
  }
  return Linear(joined, attention.output, {});
}

}  // namespace eta::reference
