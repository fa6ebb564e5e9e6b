# SPDX-License-Identifier: Apache-2.0
"""Reads logs of behaviours from CSV files, a chunk at a time and without a loop over the rows.

A file must be as it was published: its header, if it has one, the same number of fields in every
line, whole numbers without blanks, and a sign only in columns that may be negative. Quoted fields
are rejected; a byte-order mark of UTF-8 is skipped, and gzip unpacked. Errors are BadInput:
"file:line: what (expected ..., found ...)".
"""
import dataclasses
import os
import re

import numpy as np

from eta_simd import reading
from eta_simd.command import BadInput, progress
from eta_simd.data import times as eta_times
from eta_simd.text import shown

CHUNK_BYTES = 8 << 20
PIECE = 1 << 20  # values worked on at a time, of what may be larger than memory
MAX_LINE_BYTES = 1 << 16
MAX_DIGITS = 18  # any number of 18 digits fits int64
MAX_INT32 = 2**31 - 1


@dataclasses.dataclass
class Integer:
    """A column of whole numbers from `low` to `high`."""
    name: str
    low: int = 0
    high: int = 10**MAX_DIGITS - 1


@dataclasses.dataclass
class Time:
    """A column of times from 1995 to now (times.py). With `strays` any of 32 bits are taken."""
    name: str
    per_second: int = 1
    strays: bool = False


@dataclasses.dataclass
class Text:
    """A column of texts that match a pattern, at most `width` bytes each."""
    name: str
    pattern: str
    expected: str
    width: int = 8


@dataclasses.dataclass
class Skipped:
    """A column that is not read."""
    name: str


class Chunk:
    """Whole lines of a file, cut into fields; `rows` of them are good, then comes `failure`."""

    def __init__(self, text, columns, first_line):
        # Padding, because reads may go past the end of the last field.
        self.bytes = np.frombuffer(text + b"\0" * 64, np.uint8)
        self.first_line = first_line
        data = self.bytes[:len(text)]
        marks = np.flatnonzero((data == ord(",")) | (data == ord("\n")))
        line_ends = np.flatnonzero(data[marks] == ord("\n"))
        wrong = np.flatnonzero(line_ends != np.arange(1, len(line_ends) + 1) * columns - 1)
        self.rows = int(wrong[0]) if len(wrong) else len(line_ends)
        self.failure = None
        ends = marks[:self.rows * columns].reshape(self.rows, columns)
        self.ends = ends.copy()
        self.begins = np.empty_like(ends)
        self.begins[:, 1:] = ends[:, :-1] + 1
        self.begins[1:, 0] = ends[:-1, -1] + 1
        if self.rows:
            self.begins[0, 0] = 0
        self.ends[:, -1] -= data[ends[:, -1] - 1] == ord("\r")
        np.maximum(self.ends, self.begins, out=self.ends)
        if len(wrong):
            start = 0 if self.rows == 0 else int(ends[-1, -1]) + 1
            line = text[start:text.index(b"\n", start)]
            self.fail(self.rows, f"wrong number of fields (expected {columns}, found "
                                 f"{line.count(b',') + 1})")

    def fail(self, row, message):
        """Keeps a failure, unless an earlier row has one."""
        if self.failure is None or row < self.failure[0]:
            self.failure = (row, message)

    def fail_field(self, row, column, what, expected):
        """Keeps that a field is malformed, and what it was."""
        field = self.bytes[self.begins[row, column]:self.ends[row, column]].tobytes()
        shown = "".join(chr(c) if 32 <= c < 127 else "?" for c in field[:40])
        self.fail(row, f"malformed {what} (expected {expected}, found \"{shown}\")")

    def integers(self, index, column):
        """int64 values of the column `index`. A field that does not fit is a failure, its value
        unspecified."""
        begins, ends = self.begins[:, index], self.ends[:, index]
        is_negative = (self.bytes[begins] == ord("-")) & (column.low < 0)
        begins = begins + is_negative
        widths = ends - begins
        good = (widths > 0) & (widths <= MAX_DIGITS)
        values = np.zeros(self.rows, np.int64)
        for place in range(min(int(widths.max(initial=0)), MAX_DIGITS)):
            inside = place < widths
            digits = self.bytes[begins + place] - np.uint8(ord("0"))
            good &= (digits <= 9) | ~inside
            np.copyto(values, values * 10 + digits, where=inside)
        np.negative(values, out=values, where=is_negative)
        good &= (values >= column.low) & (values <= column.high)
        if not good.all():
            self.fail_field(int(np.argmin(good)), index, column.name,
                            f"a whole number from {column.low} to {column.high}")
        return values

    def times(self, index, column):
        """int64 times of the column `index`. One that cannot be right is a failure."""
        values = self.integers(index, Integer(column.name, -MAX_INT32 if column.strays else 0))
        good = (values <= MAX_INT32 if column.strays else
                eta_times.are_right(values, column.per_second))
        if not good.all():
            row = int(np.argmin(good))
            self.fail(row, eta_times.fault(column.name, int(values[row]), column.per_second))
        return values

    def texts(self, index, column):
        """The distinct texts and, for each row, which of them it has."""
        begins, ends = self.begins[:, index], self.ends[:, index]
        widths = ends - begins
        if widths.max(initial=0) > column.width:
            self.fail_field(int(np.argmax(widths > column.width)), index, column.name,
                            column.expected)
        width = min(int(widths.max(initial=1)), column.width)
        fields = np.zeros((self.rows, max(width, 1)), np.uint8)
        has_nul = np.zeros(self.rows, bool)  # NumPy's texts drop a NUL at their end
        for place in range(width):
            inside = place < widths
            np.copyto(fields[:, place], self.bytes[begins + place], where=inside)
            has_nul |= inside & (fields[:, place] == 0)
        texts, codes = np.unique(fields.view(f"S{fields.shape[1]}").ravel(), return_inverse=True)
        bad = np.array([not re.fullmatch(column.pattern.encode(), text) for text in texts], bool)
        bad_rows = bad[codes] | has_nul
        if bad_rows.any():
            self.fail_field(int(np.argmax(bad_rows)), index, column.name, column.expected)
        return texts, codes

    def read(self, columns):
        """The columns by name, without those that are Skipped."""
        values = {}
        for index, column in enumerate(columns):
            if isinstance(column, Integer):
                values[column.name] = self.integers(index, column)
            elif isinstance(column, Time):
                values[column.name] = self.times(index, column)
            elif isinstance(column, Text):
                values[column.name] = self.texts(index, column)
        return values


