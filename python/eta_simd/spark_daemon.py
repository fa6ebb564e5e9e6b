# SPDX-License-Identifier: Apache-2.0
"""What the Python workers of an executor share: retrievers that their parent made before it forked
them. Spark starts the parent as this module where eta_simd.spark.shared names it.

Neither PyArrow nor PySpark's workers may be imported here: they start threads, which a fork loses.
"""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Optional

VARIABLE = "ETA_SIMD_SHARED"

_made: dict[str, tuple[str, Any]] = {}  # by key(): version of the file, and the retriever


def key(items: str, method: str, seed: int, categories: Optional[str]) -> str:
    """What tells one shared retriever from another."""
    return json.dumps([items, method, seed, categories])


def make(items: str, method: str, seed: int, categories: Optional[str]) -> Any:
    """A Retriever over a table in a .npy file."""
    import numpy as np
    from eta_simd.retrieval import Retriever

    table = np.load(items, mmap_mode="r", allow_pickle=False)
    kinds = None if categories is None else np.load(categories, allow_pickle=False)
    return Retriever(method, table, categories=kinds, seed=seed)


def shared(items: str, method: str, seed: int, categories: Optional[str]) -> Any:
    """The retriever that the parent made; None where it made none of these. Raises ValueError where
    the file is no longer the one that it was made from."""
    found = _made.get(key(items, method, seed, categories))
    if found is None:
        return None
    if found[0] != _version(items):
        raise ValueError(f"{items}: has changed since this executor started")
    return found[1]


def prepare(wanted: str) -> None:
    """Makes the retrievers of a JSON list of arguments of make. One that cannot be made is left to
    the workers, whose error reaches the driver."""
    for arguments in json.loads(wanted):
        try:
            _made[key(*arguments)] = _version(arguments[0]), make(*arguments)
        except Exception as error:  # whatever it is, the executor must start
            print(f"eta_simd: {arguments}: {error}", file=sys.stderr)


def _version(path: str) -> str:
    about = Path(path).stat()
    return f"{about.st_ino} {about.st_size} {about.st_mtime_ns}"


def main() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # since its threads would not be in the workers
    # Workers import this module by its name, and must find what was made.
    from eta_simd import spark_daemon
    from pyspark import daemon

    spark_daemon.prepare(os.environ.get(VARIABLE, "[]"))
    daemon.manager()


if __name__ == "__main__":
    main()
