// SPDX-License-Identifier: Apache-2.0
// core/ctr/mlp.h in eight bits: the same bits as the scalar twin on every target, and close to
// float32; models whose numbers could overflow are refused.
#include "core/ctr/mlp.h"

#include <functional>
#include <limits>

#include "core/ctr/model.h"
#include "core/reference/cross_features.h"
#include "core/reference/ctr.h"
#include "core/reference/dot_i8.h"
#include "core/reference/linear_i8.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/ctr_test_util.h"

namespace eta::test {
namespace {

constexpr size_t kItems = 150;  // more than kCtrChunk

CtrExport MakeModel(CtrUnit unit, size_t dim) {
  return ModelMaker(unit, SomeSettings(dim, 2), kItems, dim).Make();
}

// Features of candidates as the model would make them, of very different sizes.
struct Case {
  Case(const CtrExport& model, ItemTables tables, size_t count) : candidates(count) {
    const size_t dim = model.settings.dim, parts = model.wide.size();
    Rng rng(count + dim * parts);
    for (int32_t& candidate : candidates) candidate = static_cast<int32_t>(Below(rng, kItems));
    for (size_t b = 0; b < count; ++b) {
      const auto own = OwnRow(model, candidates[b]);
      if (tables == ItemTables::kNone) features.insert(features.end(), own.begin(), own.end());
      interests.push_back(MakeFloats(parts * dim, [&] {
        const float scale = Below(rng, 7) == 0 ? 3.0f : 0.1f;
        return b == 1 ? 0.0f : scale * BellFloat(rng);
      }));
      for (size_t p = 0; p < parts; ++p) {
        const auto of_part = interests[b].begin() + static_cast<ptrdiff_t>(p * dim);
        features.insert(features.end(), of_part, of_part + static_cast<ptrdiff_t>(dim));
        features.insert(features.end(), dim, std::numeric_limits<float>::quiet_NaN());
      }
    }
  }

  static std::span<const float> OwnRow(const CtrExport& model, int32_t item) {
    return {model.bundle.items.embeddings.row(static_cast<size_t>(item)), model.settings.dim};
  }

