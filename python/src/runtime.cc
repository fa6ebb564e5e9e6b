// SPDX-License-Identifier: Apache-2.0
#include "python/src/runtime.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <string>

#include "baselines/methods.h"
#include "core/base/check.h"
#include "core/base/simd_env.h"
#include "core/retrieval/batch.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "simd/target.h"

namespace eta::python {
namespace {

// Kernels hold it shared, a change of the target alone.
std::shared_mutex target_mutex;
uint64_t target_generation = 0;  // under the GIL

// Calls that run without the GIL. The module's exit handler waits for them, because a thread that
// asks for the GIL of an interpreter that is gone is ended in the middle of our frames.
std::atomic<int> calls_without_gil{0};
bool is_closing = false;  // under the GIL

pid_t importing_process = 0;

// In a child of fork() the threads that ran kernels are gone, and with them what they would have
// given back.
void ForgetOtherThreads() {
  calls_without_gil = 0;
  new (&target_mutex) std::shared_mutex;
}

void Close() {
  is_closing = true;
  const py::gil_scoped_release release;
  while (calls_without_gil.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// Names of the targets there are, the best first: Highway gives better ones lower bits.
py::tuple Targets() {
  py::list names;
  for (int64_t left = simd::SupportedTargets(); left != 0; left &= left - 1) {
    names.append(simd::TargetName(left & -left));
  }
  return py::tuple(names);
}

void SetTarget(py::handle name) {
  const std::string text = name.is_none() ? "" : ToText(name, "name");
  const std::unique_lock lock(target_mutex, std::try_to_lock);
  if (!lock.owns_lock()) {
    throw std::runtime_error("set_target: other threads run kernels; wait until they have ended");
  }
  if (text.empty()) {
    simd::ForceTargetForTest(nullptr);
  } else {
    ForceTargetOrThrow(text);
  }
  ++target_generation;
}

py::dict BuildInfo() {
  py::dict info;
  info["version"] = ETA_PYTHON_VERSION;
  info["build_type"] = ETA_PYTHON_BUILD_TYPE;
  info["compiler"] = ETA_PYTHON_COMPILER;
  info["highway"] = ETA_PYTHON_HIGHWAY;
  info["faiss"] = FaissBuild();
  return info;
}

}  // namespace

KernelCall::KernelCall() : state_(nullptr) {
  if (!is_closing) {
    calls_without_gil.fetch_add(1);
    state_ = PyEval_SaveThread();
  }
  target_mutex.lock_shared();
}

KernelCall::~KernelCall() {
  target_mutex.unlock_shared();
  if (state_ != nullptr) {
    PyEval_RestoreThread(state_);
    calls_without_gil.fetch_sub(1);
  }
}

uint64_t TargetGeneration() { return target_generation; }

void RequireThreads(size_t threads) {
  if (threads > 1 && getpid() != importing_process) {
    throw std::runtime_error(Cat("threads = ", threads,
                                 " in a process that fork() made; take threads = 1 there, or "
                                 "multiprocessing.set_start_method(\"spawn\")"));
  }
}

void BindRuntime(py::module_& module) {
  importing_process = getpid();
  pthread_atfork(nullptr, nullptr, ForgetOtherThreads);
  py::module_::import("atexit").attr("register")(py::cpp_function(Close));
  ApplyTargetFromEnvironment();
  module.def("targets", Targets);
  module.def("target", [] { return simd::TargetName(simd::ActiveTarget()); });
  module.def("set_target", SetTarget);
  module.def("build_info", BuildInfo);
  module.def("methods_help", MethodsHelp);
}

}  // namespace eta::python
