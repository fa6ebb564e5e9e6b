// SPDX-License-Identifier: Apache-2.0
#include "bench/freshness/measure.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

#include "bench/common/machine.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/ctr/check.h"
#include "core/ctr/export.h"
#include "core/ctr/model.h"
#include "core/reference/ctr.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/metrics.h"
#include "core/retrieval/pq4.h"
#include "core/retrieval/pq4_codebooks.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

struct Snapshot {
  size_t step;
  fs::path folder;
};

// Those of step `from` and later, in order.
std::vector<Snapshot> FindSnapshots(const std::string& folder, size_t from) {
  constexpr std::string_view kPrefix = "step_";
  std::error_code error;
  std::vector<Snapshot> snapshots;
  if (!fs::exists(folder, error)) throw DataError(Cat(folder, ": does not exist"));
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const std::string digits = name.substr(std::min(name.size(), kPrefix.size()));
    if (!name.starts_with(kPrefix) || digits.empty() || digits.size() > 9 ||
        !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) {
      continue;
    }
    snapshots.push_back({std::stoul(digits), entry.path()});
  }
  if (snapshots.empty()) {
    throw DataError(Cat(folder, ": no snapshots (expected folders step_NNNNNN, which ",
                        "scripts/train_ctr.py --export-every writes)"));
  }
  std::ranges::sort(snapshots, {}, &Snapshot::step);
  const auto twice = std::ranges::adjacent_find(snapshots, {}, &Snapshot::step);
  if (twice != snapshots.end()) {
    throw DataError(Cat(folder, ": step ", twice->step, " is there twice"));
  }
  if (snapshots.back().step < from) {
    throw DataError(Cat(folder, ": no snapshot of step ", from, " or later (the last is of step ",
                        snapshots.back().step, ")"));
  }
  std::erase_if(snapshots, [from](const Snapshot& s) { return s.step < from; });
  return snapshots;
}

// By all that training does not change.
bool AreOfOneRun(const CtrExport& a, const CtrExport& b) {
  const CtrSettings &s = a.settings, &t = b.settings;
  return a.items() == b.items() && s.dim == t.dim && s.k == t.k && s.bits == t.bits &&
         s.max_history == t.max_history && a.hyperplanes.values == b.hyperplanes.values &&
         a.bundle.histories.items == b.bundle.histories.items &&
         a.bundle.histories.offsets == b.bundle.histories.offsets && a.samples == b.samples;
}

CtrExport ReadEtaSnapshot(const fs::path& folder, const CtrExport* first) {
  CtrExport model = ReadCtrExport(folder);
  if (model.unit != CtrUnit::kEta) {
    throw DataError(
        Cat(folder.string(), ": a model of kind ", CtrUnitName(model.unit), " (expected eta)"));
  }
  if (first != nullptr && !AreOfOneRun(model, *first)) {
    throw DataError(Cat(folder.string(), ": of another training run than the first snapshot"));
  }
  return model;
}

// The table as SIM soft's index has it: int8 with one factor (docs/models.md).
Matrix<int8_t> QuantizedTable(const Matrix<float>& table) {
  float largest = 1e-20f;
  for (const float value : table.values) largest = std::max(largest, std::abs(value));
  Matrix<int8_t> index(table.rows, table.cols);
  const float scale = 127.0f / largest;
  for (size_t i = 0; i < index.values.size(); ++i) {
    index.values[i] = static_cast<int8_t>(std::nearbyint(table.values[i] * scale));
  }
  return index;
}

// The positions that a retrieval finds for a candidate in a window of a history.
using Positions =
    std::function<std::vector<int32_t>(std::span<const int32_t> window, int32_t item)>;

// What the unit of `retrieving`, which must outlive this, finds.
Positions PositionsOf(const CtrExport& retrieving) {
  return [&retrieving](std::span<const int32_t> window, int32_t item) {
    const auto found = reference::RetrievedPositions(retrieving, window, item);
    return std::vector<int32_t>(found.begin(), found.end());
  };
}