  std::vector<int32_t> candidates;
  std::vector<std::vector<float>> interests;  // of each candidate, without their products
  std::vector<float> features;                // without the products
};

std::vector<float> Serve(const Mlp& mlp, const CtrExport& model, const Case& c) {
  std::vector<float> user(mlp.hidden()), logits(c.candidates.size()), features = c.features;
  EXPECT_EQ(features.size(), c.candidates.size() * mlp.features());
  const auto scratch = mlp.NewScratch();
  const size_t before = allocations;
  mlp.PrepareUser(model.user_embeddings.row(1), user.data());
  mlp.Apply(c.candidates, features.data(), user.data(), *scratch, logits.data());
  EXPECT_EQ(allocations, before);
  return logits;
}

// What the rows of the first layer's matrix that are not of `c` come to, with the bias.
std::vector<float> BiasOf(const Mlp& mlp, const CtrExport& model, ItemTables tables, int32_t item) {
  std::vector<float> bias(mlp.hidden()), part(mlp.hidden());
  mlp.PrepareUser(model.user_embeddings.row(1), bias.data());
  if (tables == ItemTables::kNone) return bias;
  const size_t dim = model.settings.dim;
  const Layer layer(model.mlp_weight[0], dim, dim, {});
  layer.Apply({model.bundle.items.embeddings.row(static_cast<size_t>(item)), 1, dim},
              simd::Activation::kNone, part.data(), part.size());
  const reference::I8Matrix of_item = reference::QuantizeI8(part, part.size());
  return reference::AddBiasRow(bias, of_item.values, of_item.scales[0]);
}

// The logit of candidate b by the scalar twins.
float Expected(const Mlp& mlp, const CtrExport& model, ItemTables tables, const Case& c, size_t b) {
  const auto own = Case::OwnRow(model, c.candidates[b]);
  auto [features, wide] = reference::CrossFeatures(own, c.interests[b], model.wide);
  if (tables == ItemTables::kNone) features.insert(features.begin(), own.begin(), own.end());
  const auto bias = BiasOf(mlp, model, tables, c.candidates[b]);
  return reference::MlpI8(model, features, bias) + wide;
}

class CtrMlpTest : public TargetTest {};
ETA_FOR_EVERY_TARGET(CtrMlpTest);

TEST_P(CtrMlpTest, EightBitsAreThoseOfTheScalarTwin) {
  for (const CtrUnit unit : {CtrUnit::kNone, CtrUnit::kAvgPool}) {
    for (const size_t dim : {6, 20}) {
      const CtrExport model = MakeModel(unit, dim);
      for (const ItemTables tables : {ItemTables::kAll, ItemTables::kNone}) {
        const auto mlp = MakeMlp(model, tables, Precision::kInt8);
        for (const size_t count : {size_t{1}, size_t{13}, kCtrChunk}) {
          const Case c(model, tables, count);
          const auto logits = Serve(*mlp, model, c);
          for (size_t b = 0; b < count; ++b) {
            ASSERT_EQ(logits[b], Expected(*mlp, model, tables, c, b))
                << CtrUnitName(unit) << " dim " << dim << " candidate " << b << " of " << count;
          }
        }
      }
    }
  }
}

TEST(CtrMlp, EightBitsAreCloseToFloat32ButNotTheSame) {
  const CtrExport model = MakeModel(CtrUnit::kAvgPool, 20);
  for (const ItemTables tables : {ItemTables::kAll, ItemTables::kNone}) {
    const auto exact = MakeMlp(model, tables, Precision::kFloat32);
    const auto narrow = MakeMlp(model, tables, Precision::kInt8);
    const Case c(model, tables, kCtrChunk);
    const auto expected = Serve(*exact, model, c), logits = Serve(*narrow, model, c);
    double largest = 0, spread = 0;
    for (size_t b = 0; b < logits.size(); ++b) {
      largest = std::max(largest, std::abs(static_cast<double>(logits[b]) - expected[b]));
      spread = std::max(spread, std::abs(static_cast<double>(expected[b])));
    }
    EXPECT_GT(largest, 1e-6);
    EXPECT_LT(largest, 0.03 * spread);
    if (tables == ItemTables::kAll) {
      EXPECT_EQ(exact->table_bytes(), kItems * 200 * sizeof(float));
      EXPECT_EQ(narrow->table_bytes(), kItems * (200 + sizeof(float)));
    }
  }
}

// Changes one number of a sound model; the message names what is wrong.
void ExpectRefused(CtrUnit unit, const std::function<void(CtrExport&)>& change, const char* text) {
  CtrExport model = MakeModel(unit, 6);
  change(model);
  const CtrModel in_floats(model);  // serves what it is given
  try {
    const CtrModel served(model, ItemTables::kAll, {}, Precision::kInt8);
    ADD_FAILURE() << "served in spite of: " << text;
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

TEST(CtrMlp, RefusesWhatIsNotFiniteOrCouldOverflow) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto expect = [](const std::function<void(CtrExport&)>& change, const char* text) {
    ExpectRefused(CtrUnit::kEta, change, text);
  };
  expect([](CtrExport& m) { m.mlp_weight[0].row(30)[7] = kNan; }, "mlp_0_weight");
  expect([](CtrExport& m) { m.mlp_weight[2].row(3)[0] = -kInfinity; }, "mlp_2_weight");
  expect([](CtrExport& m) { m.mlp_bias[1][4] = kInfinity; }, "mlp_1_bias");
  expect([](CtrExport& m) { m.wide[1] = kNan; }, "wide");
  expect([](CtrExport& m) { m.long_term.key.row(1)[2] = kNan; }, "long_key");
  expect([](CtrExport& m) { m.short_term.output.row(1)[2] = kNan; }, "short_output");
  expect([](CtrExport& m) { m.bundle.items.embeddings.row(9)[1] = kNan; }, "item_embeddings");
  expect([](CtrExport& m) { m.user_embeddings.row(2)[1] = kInfinity; }, "user_embeddings");
  expect([](CtrExport& m) { m.mlp_weight[0].row(30)[7] = 1e31f; }, "an output of mlp_0");
  expect([](CtrExport& m) { m.mlp_weight[1].row(3)[7] = 1e31f; }, "an output of mlp_1");
  expect([](CtrExport& m) { m.mlp_bias[2][0] = 3e38f; }, "an output of mlp_2");
  expect([](CtrExport& m) { m.wide[0] = 1e31f; }, "a logit");
  expect([](CtrExport& m) { m.long_term.value.row(1)[2] = 1e31f; }, "a feature");
  expect([](CtrExport& m) { m.long_term.key.row(1)[2] = 1e31f; }, "the long-term attention");
  expect([](CtrExport& m) { m.short_term.query.row(1)[2] = 1e31f; }, "the short-term attention");
  ExpectRefused(
      CtrUnit::kSdim, [](CtrExport& m) { m.sdim_value.row(1)[2] = 1e31f; }, "a feature");
  ExpectRefused(
      CtrUnit::kMimn, [](CtrExport& m) { m.mimn.memory.row(1)[2] = 1e31f; }, "a score");
  ExpectRefused(
      CtrUnit::kAvgPool, [](CtrExport& m) { m.bundle.items.embeddings.row(1)[2] = 1e31f; },
      "the short-term attention");
}

}  // namespace
}  // namespace eta::test
