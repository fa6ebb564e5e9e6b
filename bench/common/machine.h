// SPDX-License-Identifier: Apache-2.0
// What the machine does during a measurement: context switches, clock speed, CPU counters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace eta::bench {

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
