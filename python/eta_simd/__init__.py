# SPDX-License-Identifier: Apache-2.0
"""Python side of eta-simd: data bundles, reports, CTR models in PyTorch, and experiments.

Importing the package itself imports no third-party module.
"""
import re
from pathlib import Path

SOURCE_TREE = Path(__file__).resolve().parents[2]


def _version() -> str:
    """The version in the project's CMakeLists.txt, the only place that states it."""
    text = (SOURCE_TREE / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(r"project\(eta-simd VERSION ([0-9.]+)", text)
    if found is None:
        raise ImportError("CMakeLists.txt states no version of eta-simd")
    return found[1]


__version__ = _version()
