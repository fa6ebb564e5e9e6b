// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/run.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "bench/common/cpus.h"
#include "bench/common/options.h"
#include "bench/common/text.h"
#include "bench/retrieval/cold.h"
#include "bench/retrieval/dump.h"
#include "bench/retrieval/load/load.h"
#include "bench/retrieval/measure.h"
#include "bench/retrieval/per_request.h"
#include "bench/retrieval/quality.h"
#include "bench/retrieval/rows.h"
#include "bench/retrieval/verify.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

// Says where the bundle gives more candidates than a request takes.
void AddCutNote(const Options& options, const DataSet& data, std::span<const UserRequest> requests,
                Notes& notes) {
  if (!data.bundle.candidates) return;
  size_t cut = 0, most = 0;
  for (const UserRequest& request : requests) {
    const auto given = (*data.bundle.candidates)[request.user];
    const size_t distinct = std::set<int32_t>(given.begin(), given.end()).size();
    if (distinct > options.b) ++cut;
    most = std::max(most, distinct);
  }
  if (cut == 0) return;
  notes.push_back(Cat(cut, " of ", requests.size(), " requests are given more candidates than --b ",
                      options.b, ", up to ", most, ": the first ", options.b, " of each are used"));
}

Notes MakeNotes(const Options& options, const DataSet& data, const RequestSummary& requests,
                const Environment& environment) {
  Notes notes = DataNotes(data.bundle);
  std::ranges::move(MachineNotes(environment, options.threads), std::back_inserter(notes));
  if (requests.requests < options.requests) {
    notes.push_back(Cat(requests.requests, " requests instead of ", options.requests,
                        ": there are no more users who qualify"));
  }
  if (requests.b_mean < static_cast<double>(options.b)) {
    notes.push_back(Cat(requests.b_mean, " candidates per request on average instead of ",
                        options.b, ": the data set has no more"));
  }
  return notes;
}

void AddThreadsNote(const std::vector<Row>& rows, int wanted, Notes& notes) {
  for (const Row& row : rows) {
    if (row.threads == wanted) continue;
    notes.push_back(
        Cat("OpenMP ran ", row.threads, " threads instead of ", wanted, " for ", row.method));
  }
}

void AddSpreadNote(const std::vector<Row>& rows, Notes& notes) {
  std::string methods;
  for (const Row& row : rows) {
    if (Spread(row).value_or(0) > kWideSpread)
      methods += (methods.empty() ? "" : ", ") + row.method;
  }
  if (methods.empty()) return;
  notes.push_back(Cat("the 95 % interval of p50 is wider than ", 100 * kWideSpread, " % for ",
                      methods, ": more repeats or a quieter machine would tell more"));
}

std::vector<std::string> NamesOf(std::span<const Contender> contenders) {
  std::vector<std::string> names;
  for (const Contender& contender : contenders) names.push_back(contender.retriever().name());
  return names;
}

// Where recall gains more by forgiving ties, it says much of how methods break them.
constexpr double kManyTies = 0.005;

void AddTiesNote(const std::vector<Row>& rows, Notes& notes) {
  std::string methods;
  for (const Row& row : rows) {
    if (row.recall_ties.value_or(0) - row.recall.value_or(0) > kManyTies)
      methods += (methods.empty() ? "" : ", ") + row.method;
  }
  if (methods.empty()) return;
  notes.push_back(
      Cat("recall (mean and p5) counts positions, and of equal scores the newest: who "
          "breaks ties otherwise loses by it; compare recall ties, which forgives "
          "them, for ",
          methods));
}

// Below this recall of exact cosines, norms matter too much for sign codes.
constexpr double kLowCeiling = 0.9;

void AddCosineNote(const std::vector<Row>& rows, Notes& notes) {
  const auto cosine = std::ranges::find(rows, "cosine", &Row::method);
  if (cosine == rows.end() || cosine->recall.value_or(1) >= kLowCeiling) return;
  notes.push_back(Cat("embeddings differ in length: even exact cosines have a recall of ",
                      Fixed(*cosine->recall, 3),
                      ", to which codes of signs (eta, faiss_binary) tend with more bits; "
                      "methods that know the lengths are eta_norm, eta_asym and pq4"));
}

