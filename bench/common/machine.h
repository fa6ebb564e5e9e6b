// SPDX-License-Identifier: Apache-2.0
// What the machine does during a measurement: where threads run, context switches, clock speed, CPU
// counters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace eta::bench {

// CPUs on which this thread may run, ascending; empty if unknown.
std::vector<int> UsableCpus();

// Binds the calling thread to one CPU. Throws std::runtime_error if that fails.
void PinThread(int cpu);

// Binds the calling thread and the OpenMP threads that it works with to the first `threads` of
// `cpus`, one each. Throws std::invalid_argument when there are fewer CPUs.
void PinOpenMpThreads(const std::vector<int>& cpus, int threads);

// Clock speed in MHz, mean over the CPUs that sysfs (else /proc/cpuinfo) lists; nothing where
// neither has it. A virtual machine may report a constant.
std::optional<double> CpuMegahertz();

// Processor time of the calling thread in seconds, which leaves out what other programs take.
double ThreadCpuSeconds();

// Context switches of the whole process since its start.
struct ContextSwitches {
  uint64_t voluntary = 0;    // a thread waited
  uint64_t involuntary = 0;  // another thread or program got the CPU
};
// Zeros where the system does not count them.
ContextSwitches ReadContextSwitches();

// Counts events of the calling thread by perf_event_open, in user mode.
class EventCounter {
 public:
  // `type` and `config` as in perf_event_attr. Where the system refuses, the counter does not work.
  EventCounter(uint32_t type, uint64_t config);
  ~EventCounter();
  EventCounter(const EventCounter&) = delete;
  EventCounter& operator=(const EventCounter&) = delete;

  bool works() const { return file_ >= 0; }
  const std::string& error() const { return error_; }  // empty when it works
  // Events since the construction. Nothing where the counter does not work, or where it was shared
  // with others, so that it missed some events.
  std::optional<uint64_t> Read() const;

 private:
  int file_;
  std::string error_;
};

// CPU cycles and instructions of the calling thread.
class CpuCounters {
 public:
  CpuCounters();
  bool works() const { return cycles_.works() && instructions_.works(); }
  const std::string& error() const;
  std::optional<uint64_t> cycles() const { return cycles_.Read(); }
  std::optional<uint64_t> instructions() const { return instructions_.Read(); }

 private:
  EventCounter cycles_;
  EventCounter instructions_;
};

}  // namespace eta::bench
