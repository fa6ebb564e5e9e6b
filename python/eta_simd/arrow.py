# SPDX-License-Identifier: Apache-2.0
"""Retrieval on Arrow record batches, for engines that hand out batches: Spark's mapInArrow, Ray
Data, Dask, DuckDB, Polars. Needs PyArrow (scripts/setup.sh arrow).

Errors name row and column. A missing column and a wrong type are known before any row is read.
"""
from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np
import pyarrow as pa

from eta_simd import columns
from eta_simd.arrays import ArrayLike, Float32, Float64, Int32, Int64
from eta_simd.native import native
from eta_simd.retrieval import Retriever

MEASURES = ("recall", "recall_ties", "attention_mass")


def embeddings(column: Any, name: str = "embedding") -> Float32:
    """The item table of a column, for Retriever; item i is row i.

    Parameters
    ----------
    column : pyarrow.Array or ChunkedArray, fixed_size_list<float32>[dim]
        One chunk is not copied.
    name : str
        What errors call the column.

    Returns
    -------
    float32 array, items x dim
        Read-only where it is the memory of `column`.

    Raises
    ------
    TypeError for another type, ValueError for a null or a value that is not finite, with its row.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from eta_simd.arrow import embeddings
    >>> embeddings(pa.FixedSizeListArray.from_arrays(pa.array(np.float32([1, 2, 3, 4])), 2))
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if not isinstance(column, pa.Array):
        raise TypeError(f"column '{name}': {type(column).__name__} (expected "
                        "fixed_size_list<float32>)")
    return columns.vectors(column, name)


def retrieve(batch: pa.RecordBatch, retriever: Retriever, k: int, *,
             measured_by: Optional[ArrayLike] = None, threads: int = 1) -> pa.RecordBatch:
    """Retrieves for each candidate of each row of a batch; a pure function.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Its columns, in any order; others are ignored:

        - user: any type, handed on
        - history: list of int32, item ids, oldest first
        - candidates: list of int32, item ids
        - times: list of int64, optional, one for each behaviour and never falling
        - time: int64, with times only: behaviours at this time or later are not used

        Lists are read in place. Ids of another integer type are checked, then converted. Large
        lists are taken as well, and binary as of eta_simd.packed.
    retriever : Retriever
    k : int
    measured_by : float32 array, items x dim, optional
        The exact item table. With it there are measures, from all exact scores: slower by far.
    threads : int
        Of the retrieval, which is one call of Retriever.retrieve_batch. The result does not depend
        on it. Measures take one.

    Returns
    -------
    pyarrow.RecordBatch, a row for each candidate, in order, of the schema result_schema
        Positions (0 is the oldest behaviour) rise. Measures are null where they are undefined.

    Raises
    ------
    TypeError, ValueError
        With row and column.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from eta_simd import Retriever
    >>> from eta_simd.arrow import retrieve
    >>> batch = pa.record_batch({
    ...     "user": ["ann"],
    ...     "history": pa.array([[2, 0, 2]], pa.list_(pa.int32())),
    ...     "candidates": pa.array([[2, 1]], pa.list_(pa.int32()))})
    >>> retriever = Retriever("exact", np.eye(3, dtype=np.float32))
    >>> retrieve(batch, retriever, k=2).to_pydict()["positions"]
    [[0, 2], [1, 2]]
    """
    _check_batch(batch)
    table = None if measured_by is None else _check_table(measured_by, retriever)
    answered = answer(batch, retriever, k, threads)
    rows = np.repeat(np.arange(batch.num_rows), np.diff(answered.candidate_offsets))
    results = [answered.user.take(pa.array(rows)), pa.array(answered.candidates), answered.lists,
               pa.array(np.diff(answered.lists.offsets.to_numpy()).astype(np.int32))]
    if table is not None:
        results += [pa.array(column, from_pandas=True) for column in _measures(answered, table)]
    return pa.RecordBatch.from_arrays(
        results, schema=result_schema(answered.user.type, is_measured=table is not None))


class Answered(NamedTuple):
    """What answer found; offsets divide the rows of all requests."""

    user: pa.Array
    offsets: Int64
    items: Int32
    candidate_offsets: Int64
    candidates: Int32
    found: Int32  # candidates x width, then -1
    lists: pa.ListArray  # the positions of each candidate, rising


def answer(batch: pa.RecordBatch, retriever: Retriever, k: int, threads: int = 1) -> Answered:
    """What retrieve and packed.retrieve make rows of; arguments and errors as of retrieve."""
    _check_batch(batch)
    batch = columns.unpacked(batch)
    user = columns.column(batch, "user")
    offsets, items = histories(batch, retriever)
    candidate_offsets, candidates = columns.ids(batch, "candidates", retriever.items)
    # No row has more, so that a huge k takes no memory.
    longest = int(np.diff(offsets).max(initial=0))
    width = k if not isinstance(k, int) or k < 1 else max(min(k, longest), 1)
    found = retriever.retrieve_batch(offsets, items, candidate_offsets, candidates, width, threads)
    return Answered(user, offsets, items, candidate_offsets, candidates, found, _rising(found))


def result_schema(user: pa.DataType, is_measured: bool = False) -> pa.Schema:
    """What retrieve returns: user, candidate, positions and count; recall, recall_ties and
    attention_mass (float64) where they are measured. An engine asks for it beforehand.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from eta_simd.arrow import result_schema
    >>> result_schema(pa.string()).names
    ['user', 'candidate', 'positions', 'count']
    """
    fields = [("user", user), ("candidate", pa.int32()), ("positions", pa.list_(pa.int32())),
              ("count", pa.int32())]
    return pa.schema(fields + [(name, pa.float64()) for name in MEASURES if is_measured])


def histories(batch: pa.RecordBatch, retriever: Retriever) -> tuple[Int64, Int32]:
    """Offsets, from 0, and item ids of the histories that retrieve works on: where there are times,
    of the behaviours before each row's. Errors as of retrieve.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from eta_simd import Retriever
    >>> from eta_simd.arrow import histories
    >>> batch = pa.record_batch({"history": pa.array([[2, 0], [1]], pa.list_(pa.int32()))})
    >>> histories(batch, Retriever("recent", np.eye(3, dtype=np.float32)))
    (array([0, 2, 3]), array([2, 0, 1], dtype=int32))
    """
    batch = columns.unpacked(batch)
    return _before(batch, *columns.ids(batch, "history", retriever.items))


def _before(batch: pa.RecordBatch, offsets: Int64, items: Int32) -> tuple[Int64, Int32]:
    """Offsets and items of the behaviours before each row's time; all, where there are no times."""
    if "times" not in batch.schema.names and "time" not in batch.schema.names:
        return offsets, items
    times = columns.times(batch, "times", offsets)
    ends = columns.integers(batch, "time")
    if ends.dtype != np.int64:
        raise TypeError(f"column 'time': of {ends.dtype} (expected int64)")
    kept = times < np.repeat(ends, np.diff(offsets))
    return np.append(0, np.cumsum(kept))[offsets], items[kept]


