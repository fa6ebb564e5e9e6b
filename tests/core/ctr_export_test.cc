// SPDX-License-Identifier: Apache-2.0
// core/ctr/export.h: what was written is read, and what is wrong is refused in one line.
#include "core/ctr/export.h"

#include <functional>
#include <tuple>

#include "core/base/check.h"
#include "core/base/random.h"
#include "core/ctr/check.h"
#include "core/ctr/model.h"
#include "core/reference/ctr.h"
#include "tests/support/ctr_test_util.h"
#include "tests/support/mutation.h"
#include "tests/support/temp_folder.h"

namespace eta::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kItems = 30;

// A model with a few test samples and the logits of the scalar forward pass.
struct Exported {
  explicit Exported(CtrUnit unit, const std::function<void(CtrExport&)>& change = {})
      : maker(unit, SomeSettings(12, 3), kItems, 5), model(maker.Make()) {
    for (int32_t i = 0; i < 12; ++i) {
      const int32_t user = i % 5, end = user == 0 ? 0 : 80 + i / 5;
      const CtrSample sample = {user, std::max(0, end - 90 + i % 3), end, (i * 7) % 30, i % 2};
      model.samples.push_back(sample);
      model.logits.push_back(static_cast<float>(reference::CtrLogit(
          model, static_cast<size_t>(user), model.Window(sample), sample.item)));
    }
    if (change) change(model);
    writer.emplace(model, maker.rotations, folder / "m");
  }

  fs::path path() const { return folder / "m"; }

  // Writes the changed manifest and expects it to be refused.
  void ExpectRefused(const std::function<void(nlohmann::json&)>& change, const char* text) {
    const nlohmann::json before = writer->manifest;
    change(writer->manifest);
    writer->WriteManifest();
    ExpectRefused(text);
    writer->manifest = before;
    writer->WriteManifest();
  }

  void ExpectRefused(const char* text) const {
    try {
      ReadCtrExport(path());
      ADD_FAILURE() << "read in spite of: " << text;
    } catch (const DataError& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find(text), std::string::npos) << what << "\nexpected: " << text;
      EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    }
  }

  TempFolder folder;
  ModelMaker maker;
  CtrExport model;
  std::optional<ExportWriter> writer;
};

TEST(CtrExport, ReadsEveryModelAndAgreesWithItsLogits) {
  for (const CtrUnit unit : kCtrUnits) {
    const Exported exported(unit);
    const CtrExport read = ReadCtrExport(exported.path());
    EXPECT_EQ(read.unit, unit);
    EXPECT_EQ(read.samples.size(), 12u);
    const CtrCheck check = CheckCtrModel(read, CtrModel(read));
    EXPECT_TRUE(check.agrees()) << CtrUnitName(unit) << ' ' << check.largest_difference;
  }
}

