// SPDX-License-Identifier: Apache-2.0
// Rows as CSV. Google Benchmark's own CSV ends the program where rows have different counters.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

namespace eta::bench {

// Prints Google Benchmark's columns, then one for each counter that any row has, empty in rows
// without it. Which counters there are is known at the end, so nothing is printed before.
class CsvReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;  // on the error stream
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

 private:
  std::vector<Run> runs_;
};

// A reporter where the arguments, or else the environment, ask for --benchmark_format=csv; null
// elsewhere. Throws std::invalid_argument for --benchmark_out_format=csv, which would get Google
// Benchmark's own.
std::unique_ptr<benchmark::BenchmarkReporter> CsvReporterFor(int argc, char** argv);

}  // namespace eta::bench
