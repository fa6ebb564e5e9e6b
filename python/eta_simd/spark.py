# SPDX-License-Identifier: Apache-2.0
"""Retrieval, its evaluation and codes of items as Spark jobs, by eta_simd.arrow in mapInArrow.
Needs PySpark 4 with Java 17 (scripts/setup.sh spark). docs/scale.md has an example.

Item tables are files of NumPy, such as item_embeddings.npy of a bundle. Spark copies a file to each
executor once, whose Python workers map it. A file must stay where it is while jobs that read it
run, and its name must have one content in a session.
"""
from __future__ import annotations

import functools
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Iterator, Optional, Union

import numpy as np
import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_type

from eta_simd import arrow, columns
from eta_simd.arrays import ArrayLike, Float64
from eta_simd.codes import Hyperplanes
from eta_simd.retrieval import Retriever

_SCALE = 1074  # the smallest double is 2^-1074
_HALF = 26  # bits; sums of half mantissas of 2^36 values fit int64


def retrieve(requests: DataFrame, items: Union[str, os.PathLike[str]], method: str, k: int, *,
             is_measured: bool = False, seed: int = 1) -> DataFrame:
    """eta_simd.arrow.retrieve of all rows of `requests`, a row for each candidate.

    Parameters
    ----------
    requests : DataFrame
        The columns of eta_simd.arrow.retrieve.
    items : path of a .npy file, float32, items x dim
    method, seed
        As of Retriever. Each Python worker makes a Retriever, which holds a copy of the table.
    k : int
    is_measured : bool
        Whether there are recall, recall_ties and attention_mass.

    A bad row fails the job, with row and column in the message; the row is counted in its batch.
    Its candidates may be rows of their own: a long history then is no straggler.
    """
    missing = {"user", "history", "candidates"} - set(requests.columns)
    if missing:
        raise ValueError(f"column '{min(missing)}': there is none in requests")
    name = _ship(requests, items)
    answer = functools.partial(_answer, name, method, k, is_measured, seed)
    schema = arrow.result_schema(to_arrow_type(requests.schema["user"].dataType), is_measured)
    return requests.mapInArrow(answer, from_arrow_schema(schema))


def evaluate(requests: DataFrame, items: Union[str, os.PathLike[str]], method: str, k: int, *,
             seed: int = 1) -> dict[str, Any]:
    """How good a method is over all rows of `requests`; arguments as of retrieve.

    Returns
    -------
    dict
        method, k, candidates (their number), measured (of candidates whose history is not empty),
        and recall, recall_ties and attention_mass, which are means over candidates, None where
        nothing was measured. Sums are exact, so that no partition changes a bit.
    """
    measured = retrieve(requests, items, method, k, is_measured=True, seed=seed)
    names = ", ".join(f"{name} string, {name}_count bigint" for name in arrow.MEASURES)
    parts = measured.mapInArrow(_sums, f"candidates bigint, {names}").collect()
    counts = {name: sum(part[f"{name}_count"] for part in parts) for name in arrow.MEASURES}
    result = {"method": method, "k": k, "candidates": sum(part["candidates"] for part in parts),
              "measured": counts["recall"]}
    for name in arrow.MEASURES:
        total = Fraction(sum(int(part[name], 16) for part in parts), 1 << _SCALE)
        result[name] = float(total / counts[name]) if counts[name] else None
    return result


def encode_items(items: DataFrame, hyperplanes: ArrayLike) -> DataFrame:
    """SimHash codes of items.

    Parameters
    ----------
    items : DataFrame
        item (any type) and embedding (array of float)
    hyperplanes : float32 array, dim x bits
        As of Hyperplanes.from_array.

    Returns
    -------
    DataFrame of item and code (binary, bits / 8 bytes)
    """
    matrix = np.ascontiguousarray(hyperplanes)
    Hyperplanes.from_array(matrix)  # raises here what would fail on the executors
    schema = pa.schema([("item", to_arrow_type(items.schema["item"].dataType)),
                        ("code", pa.binary())])
    return items.mapInArrow(functools.partial(_encode, matrix), from_arrow_schema(schema))


def exact_sum(values: Float64) -> int:
    """The sum of finite values of at least 0, times 2^1074: a whole number.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd.spark import exact_sum
    >>> exact_sum(np.array([1e100, 1.0, 5e-324])) - exact_sum(np.array([1e100, 1.0]))
    1
    """
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents):
        part = whole[exponents == exponent]
        mantissa = (int((part >> _HALF).sum()) << _HALF) + int((part & ((1 << _HALF) - 1)).sum())
        shift = _SCALE + int(exponent) - 53
        # Denormal numbers have zeros where a negative shift cuts.
        total += mantissa << shift if shift >= 0 else mantissa >> -shift
    return total


# ---- on the driver


def _ship(frame: DataFrame, items: Union[str, os.PathLike[str]]) -> str:
    """Has Spark copy a table to each executor; returns its name there."""
    path = Path(items).resolve()
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    if table.dtype != np.float32 or table.ndim != 2:
        raise ValueError(f"{path}: {table.dtype} of shape {list(table.shape)} (expected float32, "
                         "items x dim)")
    frame.sparkSession.sparkContext.addFile(str(path))
    return path.name


# ---- on the executors


@functools.lru_cache(maxsize=2)
def _retriever(path: str, method: str, seed: int) -> tuple[Retriever, Any]:
    """A retriever with its table, mapped; a worker keeps them from task to task."""
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    return Retriever(method, table, seed=seed), table


def _answer(name: str, method: str, k: int, is_measured: bool, seed: int,
            batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    retriever, table = _retriever(SparkFiles.get(name), method, seed)
    for batch in batches:
        yield arrow.retrieve(batch, retriever, k, measured_by=table if is_measured else None)


def _sums(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A row for each batch: numbers of candidates, and sums as hexadecimal numbers."""
    for batch in batches:
        row: dict[str, Any] = {"candidates": batch.num_rows}
        for name in arrow.MEASURES:
            values = batch.column(name).drop_null().to_numpy()
            row.update({name: f"{exact_sum(values):x}", f"{name}_count": len(values)})
        yield pa.RecordBatch.from_pylist([row])


def _encode(matrix: Any, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    planes: Optional[Hyperplanes] = None
    for batch in batches:
        planes = planes or Hyperplanes.from_array(matrix)
        codes = planes.encode(columns.vectors(columns.column(batch, "embedding"), "embedding"))
        yield pa.RecordBatch.from_arrays(
            [columns.column(batch, "item"), pa.array(list(map(bytes, codes)), pa.binary())],
            ["item", "code"])
