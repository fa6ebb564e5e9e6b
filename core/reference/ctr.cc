// SPDX-License-Identifier: Apache-2.0
#include "core/reference/ctr.h"

#include <algorithm>

#include "core/reference/linear_i8.h"

namespace eta::reference {
namespace {

Vector ItemRow(const CtrExport& model, int32_t item) {
  const float* row = model.bundle.items.embeddings.row(static_cast<size_t>(item));
  return Vector(row, row + model.settings.dim);
}

std::vector<Vector> ItemRows(const CtrExport& model, std::span<const int32_t> items) {
  std::vector<Vector> rows;
  for (const int32_t item : items) rows.push_back(ItemRow(model, item));
  return rows;
}

MatrixView View(const Matrix<float>& matrix) { return {matrix.values, matrix.cols}; }

Vector Attend(const CtrExport& model, const AttentionWeights& weights, const Vector& candidate,
              const std::vector<Vector>& rows) {
  return TargetAttention({View(weights.query), View(weights.key), View(weights.value),
                          View(weights.output), model.settings.heads},
                         candidate, rows);
}

void Append(Vector& to, const Vector& values) { to.insert(to.end(), values.begin(), values.end()); }

Vector Product(const Vector& a, const Vector& b) {
  Vector product;
  for (size_t i = 0; i < a.size(); ++i) product.push_back(a[i] * b[i]);
  return product;
}

double Dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

double CtrLogit(const CtrExport& model, size_t user, std::span<const int32_t> history,
                int32_t candidate) {
  const Vector c = ItemRow(model, candidate);
  const size_t newest = std::min(model.settings.short_length, history.size());
  const Vector s = Attend(model, model.short_term, c, ItemRows(model, history.last(newest)));
  const float* embedding = model.user_embeddings.row(user);
  Vector features(embedding, embedding + model.settings.dim);
  Append(features, c);
  Append(features, s);
  Append(features, Product(c, s));
  double wide = static_cast<double>(model.wide[0]) * Dot(c, s);
  if (model.has_unit()) {
    const Vector g = LongTermInterest(model, history, candidate);
    Append(features, g);
    Append(features, Product(c, g));
    wide += static_cast<double>(model.wide[1]) * Dot(c, g);
  }
  for (size_t layer = 0; layer < model.mlp_weight.size(); ++layer) {
    features = Linear(features, View(model.mlp_weight[layer]), model.mlp_bias[layer]);
    if (layer + 1 == model.mlp_weight.size()) break;
    for (double& value : features) value = std::max(value, 0.0);
  }
  return features[0] + wide;
}

float MlpI8(const CtrExport& model, std::span<const float> features, std::span<const float> bias) {
  std::vector<float> row(features.begin(), features.end());
  for (size_t i = 0; i < model.mlp_weight.size(); ++i) {
    const bool is_first = i == 0, is_last = i + 1 == model.mlp_weight.size();
    const Matrix<float>& weight = model.mlp_weight[i];
    const std::span<const float> rows = weight.values;
    const U8Matrix input = QuantizeU8(row, row.size(), !is_first);
    row = LinearI8(input.values, input.scales[0], is_first ? 128 : 0,
                   QuantizeLayer(rows.last(row.size() * weight.cols), weight.cols),
                   is_first ? bias : std::span<const float>(model.mlp_bias[i]), !is_last);
  }
  return row[0];
}

}  // namespace eta::reference
