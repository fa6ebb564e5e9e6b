// SPDX-License-Identifier: Apache-2.0
// Work that must not take processor time from threads that somebody waits for.
#pragma once

#include <functional>

#include "core/base/export.h"

namespace eta {

// kNormal: that of the calling thread. kIdle: Linux's SCHED_IDLE, which gets a CPU that no normal
// thread wants, and gives it up as soon as one does. If all CPUs stay busy, such work gets less
// than 1 % of one.
enum class ThreadPriority { kNormal, kIdle };

// Calls `work` and returns when it has ended, or throws what it throws. With kIdle a thread of its
// own runs it, because Linux lets an unprivileged thread not return from SCHED_IDLE; where the
// system refuses the priority, it runs at the normal one. `work` must neither use OpenMP, whose
// threads could serve others afterwards, nor hold a mutex that requests wait for. Throws
// std::system_error where there is no thread to be had.
ETA_CORE_API void RunAtPriority(ThreadPriority priority, const std::function<void()>& work);

}  // namespace eta
