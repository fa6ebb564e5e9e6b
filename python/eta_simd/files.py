# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders so that a reader finds a whole one or none."""
import contextlib
import csv
import json
import math
import os
import shutil

from eta_simd.command import BadInput
from eta_simd.text import reason


def check_new(path):
    """Raises BadInput unless `path` is free and its parent a folder that can be written to."""
    if path.exists() or path.is_symlink():
        raise BadInput(f"{path}: exists already (expected a new path)")
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise BadInput(f"{folder}: not a folder that can be written to")


@contextlib.contextmanager
def staged(path, is_folder):
    """A temporary path beside the new `path`, which becomes it when the block ends and is removed
    if the block fails. Raises BadInput at once, and at the end, if `path` exists."""
    check_new(path)
    temporary = _temporary(path.absolute())
    _remove(temporary)  # of a killed process that had the same id
    try:
        with written(path, temporary):
            if is_folder:
                temporary.mkdir()
            yield temporary
            if path.exists():
                raise BadInput(f"{path}: exists already (expected a new path)")
            temporary.rename(path)
    except BaseException:
        _remove(temporary)
        raise


@contextlib.contextmanager
def replaced(path):
    """A temporary path beside the file `path`, which it replaces when the block ends. A symbolic
    link stays, and the file that it leads to is replaced. The ending differs, so that a report on
    the folder does not read what a killed process left there."""
    target = path.resolve()
    part = _temporary(target)
    try:
        with written(path, part):
            if target.is_dir():
                raise BadInput(f"{path}: cannot be written: it is a folder")
            yield part
            part.rename(target)
    finally:
        _remove(part)


@contextlib.contextmanager
def written(path, temporary=None):
    """Raises BadInput that names `path` where a write fails, to it or below `temporary`. On a full
    disk the OSError names no file. Errors about other files, which were read, stay as they are."""
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else None
        if name is not None and not name.startswith(os.fspath(temporary or path)):
            raise
        raise BadInput(f"{path}: cannot be written: {reason(error)}") from error


def _temporary(path):
    """A hidden name beside `path` that no other process uses."""
    return path.with_name(f".{path.name}.tmp-{os.getpid()}")


def _remove(path):
    """Removes a temporary file or folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(path, text):
    """Replaces the file `path` by `text` in UTF-8."""
    write_files({path: text.encode("utf-8")})


def write_files(contents):
    """Replaces the files that are the keys of `contents`, a dict of bytes. All are written before
    the first is replaced; the last of the dict is replaced first."""
    with contextlib.ExitStack() as stack:
        for path, content in contents.items():
            stack.enter_context(replaced(path)).write_bytes(content)


def write_csv(path, rows, columns):
    """Replaces the file `path` by `columns` of `rows`, which are dicts and may lack some."""
    with replaced(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path, value):
    """Replaces the file `path` by `value` as JSON; NaN and infinities become null."""
    write_text(path, json.dumps(without_nan(value), indent=2, allow_nan=False) + "\n")


def without_nan(value):
    """`value` with None for each float that JSON has no number for, such as an undefined AUC."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_not_read(path, inputs):
    """Raises BadInput where writing to `path` would write over one of `inputs`, by whatever
    path or link."""
    for read in inputs:
        if path.exists() and read.exists() and path.samefile(read):
            raise BadInput(f"{path}: would be written over what is read: {read}")
