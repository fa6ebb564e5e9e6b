// SPDX-License-Identifier: Apache-2.0
#include "bench/freshness/options.h"

#include <algorithm>

#include "bench/common/options.h"
#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr uint64_t kMaxSteps = uint64_t{1} << 30;

// Reads "100,1000"; nothing for an empty text.
std::vector<size_t> ParseSteps(const std::string& list) {
  std::vector<size_t> steps;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string part = list.substr(begin, end - begin);
    const std::optional<uint64_t> value = ParseWhole(part);
    Require(value && *value >= 1 && *value <= kMaxSteps && end + 1 != list.size(), "--rebuild: \"",
            part, "\" in \"", list, "\" is not a whole number from 1 to ", kMaxSteps);
    steps.push_back(*value);
    begin = end + 1;
  }
  return steps;
}

}  // namespace

std::optional<FreshnessOptions> ParseFreshnessOptions(int argc, char** argv) {
  FreshnessOptions o;
  o.command_line.assign(argv, argv + argc);
  std::string rebuild;
  App app("freshness_bench",
          "Recall and AUC against the age of codes and index, over the snapshots of a training "
          "run: scripts/train_ctr.py --model eta --export-every N --out DIR; give DIR/snapshots.");
  app.add_option("SNAPSHOTS", o.folder, "Folder of the snapshots step_NNNNNN")->required();
  OptionGroup group(app, "Snapshots and index");
  group.Text("--rebuild", rebuild, "STEPS,...",
             "Rebuild SIM soft's index every so many steps, in rows beside never and always");
  group.Whole("--from", o.from, 0, kMaxSteps,
              "Build codes and index at the snapshot of this step, or the next one; earlier ones "
              "are left out");
  group.Whole("--samples", o.samples, 1, kMaxSteps,
              "Test samples that recall is measured on, at most");
  OptionGroup output(app, "Output");
  output.Text("--csv", o.csv, "FILE", "Write the rows as CSV");
  output.Text("--json", o.json, "FILE", "Write rows, costs and environment as JSON");
  if (!app.Parse(argc, argv)) return std::nullopt;
  o.rebuild = ParseSteps(rebuild);
  return o;
}

}  // namespace eta::bench