def lines_of(file, path, line):
    """Texts of whole lines, each about CHUNK_BYTES. `line` is the number of the next one."""
    rest = b""
    while True:
        text = file.read(CHUNK_BYTES)
        if not text:
            break
        end = text.rfind(b"\n") + 1
        if end == 0 and len(rest) + len(text) > MAX_LINE_BYTES:
            raise BadInput(f"{path}:{line}: a line is longer than {MAX_LINE_BYTES} bytes")
        if end:
            yield rest + text[:end]
            line += text.count(b"\n")
            rest = text[end:]
        else:
            rest += text
    if rest:
        yield rest + b"\n"


def read_chunks(path, columns, header=None):
    """Yields a dict of columns for each chunk of a CSV file: an int64 array for an Integer, texts
    and codes for a Text. Raises BadInput about the first line that does not fit."""
    size = max(reading.check_file(path), 1)
    with reading.opened(path) as (file, packed):
        reading.skip_mark(file, path)
        line, rows = 1, 0
        if header is not None:
            found = file.readline(MAX_LINE_BYTES).rstrip(b"\r\n").decode("ascii", "replace")
            if found != header:
                raise BadInput(f'{path}:1: wrong header line (expected {header}, found '
                               f'"{shown(found)}")')
            line = 2
        for text in lines_of(file, path, line):
            chunk = Chunk(text, len(columns), line)
            values = chunk.read(columns)
            if chunk.failure:
                row, message = chunk.failure
                raise BadInput(f"{path}:{line + row}: {message}")
            yield values
            line += chunk.rows
            rows += chunk.rows
            progress(f"reading {path.name}: {100 * packed.tell() // size} %")
        if rows == 0:
            raise BadInput(f"{path}:{line}: no rows (expected one per line)")


class Numbering:
    """Numbers texts from 0 in byte order. finish() needs to have seen all of them."""

    def __init__(self):
        self.texts = []
        self.codes = []

    def add(self, column):
        self.texts.append(column[0])
        self.codes.append(column[1].astype(np.int32))

    def finish(self):
        """int32 numbers of all rows."""
        counts = [len(texts) for texts in self.texts]
        _, numbers = np.unique(np.concatenate(self.texts), return_inverse=True)
        starts = np.cumsum([0] + counts)
        return np.concatenate([numbers[start:start + count][codes].astype(np.int32)
                               for start, count, codes in zip(starts, counts, self.codes)])


def number_ids(ids):
    """The distinct ids, ascending, and the place of each given one among them, as int32."""
    distinct = np.unique(ids)
    if len(distinct) > MAX_INT32:
        raise BadInput("there are 2^31 or more distinct ids (expected fewer)")
    span = int(distinct[-1] - distinct[0]) + 1
    if span > 4 * len(ids) + CHUNK_BYTES:
        return distinct, np.searchsorted(distinct, ids).astype(np.int32)
    places = np.zeros(span, np.int32)
    places[distinct - distinct[0]] = np.arange(len(distinct), dtype=np.int32)
    return distinct, places[ids - distinct[0]]


@dataclasses.dataclass
class Log:
    """Histories of users and items numbered from 0, as a bundle has them."""
    offsets: np.ndarray  # int64 [users + 1]
    items: np.ndarray  # int32 [behaviours], oldest first
    times: "np.ndarray | None"  # int64 [behaviours], seconds
    num_items: int
    categories: "np.ndarray | None" = None  # int32 [items]


def make_log(users, items, times):
    """A Log with each user's behaviours in order of time, and in order of the file where times are
    equal: the published files are in no order, or in that of items. Users and items are numbered
    from 0 without gaps."""
    order = np.lexsort((times, users))
    offsets = np.zeros(int(users.max()) + 2, np.int64)
    np.cumsum(np.bincount(users), out=offsets[1:])
    return Log(offsets, items[order], times[order], int(items.max()) + 1)


def pieces(offsets, most):
    """Begin and end of users one after another who have at most `most` behaviours together, or of
    one who has more."""
    begin, users = 0, len(offsets) - 1
    while begin < users:
        end = int(np.searchsorted(offsets, offsets[begin] + most, side="right")) - 1
        end = max(end, begin + 1)
        yield begin, end
        begin = end


def new_array(path, dtype, size):
    """An array of `size` values: a new mapped file at `path`, of NumPy where its name ends in .npy,
    or where it is None in memory."""
    if path is None:
        return np.empty(size, dtype)
    if path.suffix == ".npy":
        array = np.lib.format.open_memmap(path, "w+", dtype, (size,))
    else:
        array = np.memmap(path, dtype, "w+", shape=(max(size, 1),))
    with open(path, "r+b") as file:  # else a full disk kills whoever writes to the memory
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array
