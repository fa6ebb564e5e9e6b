// SPDX-License-Identifier: Apache-2.0
// Kernel benchmarks: every kernel of simd/, a row per SIMD target, FAISS and hardware limits
// beside.
#include "bench/kernel/kernel_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <memory>
#include <utility>

#include "baselines/methods.h"
#include "bench/common/environment.h"
#include "bench/common/notes.h"
#include "bench/common/text.h"
#include "bench/kernel/csv.h"
#include "bench/kernel/limits.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/base/simd_env.h"
#include "simd/target.h"

namespace eta::bench {
namespace {

bool TargetIsForced() {
  const char* name = std::getenv("ETA_SIMD_TARGET");
  return name != nullptr && *name != '\0';
}

double SecondsOf(const std::function<void()>& call, size_t repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < repeats; ++i) call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
         static_cast<double>(repeats);
}

// The environment variables that steer this program or a rival, in one line.
std::string VariablesText() {
  std::string text;
  for (const auto& [name, value] : ReadEnvironment().variables) {
    if (value != "not set") text += Cat(text.empty() ? "" : " ", name, "=", Printable(value));
  }
  return text;
}

// Of the one thread that runs all rows.
LoopCounters<CpuCounters>& Counters() {
  static LoopCounters<CpuCounters> counters;
  return counters;
}

}  // namespace

std::string Shape::text() const { return Cat("bits:", bits, "/L:", length); }

AlignedVector<uint8_t> RandomBytes(size_t n, uint64_t seed) {
  Random random(seed);
  AlignedVector<uint8_t> bytes(n);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random.Next32());
  return bytes;
}

AlignedVector<float> RandomNormals(size_t n, uint64_t seed) {
  Random random(seed);
  AlignedVector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}

AlignedVector<float> RepeatedRows(size_t rows, size_t dim, uint64_t seed) {
  AlignedVector<float> values = RandomNormals(rows * dim, seed);
  Random random(seed + 1);
  for (size_t i = 1; i < rows; ++i) {
    if (random.Next32() % 2 == 0) continue;
    std::copy_n(values.data() + random.Next32() % i * dim, dim, values.data() + i * dim);
  }
  return values;
}

LoopCounters<CpuCounters>::Loop Counted(benchmark::State& state) { return Counters().Over(state); }

void RegisterRow(const std::string& name, const std::function<void(benchmark::State&)>& body) {
  benchmark::RegisterBenchmark(name.c_str(), [body](benchmark::State& state) {
    body(state);
    Counters().Report(state);
  });
}

void RegisterPerTarget(const std::string& name,
                       const std::function<void(benchmark::State&)>& body) {
  int64_t targets = TargetIsForced() ? simd::ActiveTarget() : simd::SupportedTargets();
  for (; targets != 0; targets &= targets - 1) {
    const std::string target = simd::TargetName(targets & -targets);
    RegisterRow(Cat(name, "/", target), [target, body](benchmark::State& state) {
      ForceTargetOrThrow(target);
      body(state);
      simd::ForceTargetForTest(nullptr);
    });
  }
}

std::vector<double> BestSeconds(std::initializer_list<std::function<void()>> contenders) {
  constexpr int kRounds = 7;
  constexpr double kRoundSeconds = 1e-3;
  // Where two builds are compared, each repetition would spend most of its time here.
  if (const char* rivals = std::getenv("ETA_KERNEL_BENCH_RIVALS"); rivals && *rivals == '0') {
    return std::vector<double>(contenders.size(), std::numeric_limits<double>::quiet_NaN());
  }
  std::vector<size_t> repeats;
  for (const auto& call : contenders) {
    call();  // warm
    repeats.push_back(1 + static_cast<size_t>(kRoundSeconds / std::max(SecondsOf(call, 1), 1e-9)));
  }
  std::vector<double> best(contenders.size(), std::numeric_limits<double>::infinity());
  for (int round = 0; round < kRounds; ++round) {
    size_t i = 0;
    for (const auto& call : contenders) {
      best[i] = std::min(best[i], SecondsOf(call, repeats[i]));
      ++i;
    }
  }
  return best;
}

double ShareOfFmaLimit(double multiply_adds, const std::function<void()>& kernel) {
  float value = 1.0f;
  uint64_t done = 0;
  const auto seconds = BestSeconds({[&] { done = LimitFma(20000, &value); }, kernel});
  benchmark::DoNotOptimize(value);
  return multiply_adds / seconds[1] * seconds[0] / static_cast<double>(done);
}

namespace {

void RegisterAll() {
  RegisterLimits();
  RegisterHamming();
  RegisterAsym();
  RegisterFactors();
  RegisterPq4();
  RegisterSimHash();
  RegisterHadamard();
  RegisterBlocks();
  RegisterDot();
  RegisterDotI8();
  RegisterRerank();
  RegisterAttention();
  RegisterModelI8();
}

int Run(int argc, char** argv) {
  const std::string target = ApplyTargetFromEnvironment();
  const std::unique_ptr<benchmark::BenchmarkReporter> csv = CsvReporterFor(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("simd_target", target);
  benchmark::AddCustomContext("simd_capabilities", CapabilityNames());
  benchmark::AddCustomContext("variables", VariablesText());
  benchmark::AddCustomContext("faiss", FaissBuild());
  benchmark::AddCustomContext("compiler", __VERSION__);
  PrintNotes(TargetNotes());
  RegisterAll();
  const size_t rows =
      csv ? benchmark::RunSpecifiedBenchmarks(csv.get()) : benchmark::RunSpecifiedBenchmarks();
  if (rows == 0) return 2;  // it has said why
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  try {
    return eta::bench::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", eta::bench::Printable(error.what()).c_str());
    return 2;
  }
}
