# SPDX-License-Identifier: Apache-2.0
"""Writes files and folders so that a reader finds a whole one or none."""
import contextlib
import csv
import json
import math
import os
import shutil

from eta_simd.command import BadInput


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
    temporary = path.absolute().parent / f".{path.name}.tmp-{os.getpid()}"
    if is_folder:
        temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            raise BadInput(f"{path}: exists already (expected a new path)")
        temporary.rename(path)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replaced(path):
    """A temporary path of the same ending, which replaces the file `path` when the block ends."""
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path, text):
    """Replaces the file `path` by `text` in UTF-8."""
    with replaced(path) as part:
        part.write_text(text, encoding="utf-8")


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
