# SPDX-License-Identifier: Apache-2.0
"""Histories out of logs with a row for each behaviour, in any order, which may be larger than
memory: a log is read twice, a piece at a time, and the arrays of the bundle are mapped. What is
held besides are a few numbers for each user and each item, and the longest history.
"""
import dataclasses

import numpy as np

from eta_simd.command import BadInput
from eta_simd.data.log import MAX_INT32, PIECE, Log, new_array, pieces


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
    if len(seen.ids) > MAX_INT32:
        raise BadInput(f"the log has {len(seen.ids)} items (expected at most {MAX_INT32})")
    offsets = np.append(0, np.cumsum(users.counts))
    if not offsets[-1]:
        raise BadInput("no behaviours of items that have embeddings" if left_out else
                       "no behaviours")
    np.save(folder / "history_offsets.npy", offsets.astype("<i8"))
    arrays = [new_array(folder / f"history_{name}.npy", dtype, int(offsets[-1]))
              for name, dtype in (("items", "<i4"), ("times", "<i8"))]
    deal_out(read(), Numbers(users.ids), items, offsets, arrays)
    sort_histories(offsets, *arrays)
    for array in arrays:
        array.flush()
    return (Log(offsets, arrays[0], arrays[1], len(items)),
            Report(len(users.ids), int(offsets[-1]), left_out))


def deal_out(parts, users, items, offsets, arrays):
    """Puts each behaviour behind those of its user that came before. `offsets` has as many for each
    user as there are, unless the log was changed since."""
    ends, limits = offsets[:-1].copy(), offsets[1:]
    changed = BadInput("the log was changed while it was read")
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
        seen = owner[begins]
        if seen[0] < 0 or (ends[seen] + lengths > limits[seen]).any():
            raise changed
        place = ends[owner] + np.arange(len(owner)) - np.repeat(begins, lengths)
        arrays[0][place] = number[is_known][order]
        arrays[1][place] = time[is_known][order]
        ends[seen] += lengths
    if (ends < limits).any():
        raise changed


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


def to_seconds(milliseconds):
    """Divides a mapped array of times, rounding down."""
    for begin in range(0, len(milliseconds), PIECE):
        milliseconds[begin:begin + PIECE] //= 1000
    milliseconds.flush()


def stable_order(owner, time):
    """Indices that sort by owner, which rises from 0, then by time; equal ones stay in order."""
    first = time.min()
    span = int(time.max()) - int(first) + 1
    if (int(owner[-1]) + 1) * span <= np.iinfo(np.int64).max:
        # One number to compare, and mostly near its place: ten times as fast as lexsort.
        return np.argsort(owner * span + (time - first), kind="stable")
    return np.lexsort((time, owner))
