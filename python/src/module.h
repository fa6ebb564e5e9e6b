// SPDX-License-Identifier: Apache-2.0
// The parts of the native module, one for each file. Names and order of arguments are those of the
// Python functions above them, which have the documentation (python/eta_simd/).
#pragma once

#include <pybind11/pybind11.h>

#include "core/retrieval/hyperplanes.h"

namespace eta::python {

void BindRuntime(pybind11::module_& module);
void BindHyperplanes(pybind11::module_& module);
void BindKernels(pybind11::module_& module);
void BindWindows(pybind11::module_& module);
void BindRetriever(pybind11::module_& module);
void BindMetrics(pybind11::module_& module);
void BindBundle(pybind11::module_& module);
void BindCtr(pybind11::module_& module);

}  // namespace eta::python
