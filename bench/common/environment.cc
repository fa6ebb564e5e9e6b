// SPDX-License-Identifier: Apache-2.0
#include "bench/common/environment.h"

#include <sys/utsname.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "bench/common/machine.h"

namespace eta::bench {
namespace {

constexpr const char* kVariables[] = {"OMP_NUM_THREADS",      "OMP_DYNAMIC",     "OMP_PROC_BIND",
                                      "OMP_PLACES",           "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",
                                      "OPENBLAS_NUM_THREADS", "FAISS_SIMD_LEVEL"};

std::string Date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// The value of the first line "key : value" of /proc/cpuinfo.
std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) && !line.empty() ? line : "unknown";
}

int CountUsableCpus() {
  const size_t count = UsableCpus().size();
  return count > 0 ? static_cast<int>(count)
                   : static_cast<int>(std::thread::hardware_concurrency());
}

std::string Kernel() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

}  // namespace

Environment ReadEnvironment() {
  Environment environment;
  environment.date = Date();
  environment.cpu = CpuModel();
  environment.logical_cpus = static_cast<int>(std::thread::hardware_concurrency());
  environment.usable_cpus = CountUsableCpus();
  environment.governor = FirstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  environment.mhz_start = CpuMegahertz();
  environment.kernel = Kernel();
  environment.load_average = 0;
  if (getloadavg(&environment.load_average, 1) != 1) environment.load_average = -1;
  for (const char* name : kVariables) {
    const char* value = std::getenv(name);
    environment.variables.emplace_back(name, value != nullptr ? value : "not set");
  }
  return environment;
}

}  // namespace eta::bench
