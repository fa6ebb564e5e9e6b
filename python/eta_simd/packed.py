# SPDX-License-Identifier: Apache-2.0
"""Batches whose lists are packed: binary columns of little-endian int32 (int64 for times). Spark
converts lists one number at a time, but moves these as whole blocks of bytes, in one row for each
request in place of one for each candidate (docs/scale.md).
"""
from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from eta_simd import arrow, columns
from eta_simd.arrays import Int64
from eta_simd.retrieval import Retriever


def pack(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its columns history, candidates and times packed, where they are lists. Other
    columns are handed on. arrow.retrieve answers both alike.

    Raises
    ------
    TypeError, ValueError
        With row and column, for a null, lists of no integers, or a number that does not fit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from eta_simd.packed import pack
    >>> pack(pa.record_batch({"history": pa.array([[2, 1]])})).to_pydict()
    {'history': [b'\\x02\\x00\\x00\\x00\\x01\\x00\\x00\\x00']}
    """
    batch = columns.unpacked(batch)
    for name, kind in columns.PACKED.items():
        if name not in batch.schema.names:
            continue
        offsets, values = columns.lists(batch, name)
        limits = np.iinfo(kind)
        is_bad = (values < limits.min) | (values > limits.max)
        if is_bad.any():
            index = int(np.argmax(is_bad))
            raise ValueError(f"{columns.element(offsets, index, name, 0)}: {values[index]} does "
                             f"not fit {limits.dtype}")
        batch = batch.set_column(batch.schema.get_field_index(name), name,
                                 _binary(offsets, values.astype(kind, copy=False)))
    return batch


def retrieve(batch: pa.RecordBatch, retriever: Retriever, k: int, *,
             threads: int = 1) -> pa.RecordBatch:
    """What arrow.retrieve finds, as a row for each row of the batch; arguments and errors as there.

    Returns
    -------
    pyarrow.RecordBatch, of the schema result_schema
        candidates, counts and positions are packed int32: the candidates of the row, how many
        positions each has, and these after one another, rising for each candidate.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from eta_simd import Retriever
    >>> from eta_simd.packed import retrieve
    >>> batch = pa.record_batch({
    ...     "user": ["ann"],
    ...     "history": pa.array([[2, 0, 2]], pa.list_(pa.int32())),
    ...     "candidates": pa.array([[2, 1]], pa.list_(pa.int32()))})
    >>> found = retrieve(batch, Retriever("exact", np.eye(3, dtype=np.float32)), k=2)
    >>> np.frombuffer(found["positions"][0].as_py(), np.int32)
    array([0, 2, 1, 2], dtype=int32)
    """
    answered = arrow.answer(batch, retriever, k, threads)
    ends = answered.lists.offsets.to_numpy().astype(np.int64)
    requests = answered.candidate_offsets
    return pa.RecordBatch.from_arrays(
        [answered.user, _binary(requests, answered.candidates),
         _binary(requests, np.diff(ends).astype(np.int32)),
         _binary(ends[requests], answered.lists.values.to_numpy())],
        schema=result_schema(answered.user.type))


def result_schema(user: pa.DataType) -> pa.Schema:
    """What retrieve returns, for an engine that asks beforehand.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from eta_simd.packed import result_schema
    >>> result_schema(pa.string()).names
    ['user', 'candidates', 'counts', 'positions']
    """
    return pa.schema([("user", user), *((name, pa.binary())
                                        for name in ("candidates", "counts", "positions"))])


def unpack(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of arrow.retrieve, a row for each candidate, out of those of retrieve; positions are
    the memory of the batch.

    Raises
    ------
    TypeError, ValueError
        For rows that are not retrieve's.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from eta_simd import Retriever, packed
    >>> ids = pa.list_(pa.int32())
    >>> batch = pa.record_batch({"user": ["ann"], "history": pa.array([[2, 0, 2]], ids),
    ...                          "candidates": pa.array([[2, 1]], ids)})
    >>> found = packed.retrieve(batch, Retriever("exact", np.eye(3, dtype=np.float32)), k=2)
    >>> packed.unpack(found).to_pydict()["positions"]
    [[0, 2], [1, 2]]
    """
    (requests, candidates), (same, counts), (ends, positions) = (
        columns.packed(batch, name, np.int32) for name in ("candidates", "counts", "positions"))
    columns.check_lengths(same, "counts", requests, noun="counts", of="candidates")
    if (counts < 0).any():
        raise ValueError(f"{columns.element(same, int(np.argmax(counts < 0)), 'counts', 0)}: "
                         f"{counts.min()} (expected 0 or more)")
    offsets = np.append(0, np.cumsum(counts, dtype=np.int64))
    columns.check_lengths(ends, "positions", offsets[requests], noun="positions", of="in counts")
    user = columns.column(batch, "user")
    rows = np.repeat(np.arange(batch.num_rows), np.diff(requests))
    return pa.RecordBatch.from_arrays(
        [user.take(pa.array(rows)), pa.array(candidates),
         pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(positions)),
         pa.array(counts)], schema=arrow.result_schema(user.type))


def _binary(offsets: Int64, values: Any) -> pa.Array:
    """A row of bytes for each of the parts into which `offsets` divides the values."""
    bytes_of = offsets * values.itemsize
    if bytes_of[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"batch: {bytes_of[-1]} bytes in a column (expected at most "
                         f"{np.iinfo(np.int32).max}; give it in parts)")
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return pa.Array.from_buffers(
        pa.binary(), len(offsets) - 1,
        [None, pa.py_buffer(bytes_of.astype(np.int32)), pa.py_buffer(little)])
