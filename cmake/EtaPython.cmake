# SPDX-License-Identifier: Apache-2.0
# The option ETA_BUILD_PYTHON: on where Python's headers and pybind11 are found. The native module
# goes to python/eta_simd in the build folder; PYTHONPATH=<build>/python:python uses it from there.
set(ETA_BUILD_PYTHON_DEFAULT OFF)
if(ETA_BUILD_BASELINES AND PROJECT_IS_TOP_LEVEL AND NOT ETA_SANITIZE AND NOT ETA_FUZZ
   AND NOT CMAKE_CROSSCOMPILING)
  # Not the first Python in PATH, as in tests/python; a wheel is for the Python that builds it.
  if(NOT DEFINED SKBUILD AND NOT DEFINED Python_EXECUTABLE AND EXISTS /usr/bin/python3)
    set(Python_EXECUTABLE /usr/bin/python3)
  endif()
  find_package(Python 3.11 QUIET COMPONENTS Interpreter Development.Module)
  set(PYBIND11_FINDPYTHON ON)
  if(Python_FOUND)
    find_package(pybind11 2.10 CONFIG QUIET)
  endif()
  if(pybind11_FOUND)
    set(ETA_BUILD_PYTHON_DEFAULT ON)
  endif()
endif()
option(ETA_BUILD_PYTHON "Build the native module of the Python package (needs pybind11)"
       ${ETA_BUILD_PYTHON_DEFAULT})
if(ETA_BUILD_PYTHON AND NOT ETA_BUILD_PYTHON_DEFAULT)
  message(FATAL_ERROR "ETA_BUILD_PYTHON needs Python 3.11 or later with headers (Debian: "
                      "python3-dev), pybind11 2.10 or later (Debian: pybind11-dev) and "
                      "ETA_BUILD_BASELINES, without a sanitizer")
endif()
if(ETA_BUILD_PYTHON)
  find_package(Threads REQUIRED)
endif()