// Where exact search has hardly more attention mass than chance, all methods look alike.
constexpr double kLittleToGain = 0.05;  // of the mass that random leaves

void AddMassNote(const std::vector<Row>& rows, double temperature, Notes& notes) {
  const auto exact = std::ranges::find(rows, "exact", &Row::method);
  const auto random = std::ranges::find(rows, "random", &Row::method);
  if (exact == rows.end() || random == rows.end()) return;
  if (!exact->attention_mass || !random->attention_mass || *random->attention_mass >= 1) return;
  const double gain =
      (*exact->attention_mass - *random->attention_mass) / (1 - *random->attention_mass);
  if (gain >= kLittleToGain) return;
  notes.push_back(
      Cat("attention mass does not tell methods apart here: exact has ",
          Fixed(*exact->attention_mass, 3), ", random ", Fixed(*random->attention_mass, 3),
          "; if your model's attention is sharper, set --temperature (now ", temperature, ")"));
}

}  // namespace

Machine PrepareMachine(const Options& options) {
  Machine machine{.target = SelectTarget(options.target),
                  .environment = ReadEnvironment(),
                  .cpus = ProcessCpus(),
                  .counters = std::make_unique<CpuCounters>(),
                  .notes = TargetNotes()};
  machine.environment.counters =
      machine.counters->works() ? "cycles, instructions" : machine.counters->error();
  if (!machine.counters->works()) machine.counters.reset();
  return machine;
}

Report RunBenchmark(const Options& options, const DataSet& data, const Machine& machine,
                    const std::filesystem::path& dump_folder, Progress& progress) {
  if (options.pin) {
    PinOpenMpThreads(machine.cpus, options.threads);
  } else {
    RequireOpenMpThreads(options.threads);
  }
  const UserChoice choice = ChooseUsers(data, options);
  const std::vector<UserRequest> requests = DrawRequests(data, options, choice.min_history);
  const RequestSummary summary = SummarizeRequests(requests, choice);
  Notes notes = MakeNotes(options, data, summary, machine.environment);
  AddCutNote(options, data, requests, notes);
  progress.Show("building the methods");
  // Counters count this thread alone.
  const CpuCounters* counters = options.threads == 1 ? machine.counters.get() : nullptr;
  std::vector<Contender> contenders =
      MakeContenders(options, data, requests.size(), counters, notes);
  progress.Show("checking against the scalar reference");
  Verify(contenders, data, requests, options);
  progress.Show("calibrating");
  Calibrate(contenders, requests, options.k);
  std::optional<Dump> dump;
  if (!dump_folder.empty()) {
    dump.emplace(dump_folder, options, data, requests, NamesOf(contenders));
  }
  QualityMeter quality(data.bundle.items, options, dump ? &*dump : nullptr);
  std::optional<ColdReport> cold;
  if (options.is_cold) {
    cold = MeasureCold(contenders, requests, options, quality, progress);
  } else {
    Measure(contenders, data, requests, options, quality, progress);
  }
  if (dump) dump->Finish();
  std::vector<Row> rows = SummarizeMethods(contenders, data, summary, options);
  AddThreadsNote(rows, options.threads, notes);
  AddSpreadNote(rows, notes);
  AddTiesNote(rows, notes);
  AddCosineNote(rows, notes);
  AddMassNote(rows, options.temperature, notes);
  LoadReport load = MeasureLoad(contenders, requests, options, machine.cpus, progress);
  Environment environment = machine.environment;
  environment.mhz_end = CpuMegahertz();
  return {
      .options = options,
      .data = data,
      .requests = summary,
      .target = machine.target,
      .environment = std::move(environment),
      .cold = std::move(cold),
      .load = std::move(load),
      .notes = std::move(notes),
      .rows = std::move(rows),
      .per_request_csv = options.per_request.empty() ? "" : PerRequestCsv(contenders, requests)};
}

}  // namespace eta::bench
