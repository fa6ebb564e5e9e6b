// SPDX-License-Identifier: Apache-2.0
#include "core/base/thread_priority.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>
#include <thread>

namespace eta {

namespace {

// Beyond it the clock might overflow.
constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24);

}  // namespace

void RunWhenIdle(size_t pieces, std::chrono::nanoseconds patience,
                 const std::function<void(size_t)>& piece) {
  std::atomic<size_t> next = 0;
  const auto run = [&]() -> std::exception_ptr {
    try {
      for (size_t i = next++; i < pieces; i = next++) piece(i);
      return nullptr;
    } catch (...) {
      next = pieces;  // nobody begins another one
      return std::current_exception();
    }
  };
  std::promise<std::exception_ptr> promise;
  std::future<std::exception_ptr> idle = promise.get_future();
  // A new thread, because an unprivileged one may not return from SCHED_IDLE.
  std::thread thread([&] {
    const sched_param none{};
    ::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none);
    promise.set_value(run());
  });
  std::exception_ptr error;
  if (idle.wait_for(std::min(patience, kLongest)) == std::future_status::timeout) error = run();
  thread.join();
  if (const std::exception_ptr other = idle.get(); other && !error) error = other;
  if (error) std::rethrow_exception(error);
}

}  // namespace eta