// What a retriever, which must outlive this, finds.
Positions PositionsOf(const Retriever& retriever, size_t k) {
  const std::shared_ptr<Scratch> scratch = retriever.NewScratch();
  return [&retriever, k, scratch](std::span<const int32_t> window, int32_t item) {
    std::vector<int32_t> positions(k), counts(1);
    retriever.Retrieve(*retriever.Prepare(window), {&item, 1}, k, *scratch, {positions, counts});
    positions.resize(static_cast<size_t>(counts[0]));
    return positions;
  };
}

// Exact top-K of the current embeddings for a choice of test samples; what retrievals are judged
// by.
class Exact {
 public:
  Exact(const CtrExport& model, size_t max_samples) : model_(model) {
    std::vector<size_t> order(model.samples.size());
    std::iota(order.begin(), order.end(), 0);
    Random random(1);
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random.Below(static_cast<uint32_t>(i))]);
    }
    for (const size_t i : order) {
      // A history of K or fewer is returned whole by every method.
      const size_t length = model.Window(model.samples[i]).size();
      if (length > model.settings.k && samples_.size() < max_samples) samples_.push_back(i);
    }
  }

  void Judge(const Positions& positions_of, FreshnessRow& row) const {
    const size_t dim = model_.settings.dim, k = model_.settings.k;
    eta::Judge judge(k, dim);
    std::vector<float> blocks, scores;
    double recall = 0, ties = 0;
    for (const size_t i : samples_) {
      const CtrSample& sample = model_.samples[i];
      const auto window = model_.Window(sample);
      const auto& table = model_.bundle.items.embeddings;
      blocks.resize(simd::FloatBlocksSize(window.size(), dim));
      scores.resize(simd::PaddedRows(window.size()));
      simd::GatherFloatBlocks(simd::DenseRows(table.values.data(), table.rows, dim),
                              {window.data(), window.size()}, blocks.data());
      simd::DotScores({blocks.data(), window.size(), dim},
                      {table.row(static_cast<size_t>(sample.item)), 1, dim}, scores.data(),
                      scores.size());
      judge.SetScores({scores.data(), window.size()});
      const auto quality = judge.Rate(positions_of(window, sample.item));
      recall += quality->recall;
      ties += quality->recall_ties;
    }
    if (samples_.empty()) return;
    row.recall = recall / static_cast<double>(samples_.size());
    row.recall_ties = ties / static_cast<double>(samples_.size());
  }

 private:
  const CtrExport& model_;
  std::vector<size_t> samples_;
};

void Predict(const CtrExport& model, const CtrModel& served, FreshnessRow& row) {
  const CtrCheck check = CheckCtrModel(model, served);
  row.auc = check.auc;
  row.gauc = check.gauc;
  row.log_loss = check.log_loss;
}

void RatePq4(const Exact& exact, const CtrExport& current, const Pq4Codebooks& codebooks,
             FreshnessRow& row) {
  auto retriever = MakePq4Retriever(row.method, current.bundle.items, codebooks);
  exact.Judge(PositionsOf(*retriever, current.settings.k), row);
  Predict(current, CtrModel(current, ItemTables::kAll, {std::move(retriever)}), row);
}

// The width of product codes that is that of the model's codes, or the next lower one that there
// is; 0 where there is none.
size_t Pq4Bits(const CtrSettings& settings) {
  return std::min(settings.bits, settings.dim * 4) / 8 * 8;
}

double LeastMilliseconds(int repeats, const std::function<void()>& work) {
  work();
  double least = HUGE_VAL;
  for (int i = 0; i < repeats; ++i) {
    const double start = ThreadCpuSeconds();
    work();
    least = std::min(least, ThreadCpuSeconds() - start);
  }
  return least * 1e3;
}

double MillisecondsPerMillion(size_t items, const std::function<void()>& work) {
  return LeastMilliseconds(7, work) * 1e6 / static_cast<double>(items);
}

void MeasurePq4Costs(const ItemTable& items, FreshnessCosts& costs) {
  std::optional<Pq4Codebooks> codebooks;
  costs.pq4_train_ms =
      LeastMilliseconds(2, [&] { codebooks = Pq4Codebooks::Train(items, costs.pq4_bits); });
  std::vector<uint8_t> codes(items.size() * codebooks->code_bytes());
  costs.pq4_encode_ms = MillisecondsPerMillion(
      items.size(), [&] { codebooks->Encode(items.embeddings.values, codes); });
}

}  // namespace

