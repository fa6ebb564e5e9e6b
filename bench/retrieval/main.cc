// SPDX-License-Identifier: Apache-2.0
// Runs many retrieval methods on the same requests and reports recall against latency.
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "bench/common/main.h"
#include "bench/common/notes.h"
#include "bench/common/output.h"
#include "bench/retrieval/dump.h"
#include "bench/retrieval/load/load_output.h"
#include "bench/retrieval/options.h"
#include "bench/retrieval/report.h"
#include "bench/retrieval/requests.h"
#include "bench/retrieval/run.h"
#include "bench/retrieval/sweep/sweep_run.h"
#include "core/base/staged_folder.h"

namespace eta::bench {
namespace {

// The notes stand beside the result, where they are read: a machine that was busy is no news from
// before the run.
void Print(const Report& report) {
  if (!report.options.quiet) std::cout << HeaderText(report);
  std::cout << TableText(report.rows, report.options.k)
            << LoadTableText(report.load, report.options) << std::flush;
  if (!report.options.quiet) PrintNotes(report.notes);
}

void RunOnce(const Options& options, const Machine& machine) {
  std::optional<Progress> progress(!options.quiet);
  progress->Show(options.data.empty() ? "generating data" : "reading " + options.data);
  std::optional<StagedFolder> dump;  // first, so that a folder that exists is found at once
  if (!options.dump.empty()) {
    CheckDumpFolders(options.methods);
    dump.emplace(options.dump);
  }
  const DataSet data = LoadData(options);
  Report report = RunBenchmark(options, data, machine,
                               dump ? dump->path() : std::filesystem::path(), *progress);
  progress.reset();
  // The table first: what was measured must not be lost when the disk has filled up since.
  Print(report);
  report.notes.insert(report.notes.begin(), machine.notes.begin(), machine.notes.end());
  OutputFiles files;
  if (!options.csv.empty()) files.Add(options.csv, CsvText(report.rows));
  if (!options.json.empty()) files.Add(options.json, JsonText(report));
  if (!options.per_request.empty()) files.Add(options.per_request, report.per_request_csv);
  if (!options.load_csv.empty()) {
    files.Add(options.load_csv, LoadCsvText(report.load, report.requests, options));
  }
  files.Commit(dump ? &*dump : nullptr);
}

void RunAll(const Options& options, const Machine& machine) {
  std::optional<Progress> progress(!options.quiet);
  const SweepReport report = RunSweep(options, machine, *progress);
  progress.reset();
  std::cout << SweepTableText(report) << std::flush;
  if (!options.quiet) PrintNotes(SweepNotes(report));
  OutputFiles files;
  if (!options.csv.empty()) files.Add(options.csv, SweepCsvText(report));
  if (!options.json.empty()) files.Add(options.json, SweepJsonText(report));
  files.Commit();
  if (report.failure) std::rethrow_exception(report.failure);
}

int Run(int argc, char** argv) {
  const std::optional<Options> options = ParseOptions(argc, argv);
  if (!options) return 0;
  const Machine machine = PrepareMachine(*options);
  CheckOutputs(
      {options->csv, options->json, options->per_request, options->load_csv, options->cells},
      {options->data});
  if (!options->quiet) PrintNotes(machine.notes);
  if (options->sweep.empty()) {
    RunOnce(*options, machine);
  } else {
    RunAll(*options, machine);
  }
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("retrieval_bench", eta::bench::Run, argc, argv);
}
