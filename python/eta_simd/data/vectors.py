# SPDX-License-Identifier: Apache-2.0
"""Files of vectors that nearest-neighbour libraries use.

  fvecs, ivecs, bvecs            each row is its length (int32) and float32, int32 or uint8 values
  fbin, ibin, u8bin, i8bin       two uint32, rows and columns, then the values row by row
  hdf5                           ann-benchmarks: train, test, neighbors, distances

All are little-endian. Readers check every size and raise BadInput, which names the wrong row.
"""
import io

import numpy as np

from eta_simd.command import BadInput
from eta_simd.reading import check_file
from eta_simd.text import reason

VECS = {".fvecs": "<f4", ".ivecs": "<i4", ".bvecs": "u1"}
BIN = {".fbin": "<f4", ".ibin": "<i4", ".u8bin": "u1", ".i8bin": "i1"}
HDF5 = (".hdf5", ".h5")
MAX_COLUMNS = 1 << 24
NEIGHBOURS = 100  # as ann-benchmarks stores
ROWS = 1 << 10  # worked on at a time


def map_bytes(path):
    """The bytes of a file, mapped. Raises BadInput for an empty one, or what is no file."""
    if check_file(path) == 0:
        raise BadInput(f"{path}: empty (expected at least one row)")
    return np.memmap(path, np.uint8, "r")


def row_length(data, offset, path, row):
    """The number of values of the row at `offset` of an fvecs, ivecs or bvecs file."""
    length = int.from_bytes(data[offset:offset + 4].tobytes(), "little")
    if len(data) - offset < 4 or not 0 <= length <= MAX_COLUMNS:
        raise BadInput(f"{path}: row {row}: wrong length of a row (expected 0 to {MAX_COLUMNS}, "
                       f"found {length if len(data) - offset >= 4 else 'the end of the file'})")
    return length


def read_vecs(path):
    """The rows of an fvecs, ivecs or bvecs file, all of one length, as a matrix."""
    data, dtype = map_bytes(path), np.dtype(VECS[path.suffix])
    columns = row_length(data, 0, path, 0)
    step = 4 + columns * dtype.itemsize
    rows, rest = divmod(len(data), step)
    if columns == 0:
        raise BadInput(f"{path}: row 0: no values (expected at least one)")
    lengths = data[:rows * step].reshape(rows, step)[:, :4].copy().view("<i4").ravel()
    if (lengths != columns).any():
        row = int(np.argmax(lengths != columns))
        raise BadInput(f"{path}: row {row}: wrong length of a row (expected {columns} as in row 0, "
                       f"found {lengths[row]})")
    if rest:
        raise BadInput(f"{path}: row {rows}: cut off (expected {step} bytes, found {rest})")
    return np.ndarray((rows, columns), dtype, data, 4, (step, dtype.itemsize))


def read_ragged(path):
    """Offsets and values of an ivecs file whose rows may differ in length."""
    data, offset, offsets = map_bytes(path), 0, [0]
    parts: list[bytes] = []
    while offset < len(data):
        length = row_length(data, offset, path, len(parts))
        values = data[offset + 4:offset + 4 + 4 * length].tobytes()
        if len(values) != 4 * length:
            raise BadInput(f"{path}: row {len(parts)}: cut off (expected {length} values, found "
                           f"{len(values) // 4})")
        parts.append(values)
        offset += 4 + 4 * length
        offsets.append(offsets[-1] + length)
    return np.array(offsets, np.int64), np.frombuffer(b"".join(parts), "<i4")


def read_bin(path):
    """The matrix of an fbin, ibin, u8bin or i8bin file, mapped."""
    data, dtype = map_bytes(path), np.dtype(BIN[path.suffix])
    if len(data) < 8:
        raise BadInput(f"{path}: cut off (expected 8 bytes of rows and columns, found {len(data)})")
    rows, columns = (int(n) for n in data[:8].view("<u4"))
    if rows == 0 or not 1 <= columns <= MAX_COLUMNS or \
            len(data) != 8 + rows * columns * dtype.itemsize:
        raise BadInput(f"{path}: wrong size (expected {rows} x {columns} values of "
                       f"{dtype.itemsize} bytes, found {len(data) - 8} bytes)")
    return np.ndarray((rows, columns), dtype, data, 8)


def read_hdf5(path):
    """train and test (None if absent) of an ann-benchmarks file."""
    import h5py

    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            found: list = []
            for name in ("train", "test"):
                if name == "test" and name not in file:
                    found.append(None)
                    continue
                matrix = file.get(name)
                if not isinstance(matrix, h5py.Dataset) or matrix.shape is None:
                    raise BadInput(f"{path}: no data set '{name}' in it")
                found.append(matrix[()])
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: not an HDF5 file: {reason(error)}") from None
    for name, matrix in zip(("train", "test"), found):
        if matrix is not None and (matrix.ndim != 2 or 0 in matrix.shape):
            raise BadInput(f"{path}: '{name}' has the shape {matrix.shape} (expected rows x "
                           "columns)")
    return found


