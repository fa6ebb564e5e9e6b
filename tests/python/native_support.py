# SPDX-License-Identifier: Apache-2.0
"""What the tests of the native module share. They run on the source tree with a module from a build
folder, whose path is the first argument, and on an installed package, without an argument."""
import sys
from pathlib import Path

SKIPPED = 77  # what CTest takes for a skipped test

sys.dont_write_bytecode = True
if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
    sys.path[:0] = [sys.argv.pop(1), str(Path(__file__).resolve().parents[2] / "python")]

try:
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing} (scripts/setup.sh python)")
    sys.exit(SKIPPED)

import eta_simd  # noqa: E402

NO_FAISS = eta_simd.build_info()["faiss"] == "none"


def table(items=300, dim=16, seed=1):
    """float32 embeddings, items x dim."""
    return np.random.default_rng(seed).standard_normal((items, dim)).astype(np.float32)


def ids(count, items=300, seed=1):
    """int32 item ids."""
    return np.random.default_rng(seed).integers(0, items, count).astype(np.int32)


def int32(values):
    return np.array(values, np.int32)


def int64(values):
    return np.array(values, np.int64)


def float32(values):
    return np.array(values, np.float32)


def uint8(values):
    return np.array(values, np.uint8)


def best(scores, k, is_newest=True):
    """Positions of the k largest scores of each row, ties to the newest or oldest."""
    n = scores.shape[1]
    order = np.arange(n)[::-1] if is_newest else np.arange(n)
    ranks = np.argsort(-scores[:, order], axis=1, kind="stable")
    return order[ranks][:, :k].astype(np.int32)
