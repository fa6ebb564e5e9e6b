# SPDX-License-Identifier: Apache-2.0
"""Reads files as a whole or refuses them. Every error is BadInput: one line of bounded length that
names the file."""
import contextlib
import csv
import gzip
import io
import json
import math
import os
import re
import stat
import zlib

from eta_simd.command import BadInput
from eta_simd.text import reason, shown

MAX_TEXT_BYTES = 1 << 28  # of results, of which the largest known have some MB
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
GZIP_MARK = b"\x1f\x8b"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def check_file(path):
    """The size in bytes of a regular file, or of one that `path` links to. Refuses a pipe or
    device: it may never end, and what is read of it once is gone."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(found.st_mode):
        raise BadInput(f"{path}: cannot be read (expected a file, found a folder)")
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"{path}: not a regular file (write what the pipe or device holds to a file "
                       "first)")
    return found.st_size


@contextlib.contextmanager
def opened(path):
    """A binary stream of a regular file, unpacked where it is gzip, and the file itself, whose
    tell() shows how much of it is read."""
    check_file(path)
    with open(path, "rb") as file:
        if file.peek(2)[:2] != GZIP_MARK:
            yield file, file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked, file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadInput(f"{path}: not a sound gzip file: {reason(error)}") from None


def skip_mark(stream, path):
    """Skips the byte-order mark of UTF-8; refuses UTF-16."""
    head = stream.peek(3)
    if head[:2] in UTF16_MARKS:
        raise BadInput(f"{path}: text in UTF-16 (expected UTF-8)")
    if head[:3] == UTF8_MARK:
        stream.read(3)


def read_text(path):
    """The text of a file in UTF-8 of at most MAX_TEXT_BYTES."""
    size = check_file(path)
    if size > MAX_TEXT_BYTES:
        raise BadInput(f"{path}: too large ({size} bytes, expected at most {MAX_TEXT_BYTES})")
    try:
        with open(path, "rb") as file:
            skip_mark(file, path)
            return file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not text in UTF-8 (at byte {error.start})") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {reason(error)}") from None


def read_json(path, *keys):
    """The value of a JSON file; with `keys` an object that has these."""
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: no JSON: {reason(error)}") from None
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            raise BadInput(f"{path}: there is no '{key}' in it")
    return value


def read_csv(path):
    """The columns of a CSV file, [] for an empty one, and a generator of its rows as dicts of
    texts. A row of more or fewer fields is refused when the generator comes to it."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        columns: list[str] = next(reader, [])
    except csv.Error as error:
        raise BadInput(f"{path}:1: no CSV: {reason(error)}") from None
    return columns, _rows(path, reader, columns)


def _rows(path, reader, columns):
    """The rows that follow the heading `columns`."""
    if len(set(columns)) < len(columns):
        raise BadInput(f"{path}:1: a column is named twice")
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise BadInput(f"{path}:{reader.line_num}: no CSV: {reason(error)}") from None
        if fields is None:
            return
        if fields and len(fields) != len(columns):
            raise BadInput(f"{path}:{reader.line_num}: wrong number of fields (expected "
                           f"{len(columns)}, found {len(fields)})")
        if fields:
            yield dict(zip(columns, fields))


def number(value):
    """A number of JSON, or a text that is one and nothing else, as a float. Raises ValueError."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and NUMBER.fullmatch(value)):
        raise ValueError(f"'{shown(value)}' is not a number")
    return float(value)


def finite_number(row, column):
    """A number of a row of a CSV. Raises ValueError where it is none, or not finite."""
    value = number(row[column])
    if not math.isfinite(value):
        raise ValueError(f"{column} is {value}")
    return value