std::vector<FreshnessRow> MeasureFreshness(
    const FreshnessOptions& options, const std::function<void(const std::string&)>& progress) {
  const std::vector<Snapshot> snapshots = FindSnapshots(options.folder, options.from);
  // SIM soft with its index of the first snapshot, of every R steps, and of the present.
  struct Index {
    std::string name;
    size_t every;  // steps; 0: never
    size_t step;
    Matrix<int8_t> table;
  };
  std::vector<Index> indexes = {{"sim_soft:stale", 0, 0, {}}, {"sim_soft:fresh", 1, 0, {}}};
  for (const size_t every : options.rebuild) {
    indexes.push_back({Cat("sim_soft:", every), every, 0, {}});
  }
  std::vector<FreshnessRow> rows;
  std::optional<CtrExport> first;
  std::optional<Pq4Codebooks> first_codebooks;
  for (const Snapshot& snapshot : snapshots) {
    progress(snapshot.folder.string());
    CtrExport current = ReadEtaSnapshot(snapshot.folder, first ? &*first : nullptr);
    if (!first) first = current;
    const size_t first_step = snapshots[0].step;
    const Exact exact(current, options.samples);
    const auto add = [&](const std::string& method, size_t index_step, const CtrExport& model) {
      rows.push_back({.method = method, .step = snapshot.step, .index_step = index_step});
      exact.Judge(PositionsOf(model), rows.back());
      Predict(model, CtrModel(model), rows.back());
    };
    add("eta", snapshot.step, current);
    CtrExport other = current;
    other.item_codes = first->item_codes;
    add("eta:stale", first_step, other);
    if (const size_t bits = Pq4Bits(current.settings); bits > 0) {
      const auto codebooks = Pq4Codebooks::Train(current.bundle.items, bits);
      if (!first_codebooks) first_codebooks = codebooks;
      rows.push_back({.method = "pq4:kept", .step = snapshot.step, .index_step = first_step});
      RatePq4(exact, current, *first_codebooks, rows.back());
      rows.push_back(
          {.method = "pq4:retrained", .step = snapshot.step, .index_step = snapshot.step});
      RatePq4(exact, current, codebooks, rows.back());
    }
    other.unit = CtrUnit::kSimSoft;
    for (Index& index : indexes) {
      // Due once R steps have passed since the last, at the first snapshot after that.
      const bool due =
          index.table.rows == 0 || (index.every != 0 && snapshot.step - index.step >= index.every);
      if (due) {
        index.table = QuantizedTable(current.bundle.items.embeddings);
        index.step = snapshot.step;
      }
      other.scan_queries = other.scan_keys = index.table;
      add(index.name, index.step, other);
    }
  }
  return rows;
}

FreshnessCosts MeasureCosts(const FreshnessOptions& options) {
  const CtrExport model =
      ReadEtaSnapshot(FindSnapshots(options.folder, options.from)[0].folder, nullptr);
  constexpr size_t kItems = 100'000;  // beyond the caches, as a service's table is
  ItemTable items;
  items.embeddings = Matrix<float>(kItems, model.settings.dim);
  for (size_t i = 0; i < kItems; ++i) {
    std::copy_n(model.bundle.items.embeddings.row(i % model.items()), model.settings.dim,
                items.embeddings.row(i));
  }
  const Hyperplanes hyperplanes = Hyperplanes::FromMatrix(model.hyperplanes);
  std::vector<uint8_t> codes(kItems * hyperplanes.code_bytes());
  FreshnessCosts costs{.dim = model.settings.dim, .bits = model.settings.bits};
  costs.rehash_ms =
      MillisecondsPerMillion(kItems, [&] { hyperplanes.Encode(items.embeddings.values, codes); });
  std::vector<int8_t> index(kItems * costs.dim);
  std::vector<float> scales(kItems);
  costs.rebuild_ms = MillisecondsPerMillion(kItems, [&] {
    simd::QuantizeI8(simd::DenseRows(items.embeddings.values.data(), kItems, costs.dim),
                     index.data(), costs.dim, scales.data());
  });
  costs.pq4_bits = Pq4Bits(model.settings);
  if (costs.pq4_bits > 0) MeasurePq4Costs(items, costs);
  return costs;
}

}  // namespace eta::bench
