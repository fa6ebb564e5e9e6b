# SPDX-License-Identifier: Apache-2.0
"""Columns of Arrow record batches as arrays of NumPy, in place where the types fit.

A column that does not fit is a TypeError or a ValueError that names column, row and element. Rows
count from `first`, the number of the batch's first row.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from eta_simd.arrays import Float32, Int32, Int64

_MASKED = 1 << 22  # values checked at a time, so that the mask stays small
# Columns that may be packed, and of what.
PACKED: dict[str, Any] = {"history": np.int32, "candidates": np.int32, "times": np.int64}


def column(batch: pa.RecordBatch, name: str) -> Any:
    """The column `name`, whose buffers are sound."""
    count = batch.schema.names.count(name)
    if count != 1:
        raise ValueError(f"column '{name}': {'there is none' if count == 0 else 'there are two'} "
                         f"in the batch")
    found = batch.column(batch.schema.get_field_index(name))
    try:
        found.validate()
    except pa.ArrowInvalid as error:
        raise ValueError(f"column '{name}': {error}") from None
    return found


def integers(batch: pa.RecordBatch, name: str, first: int = 0) -> np.ndarray:
    """A column of integers of any type."""
    found = column(batch, name)
    if not pa.types.is_integer(found.type):
        raise TypeError(f"column '{name}': of {found.type} (expected int64)")
    _check_nulls(found, name, first)
    return found.to_numpy()


def lists(batch: pa.RecordBatch, name: str, first: int = 0) -> tuple[Int64, np.ndarray]:
    """Offsets, from 0, and values of a column of lists of integers of any type."""
    found = column(batch, name)
    if not isinstance(found, (pa.ListArray, pa.LargeListArray)) or \
            not pa.types.is_integer(found.type.value_type):
        raise TypeError(f"column '{name}': {found.type} (expected list<int32>)")
    offsets, values = parts(found, name, first)
    if values.null_count:
        raise ValueError(f"{element(offsets, _first(values.is_null()), name, first)}: null")
    return offsets, values.to_numpy()


def unpacked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with lists, of the same memory, for those of the columns PACKED that are binary."""
    for name, kind in PACKED.items():
        place = batch.schema.get_field_index(name)  # -1 also where there are two
        if place >= 0 and is_binary(batch.schema.field(place).type):
            offsets, values = packed(batch, name, kind)
            lists_of = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
            batch = batch.set_column(place, name, lists_of)
    return batch


def packed(batch: pa.RecordBatch, name: str, kind: Any) -> tuple[Int64, np.ndarray]:
    """Offsets, from 0, and values of a binary column of little-endian numbers of this type; in
    place where they are aligned."""
    found = column(batch, name)
    if not is_binary(found.type):
        raise TypeError(f"column '{name}': {found.type} (expected binary)")
    _check_nulls(found, name, 0)
    wide = np.dtype(np.int64 if pa.types.is_large_binary(found.type) else np.int32)
    size, ends = np.dtype(kind).itemsize, np.zeros(1, wide)
    if len(found):
        ends = np.frombuffer(found.buffers()[1], wide, len(found) + 1, found.offset * wide.itemsize)
    lengths = np.diff(ends)
    if (lengths < 0).any():
        raise ValueError(f"row {_first(lengths < 0)}, column '{name}': a list that ends before it "
                         "begins")
    if (lengths % size).any():
        row = _first(lengths % size)
        raise ValueError(f"row {row}, column '{name}': {lengths[row]} bytes (expected a multiple "
                         f"of {size})")
    data = np.zeros(0, np.uint8)
    if ends[-1] > ends[0]:
        data = np.frombuffer(found.buffers()[2], np.uint8)[ends[0]:ends[-1]]
    values = np.require(data.view(np.dtype(kind).newbyteorder("<")), kind, "A")
    return (ends.astype(np.int64) - ends[0]) // size, values


def is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def ids(batch: pa.RecordBatch, name: str, count: int, first: int = 0) -> tuple[Int64, Int32]:
    """Offsets and item ids, which are below `count`; in place where they are int32."""
    offsets, values = lists(batch, name, first)
    if len(values) and (values.min() < 0 or values.max() >= count):
        index = _first((values < 0) | (values >= count))
        raise ValueError(f"{element(offsets, index, name, first)}: item id {values[index]} lies "
                         f"outside [0, {count})")
    return offsets, values.astype(np.int32, copy=False)


