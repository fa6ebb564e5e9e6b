// SPDX-License-Identifier: Apache-2.0
// eta_simd._native: what Python calls. It checks all arguments, runs kernels without the GIL and
// turns exceptions into Python's.
#include "python/src/module.h"

#include "core/base/check.h"
#include "python/src/arrays.h"

PYBIND11_MODULE(_native, module) {
  using namespace eta::python;
  pybind11::register_exception<eta::DataError>(module, "DataError", PyExc_ValueError);
  InitArrays();
  BindRuntime(module);
  BindHyperplanes(module);
  BindKernels(module);
  BindWindows(module);
  BindRetriever(module);
  BindMetrics(module);
  BindBundle(module);
  BindCtr(module);
}
