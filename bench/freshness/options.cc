// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <stdexcept>

#include "bench/freshness/measure.h"
#include "core/base/check.h"

namespace eta::bench {

std::optional<FreshnessOptions> ParseFreshnessOptions(int argc, char** argv) {
  FreshnessOptions o;
  o.command_line.assign(argv, argv + argc);
  CLI::App app(
      "Recall and AUC against the age of codes and index, over the snapshots of a training run:\n"
      "scripts/train_ctr.py --model eta --export-every N --out DIR; give DIR/snapshots.");
  app.add_option("SNAPSHOTS", o.folder, "folder of the snapshots step_NNNNNN")->required();
  app.add_option("--rebuild", o.rebuild,
                 "rebuild SIM soft's index every so many steps, beside never and always")
      ->delimiter(',')
      ->check(CLI::Range(size_t{1}, size_t{1} << 30));
  app.add_option(
         "--from", o.from,
         "build codes and index at the snapshot of this step, or the next; earlier ones are "
         "not looked at")
      ->check(CLI::Range(size_t{0}, size_t{1} << 30))
      ->capture_default_str();
  app.add_option("--samples", o.samples, "test samples that recall is measured on, at most")
      ->check(CLI::Range(size_t{1}, size_t{1} << 30))
      ->capture_default_str();
  app.add_option("--csv", o.csv, "file to write the rows to");
  app.add_option("--json", o.json, "file to write rows, costs and environment to");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return {};
  } catch (const CLI::ParseError& error) {
    throw std::invalid_argument(Cat(error.what(), " (--help tells what there is)"));
  }
  Require(o.csv.empty() || o.csv != o.json, "--csv and --json both name ", o.csv);
  return o;
}

}  // namespace eta::bench