def times(batch: pa.RecordBatch, name: str, offsets: Int64, first: int = 0) -> Int64:
    """Times of the behaviours that `offsets` divides into histories, in which they never fall."""
    time_offsets, values = lists(batch, name, first)
    if values.dtype != np.int64:
        raise TypeError(f"column '{name}': of {values.dtype} (expected int64)")
    check_lengths(time_offsets, name, offsets, first, "times")
    check_rising(values, name, offsets, first)
    return values


def check_lengths(found: Int64, name: str, offsets: Int64, first: int = 0,
                  noun: str = "values", of: str = "behaviours") -> None:
    """Raises ValueError where the lists of offsets `found` are not as long, row by row, as the
    histories, or what else `of` says, into which `offsets` divides the behaviours."""
    if not np.array_equal(found, offsets):
        lengths, expected = np.diff(found), np.diff(offsets)
        row = _first(lengths != expected)
        raise ValueError(f"row {first + row}, column '{name}': {lengths[row]} {noun} for "
                         f"{expected[row]} {of}")


def check_rising(values: np.ndarray, name: str, offsets: Int64, first: int = 0) -> None:
    """Raises ValueError where times fall within one of the rows into which `offsets` divides
    them."""
    falls = np.append(values[1:] < values[:-1], False)
    falls[offsets[1:][offsets[1:] > 0] - 1] = False  # from one row to the next they may
    if falls.any():
        raise ValueError(f"{element(offsets, _first(falls) + 1, name, first)}: earlier than the "
                         "one before")


def vectors(found: Any, name: str, first: int = 0) -> Float32:
    """The rows of an Array of lists of float32, of one length and finite, as a matrix."""
    kind = found.type
    if not isinstance(found, (pa.FixedSizeListArray, pa.ListArray, pa.LargeListArray)) or \
            kind.value_type != pa.float32():
        raise TypeError(f"column '{name}': {kind} (expected fixed_size_list<float32>)")
    if isinstance(found, pa.FixedSizeListArray):
        _check_nulls(found, name, first)
        values, width = found.flatten(), kind.list_size
    else:
        offsets, values = parts(found, name, first)
        lengths = np.diff(offsets)
        width = int(lengths[0]) if len(lengths) else 0
        if (lengths != width).any():
            row = _first(lengths != width)
            raise ValueError(f"row {first + row}, column '{name}': {lengths[row]} values (expected "
                             f"{width})")
    if width == 0 and len(found):
        raise ValueError(f"row {first}, column '{name}': 0 values (expected 1 or more)")
    if values.null_count:
        row, at = divmod(_first(values.is_null()), width)
        raise ValueError(f"row {first + row}, column '{name}', element {at}: null")
    flat = values.to_numpy()
    for begin in range(0, len(flat), _MASKED):
        good = np.isfinite(flat[begin:begin + _MASKED])
        if not good.all():
            index = begin + _first(~good)
            row, at = divmod(index, width)
            raise ValueError(f"row {first + row}, column '{name}', element {at}: {flat[index]} "
                             "(expected a finite number)")
    return flat.reshape(len(found), width)


def _first(mask: Any) -> int:
    """The index of the first true value."""
    return int(np.argmax(np.asarray(mask)))


def _check_nulls(found: Any, name: str, first: int) -> None:
    if found.null_count:
        raise ValueError(f"row {first + _first(found.is_null())}, column '{name}': null")


def parts(found: Any, name: str, first: int) -> tuple[Int64, Any]:
    """Offsets, from 0, and values of an Array of lists, whose offsets start anywhere in a slice."""
    _check_nulls(found, name, first)
    ends = found.offsets.to_numpy() if len(found) else np.zeros(1, np.int32)
    if (ends[1:] < ends[:-1]).any():
        raise ValueError(f"row {first + _first(ends[1:] < ends[:-1])}, column '{name}': a list "
                         "that ends before it begins")
    return ends.astype(np.int64) - ends[0], found.values[ends[0]:ends[-1]]


def element(offsets: Int64, index: int, name: str, first: int) -> str:
    """Where element `index` of all lists is."""
    row = int(np.searchsorted(offsets, index, side="right")) - 1
    return f"row {first + row}, column '{name}', element {index - offsets[row]}"
