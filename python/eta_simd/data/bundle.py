# SPDX-License-Identifier: Apache-2.0
"""Reads and writes data bundles (docs/bundle.md). A bundle that is written is whole, or not
there; a bundle that is read is checked, and the error names the file."""
import json

import numpy as np

from eta_simd.command import BadInput
from eta_simd.files import staged


def write_bundle(output, arrays, description):
    """Writes `arrays`, by file name without .npy, as a bundle; an array that is None is left out.
    Returns a line about the bundle."""
    arrays = {name: array for name, array in arrays.items() if array is not None}
    items, dim = arrays["item_embeddings"].shape
    users, behaviours = len(arrays["history_offsets"]) - 1, len(arrays["history_items"])
    counts = {"items": items, "dim": dim, "users": users, "behaviours": behaviours}
    with staged(output, is_folder=True) as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array))
        text = json.dumps({**description, "counts": counts}, indent=2)
        (folder / "bundle.json").write_text(text + "\n", encoding="utf-8")
    return f"{output}: {items} items of {dim} dimensions, {users} users, {behaviours} behaviours"


def write_log_bundle(output, log, embeddings, description):
    """Writes a Log (log.py) with item embeddings as a bundle; returns a line about it."""
    arrays = {"item_embeddings": embeddings, "item_categories": log.categories,
              "history_offsets": log.offsets, "history_items": log.items,
              "history_times": log.times}
    return write_bundle(output, arrays, description)


def read_array(folder, name, dtype, dimensions):
    """An array of a bundle, memory-mapped; None if the file is missing."""
    path = folder / f"{name}.npy"
    if not path.exists():
        return None
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise BadInput(f"{path}: not a NumPy file: {error}") from None
    if array.dtype != np.dtype(dtype) or array.ndim != dimensions:
        raise BadInput(f"{path}: wrong type or shape (expected {np.dtype(dtype)} of {dimensions} "
                       f"dimensions, found {array.dtype} of shape {array.shape})")
    return array


def read_lists(folder, name, num_items):
    """Offsets and items of the lists `name`_offsets, `name`_items; None if a file is missing."""
    offsets = read_array(folder, f"{name}_offsets", "<i8", 1)
    items = read_array(folder, f"{name}_items", "<i4", 1)
    if offsets is None or items is None:
        return None
    if (len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(items)
            or (np.diff(offsets) < 0).any()):
        raise BadInput(f"{folder}/{name}_offsets.npy: not rising from 0 to {len(items)}")
    if len(items) and not (0 <= items.min() and items.max() < num_items):
        raise BadInput(f"{folder}/{name}_items.npy: an item is not from 0 to {num_items - 1}")
    return offsets, items
