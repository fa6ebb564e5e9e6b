// SPDX-License-Identifier: Apache-2.0
#include "bench/common/machine.h"

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/base/check.h"

namespace eta::bench {
namespace {

std::vector<double> MegahertzFromSysfs() {
  std::vector<double> values;
  for (int cpu = 0;; ++cpu) {
    std::ifstream file(Cat("/sys/devices/system/cpu/cpu", cpu, "/cpufreq/scaling_cur_freq"));
    double kilohertz = 0;
    if (!(file >> kilohertz)) return values;
    values.push_back(kilohertz / 1000);
  }
}

std::vector<double> MegahertzFromCpuinfo() {
  std::vector<double> values;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || !line.starts_with("cpu MHz")) continue;
    values.push_back(std::strtod(line.c_str() + colon + 2, nullptr));
  }
  return values;
}

}  // namespace

std::optional<double> CpuMegahertz() {
  std::vector<double> values = MegahertzFromSysfs();
  if (values.empty()) values = MegahertzFromCpuinfo();
  if (values.empty()) return std::nullopt;
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double ThreadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

ContextSwitches ReadContextSwitches() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return {};
  return {static_cast<uint64_t>(usage.ru_nvcsw), static_cast<uint64_t>(usage.ru_nivcsw)};
}

EventCounter::EventCounter(uint32_t type, uint64_t config) {
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = type;
  attributes.config = config;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  file_ = static_cast<int>(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
  if (file_ < 0) error_ = Cat("perf_event_open: ", std::strerror(errno));
}

EventCounter::~EventCounter() {
  if (file_ >= 0) ::close(file_);
}

std::optional<uint64_t> EventCounter::Read() const {
  struct {
    uint64_t count, enabled, running;
  } value{};
  if (file_ < 0 || ::read(file_, &value, sizeof(value)) != sizeof(value)) {
    return std::nullopt;
  }
  if (value.enabled != value.running) return std::nullopt;
  return value.count;
}

CpuCounters::CpuCounters()
    : cycles_(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES),
      instructions_(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS) {}

const std::string& CpuCounters::error() const {
  return cycles_.works() ? instructions_.error() : cycles_.error();
}

}  // namespace eta::bench
