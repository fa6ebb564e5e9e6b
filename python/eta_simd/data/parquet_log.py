# SPDX-License-Identifier: Apache-2.0
"""Published logs in Parquet, which may be larger than memory: a file is read a piece at a time.
histories.py makes histories of those with a row for each behaviour, and this of those with a row
for each user.

What does not fit is BadInput with file, row group and row, counted from 0.
"""
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eta_simd import columns
from eta_simd.command import BadInput, progress
from eta_simd.data.histories import Numbers, Report
from eta_simd.data.parquet import (EMBEDDINGS, MAX_REASON, MAX_ITEMS, PIECE, Arrays, files_of,
                                   located, rows_at_a_time)
from eta_simd.text import shown


def chunks(paths, kinds, taken=None):
    """Batches of about PIECE values, each with the number of its first row in its row group, and
    its place for `located`.

    `kinds` has the types of the columns that are read, by name: a function of a type of Arrow, and
    what it takes in words. `taken`, where given, is the name of the column that says how large a
    row is."""
    for path in paths:
        for part in files_of(path):
            yield from chunks_of(part, kinds, taken)


def chunks_of(part, kinds, taken):
    place = f"{part}: "
    try:
        # PyArrow would otherwise hold the columns of a whole row group.
        with pq.ParquetFile(part, buffer_size=1 << 20, pre_buffer=False) as file:
            for name, (fits, expected) in kinds.items():
                if file.schema_arrow.names.count(name) != 1:
                    raise ValueError(f"column '{name}': there is none (expected {expected}; there "
                                     f"are {', '.join(file.schema_arrow.names)})")
                found = file.schema_arrow.field(name).type
                if not fits(found):
                    raise TypeError(f"column '{name}': of {found} (expected {expected})")
            for group in range(file.num_row_groups):
                place, first = f"{part}: row group {group}, ", 0
                rows = rows_at_a_time(file, group, taken) if taken else PIECE
                for batch in file.iter_batches(rows, [group], list(kinds)):
                    yield batch, first, place
                    first += batch.num_rows
                progress(f"reading {part.name}: row group {group + 1}/{file.num_row_groups}")
    except (ValueError, TypeError, KeyError, pa.ArrowException, OSError) as error:
        raise BadInput(f"{place}{shown(error, MAX_REASON)}") from None


def is_floats(kind):
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)
            or pa.types.is_fixed_size_list(kind)) and pa.types.is_floating(kind.value_type)


INTEGER = pa.types.is_integer, "integer"
INTEGERS = (lambda kind: (pa.types.is_list(kind) or pa.types.is_large_list(kind))
            and pa.types.is_integer(kind.value_type)), "list of integers"
FLOATS = is_floats, "list of floats"


def not_negative(batch, name, first, most=None):
    """A column of integers from 0 to `most`, as int64."""
    return in_range(columns.integers(batch, name, first), most,
                    lambda index: f"row {first + index}, column '{name}'")


def lists_not_negative(batch, name, first, most=None):
    """Offsets and values of a column of lists of such integers."""
    offsets, found = columns.lists(batch, name, first)
    return offsets, in_range(found, most,
                             lambda index: columns.element(offsets, index, name, first))


def in_range(found, most, place):
    """`found` as int64; ValueError at `place` of the first that is not from 0 to `most`."""
    is_bad = (found < 0) | (found > (np.iinfo(np.int64).max if most is None else most))
    if is_bad.any():
        index = int(np.argmax(is_bad))
        raise ValueError(f"{place(index)}: {found[index]} (expected 0 "
                         f"{'or more' if most is None else f'to {most}'})")
    return found.astype(np.int64)


# ---- items


def read_embeddings(path, folder, id_name, vector_name):
    """Writes item_embeddings.npy of a file with a row for each item; returns their Numbers, and
    dim."""
    kinds = {id_name: INTEGER, vector_name: FLOATS}
    found, dim, rows = [], None, 0
    with Arrays(folder) as arrays:
        for batch, first, place in chunks([path], kinds, vector_name):
            with located(place):
                found.append(not_negative(batch, id_name, first))
                column = columns.column(batch, vector_name)
                vectors = columns.vectors(column.cast(pa.list_(pa.float32())), vector_name, first)
                dim = dim or vectors.shape[1]
                if vectors.shape[1] != dim:
                    raise ValueError(f"row {first}, column '{vector_name}': {vectors.shape[1]} "
                                     f"values (expected {dim})")
                arrays.append(EMBEDDINGS["embedding"], vectors, "<f4")
            rows += batch.num_rows
            if rows > MAX_ITEMS:
                raise BadInput(f"{path}: more than {MAX_ITEMS} items")
    if not rows:
        raise BadInput(f"{path}: no items")
    items = Numbers(np.concatenate(found))
    twice = np.flatnonzero(items.ids[1:] == items.ids[:-1])
    if len(twice):
        raise BadInput(f"{path}: column '{id_name}': {items.ids[twice[0]]} is there twice")
    return items, dim


# ---- histories


def write_sequential(read, folder, items, path):
    """Writes the arrays of histories, of a log with a row for each user; returns a Report.

    `read()` yields users, offsets, item ids and times, which rise within a row."""
    users, behaviours, left_out = [], 0, 0
    with Arrays(folder) as arrays:
        arrays.append("history_offsets", np.zeros(1), "<i8")
        arrays.append("history_items", np.zeros(0), "<i4")
        arrays.append("history_times", np.zeros(0), "<i8")
        for user, offsets, item, time in read():
            number = items.of(item)
            is_known = number >= 0
            kept = np.append(0, np.cumsum(is_known))[offsets]
            arrays.append("history_offsets", behaviours + kept[1:], "<i8")
            arrays.append("history_items", number[is_known], "<i4")
            arrays.append("history_times", time[is_known], "<i8")
            users.append(user)
            behaviours += int(kept[-1])
            left_out += len(item) - int(is_known.sum())
    if not behaviours:
        raise BadInput(f"{path}: no behaviours of items that have embeddings")
    found = np.sort(np.concatenate(users))
    twice = np.flatnonzero(found[1:] == found[:-1])
    if len(twice):
        raise BadInput(f"{path}: user {found[twice[0]]} has two rows (expected one)")
    return Report(len(found), behaviours, left_out)
