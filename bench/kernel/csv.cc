// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel/csv.h"

#include <cmath>
#include <cstdlib>
#include <ostream>
#include <set>
#include <string_view>

#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Run = benchmark::BenchmarkReporter::Run;

// The message of a row that failed; empty for another. Google Benchmark 1.8 renamed the member.
template <class AnyRun>
std::string ErrorOf(const AnyRun& run) {
  if constexpr (requires { run.error_occurred; }) {
    return run.error_occurred ? run.error_message : "";
  } else {
    return static_cast<int>(run.skipped) != 0 ? run.skip_message : "";
  }
}

std::string Number(double value) { return std::isnan(value) ? "" : Cat(value); }

std::string Line(const Run& run, const std::set<std::string>& counters) {
  const std::string error = ErrorOf(run);
  const bool has_failed = !error.empty();
  std::string text =
      Cat(CsvField(run.benchmark_name()), ',', has_failed ? "" : Cat(run.iterations), ',',
          has_failed ? "" : Number(run.GetAdjustedRealTime()), ',',
          has_failed ? "" : Number(run.GetAdjustedCPUTime()), ',',
          benchmark::GetTimeUnitString(run.time_unit), ',', CsvField(run.report_label), ',',
          has_failed ? "true" : "", ',', CsvField(error));
  for (const std::string& name : counters) {
    const auto counter = run.counters.find(name);
    text += Cat(',', counter == run.counters.end() ? "" : Number(counter->second.value));
  }
  return text + '\n';
}

// The value of --name=VALUE, the last where there are several, else of the variable; "" for
// neither.
std::string_view OptionOf(int argc, char** argv, std::string_view name, const char* variable) {
  const char* set = std::getenv(variable);
  std::string_view value = set == nullptr ? "" : set;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(name)) value = argument.substr(name.size());
  }
  return value;
}

}  // namespace

bool CsvReporter::ReportContext(const Context& context) {
  PrintBasicContext(&GetErrorStream(), context);
  return true;
}

void CsvReporter::ReportRuns(const std::vector<Run>& runs) {
  runs_.insert(runs_.end(), runs.begin(), runs.end());
}

void CsvReporter::Finalize() {
  std::set<std::string> counters;
  for (const Run& run : runs_) {
    for (const auto& [name, counter] : run.counters) counters.insert(name);
  }
  std::ostream& out = GetOutputStream();
  out << "name,iterations,real_time,cpu_time,time_unit,label,error_occurred,error_message";
  for (const std::string& name : counters) out << ',' << CsvField(name);
  out << '\n';
  for (const Run& run : runs_) out << Line(run, counters);
  out.flush();
}

std::unique_ptr<benchmark::BenchmarkReporter> CsvReporterFor(int argc, char** argv) {
  Require(OptionOf(argc, argv, "--benchmark_out_format=", "BENCHMARK_OUT_FORMAT") != "csv",
          "--benchmark_out_format=csv is not supported: redirect --benchmark_format=csv, or take "
          "json");
  const bool is_csv = OptionOf(argc, argv, "--benchmark_format=", "BENCHMARK_FORMAT") == "csv";
  return is_csv ? std::make_unique<CsvReporter>() : nullptr;
}

}  // namespace eta::bench
