// SPDX-License-Identifier: Apache-2.0
// The long-term units of docs/models.md.
#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "core/reference/ctr.h"
#include "core/reference/factors.h"
#include "core/reference/pq4.h"

namespace eta::reference {
namespace {

Vector RowOf(const Matrix<float>& matrix, size_t r) {
  return Vector(matrix.row(r), matrix.row(r) + matrix.cols);
}

MatrixView View(const Matrix<float>& matrix) { return {matrix.values, matrix.cols}; }

std::vector<Vector> RowsOf(const CtrExport& model, std::span<const int32_t> items) {
  std::vector<Vector> rows;
  for (const int32_t item : items) {
    rows.push_back(RowOf(model.bundle.items.embeddings, static_cast<size_t>(item)));
  }
  return rows;
}

Vector Attend(const CtrExport& model, int32_t candidate, const std::vector<Vector>& rows) {
  const AttentionWeights& w = model.long_term;
  return TargetAttention(
      {View(w.query), View(w.key), View(w.value), View(w.output), model.settings.heads},
      RowOf(model.bundle.items.embeddings, static_cast<size_t>(candidate)), rows);
}

int HammingDistance(const uint8_t* a, const uint8_t* b, size_t bytes) {
  int distance = 0;
  for (size_t i = 0; i < bytes; ++i) {
    distance += std::popcount(static_cast<uint8_t>(a[i] ^ b[i]));
  }
  return distance;
}

// How much a behaviour is like the candidate, higher is better; nothing: it does not qualify.
std::optional<int> Likeness(const CtrExport& model, int32_t item, int32_t candidate) {
  const auto i = static_cast<size_t>(item), c = static_cast<size_t>(candidate);
  int score = 0;
  switch (model.unit) {
    case CtrUnit::kSimHard: {
      const auto& categories = model.bundle.items.categories;
      if (categories[i] != categories[c]) return {};
      return 0;
    }
    case CtrUnit::kEta:
      return -HammingDistance(model.item_codes.row(i), model.item_codes.row(c),
                              model.item_codes.cols);
    case CtrUnit::kPq4:
      return -static_cast<int>(Pq4Penalty({model.item_codes.row(i), model.item_codes.cols},
                                          {model.item_tables.row(c), model.item_tables.cols}));
    case CtrUnit::kReformerLsh:
      for (size_t r = 0; r < model.settings.rounds; ++r) {
        score += model.item_buckets.row(i)[r] == model.item_buckets.row(c)[r];
      }
      if (score == 0) return {};
      return score;
    case CtrUnit::kRecent:
      return 0;
    default:  // sim_soft, twin, exact
      for (size_t d = 0; d < model.settings.dim; ++d) {
        score += model.scan_queries.row(c)[d] * model.scan_keys.row(i)[d];
      }
      return score;
  }
}

// The scores of codes with factors depend on the other behaviours too.
std::vector<uint32_t> DistancesWithFactors(const CtrExport& model, std::span<const int32_t> history,
                                           int32_t candidate) {
  const auto c = static_cast<size_t>(candidate);
  const size_t width = model.item_codes.cols, bits = model.settings.bits;
  std::vector<uint8_t> rows;
  for (const int32_t item : history) {
    const uint8_t* row = model.item_codes.row(static_cast<size_t>(item));
    rows.insert(rows.end(), row, row + width);
  }
  if (model.unit == CtrUnit::kEtaNorm) {
    return NormDistances(rows, bits, {model.item_codes.row(c), width - 1});
  }
  return AsymFactorDistances(rows, bits, {model.item_weights.row(c), model.item_weights.cols});
}

Vector AvgPool(const CtrExport& model, std::span<const int32_t> history) {
  Vector mean(model.settings.dim);
  for (const Vector& row : RowsOf(model, history)) {
    for (size_t d = 0; d < mean.size(); ++d) mean[d] += row[d];
  }
  for (double& value : mean) value /= static_cast<double>(std::max<size_t>(history.size(), 1));
  return mean;
}

unsigned HashOf(const CtrExport& model, size_t item, size_t hash) {
  unsigned value = 0;
  const uint8_t* code = model.item_codes.row(item);
  for (size_t bit = 0; bit < model.settings.hash_width; ++bit) {
    const size_t at = hash * model.settings.hash_width + bit;
    value |= static_cast<unsigned>(code[at / 8] >> (at % 8) & 1) << bit;
  }
  return value;
}

Vector Sdim(const CtrExport& model, std::span<const int32_t> history, int32_t candidate) {
  const auto hashes = static_cast<double>(model.settings.hashes);
  Vector total(model.settings.dim);
  for (size_t r = 0; r < model.settings.hashes; ++r) {
    const unsigned wanted = HashOf(model, static_cast<size_t>(candidate), r);
    Vector sum(model.settings.dim);
    for (const int32_t item : history) {
      if (HashOf(model, static_cast<size_t>(item), r) != wanted) continue;
      const float* row = model.bundle.items.embeddings.row(static_cast<size_t>(item));
      for (size_t d = 0; d < sum.size(); ++d) sum[d] += static_cast<double>(row[d]);
    }
    double square = 1e-12;
    for (const double value : sum) square += value * value;
    for (size_t d = 0; d < sum.size(); ++d) total[d] += sum[d] / std::sqrt(square) / hashes;
  }
  return Linear(total, View(model.sdim_value), {});
}

// MIMN's memory and interest state.
struct MimnState {
  std::vector<Vector> memory, interest;  // slots x dim
  Vector used;                           // slots
};

Vector WriteWeights(const MimnWeights& w, const MimnState& state, const double* key, size_t t) {
  const Vector scaled = [&] {
    Vector shares = state.used;
    for (double& share : shares) share /= static_cast<double>(std::max<size_t>(t, 1));
    return Linear(shares, View(w.usage), {});
  }();
  Vector scores;
  for (size_t i = 0; i < state.memory.size(); ++i) {
    double product = 0, memory_square = 1e-8, key_square = 1e-8;
    for (size_t d = 0; d < state.memory[i].size(); ++d) {
      product += state.memory[i][d] * key[d];
      memory_square += state.memory[i][d] * state.memory[i][d];
      key_square += key[d] * key[d];
    }
    scores.push_back(static_cast<double>(w.sharpness) * product /
                         std::sqrt(memory_square * key_square) +
                     scaled[i]);
  }
  return Softmax(scores);
}

void WriteBehaviour(const MimnWeights& w, const Vector& x, size_t t, MimnState& state) {
  const size_t dim = x.size();
  const Vector inputs = Linear(x, View(w.write), w.write_bias);
  const double* key = inputs.data();
  const double *erase = key + dim, *add = erase + dim, *update = add + dim;
  const double *reset = update + dim, *fresh = reset + dim;
  const Vector weights = WriteWeights(w, state, key, t);
  for (size_t i = 0; i < state.memory.size(); ++i) {
    Vector& memory = state.memory[i];
    Vector& interest = state.interest[i];
    for (size_t d = 0; d < dim; ++d) {
      memory[d] = memory[d] * (1 - weights[i] * Sigmoid(erase[d])) + weights[i] * std::tanh(add[d]);
    }
    Vector joined = memory;
    joined.insert(joined.end(), interest.begin(), interest.end());
    const Vector gates = Linear(joined, View(w.gates), {});
    for (size_t d = 0; d < dim; ++d) joined[dim + d] *= Sigmoid(reset[d] + gates[dim + d]);
    const Vector induced = Linear(joined, View(w.induce), {});
    for (size_t d = 0; d < dim; ++d) {
      const double z = Sigmoid(update[d] + gates[d]);
      interest[d] += weights[i] * z * (std::tanh(fresh[d] + induced[d]) - interest[d]);
    }
    state.used[i] += weights[i];
  }
}

std::vector<Vector> MimnRows(const CtrExport& model, std::span<const int32_t> history) {
  const size_t slots = model.settings.slots;
  MimnState state;
  for (size_t i = 0; i < slots; ++i) state.memory.push_back(RowOf(model.mimn.memory, i));
  state.interest.assign(slots, Vector(model.settings.dim));
  state.used.assign(slots, 0);
  size_t t = 0;
  for (const Vector& x : RowsOf(model, history)) WriteBehaviour(model.mimn, x, t++, state);
  std::vector<Vector> rows = state.memory;
  rows.insert(rows.end(), state.interest.begin(), state.interest.end());
  return rows;
}

}  // namespace

std::vector<size_t> RetrievedPositions(const CtrExport& model, std::span<const int32_t> history,
                                       int32_t candidate) {
  std::vector<std::pair<int, size_t>> found;
  const bool has_factors = model.unit == CtrUnit::kEtaNorm || model.unit == CtrUnit::kEtaAsym;
  std::vector<uint32_t> distances;
  if (has_factors) distances = DistancesWithFactors(model, history, candidate);
  for (size_t l = 0; l < distances.size(); ++l) {
    found.emplace_back(-static_cast<int>(distances[l]), l);
  }
  for (size_t l = 0; !has_factors && l < history.size(); ++l) {
    if (const auto score = Likeness(model, history[l], candidate)) found.emplace_back(*score, l);
  }
  // Of equal scores the newest has the larger position.
  std::ranges::sort(found, std::greater<>());
  found.resize(std::min(found.size(), model.settings.k));
  std::vector<size_t> positions;
  for (const auto& [score, position] : found) positions.push_back(position);
  return positions;
}

Vector LongTermInterest(const CtrExport& model, std::span<const int32_t> history,
                        int32_t candidate) {
  switch (model.unit) {
    case CtrUnit::kAvgPool:
      return AvgPool(model, history);
    case CtrUnit::kFullAttention:
      return Attend(model, candidate, RowsOf(model, history));
    case CtrUnit::kSdim:
      return Sdim(model, history, candidate);
    case CtrUnit::kMimn:
      return Attend(model, candidate, MimnRows(model, history));
    default:
      std::vector<int32_t> chosen;
      for (const size_t position : RetrievedPositions(model, history, candidate)) {
        chosen.push_back(history[position]);
      }
      return Attend(model, candidate, RowsOf(model, chosen));
  }
}

}  // namespace eta::reference
