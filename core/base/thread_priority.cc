// SPDX-License-Identifier: Apache-2.0
#include "core/base/thread_priority.h"

#include <pthread.h>
#include <sched.h>

#include <exception>
#include <thread>

namespace eta {

void RunAtPriority(ThreadPriority priority, const std::function<void()>& work) {
  if (priority == ThreadPriority::kNormal) return work();
  std::exception_ptr error;
  std::thread([&] {
    const sched_param none{};
    ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none);
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

}  // namespace eta
