// SPDX-License-Identifier: Apache-2.0
#include "bench/ctr/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>
#include <stdexcept>

#include "core/base/check.h"

namespace eta::bench {
namespace {

// Made before CLI11 converts: it would read "-1" as 2^64 - 1 and "010" as 8.
CLI::Validator WholeNumber(uint64_t low, uint64_t high) {
  const auto check = [low, high](std::string& text) -> std::string {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || value < low || value > high) {
      return Cat("\"", text, "\" is not a whole number from ", low, " to ", high);
    }
    text = std::to_string(value);
    return {};
  };
  return CLI::Validator(check, "");
}

}  // namespace

std::optional<CtrOptions> ParseCtrOptions(int argc, char** argv) {
  CtrOptions o;
  o.command_line.assign(argv, argv + argc);
  CLI::App app(
      "Quality and latency of CTR models that scripts/train_ctr.py exported (docs/models.md).\n"
      "Predicts each model's test samples, compares the logits with the exported ones (exit code "
      "1\n"
      "where they differ by more than 1e-4), then times requests of one user on one thread.");
  app.add_option("MODEL", o.models, "folders of exported models")->required();
  app.add_flag("--check", o.check_only, "compare only, do not time");
  app.add_option("--candidates", o.candidates, "candidates of a request")
      ->check(WholeNumber(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--length", o.length,
                 "behaviours of a request's user, drawn from those of the model's bundle")
      ->check(WholeNumber(0, 16384))
      ->capture_default_str();
  app.add_option("--requests", o.requests, "timed requests of each model")
      ->check(WholeNumber(1, 10'000'000))
      ->capture_default_str();
  app.add_option("--rounds", o.rounds, "rounds in which the models take turns with a share of them")
      ->check(WholeNumber(1, 10'000))
      ->capture_default_str();
  app.add_option("--seed", o.seed, "seed of the requests")
      ->check(WholeNumber(0, UINT64_MAX))
      ->capture_default_str();
  app.add_option(
         "--item-tables", o.item_tables,
         "on: what depends on an item alone is computed when a model is read; off: for each\n"
         "request; both: a row for each")
      ->check(CLI::IsMember({"on", "off", "both"}))
      ->capture_default_str();
  app.add_option("--torch", o.torch,
                 "file of what scripts/torch_latency.py printed for these models, a line each;\n"
                 "several lines of one model are averaged (scripts/ctr_bench.sh makes it)");
  app.add_option("--target", o.target, "SIMD target to run instead of the best one");
  app.add_option("--csv", o.csv, "file to write the table to");
  app.add_option("--json", o.json, "file to write table, options and environment to");
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
