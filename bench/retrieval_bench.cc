// SPDX-License-Identifier: Apache-2.0
// Runs many retrieval methods on the same requests and reports recall against latency.
#include <exception>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "bench/retrieval_bench_cold.h"
#include "bench/retrieval_bench_environment.h"
#include "bench/retrieval_bench_measure.h"
#include "bench/retrieval_bench_options.h"
#include "bench/retrieval_bench_output.h"
#include "bench/retrieval_bench_report.h"
#include "bench/retrieval_bench_requests.h"
#include "bench/retrieval_bench_rows.h"
#include "bench/retrieval_bench_verify.h"
#include "core/check.h"
#include "core/simd_env.h"
#include "simd/target.h"

namespace eta::bench {
namespace {

constexpr int kUnexpected = 1;
constexpr int kBadInput = 2;
constexpr int kMismatch = 3;

// Returns the name of the target that runs.
std::string ApplyTarget(const Options& options) {
  if (options.target.empty()) return ApplyTargetFromEnvironment();
  ForceTargetOrThrow(options.target);
  return simd::TargetName(simd::ActiveTarget());
}

void CheckOutputs(const Options& options) {
  Require(options.csv.empty() || options.csv != options.json, "--csv and --json both name ",
          options.csv);
  if (!options.csv.empty()) CheckWritable(options.csv);
  if (!options.json.empty()) CheckWritable(options.json);
}

std::vector<std::string> MakeNotes(const Options& options, const RequestSummary& requests,
                                   const Environment& environment) {
  std::vector<std::string> notes;
  if (requests.requests < options.requests) {
    notes.push_back(Cat(requests.requests, " requests instead of ", options.requests,
                        ": there are no more users who qualify"));
  }
  if (requests.b_mean < static_cast<double>(options.b)) {
    notes.push_back(Cat(requests.b_mean, " candidates per request on average instead of ",
                        options.b, ": the data set has no more"));
  }
  if (options.threads > environment.usable_cpus) {
    notes.push_back(Cat(options.threads, " threads share ", environment.usable_cpus,
                        " CPUs: latencies include waiting"));
  }
  if (environment.load_average > environment.usable_cpus) {
    notes.push_back(Cat("load average ", environment.load_average, " on ", environment.usable_cpus,
                        " CPUs: other programs disturb the timings"));
  }
  return notes;
}

Report RunBenchmark(const Options& options, const DataSet& data, std::string target,
                    Progress& progress) {
  const Environment environment = ReadEnvironment();
  const std::vector<UserRequest> requests = DrawRequests(data, options);
  const RequestSummary summary = SummarizeRequests(requests);
  std::vector<std::string> notes = MakeNotes(options, summary, environment);
  progress.Show("building the methods");
  std::vector<Contender> contenders = MakeContenders(options, data, requests.size(), notes);
  progress.Show("checking against the scalar reference");
  Verify(contenders, data, requests, options);
  progress.Show("calibrating");
  Calibrate(contenders, requests, options.k);
  std::optional<ColdReport> cold;
  if (options.is_cold) {
    cold = MeasureCold(contenders, data, requests, options, progress);
  } else {
    Measure(contenders, data, requests, options, progress);
  }
  return {.options = options,
          .data = data,
          .requests = summary,
          .target = std::move(target),
          .environment = environment,
          .cold = std::move(cold),
          .notes = std::move(notes),
          .rows = SummarizeMethods(contenders, data, summary, options)};
}

void Print(const Report& report) {
  if (!report.options.quiet) {
    for (const std::string& note : report.notes) std::cerr << "note: " << note << '\n';
    std::cout << HeaderText(report);
  }
  std::cout << TableText(report) << std::flush;
}

int Run(int argc, char** argv) {
  const std::optional<Options> options = ParseOptions(argc, argv);
  if (!options) return 0;
  std::string target = ApplyTarget(*options);
  CheckOutputs(*options);
  std::optional<Progress> progress(!options->quiet);
  progress->Show(options->data.empty() ? "generating data" : "reading " + options->data);
  const DataSet data = LoadData(*options);
  const Report report = RunBenchmark(*options, data, std::move(target), *progress);
  progress.reset();
  // The table first: what was measured must not be lost when the disk has filled up since.
  Print(report);
  if (!options->csv.empty()) WriteWholeFile(options->csv, CsvText(report.rows));
  if (!options->json.empty()) WriteWholeFile(options->json, JsonText(report));
  return 0;
}

int Fail(int exit_code, const std::string& message) {
  std::cerr << "retrieval_bench: " << message << '\n';
  return exit_code;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  using namespace eta::bench;
  try {
    return Run(argc, argv);
  } catch (const Mismatch& error) {
    return Fail(kMismatch, error.what());
  } catch (const std::invalid_argument& error) {
    return Fail(kBadInput, error.what());
  } catch (const eta::DataError& error) {
    return Fail(kBadInput, error.what());
  } catch (const std::bad_alloc&) {
    return Fail(kUnexpected, "not enough memory");
  } catch (const std::exception& error) {
    return Fail(kUnexpected, error.what());
  }
}
