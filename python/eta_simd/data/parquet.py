# SPDX-License-Identifier: Apache-2.0
"""Bundles as Parquet, in both directions, a piece at a time. docs/scale.md has the columns.

A folder has items.parquet, histories.parquet and perhaps candidates.parquet, each a file or a
folder of files, which are read in the order of their names. Rows are items and users, in order.
What else a bundle holds stays as it is there: small matrices in .npy files, and bundle.json.
"""
import contextlib
import shutil

import numpy as np

from eta_simd.command import BadInput
from eta_simd.data.bundle import (check_codebooks, read_array, read_lists,
                                  write_description)
from eta_simd.data.log import PIECE
from eta_simd.files import staged
from eta_simd.reading import check_file, read_json
from eta_simd.text import shown

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from eta_simd import columns
except ImportError as missing:
    raise BadInput(f"{missing} (scripts/setup.sh arrow installs it into build/arrow, whose "
                   "bin/python runs this command)") from None

MAX_ITEMS = (1 << 31) - 1  # since ids are int32
MAX_REASON = 400  # characters
EMBEDDINGS = {"embedding": "item_embeddings", "candidate_embedding": "candidate_embeddings"}
MATRICES = {"hyperplanes": ("<f4", ("dim", -1)), "pq_codebooks": ("<f4", (-1, -1)),
            "pq_rotation": ("<f4", ("dim", "dim")), "ctr_samples": ("<i4", (-1, 5))}


# ---- out of a bundle


def write_parquet(bundle, output):
    """Writes the bundle `bundle` as the folder `output`; returns a line about it."""
    table = read_array(bundle, "item_embeddings.npy", "<f4", (-1, -1), mapped=True)
    items, dim = table.shape
    others = read_array(bundle, "candidate_embeddings.npy", "<f4", (items, dim), True, True)
    categories = read_array(bundle, "item_categories.npy", "<i4", (items,), True, True)
    offsets, behaviours = read_lists(bundle, "history", items, mapped=True)
    times = read_array(bundle, "history_times.npy", "<i8", (len(behaviours),), True, True)
    with staged(output, is_folder=True) as folder:
        write_items(folder / "items.parquet", table, others, categories)
        write_lists(folder / "histories.parquet", offsets,
                    {"history": behaviours, "times": times})
        if (bundle / "candidates_offsets.npy").exists():
            lists = read_lists(bundle, "candidates", items, mapped=True)
            write_lists(folder / "candidates.parquet", lists[0], {"candidates": lists[1]})
        copy_matrices(bundle, folder, dim)
        if (bundle / "bundle.json").exists():
            write_description(folder, read_description(bundle))
    return f"{output}: {items} items, {len(offsets) - 1} users, {len(behaviours)} behaviours"