def _rising(found: Int32) -> Any:
    """Rows of positions, then -1, as lists of positions that rise. Sorts `found` where all rows are
    full, as most are: what more is copied costs half as much as the retrieval of short codes."""
    last = np.iinfo(np.int32).max
    rows, k = found.shape
    if 0 < found.size <= last and found[:, -1].min() >= 0:
        found.sort(axis=1)
        return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * k),
                                        pa.array(found.reshape(-1)))
    ordered = np.sort(np.where(found < 0, last, found), axis=1)
    offsets = np.append(0, np.cumsum((ordered != last).sum(axis=1)))
    if offsets[-1] > last:
        raise ValueError(f"batch: {offsets[-1]} positions (expected at most {last}; give it in "
                         "parts)")
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)),
                                    pa.array(ordered[ordered != last]))


def _check_batch(batch: pa.RecordBatch) -> None:
    if not isinstance(batch, pa.RecordBatch):
        raise TypeError(f"batch: expected pyarrow.RecordBatch, got {type(batch).__name__}")


def _check_table(table: ArrayLike, retriever: Retriever) -> Float32:
    array = np.asarray(table)
    if array.dtype != np.float32:
        raise TypeError(f"measured_by: of {array.dtype} (expected float32)")
    if array.shape != (retriever.items, retriever.dim):
        raise ValueError(f"measured_by: of shape {list(array.shape)} (expected "
                         f"[{retriever.items}, {retriever.dim}])")
    return array


def _measures(answered: Answered, table: Float32) -> list[Float64]:
    """The columns MEASURES; NaN for an empty history. A request's scores come from one kernel with
    the same bits everywhere, so that no partition of the data changes them."""
    _, offsets, items, candidate_offsets, candidates, found, _ = answered
    measured = [np.full(len(candidates), np.nan) for _ in MEASURES]
    for row in np.flatnonzero((np.diff(offsets) > 0) & (np.diff(candidate_offsets) > 0)):
        part = slice(candidate_offsets[row], candidate_offsets[row + 1])
        values = native.measures(found[part], table[items[offsets[row]:offsets[row + 1]]],
                                 table[candidates[part]], found.shape[1])
        for column, value in zip(measured, values):
            column[part] = value
    return measured
