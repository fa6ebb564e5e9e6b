# SPDX-License-Identifier: Apache-2.0
"""The native module, or an error that says how to get it."""
try:
    from eta_simd import _native as native
except ImportError as error:
    raise ImportError(
        f"eta_simd's native module is not there ({error}): `pip install .` in the source tree "
        "builds it, or a CMake build does, in build/release or with PYTHONPATH=BUILD/python:python"
    ) from error

__all__ = ["native"]
