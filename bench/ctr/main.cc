// SPDX-License-Identifier: Apache-2.0
// What a CTR model costs and what it is worth: quality on the test samples and latency of requests,
// for each exported model, from the C++ forward pass.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/common/main.h"
#include "bench/common/notes.h"
#include "bench/common/options.h"
#include "bench/common/output.h"
#include "bench/ctr/measure.h"
#include "bench/ctr/options.h"
#include "bench/ctr/report.h"

namespace eta::bench {
namespace {

constexpr int kMismatch = 1;

int Run(int argc, char** argv) {
  const std::optional<CtrOptions> options = ParseCtrOptions(argc, argv);
  if (!options) return 0;
  const std::string target = SelectTarget(options->target);
  std::vector<std::string> inputs = options->models;
  inputs.push_back(options->torch);
  CheckOutputs({options->csv, options->json}, inputs);
  const Environment environment = ReadEnvironment();
  PrintNotes(TargetNotes());
  std::optional<Progress> progress(true);
  std::vector<CtrContender> contenders;
  for (const std::string& folder : options->models) {
    progress->Show("reading and checking " + folder);
    std::ranges::move(ReadContenders(folder, *options), std::back_inserter(contenders));
  }
  const bool agrees = std::ranges::all_of(
      contenders, [](const auto& c) { return !c.is_as_exported() || c.check.agrees(); });
  if (options->check_only || !agrees) {
    progress.reset();
    std::cout << CheckText(contenders) << std::flush;
    return agrees ? 0 : kMismatch;
  }
  // Read twice: first to find a bad file before the long measurement. A pipe is read only after it,
  // because the program that feeds it may run PyTorch meanwhile.
  if (std::filesystem::is_regular_file(options->torch)) ReadTorchRows(*options);
  MeasureContenders(*options, contenders, [&](const std::string& text) { progress->Show(text); });
  progress->Show("reading PyTorch's times");
  const CtrReport report{*options, contenders, ReadTorchRows(*options), target, environment};
  progress.reset();
  std::cout << "requests of " << options->candidates << " candidates and a history of "
            << options->length << ", one thread, target " << target << ", " << environment.cpu
            << "\nrequest: prepare (from item ids to what is held of a user), then score\n\n"
            << CtrTableText(report) << std::flush;
  PrintNotes(MachineNotes(environment, 1));
  OutputFiles files;
  if (!options->csv.empty()) files.Add(options->csv, CtrCsvText(report));
  if (!options->json.empty()) files.Add(options->json, CtrJsonText(report));
  files.Commit();
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("ctr_bench", eta::bench::Run, argc, argv);
}
