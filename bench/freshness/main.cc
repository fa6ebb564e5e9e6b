// SPDX-License-Identifier: Apache-2.0
// What an old index costs. Reads the snapshots of one training run (train_ctr.py --export-every)
// and retrieves for the test samples of each: ETA with the codes of the current embeddings, SIM
// soft with an index of earlier ones. The ranking model is the snapshot's own in both cases, so
// that recall and AUC differ by the retrieval alone.
#include <iostream>
#include <optional>
#include <string>

#include "bench/common/environment.h"
#include "bench/common/main.h"
#include "bench/common/notes.h"
#include "bench/common/options.h"
#include "bench/common/output.h"
#include "bench/freshness/measure.h"
#include "bench/freshness/options.h"
#include "bench/freshness/report.h"

namespace eta::bench {
namespace {

int Run(int argc, char** argv) {
  const std::optional<FreshnessOptions> options = ParseFreshnessOptions(argc, argv);
  if (!options) return 0;
  const std::string target = SelectTarget("");
  CheckOutputs({options->csv, options->json}, {options->folder});
  PrintNotes(TargetNotes());
  FreshnessReport report{*options, target, ReadEnvironment(), {}, {}};
  std::optional<Progress> progress(true);
  report.rows = MeasureFreshness(*options, [&](const std::string& text) { progress->Show(text); });
  progress->Show("timing the rebuild and the re-hash");
  report.costs = MeasureCosts(*options);
  progress.reset();
  std::cout << FreshnessText(report) << std::flush;
  PrintNotes(MachineNotes(report.environment, 1));
  OutputFiles files;
  if (!options->csv.empty()) files.Add(options->csv, FreshnessCsv(report));
  if (!options->json.empty()) files.Add(options->json, FreshnessJson(report));
  files.Commit();
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("freshness_bench", eta::bench::Run, argc, argv);
}
