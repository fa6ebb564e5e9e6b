# SPDX-License-Identifier: Apache-2.0
"""Histories out of published logs in Parquet, which may be larger than memory: a file is read a
piece at a time, and the arrays of the bundle are mapped. What is held besides are a few numbers for
each user and each item, and the longest history.

What does not fit is BadInput with file, row group and row, counted from 0.
"""
import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eta_simd import columns
from eta_simd.command import BadInput, progress
from eta_simd.data.parquet import (EMBEDDINGS, MAX_REASON, MAX_ITEMS, PIECE, Arrays, files_of,
                                   located, rows_at_a_time)
from eta_simd.data.log import Log, new_array, pieces
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


# ---- items and users


class Numbers:
    """The numbers, from 0, of items or users that are known by other ids."""

    def __init__(self, ids):
        """Number i has the id `ids[i]`."""
        order = np.argsort(ids, kind="stable")
        self.ids, self.order = ids[order], order.astype(np.int32)
        self.table = None
        span = int(self.ids[-1] - self.ids[0]) + 1 if len(ids) else 0
        if 0 < span <= 4 * len(ids) + PIECE:  # several times as fast as a search
            self.table = np.full(span + 2, -1, np.int32)  # at both ends one for ids beyond
            self.table[ids - self.ids[0] + 1] = np.arange(len(ids), dtype=np.int32)

    def __len__(self):
        return len(self.ids)

    def of(self, ids):
        """int32, -1 for an id that is not known."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int32)
        if self.table is not None:
            return self.table[np.clip(ids - self.ids[0], -1, len(self.table) - 2) + 1]
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, self.order[at], np.int32(-1))


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


class Counts:
    """How often each of many integers was seen; `ids` are ascending."""

    def __init__(self):
        self.ids, self.counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.waiting = []

    def add(self, values):
        self.waiting.append(np.unique(values, return_counts=True))
        # As much again as there is: a number is merged a few times, whatever their order.
        if sum(len(ids) for ids, _ in self.waiting) > max(len(self.ids), PIECE):
            self.merge()

    def merge(self):
        ids = np.concatenate([self.ids, *(ids for ids, _ in self.waiting)])
        counts = np.concatenate([self.counts, *(counts for _, counts in self.waiting)])
        self.ids, places = np.unique(ids, return_inverse=True)
        self.counts = np.zeros(len(self.ids), np.int64)
        np.add.at(self.counts, places, counts)
        self.waiting = []


@dataclasses.dataclass
class Report:
    """What became of the rows of a log."""
    users: int
    behaviours: int
    left_out: int  # behaviours of items without embedding


def write_flat(read, folder, items=None):
    """Writes the arrays of histories, of a log with a row for each behaviour, in any order.

    `read()` yields users, item ids and times of the behaviours that are taken, as int64 arrays; it
    is called twice. Users are numbered by their ids, ascending, and so are items where `items` is
    None. Of equal times the order of the log stays. Returns Log, whose arrays are the files,
    mapped, and a Report."""
    users, seen, left_out = Counts(), Counts(), 0
    for user, item, _ in read():
        if items is None:
            seen.add(item)
        else:
            is_known = items.of(item) >= 0
            left_out += len(item) - int(is_known.sum())
            user = user[is_known]
        users.add(user)
    users.merge()
    seen.merge()
    items = items or Numbers(seen.ids)
    if len(seen.ids) > MAX_ITEMS:
        raise BadInput(f"the log has {len(seen.ids)} items (expected at most {MAX_ITEMS})")
    offsets = np.append(0, np.cumsum(users.counts))
    if not offsets[-1]:
        raise BadInput("no behaviours of items that have embeddings" if left_out else
                       "no behaviours")
    np.save(folder / "history_offsets.npy", offsets.astype("<i8"))
    arrays = [new_array(folder / f"history_{name}.npy", dtype, int(offsets[-1]))
              for name, dtype in (("items", "<i4"), ("times", "<i8"))]
    deal_out(read(), Numbers(users.ids), items, offsets[:-1].copy(), arrays)
    sort_histories(offsets, *arrays)
    for array in arrays:
        array.flush()
    return (Log(offsets, arrays[0], arrays[1], len(items)),
            Report(len(users.ids), int(offsets[-1]), left_out))


def deal_out(parts, users, items, ends, arrays):
    """Puts each behaviour at the end of its user's, which `ends` has and which grows."""
    for user, item, time in parts:
        number = items.of(item)
        is_known = number >= 0
        if not is_known.any():
            continue
        owner = users.of(user[is_known])
        order = np.argsort(owner, kind="stable")
        owner = owner[order]
        begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
        lengths = np.diff(np.append(begins, len(owner)))
        place = ends[owner] + np.arange(len(owner)) - np.repeat(begins, lengths)
        arrays[0][place] = number[is_known][order]
        arrays[1][place] = time[is_known][order]
        ends[owner[begins]] += lengths


def sort_histories(offsets, items, times):
    """Sorts each history by time; about PIECE behaviours are held."""
    for begin, end in pieces(offsets, PIECE):
        part = slice(offsets[begin], offsets[end])
        owner = np.repeat(np.arange(end - begin), np.diff(offsets[begin:end + 1]))
        time = np.array(times[part])
        if ((time[1:] < time[:-1]) & (owner[1:] == owner[:-1])).any():
            order = stable_order(owner, time)
            times[part] = time[order]
            items[part] = np.array(items[part])[order]


def stable_order(owner, time):
    """Indices that sort by owner, which rises from 0, then by time; equal ones stay in order."""
    first = time.min()
    span = int(time.max()) - int(first) + 1
    if (int(owner[-1]) + 1) * span <= np.iinfo(np.int64).max:
        # One number to compare, and mostly near its place: ten times as fast as lexsort.
        return np.argsort(owner * span + (time - first), kind="stable")
    return np.lexsort((time, owner))


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