def write_items(path, table, others, categories):
    """Items with their embeddings, as candidates too, and categories; either may be None."""
    kinds = {"item": pa.int32(), "embedding": pa.list_(pa.float32(), table.shape[1]),
             "candidate_embedding": pa.list_(pa.float32(), table.shape[1]),
             "category": pa.int32()}
    arrays = {"item": np.arange(len(table), dtype=np.int32), "embedding": table,
              "candidate_embedding": others, "category": categories}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    schema = pa.schema([(name, kinds[name]) for name in arrays])
    rows = max(PIECE // max(table.shape[1], 1), 1)
    with pq.ParquetWriter(path, schema) as writer:
        for begin in range(0, len(table), rows):
            part = [pa.array(np.asarray(array[begin:begin + rows])) if array.ndim == 1 else
                    pa.FixedSizeListArray.from_arrays(
                        pa.array(np.asarray(array[begin:begin + rows]).reshape(-1)),
                        array.shape[1])
                    for array in arrays.values()]
            writer.write_batch(pa.record_batch(part, schema=schema))


def write_lists(path, offsets, arrays):
    """A row for each user: its number, and for each of `arrays` (None is left out) the part of it
    that `offsets` gives the user."""
    arrays = {name: array for name, array in arrays.items() if array is not None}
    schema = pa.schema([("user", pa.int64())] + [
        (name, pa.list_(pa.from_numpy_dtype(array.dtype))) for name, array in arrays.items()])
    users, begin = len(offsets) - 1, 0
    with pq.ParquetWriter(path, schema) as writer:
        while begin < users:
            # At least one user, however long its list.
            end = int(np.searchsorted(offsets, offsets[begin] + PIECE, side="right")) - 1
            end = min(max(end, begin + 1), begin + PIECE, users)
            cut = np.asarray(offsets[begin:end + 1])
            if cut[-1] - cut[0] > MAX_ITEMS:
                raise BadInput(f"user {begin} has {cut[-1] - cut[0]} behaviours (expected at most "
                               f"{MAX_ITEMS})")
            ends = pa.array((cut - cut[0]).astype(np.int32))
            part = [pa.array(np.arange(begin, end))] + [
                pa.ListArray.from_arrays(ends, pa.array(np.asarray(array[cut[0]:cut[-1]])))
                for array in arrays.values()]
            writer.write_batch(pa.record_batch(part, schema=schema))
            begin = end


# ---- into a bundle


def read_parquet(source, output):
    """Writes the bundle `output` of the Parquet folder `source`; returns a line about it."""
    with staged(output, is_folder=True) as folder:
        items, dim = read_items(source / "items.parquet", folder)
        users, behaviours = read_lists_of(source / "histories.parquet", folder, "history", items)
        if (source / "candidates.parquet").exists():
            path = source / "candidates.parquet"
            found, _ = read_lists_of(path, folder, "candidates", items)
            if found != users:
                raise BadInput(f"{path}: {found} rows (expected {users}, as many as histories)")
        copy_matrices(source, folder, dim)
        described = {"name": source.stem, "source": source.name, "licence": "",
                     "made_by": "scripts/convert.py"}
        if (source / "bundle.json").exists():
            described.update(read_description(source))
        counts = {"items": items, "dim": dim, "users": users, "behaviours": behaviours}
        write_description(folder, {**described, "counts": counts})
    return f"{output}: {items} items of {dim} dimensions, {users} users, {behaviours} behaviours"


def read_items(path, folder):
    """Writes the arrays of items; returns their number and dimensions."""
    total, dim = 0, None
    with Arrays(folder) as arrays:
        for batch, first, names, place in pieces(
                path, "embedding", ("candidate_embedding", "category"), "item"):
            total += batch.num_rows
            if total > MAX_ITEMS:
                raise BadInput(f"{path}: more than {MAX_ITEMS} items")
            with located(place):
                for name in [name for name in names if name != "category"]:
                    rows = columns.vectors(columns.column(batch, name), name, first)
                    dim = dim or rows.shape[1]
                    if rows.shape[1] != dim:
                        raise ValueError(f"row {first}, column '{name}': {rows.shape[1]} values "
                                         f"(expected {dim})")
                    arrays.append(EMBEDDINGS[name], rows, "<f4")
                if "category" in names:
                    arrays.append("item_categories", categories(batch, first), "<i4")
    if not total:
        raise BadInput(f"{path}: no items")
    return total, dim


def categories(batch, first):
    """The column of categories, which are 0 or more."""
    found = columns.integers(batch, "category", first)
    is_bad = (found < 0) | (found > MAX_ITEMS)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(f"row {first + row}, column 'category': {found[row]} (expected 0 to "
                         f"{MAX_ITEMS})")
    return found


def read_lists_of(path, folder, name, items):
    """Writes the lists of the column `name`, and the times of a history where there are any;
    returns the number of lists and of ids in them."""
    users = last = 0
    with Arrays(folder) as arrays:
        arrays.append(f"{name}_offsets", np.zeros(1), "<i8")
        arrays.append(f"{name}_items", np.zeros(0), "<i4")
        for batch, first, names, place in pieces(
                path, name, ("times",) if name == "history" else (), "user"):
            with located(place):
                offsets, ids = columns.ids(batch, name, items, first)
                arrays.append(f"{name}_offsets", last + offsets[1:], "<i8")
                arrays.append(f"{name}_items", ids, "<i4")
                if "times" in names:
                    arrays.append("history_times", columns.times(batch, "times", offsets, first),
                                  "<i8")
            users += batch.num_rows
            last += len(ids)
    return users, last


def pieces(path, needed, optional, number):
    """Batches of about PIECE values of the column `needed`, in order; each with the number of its
    first row in its row group, the names of its columns, and its place for `located`.

    The files have the same of the `optional` columns. Where there is a column `number`, it counts
    the rows from 0: a file out of order would give ids another meaning."""
    rows, wanted = 0, None
    for part in files_of(path):
        place = f"{part}: "
        try:
            # PyArrow would otherwise hold the columns of a whole row group.
            with pq.ParquetFile(part, buffer_size=1 << 20, pre_buffer=False) as file:
                present = file.schema_arrow.names
                names = tuple(name for name in (needed, *optional) if name in present)
                wanted = wanted or names
                if needed not in names or names != wanted:
                    raise ValueError(f"columns {', '.join(present)} (expected "
                                     f"{', '.join(wanted if needed in wanted else [needed])})")
                numbered = [number] if number in present else []
                for group in range(file.num_row_groups):
                    place, first = f"{part}: row group {group}, ", 0
                    for batch in file.iter_batches(rows_at_a_time(file, group, needed), [group],
                                                   [*names, *numbered]):
                        if numbered:
                            check_numbers(batch, number, rows, first)
                        yield batch, first, names, place
                        first += batch.num_rows
                        rows += batch.num_rows
        except (ValueError, TypeError, KeyError, pa.ArrowException, OSError) as error:
            raise BadInput(f"{place}{shown(error, MAX_REASON)}") from None


@contextlib.contextmanager
def located(place):
    """Puts `place` before what is wrong with a batch."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise BadInput(f"{place}{shown(error, MAX_REASON)}") from None


def files_of(path):
    """The files of `path`, which is one or a folder of some. Engines leave notes in such a folder,
    whose names begin with "_" or "."."""
    if not path.is_dir():
        check_file(path)
        return [path]
    parts = sorted(part for part in path.iterdir()
                   if part.suffix == ".parquet" and part.name[0] not in "._")
    if not parts:
        raise BadInput(f"{path}: no files in it (expected names that end in .parquet)")
    for part in parts:
        check_file(part)
    return parts


def rows_at_a_time(file, group, name):
    """Rows of about PIECE values of a column, by what the file says of its row group."""
    about = file.metadata.row_group(group)
    values = [about.column(i).num_values for i in range(about.num_columns)
              if about.column(i).path_in_schema.split(".")[0] == name]
    return min(max(PIECE * about.num_rows // max([*values, 1]), 1), PIECE)


def check_numbers(batch, number, rows, first):
    """Raises ValueError unless the column `number` counts on from `rows`."""
    found = columns.integers(batch, number, first)
    is_wrong = found != np.arange(rows, rows + len(found))
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        raise ValueError(f"row {first + row}, column '{number}': {found[row]} (expected "
                         f"{rows + row}, the number of rows before)")


class Arrays:
    """The .npy files of a folder, each of which grows by rows until the block ends."""

    HEADER_BYTES = 128  # NumPy's for any array of one or two dimensions, rounded up to 64

    def __init__(self, folder):
        self.folder, self.files, self.shapes = folder, contextlib.ExitStack(), {}

    def __enter__(self):
        self.files.__enter__()
        return self

    def append(self, name, rows, dtype):
        """Adds `rows`, as values of `dtype`, to the file of this name."""
        if name not in self.shapes:
            file = self.files.enter_context(open(self.folder / f"{name}.npy", "wb"))
            file.write(bytes(self.HEADER_BYTES))
            self.shapes[name] = file, dtype, (0, *rows.shape[1:])
        file, _, shape = self.shapes[name]
        file.write(np.ascontiguousarray(rows, dtype).data.cast("B") if rows.size else b"")
        self.shapes[name] = file, dtype, (shape[0] + len(rows), *shape[1:])

    def __exit__(self, kind, error, trace):
        if kind is None:
            for file, dtype, shape in self.shapes.values():
                file.seek(0)
                np.lib.format.write_array_header_1_0(
                    file, {"descr": dtype, "fortran_order": False, "shape": shape})
                assert file.tell() == self.HEADER_BYTES
        return self.files.__exit__(kind, error, trace)


# ---- both ways


def copy_matrices(source, folder, dim):
    """Copies the .npy files of a bundle that Parquet has no columns for."""
    found = {name: read_array(source, f"{name}.npy", dtype,
                              tuple(dim if n == "dim" else n for n in shape), optional=True,
                              mapped=True)
             for name, (dtype, shape) in MATRICES.items()}
    check_codebooks(found["pq_codebooks"], found["pq_rotation"], dim)
    for name, array in found.items():
        if array is not None:
            shutil.copyfile(source / f"{name}.npy", folder / f"{name}.npy")


def read_description(folder):
    described = read_json(folder / "bundle.json")
    if not isinstance(described, dict):
        raise BadInput(f"{folder / 'bundle.json'}: not an object")
    return described