TEST(CtrExport, CheckSeesAWrongLogitAndNan) {
  for (const float wrong : {1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    Exported exported(CtrUnit::kEta);
    CtrExport read = ReadCtrExport(exported.path());
    read.logits[3] += wrong;
    EXPECT_FALSE(CheckCtrModel(read, CtrModel(read)).agrees());
  }
}

TEST(CtrExport, EachPrecisionHasItsTolerance) {
  Exported exported(CtrUnit::kEta);
  CtrExport read = ReadCtrExport(exported.path());
  const CtrModel floats(read), bytes(read, ItemTables::kAll, {}, Precision::kInt8);
  for (const auto& [wrong, in_floats, in_bytes] :
       {std::tuple(0.0f, true, true),
        {0.05f, false, true},
        {0.5f, false, false},
        {std::numeric_limits<float>::quiet_NaN(), false, false}}) {
    const float sound = read.logits[3];
    read.logits[3] += wrong;
    EXPECT_EQ(CheckCtrModel(read, floats).agrees(), in_floats) << wrong;
    EXPECT_EQ(CheckCtrModel(read, bytes).agrees(), in_bytes) << wrong;
    read.logits[3] = sound;
  }
  CtrCheck check;
  check.precision = Precision::kInt8;
  check.auc = 0.7;
  for (const auto& [samples, difference, agrees] :
       {std::tuple(20000, 4e-4, true), {20000, 6e-4, false}, {80, 0.02, true}, {80, 0.03, false}}) {
    check.logits.resize(static_cast<size_t>(samples));
    check.exported_auc = 0.7 + difference;
    EXPECT_EQ(check.agrees(), agrees) << samples << ' ' << difference;
  }
}

TEST(CtrExport, RefusesAnotherManifest) {
  Exported e(CtrUnit::kEta);
  using Json = nlohmann::json;
  e.ExpectRefused([](Json& m) { m["format"] = "other"; }, "not of the format eta-ctr");
  e.ExpectRefused([](Json& m) { m["version"] = 2; }, "not of the format eta-ctr");
  e.ExpectRefused([](Json& m) { m.erase("version"); }, "no \"version\"");
  e.ExpectRefused([](Json& m) { m["model"] = "best"; }, "unknown \"model\"");
  e.ExpectRefused([](Json& m) { m["model"] = 3; }, "unknown \"model\"");
  e.ExpectRefused([](Json& m) { m["settings"] = 1; }, "\"settings\" is not an object");
  e.ExpectRefused([](Json& m) { m["settings"].erase("k"); }, "no \"k\"");
  e.ExpectRefused([](Json& m) { m["settings"]["k"] = 0; }, "\"k\" is out of range");
  e.ExpectRefused([](Json& m) { m["settings"]["k"] = -1; }, "\"k\" is out of range");
  e.ExpectRefused([](Json& m) { m["settings"]["k"] = 1.5; }, "\"k\" is out of range");
  e.ExpectRefused([](Json& m) { m["settings"]["heads"] = 5; }, "expected a divisor of \"dim\"");
  e.ExpectRefused([](Json& m) { m["items"] = 31; }, "item_embeddings is [30, 12]");
  e.ExpectRefused([](Json& m) { m["users"] = 4; }, "histories of 5 users");
  e.ExpectRefused([](Json& m) { m["weights"].erase("wide"); }, "no \"wide\"");
  e.ExpectRefused([](Json& m) { m["weights"]["wide"]["dtype"] = "float64"; }, "\"wide\" is");
  e.ExpectRefused([](Json& m) { m["weights"]["wide"]["shape"] = {3}; }, "expected float32 [2]");
  e.ExpectRefused([](Json& m) { m["weights"]["more"] = m["weights"]["wide"]; }, "unknown weight");
  e.ExpectRefused([](Json& m) { m["test"].erase("logits"); }, "no \"logits\"");
  e.ExpectRefused([](Json& m) { m["test"]["samples"]["shape"] = "x"; }, "\"samples\" is");
  const size_t deep = 400'000;  // what would quote it must not take a stack frame for each
  WriteText(e.path() / "manifest.json", "{\"format\": \"eta-ctr\", \"version\": 1, \"model\": " +
                                            std::string(deep, '[') + std::string(deep, ']') + "}");
  e.ExpectRefused("unknown \"model\"");
  WriteText(e.path() / "manifest.json", "[]");
  e.ExpectRefused("expected a JSON object");
  WriteText(e.path() / "manifest.json", "{");
  e.ExpectRefused("no valid JSON");
  fs::remove(e.path() / "manifest.json");
  e.ExpectRefused("manifest.json: does not exist");
  ASSERT_EQ(::mkfifo((e.path() / "manifest.json").c_str(), 0600), 0);  // waited for without end
  e.ExpectRefused("manifest.json: not a regular file");
}

TEST(CtrExport, RefusesOtherFiles) {
  Exported e(CtrUnit::kTwin);
  WriteNpyVector<float>(e.path() / "weights" / "wide.npy", std::vector<float>{1, 2, 3});
  e.ExpectRefused("wrong shape");
  WriteNpyVector<int32_t>(e.path() / "weights" / "wide.npy", std::vector<int32_t>{1, 2});
  e.ExpectRefused("wrong dtype");
  fs::remove(e.path() / "weights" / "wide.npy");
  e.ExpectRefused("wide.npy: does not exist");
}

TEST(CtrExport, RefusesValuesOutOfRange) {
  const auto refused = [](CtrUnit unit, const std::function<void(CtrExport&)>& change,
                          const char* text) { Exported(unit, change).ExpectRefused(text); };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  refused(
      CtrUnit::kNone, [=](CtrExport& m) { m.mlp_bias[1][3] = nan; }, "value 3 is nan");
  refused(
      CtrUnit::kNone, [=](CtrExport& m) { m.short_term.key.values[5] = INFINITY; }, "is inf");
  refused(
      CtrUnit::kNone, [=](CtrExport& m) { m.logits[2] = nan; }, "logits.npy: value 2");
  refused(
      CtrUnit::kTwin, [](CtrExport& m) { m.scan_keys.values[7] = -128; }, "value 7 is -128");
  refused(
      CtrUnit::kSimHard, [](CtrExport& m) { m.bundle.items.categories.clear(); },
      "which sim_hard needs");
  refused(
      CtrUnit::kNone, [](CtrExport& m) { m.samples[1].user = 5; }, "user of sample 1");
  refused(
      CtrUnit::kNone, [](CtrExport& m) { m.samples[1].item = -1; }, "item of sample 1");
  refused(
      CtrUnit::kNone, [](CtrExport& m) { m.samples[1].label = 2; }, "label of sample 1");
  refused(
      CtrUnit::kNone, [](CtrExport& m) { m.samples[1].history_end = 999; }, "history_end");
  refused(
      CtrUnit::kNone, [](CtrExport& m) { m.samples[1].history_begin = -1; }, "history_begin");
  refused(
      CtrUnit::kNone,
      [](CtrExport& m) {
        m.samples[1].history_begin = 0;
        m.samples[1].history_end = 91;
        m.bundle.histories.items.resize(m.bundle.histories.items.size() + 90);
        for (size_t u = 2; u < 6; ++u) m.bundle.histories.offsets[u] += 90;
      },
      "history_begin of sample 1");  // longer than max_history
}

TEST(CtrExport, RefusesCodesAndBucketsThatDoNotFollow) {
  const auto flip = [](CtrExport& m) { m.item_codes.row(4)[1] ^= 4; };
  Exported(CtrUnit::kEta, flip).ExpectRefused("bit 10 of item 4");
  Exported(CtrUnit::kSdim, flip).ExpectRefused("bit 10 of item 4");
  Exported(CtrUnit::kEtaAsym, flip).ExpectRefused("bit 10 of item 4");
  const auto weigh = [](size_t bit, int8_t weight) {
    return [=](CtrExport& m) { m.item_weights.row(2)[bit] = weight; };
  };
  Exported(CtrUnit::kEtaAsym, weigh(3, -16)).ExpectRefused("weight 3 of item 2 is -16");
  Exported(CtrUnit::kEtaAsym, weigh(3, -128)).ExpectRefused("weight 3 of item 2 is -128");
  Exported(CtrUnit::kEtaAsym, weigh(21, 1)).ExpectRefused("weight 21 of item 2 is 1");
  const auto heavy = [](CtrExport& m) { std::fill_n(m.item_weights.row(2), 21, int8_t{15}); };
  Exported(CtrUnit::kEtaAsym, heavy).ExpectRefused("item 2 add up to 315");
  const auto entry = [](CtrExport& m) { m.item_tables.values[9] = 64; };
  Exported(CtrUnit::kPq4, entry).ExpectRefused("value 9 is 64");
  const auto odd = [](nlohmann::json& m) { m["settings"]["bits"] = 20; };
  Exported(CtrUnit::kPq4).ExpectRefused(odd, "\"bits\" is 20");
  const auto tail = [](CtrExport& m) { m.item_codes.row(3)[2] |= 0x80; };
  Exported(CtrUnit::kEta, tail).ExpectRefused("bit 23 of item 3");
  const auto bucket = [](CtrExport& m) {
    m.item_buckets.row(6)[2] = (m.item_buckets.row(6)[2] + 1) % 6;
  };
  Exported(CtrUnit::kReformerLsh, bucket).ExpectRefused("of item 6 in round 2");
  const auto beyond = [](CtrExport& m) { m.item_buckets.row(6)[2] = 6; };
  Exported(CtrUnit::kReformerLsh, beyond).ExpectRefused("expected 0 to 5");
}

// A changed manifest is read or refused, and never anything else.
TEST(CtrExport, SurvivesMutatedManifests) {
  Exported e(CtrUnit::kMimn);
  const std::string text = ReadText(e.path() / "manifest.json");
  Random random(1);
  size_t refused = 0;
  for (int i = 0; i < 300; ++i) {
    WriteText(e.path() / "manifest.json", Mutate(text, random));
    try {
      ReadCtrExport(e.path());
    } catch (const DataError& error) {
      ++refused;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace eta::test