def hdf5_metric(path):
    """The distance that an ann-benchmarks file states, such as "angular", or ""."""
    import h5py

    with h5py.File(path, "r") as file:
        stated = file.attrs.get("distance", "")
    return stated.decode("ascii", "replace") if isinstance(stated, bytes) else str(stated)


def to_float(matrix, path):
    """float32 values; bits become +-1, so that inner products order as Hamming distances do."""
    if matrix.dtype == bool:
        return np.where(matrix, np.float32(1), np.float32(-1))
    if matrix.dtype.kind not in "fiu":
        raise BadInput(f"{path}: values are {matrix.dtype} (expected numbers or bits)")
    with np.errstate(over="ignore"):
        table = np.ascontiguousarray(matrix, "<f4")
    if matrix.dtype.itemsize > 4 and (np.isinf(table) & np.isfinite(matrix)).any():
        raise BadInput(f"{path}: a value is too large for float32")
    return table


def read_matrix(path):
    """float32 rows of any of the formats; of an HDF5 file its train set."""
    check_file(path)
    if path.suffix in VECS:
        return to_float(read_vecs(path), path)
    if path.suffix in BIN:
        return to_float(read_bin(path), path)
    if path.suffix in HDF5:
        return to_float(read_hdf5(path)[0], path)
    raise BadInput(f"{path}: unknown format (expected a name that ends in "
                   f"{', '.join((*VECS, *BIN, *HDF5))})")


def whole_values(matrix, dtype, path):
    """`matrix` as whole numbers of `dtype`; refuses others."""
    bounds = np.iinfo(dtype)
    good = (matrix == np.round(matrix)) & (matrix >= bounds.min) & (matrix <= bounds.max)
    if not good.all():
        row, column = (int(i) for i in np.argwhere(~good)[0])
        raise BadInput(f"{path}: cannot hold {matrix[row, column]} of row {row}, column {column} "
                       f"(expected whole numbers from {bounds.min} to {bounds.max})")
    return matrix.astype(dtype)


def write_matrix(path, matrix, name):
    """Writes to `path`, in the format of the ending of `name`."""
    suffix = name.suffix
    dtype = np.dtype({**VECS, **BIN}[suffix])
    with open(path, "wb") as file:
        if suffix in BIN:
            file.write(np.array(matrix.shape, "<u4").tobytes())
        for begin in range(0, len(matrix), ROWS):
            block = matrix[begin:begin + ROWS]
            block = whole_values(block, dtype, name) if dtype.kind in "iu" else block.astype(dtype)
            if suffix in VECS:
                head = np.full((len(block), 1), block.shape[1], "<i4").view(np.uint8)
                values = np.ascontiguousarray(block).view(np.uint8).reshape(len(block), -1)
                block = np.concatenate([head, values], axis=1)
            file.write(np.ascontiguousarray(block).tobytes())


def write_ragged(path, offsets, values):
    """Writes lists as the rows of an ivecs file."""
    with open(path, "wb") as file:
        for begin, end in zip(offsets[:-1], offsets[1:]):
            file.write(np.int32(end - begin).tobytes() + values[begin:end].astype("<i4").tobytes())


def nearest(train, test, metric):
    """The nearest rows of `train` for each row of `test`, nearest first, and their distances; equal
    distances by row."""
    count = min(NEIGHBOURS, len(train))
    ids, distances = [], []
    if metric == "angular":
        train, test = (m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), 1e-30)
                       for m in (train.astype(float), test.astype(float)))
    for begin in range(0, len(test), ROWS):
        block = test[begin:begin + ROWS]
        products = block @ train.T
        if metric == "angular":
            far = 1 - products
        else:
            far = np.sqrt(np.maximum(np.square(block).sum(1)[:, None] - 2 * products
                                     + np.square(train).sum(1), 0))
        order = np.argsort(far, axis=1, kind="stable")[:, :count]
        ids.append(order)
        distances.append(np.take_along_axis(far, order, axis=1))
    return np.concatenate(ids).astype("<i4"), np.concatenate(distances).astype("<f4")


def write_hdf5(path, train, test, metric):
    """Writes an ann-benchmarks file; `test` may be None, and is without neighbours then."""
    import h5py

    memory = io.BytesIO()  # because the HDF5 library crashes on a full disk
    with h5py.File(memory, "w") as file:
        file.attrs["distance"] = metric
        file.attrs["dimension"] = train.shape[1]
        file.attrs["point_type"] = "float"
        file["train"] = train
        if test is not None:
            file["test"] = test
            file["neighbors"], file["distances"] = nearest(train, test, metric)
    path.write_bytes(memory.getvalue())  # a view would outlive a failure, which Python 3.13 reports
