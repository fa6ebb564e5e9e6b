// SPDX-License-Identifier: Apache-2.0
// Runs many retrieval methods on the same requests and reports recall against latency.
#include <array>
#include <exception>
#include <iostream>
#include <new>
#include <optional>
#include <string>

#include "bench/retrieval_bench_load_output.h"
#include "bench/retrieval_bench_options.h"
#include "bench/retrieval_bench_output.h"
#include "bench/retrieval_bench_report.h"
#include "bench/retrieval_bench_requests.h"
#include "bench/retrieval_bench_run.h"
#include "bench/retrieval_bench_verify.h"
#include "core/check.h"

namespace eta::bench {
namespace {

constexpr int kUnexpected = 1;
constexpr int kBadInput = 2;
constexpr int kMismatch = 3;

void CheckOutputs(const Options& options) {
  const std::array<const std::string*, 3> files{&options.csv, &options.json, &options.load_csv};
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i]->empty()) continue;
    for (size_t j = 0; j < i; ++j) {
      Require(*files[i] != *files[j], "two outputs are to be written to ", *files[i]);
    }
    CheckWritable(*files[i]);
  }
}

void Print(const Report& report) {
  if (!report.options.quiet) {
    for (const std::string& note : report.notes) std::cerr << "note: " << note << '\n';
    std::cout << HeaderText(report);
  }
  std::cout << TableText(report) << LoadTableText(report.load, report.options) << std::flush;
}

int Run(int argc, char** argv) {
  const std::optional<Options> options = ParseOptions(argc, argv);
  if (!options) return 0;
  const Machine machine = PrepareMachine(*options);
  CheckOutputs(*options);
  std::optional<Progress> progress(!options->quiet);
  progress->Show(options->data.empty() ? "generating data" : "reading " + options->data);
  const DataSet data = LoadData(*options);
  const Report report = RunBenchmark(*options, data, machine, *progress);
  progress.reset();
  // The table first: what was measured must not be lost when the disk has filled up since.
  Print(report);
  if (!options->csv.empty()) WriteWholeFile(options->csv, CsvText(report.rows));
  if (!options->json.empty()) WriteWholeFile(options->json, JsonText(report));
  if (!options->load_csv.empty()) {
    WriteWholeFile(options->load_csv, LoadCsvText(report.load, report.requests, *options));
  }
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
