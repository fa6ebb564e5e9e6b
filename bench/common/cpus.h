// SPDX-License-Identifier: Apache-2.0
// The CPUs that a program may use, which thread runs on which, and how many threads OpenMP runs.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

namespace eta::bench {

// CPUs on which this process was started, ascending; empty if unknown. With OMP_PROC_BIND or
// OMP_PLACES, OpenMP binds the main thread to some of them before main() begins.
const std::vector<int>& ProcessCpus();

// CPUs on which this thread may run now, ascending; empty if unknown.
std::vector<int> ThreadCpus();

// Lets the calling thread run on these CPUs alone. Throws std::runtime_error if that fails.
void RunThreadOn(const std::vector<int>& cpus);

// How many CPUs' time the process may take by the quota of its control group (cgroup v1 or v2), or
// of a group above that; nothing without a quota. The arguments are for tests.
std::optional<double> CpuQuota(const std::filesystem::path& groups = "/proc/self/cgroup",
                               const std::filesystem::path& root = "/sys/fs/cgroup");

// Throws std::invalid_argument unless OpenMP runs as many threads when asked for them, and says
// what limits them. From then on OMP_DYNAMIC is ignored, because threads are what is measured.
void RequireOpenMpThreads(int threads);

// Binds the calling thread and the OpenMP threads that it works with to the first `threads` of
// `cpus`, one each, also where OpenMP has bound them elsewhere. Throws std::invalid_argument where
// there are fewer CPUs or threads, std::runtime_error where a thread cannot be bound.
void PinOpenMpThreads(const std::vector<int>& cpus, int threads);

}  // namespace eta::bench
