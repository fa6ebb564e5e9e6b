// SPDX-License-Identifier: Apache-2.0
#include "bench/common/cpus.h"

#include <omp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "core/base/check.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

cpu_set_t started_on;
bool is_start_known = false;

// Runs before the constructors of shared libraries, hence before OpenMP binds the main thread, and
// before sanitizers are ready.
__attribute__((no_sanitize("address", "thread", "undefined"))) void KeepStart(int, char**, char**) {
  is_start_known = syscall(SYS_sched_getaffinity, 0, sizeof(started_on), &started_on) > 0;
}

__attribute__((section(".preinit_array"), used)) void (*keep_start)(int, char**,
                                                                    char**) = KeepStart;

std::vector<int> CpusOf(const cpu_set_t& set) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

bool TryRunOn(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

// " (OMP_THREAD_LIMIT=1)" where a variable of that name is set.
std::string Setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : Cat(" (", name, "=", value, ")");
}

// What a file of a control group grants; nothing where it sets no limit or is not there.
std::optional<double> QuotaV2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || period <= 0) return std::nullopt;  // "max" is no number
  return quota / period;
}

std::optional<double> QuotaV1(const fs::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us"), period_file(group / "cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) {
    return std::nullopt;
  }
  return quota / period;
}

// The least quota of the group `path` below `root` and of those above it.
std::optional<double> LeastQuota(const fs::path& root, fs::path path,
                                 std::optional<double> (*quota_of)(const fs::path&)) {
  std::optional<double> least;
  path = path.relative_path();
  for (;;) {
    const std::optional<double> quota = quota_of(root / path);
    if (quota && (!least || *quota < *least)) least = quota;
    if (path.empty()) return least;
    path = path.parent_path();
  }
}

}  // namespace

const std::vector<int>& ProcessCpus() {
  static const std::vector<int> cpus = is_start_known ? CpusOf(started_on) : ThreadCpus();
  return cpus;
}

std::vector<int> ThreadCpus() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CpusOf(set) : std::vector<int>();
}

void RunThreadOn(const std::vector<int>& cpus) {
  if (TryRunOn(cpus)) return;
  std::string list;
  for (const int cpu : cpus) list += Cat(" ", cpu);
  throw std::runtime_error(Cat("the system does not let a thread run on CPU", list, " alone"));
}

// Lines are "0::/path" for version 2 and "4:cpu,cpuacct:/path" for version 1.
std::optional<double> CpuQuota(const fs::path& groups, const fs::path& root) {
  std::ifstream file(groups);
  std::optional<double> least;
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', std::min(first, line.size() - 1) + 1);
    if (line.empty() || first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = Cat(",", line.substr(first + 1, second - first - 1), ",");
    const fs::path path = line.substr(second + 1);
    std::optional<double> quota;
    if (controllers == ",,") quota = LeastQuota(root, path, QuotaV2);
    if (controllers.find(",cpu,") != std::string::npos) {
      quota = LeastQuota(root / "cpu", path, QuotaV1);
    }
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

void RequireOpenMpThreads(int threads) {
  omp_set_dynamic(0);
  int running = 0;
#pragma omp parallel num_threads(threads)
  if (omp_get_thread_num() == 0) running = omp_get_num_threads();
  Require(running == threads, "--threads ", threads, ": OpenMP runs no more than ", running,
          Setting("OMP_THREAD_LIMIT"), Setting("KMP_DEVICE_THREAD_LIMIT"));
}

void PinOpenMpThreads(const std::vector<int>& cpus, int threads) {
  Require(static_cast<size_t>(threads) <= cpus.size(), "--pin: ", threads, " threads need as many ",
          "CPUs, and this process was started on ", cpus.size());
  RequireOpenMpThreads(threads);
  const auto cpu_of = [&](int thread) { return cpus[static_cast<size_t>(thread)]; };
  std::atomic<bool> is_pinned = true;
#pragma omp parallel num_threads(threads)
  if (!TryRunOn({cpu_of(omp_get_thread_num())})) is_pinned = false;
  if (!is_pinned) throw std::runtime_error("--pin: the system refuses to bind a thread to a CPU");
    // OpenMP may bind its threads again at the next region.
#pragma omp parallel num_threads(threads)
  if (ThreadCpus() != std::vector<int>{cpu_of(omp_get_thread_num())}) is_pinned = false;
  if (is_pinned) return;
  throw std::runtime_error(Cat("--pin: OpenMP binds threads elsewhere", Setting("OMP_PROC_BIND"),
                               Setting("OMP_PLACES"), Setting("GOMP_CPU_AFFINITY"),
                               Setting("KMP_AFFINITY"), "; take one or the other"));
}

}  // namespace eta::bench
