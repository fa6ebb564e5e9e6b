// SPDX-License-Identifier: Apache-2.0
// Work that should take no processor time from threads that somebody waits for.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "core/base/export.h"

namespace eta {

// kNormal: that of the calling thread. kIdle: see RunWhenIdle.
enum class ThreadPriority { kNormal, kIdle };

// Calls piece(i) once for each i in [0, pieces), in any order, and returns when all have ended. A
// thread of its own runs them at Linux's SCHED_IDLE: it gets a CPU that no normal thread wants, and
// gives it up as soon as one does. Where all CPUs are busy that is less than 1 % of one; so the
// calling thread does, at its own priority, what is left after `patience`, at most a day, and then
// waits for the piece that the other one is in. Where the system refuses
// the priority, the thread has the normal one. Throws what a piece throws, once none runs any more
// (others may then not have been called), and std::system_error where there is no thread to be had.
// Pieces must not use OpenMP, whose threads serve others later, and should take less than a
// millisecond.
ETA_CORE_API void RunWhenIdle(size_t pieces, std::chrono::nanoseconds patience,
                              const std::function<void(size_t)>& piece);

}  // namespace eta
