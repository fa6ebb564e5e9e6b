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
#include "bench/common/output.h"
#include "bench/ctr/measure.h"
#include "bench/ctr/options.h"
#include "bench/ctr/report.h"
#include "core/base/check.h"
#include "core/base/simd_env.h"
#include "simd/target.h"

namespace eta::bench {
namespace {

constexpr int kMismatch = 1;

std::string ApplyTarget(const CtrOptions& options) {
  if (options.target.empty()) return ApplyTargetFromEnvironment();
  ForceTargetOrThrow(options.target);
  return simd::TargetName(simd::ActiveTarget());
}

int Run(int argc, char** argv) {
  const std::optional<CtrOptions> options = ParseCtrOptions(argc, argv);
  if (!options) return 0;
  const std::string target = ApplyTarget(*options);
  for (const std::string& file : {options->csv, options->json}) {
    if (!file.empty()) CheckWritable(file);
  }
  const Environment environment = ReadEnvironment();
  std::optional<Progress> progress(true);
  std::vector<CtrContender> contenders;
  for (const std::string& folder : options->models) {
    progress->Show("reading and checking " + folder);
    std::ranges::move(ReadContenders(folder, *options), std::back_inserter(contenders));
  }
  const bool agrees =
      std::ranges::all_of(contenders, [](const auto& c) { return c.check.agrees(); });
  if (options->check_only || !agrees) {
    progress.reset();
    std::cout << CheckText(contenders) << std::flush;
    return agrees ? 0 : kMismatch;
  }
  // A pipe is read afterwards only: what feeds it may run PyTorch, and not at the same time.
  if (std::filesystem::is_regular_file(options->torch)) ReadTorchRows(*options);
  MeasureContenders(*options, contenders, [&](const std::string& text) { progress->Show(text); });
  progress->Show("reading PyTorch's times");
  const CtrReport report{*options, contenders, ReadTorchRows(*options), target, environment};
  progress.reset();
  if (environment.load_average > 1.0) {
    std::cerr << "note: load average " << environment.load_average
              << " at the start; latencies hold what other programs took\n";
  }
  std::cout << "requests of " << options->candidates << " candidates and a history of "
            << options->length << ", one thread, target " << target << ", " << environment.cpu
            << "\nrequest: prepare (from item ids to what is held of a user), then score\n\n"
            << CtrTableText(report) << std::flush;
  if (!options->csv.empty()) WriteWholeFile(options->csv, CtrCsvText(report));
  if (!options->json.empty()) WriteWholeFile(options->json, CtrJsonText(report));
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("ctr_bench", eta::bench::Run, argc, argv);
}
