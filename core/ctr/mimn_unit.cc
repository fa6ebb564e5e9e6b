// SPDX-License-Identifier: Apache-2.0
// MIMN: the memory and the interest states are written once for all candidates. A service would go
// on from the state it holds with each new behaviour; Prepare writes the whole history.
#include <algorithm>
#include <cmath>

#include "core/ctr/unit.h"
#include "simd/activations.h"

namespace eta {
namespace {

using simd::Activation;

class MimnUnit : public LongTermUnit {
 public:
  MimnUnit(const CtrExport& model, ItemTables tables)
      : model_(model),
        dim_(model.settings.dim),
        slots_(model.settings.slots),
        attention_(model.long_term, model.settings.heads, model.bundle.items.embeddings, tables,
                   ItemTables::kNone),
        write_(model.mimn.write, 0, dim_, model.mimn.write_bias),
        gates_(model.mimn.gates),
        induce_(model.mimn.induce) {}

  std::unique_ptr<User> NewUser() const override {
    auto user = std::make_unique<Slots>();
    user->rows = attention_.NewHistory(2 * slots_);
    user->state_floats = 2 * slots_ * dim_ + slots_;
    return user;
  }
  std::unique_ptr<Scratch> NewScratch() const override {
    auto scratch = std::make_unique<State>();
    scratch->attention = AttentionScratch(dim_, model_.settings.heads, 0, 2 * slots_);
    scratch->memory.resize(2 * slots_ * dim_);
    scratch->used.resize(slots_);
    scratch->weights.resize(slots_);
    scratch->rows.resize(kBehaviours * dim_);
    scratch->inputs.resize(kBehaviours * 6 * dim_);
    scratch->joined.resize(slots_ * 2 * dim_);
    scratch->gates.resize(slots_ * 2 * dim_);
    scratch->induced.resize(slots_ * dim_);
    return scratch;
  }

  void Prepare(std::span<const int32_t> history, Scratch& scratch, User& user) const override {
    auto& state = dynamic_cast<State&>(scratch);
    std::ranges::copy(model_.mimn.memory.values, state.memory.begin());
    std::fill(state.memory.begin() + static_cast<ptrdiff_t>(slots_ * dim_), state.memory.end(),
              0.0f);
    std::ranges::fill(state.used, 0.0f);
    for (size_t first = 0; first < history.size(); first += kBehaviours) {
      const size_t count = std::min(kBehaviours, history.size() - first);
      GatherItemRows(model_, history.subspan(first, count), state.rows.data(), dim_);
      write_.Apply({state.rows.data(), count, dim_}, Activation::kNone, state.inputs.data(),
                   6 * dim_);
      for (size_t i = 0; i < count; ++i) {
        Write(state.inputs.data() + i * 6 * dim_, first + i, state);
      }
    }
    attention_.Project({state.memory.data(), 2 * slots_, dim_}, state.attention,
                       dynamic_cast<Slots&>(user).rows);
  }

  void Interest(const User& user, std::span<const int32_t> candidates, const Rows& targets,
                Scratch& scratch, float* out, size_t out_stride) const override {
    attention_.Attend(candidates, targets, dynamic_cast<const Slots&>(user).rows,
                      dynamic_cast<State&>(scratch).attention, out, out_stride);
  }

 private:
  static constexpr size_t kBehaviours = 60;  // whose inputs are computed together: 10 tiles

  struct Slots : User {
    size_t bytes() const override { return state_floats * sizeof(float) + rows.bytes; }
    ProjectedHistory rows;
    size_t state_floats = 0;
  };
  struct State : Scratch {
    AttentionScratch attention;
    AlignedVector<float> memory;  // slots rows of memory, then slots rows of interest
    AlignedVector<float> used, weights, rows, inputs, joined, gates, induced;
  };

  // Softmax of how near the key is to each slot, and of how little the slot was used.
  void Weigh(const float* key, size_t t, State& state) const {
    float key_square = 1e-8f;
    for (size_t d = 0; d < dim_; ++d) key_square += key[d] * key[d];
    for (size_t i = 0; i < slots_; ++i) {
      const float* memory = state.memory.data() + i * dim_;
      float product = 0.0f, square = 1e-8f;
      for (size_t d = 0; d < dim_; ++d) {
        product += memory[d] * key[d];
        square += memory[d] * memory[d];
      }
      float rebalance = 0.0f;
      for (size_t j = 0; j < slots_; ++j) {
        rebalance += state.used[j] * model_.mimn.usage.row(j)[i];
      }
      state.weights[i] = model_.mimn.sharpness * product / std::sqrt(square * key_square) +
                         rebalance / static_cast<float>(std::max<size_t>(t, 1));
    }
    simd::Softmax(state.weights.data(), slots_);
  }

  // Writes behaviour number t, whose inputs are (key | erase | add | update | reset | new).
  void Write(float* inputs, size_t t, State& state) const {
    const size_t dim = dim_;
    float *erase = inputs + dim, *add = erase + dim;
    const float *update = add + dim, *fresh = update + 2 * dim;
    float* interest = state.memory.data() + slots_ * dim;
    float *joined = state.joined.data(), *gates = state.gates.data();
    Weigh(inputs, t, state);
    simd::Sigmoid(erase, dim);
    simd::Tanh(add, dim);
    for (size_t i = 0; i < slots_; ++i) {
      float* memory = state.memory.data() + i * dim;
      const float weight = state.weights[i];
      for (size_t d = 0; d < dim; ++d) {
        memory[d] = memory[d] * (1.0f - weight * erase[d]) + weight * add[d];
      }
      std::copy_n(memory, dim, joined + i * 2 * dim);
      std::copy_n(interest + i * dim, dim, joined + i * 2 * dim + dim);
      state.used[i] += weight;
    }
    gates_.Apply({joined, slots_, 2 * dim}, Activation::kNone, gates, 2 * dim);
    for (size_t i = 0; i < slots_; ++i) {  // update and reset lie side by side
      for (size_t d = 0; d < 2 * dim; ++d) gates[i * 2 * dim + d] += update[d];
    }
    simd::Sigmoid(gates, slots_ * 2 * dim);
    for (size_t i = 0; i < slots_; ++i) {
      const float* reset = gates + i * 2 * dim + dim;
      for (size_t d = 0; d < dim; ++d) joined[i * 2 * dim + dim + d] *= reset[d];
    }
    float* induced = state.induced.data();
    induce_.Apply({joined, slots_, 2 * dim}, Activation::kNone, induced, dim);
    for (size_t i = 0; i < slots_; ++i) {
      for (size_t d = 0; d < dim; ++d) induced[i * dim + d] += fresh[d];
    }
    simd::Tanh(induced, slots_ * dim);
    for (size_t i = 0; i < slots_; ++i) {
      for (size_t d = 0; d < dim; ++d) {
        float& value = interest[i * dim + d];
        value += state.weights[i] * gates[i * 2 * dim + d] * (induced[i * dim + d] - value);
      }
    }
  }

  const CtrExport& model_;
  size_t dim_;
  size_t slots_;
  ProjectedAttention attention_;
  Layer write_, gates_, induce_;
};

}  // namespace

std::unique_ptr<LongTermUnit> MakeMimnUnit(const CtrExport& model, ItemTables tables) {
  return std::make_unique<MimnUnit>(model, tables);
}

}  // namespace eta
