# SPDX-License-Identifier: Apache-2.0
"""Reads and writes data bundles (docs/bundle.md). A bundle that is written is whole, or not
there; a bundle that is read is checked, and the error names the file."""
import json

import numpy as np

from eta_simd.command import BadInput
from eta_simd.files import staged
from eta_simd.reading import check_file
from eta_simd.text import reason, shown


def check_codebooks(codebooks, rotation, dim):
    """Raises BadInput unless `pq_codebooks` and `pq_rotation` of a bundle (float32 arrays, None for
    those that it has not) fit embeddings of `dim` dimensions; core/data/pq4_matrices.h says how."""
    if codebooks is None:
        if rotation is not None:
            raise BadInput("pq_rotation without pq_codebooks")
        return
    for name, array in (("pq_codebooks", codebooks), ("pq_rotation", rotation)):
        if array is not None and (array.dtype != np.float32 or not np.isfinite(array).all()):
            raise BadInput(f"{name} is not of finite float32 numbers")
    rows = len(codebooks)
    subspaces = rows // 16
    width = -(-dim // max(subspaces, 1))
    if rows % 32 or not 0 < subspaces <= dim or codebooks.shape != (rows, width):
        raise BadInput(f"pq_codebooks of shape {list(codebooks.shape)} (expected 16 rows for each "
                       f"of an even number of subspaces, {dim} dimensions shared among them)")
    first = dim * np.arange(subspaces + 1) // subspaces
    leftover = np.arange(width) >= np.repeat(np.diff(first), 16)[:, None]
    if codebooks[leftover].any():
        raise BadInput("pq_codebooks is not 0 in columns that a subspace has not")
    if rotation is not None and (
            rotation.shape != (dim, dim)
            or np.abs(rotation.astype(float) @ rotation.T - np.eye(dim)).max() > 1e-3):
        raise BadInput(f"pq_rotation is no orthogonal matrix of {dim} x {dim}")


def check_candidates(embeddings, items, dim):
    """Raises BadInput unless `candidate_embeddings` of a bundle (None where candidates have the
    embeddings of items) is float32 of the shape of item_embeddings."""
    if embeddings is not None and (embeddings.dtype != np.float32
                                   or embeddings.shape != (items, dim)):
        raise BadInput(f"candidate_embeddings is {embeddings.dtype} of shape "
                       f"{list(embeddings.shape)} (expected float32 of [{items}, {dim}])")


def write_bundle(output, arrays, description):
    """Writes `arrays`, by file name without .npy, as a bundle; an array that is None is left out.
    Raises BadInput where they hold codebooks or candidate embeddings that do not fit. Returns a
    line about the bundle.
    """
    arrays = {name: array for name, array in arrays.items() if array is not None}
    items, dim = arrays["item_embeddings"].shape
    check_candidates(arrays.get("candidate_embeddings"), items, dim)
    check_codebooks(arrays.get("pq_codebooks"), arrays.get("pq_rotation"), dim)
    users, behaviours = len(arrays["history_offsets"]) - 1, len(arrays["history_items"])
    counts = {"items": items, "dim": dim, "users": users, "behaviours": behaviours}
    with staged(output, is_folder=True) as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array))
        write_description(folder, {**description, "counts": counts})
    return f"{output}: {items} items of {dim} dimensions, {users} users, {behaviours} behaviours"


def write_description(folder, described):
    """Writes bundle.json."""
    text = json.dumps(described, indent=2)
    (folder / "bundle.json").write_text(text + "\n", encoding="utf-8")


def write_log_bundle(output, log, embeddings, description):
    """Writes a Log (log.py) with item embeddings as a bundle; returns a line about it."""
    arrays = {"item_embeddings": embeddings, "item_categories": log.categories,
              "history_offsets": log.offsets, "history_items": log.items,
              "history_times": log.times}
    return write_bundle(output, arrays, description)


def read_array(folder, name, dtype, shape, optional=False, mapped=False):
    """The array of the file `folder/name`, of exactly this type; -1 in `shape` is any length.

    None where the file is missing and `optional`. With `mapped` the array stays on disk."""
    path = folder / name
    if optional and not path.exists():
        return None
    check_file(path)
    try:  # not np.load, which opens archives too
        if mapped:
            array = np.lib.format.open_memmap(path, mode="r")
        else:
            with open(path, "rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # NumPy parses the header as Python, which fails in many ways
        raise BadInput(f"{path}: not a NumPy array file: {reason(error)}") from error
    if array.dtype != np.dtype(dtype):
        raise BadInput(f"{path}: type {shown(array.dtype)} (expected {np.dtype(dtype)})")
    fits = array.ndim == len(shape) and all(w in (-1, n) for n, w in zip(array.shape, shape))
    if not fits:
        raise BadInput(f"{path}: shape {list(array.shape)} (expected {list(shape)}, -1 is any)")
    return array


def check_ids(path, array, count, what):
    """Raises BadInput unless all ids of `array` are from 0 to count - 1."""
    if len(array) and (array.min() < 0 or array.max() >= count):
        raise BadInput(f"{path}: {what} outside 0 to {count - 1}")


def read_lists(folder, name, num_items, mapped=False):
    """Offsets and items of the lists `name`_offsets.npy, `name`_items.npy."""
    offsets = read_array(folder, f"{name}_offsets.npy", np.int64, (-1,), mapped=mapped)
    items = read_array(folder, f"{name}_items.npy", np.int32, (-1,), mapped=mapped)
    if (len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(items)
            or (np.diff(offsets) < 0).any()):
        raise BadInput(f"{folder}/{name}_offsets.npy: does not rise from 0 to {len(items)}")
    check_ids(folder / f"{name}_items.npy", items, num_items, "item")
    return offsets, items
