# SPDX-License-Identifier: Apache-2.0
"""SIMD targets and the build."""
from __future__ import annotations

from typing import Optional

from eta_simd.native import native


def targets() -> tuple[str, ...]:
    """The SIMD targets (instruction sets) that this CPU has and the module was built for, the best
    first."""
    return native.targets()


def target() -> str:
    """The SIMD target in use."""
    return native.target()


def set_target(name: Optional[str]) -> None:
    """Makes all kernels of the process run a target of targets(); None for the best.

    Results do not depend on it, speed does. The environment variable ETA_SIMD_TARGET does the same
    when the package is loaded. Raises ValueError where there is no such target, RuntimeError while
    another thread runs a kernel.

    Examples
    --------
    >>> from eta_simd import set_target, target, targets
    >>> set_target(targets()[-1])
    >>> target() == targets()[-1]
    True
    >>> set_target(None)
    """
    native.set_target(name)


def build_info() -> dict[str, str]:
    """How the native module was built: version, build_type, compiler, highway, faiss.

    Examples
    --------
    >>> from eta_simd import build_info
    >>> sorted(build_info())
    ['build_type', 'compiler', 'faiss', 'highway', 'version']
    """
    return native.build_info()
