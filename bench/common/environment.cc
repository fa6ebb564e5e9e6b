// SPDX-License-Identifier: Apache-2.0
#include "bench/common/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/common/cpus.h"
#include "bench/common/machine.h"

namespace eta::bench {
namespace {

// Reported also where they are not set; others with the prefixes below where they are.
constexpr const char* kVariables[] = {"OMP_NUM_THREADS",      "OMP_DYNAMIC",     "OMP_PROC_BIND",
                                      "OMP_PLACES",           "OMP_WAIT_POLICY", "GOMP_SPINCOUNT",
                                      "OPENBLAS_NUM_THREADS", "FAISS_SIMD_LEVEL"};
constexpr const char* kPrefixes[] = {"OMP_", "GOMP_", "KMP_", "OPENBLAS_", "GOTO_", "ETA_"};

using Variables = std::vector<std::pair<std::string, std::string>>;

Variables ReadVariables() {
  Variables variables;
  for (const char* name : kVariables) {
    const char* value = std::getenv(name);
    variables.emplace_back(name, value != nullptr ? value : "not set");
  }
  const auto fixed = static_cast<std::ptrdiff_t>(variables.size());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = text.substr(0, equals);
    const bool is_known = std::ranges::find(kVariables, name) != std::end(kVariables);
    const bool is_wanted = std::ranges::any_of(
        kPrefixes, [&](const char* prefix) { return name.starts_with(prefix); });
    if (is_wanted && !is_known) variables.emplace_back(name, text.substr(equals + 1));
  }
  std::sort(variables.begin() + fixed, variables.end());
  return variables;
}

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
  const size_t count = ProcessCpus().size();
  return count > 0 ? static_cast<int>(count)
                   : static_cast<int>(std::thread::hardware_concurrency());
}

std::string Kernel() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

}  // namespace

nlohmann::ordered_json VariablesJson(const Environment& environment) {
  auto variables = nlohmann::ordered_json::object();
  for (const auto& [name, value] : environment.variables) variables[name] = value;
  return variables;
}

Environment ReadEnvironment() {
  Environment environment;
  environment.date = Date();
  environment.cpu = CpuModel();
  environment.logical_cpus = static_cast<int>(std::thread::hardware_concurrency());
  environment.usable_cpus = CountUsableCpus();
  environment.cpu_quota = CpuQuota();
  environment.governor = FirstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  environment.mhz_start = CpuMegahertz();
  environment.kernel = Kernel();
  environment.load_average = 0;
  if (getloadavg(&environment.load_average, 1) != 1) environment.load_average = -1;
  environment.variables = ReadVariables();
  return environment;
}

}  // namespace eta::bench
