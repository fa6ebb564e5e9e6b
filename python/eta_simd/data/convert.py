# SPDX-License-Identifier: Apache-2.0
"""Turns files of vectors or Parquet into a data bundle, or a bundle into one of these. The ending
of a name is its format: .fvecs .ivecs .bvecs, .fbin .ibin .u8bin .i8bin, .hdf5 or .h5
(ann-benchmarks), .parquet.

  convert.py --input base.fvecs [--queries query.fvecs] --output BUNDLE
  convert.py --input glove-100-angular.hdf5 --output BUNDLE
  convert.py --input BUNDLE --output items.fbin [--part embeddings|candidates|histories]
  convert.py --input BUNDLE --output bundle.hdf5
  convert.py --input BUNDLE --output log.parquet
  convert.py --input log.parquet --output BUNDLE

Into a bundle: vectors become items. The items, in their order, become the behaviours of one user,
or of many users with --length behaviours each; --histories reads behaviours from an .ivecs file, a
row per user. Queries become items too, and the candidates of all users in turn. Bits become +1 and
-1. The metric that an .hdf5 file states is kept in bundle.json; retrieval in the bundle is by inner
product all the same.

Out of a bundle: the embeddings of all items or of the candidates, or (.ivecs only) the histories as
lists of items. In an .hdf5 file train has all items except those that are only candidates, test has
the candidates; neighbors and distances have the 100 nearest of each.

Parquet is a folder of items.parquet, histories.parquet and candidates.parquet (docs/scale.md), each
a file or a folder of files. It holds all of a bundle, and is read and written a piece at a time; it
needs PyArrow."""
import argparse
import pathlib

from eta_simd.command import BadInput, Parser, summarize
from eta_simd.data import importing
from eta_simd.reading import check_file, read_json
from eta_simd.text import shown


METRICS = ("angular", "euclidean")


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--input", required=True, type=pathlib.Path, metavar="PATH", help="file or bundle")
    add("--output", required=True, type=pathlib.Path, metavar="PATH",
        help="bundle folder or file to make; must not exist")
    add("--queries", type=pathlib.Path, metavar="FILE", help="vectors that become candidates")
    add("--histories", type=pathlib.Path, metavar="FILE", help=".ivecs file, a row per user")
    add("--length", type=int, metavar="N", help="behaviours of a user (default: all)")
    add("--part", choices=("embeddings", "candidates", "histories"), default="embeddings",
        help="what of a bundle (default: %(default)s)")
    add("--metric", choices=METRICS, help="distance of the neighbours in an .hdf5 file (default: "
        "that of the file which the bundle was made from, else angular)")
    options = importing.parse(parser, arguments)
    if options.length is not None and options.length < 1:
        raise BadInput(f"--length is {options.length} (expected 1 or more)")
    if options.length and options.histories:
        raise BadInput("--length and --histories exclude each other")
    if is_parquet(options) and (options.queries or options.histories or options.length
                                or options.metric or options.part != "embeddings"):
        raise BadInput("--queries, --histories, --length, --part and --metric are not for Parquet")
    return options


def is_parquet(options):
    """Whether one side is Parquet: a folder with items.parquet in it, or what is to become one."""
    return (options.input / "items.parquet").exists() or (
        options.input.is_dir() and options.output.suffix == ".parquet")


def convert_parquet(options):
    """Writes a bundle as Parquet, or Parquet as a bundle; returns a line about it."""
    from eta_simd.data import parquet

    if (options.input / "items.parquet").exists():
        return parquet.read_parquet(options.input, options.output)
    read_embeddings(options.input)
    return parquet.write_parquet(options.input, options.output)


# ---- into a bundle


def read_vectors(options):
    """float32 vectors and queries; these may be None."""
    from eta_simd.data import vectors

    path = options.input
    if path.suffix in vectors.HDF5 and not options.queries:
        train, test = vectors.read_hdf5(path)
        queries = None if test is None else vectors.to_float(test, path)
        return vectors.to_float(train, path), queries
    queries = vectors.read_matrix(options.queries) if options.queries else None
    return vectors.read_matrix(path), queries


def metric_of_input(path):
    """{"metric": ...} as the .hdf5 file `path` states it, else {}."""
    from eta_simd.data import vectors

    metric = vectors.hdf5_metric(path) if path.suffix in vectors.HDF5 else ""
    return {"metric": metric} if metric else {}


def read_histories(options, num_items):
    """Offsets and items of the histories: those of --histories, or all items in order, cut at
    --length."""
    import numpy as np
    from eta_simd.data import vectors

    if not options.histories:
        length = options.length or num_items
        offsets = np.append(np.arange(0, num_items, length), num_items).astype(np.int64)
        return offsets, np.arange(num_items, dtype=np.int32)
    check_file(options.histories)
    if options.histories.suffix != ".ivecs":
        raise BadInput(f"{options.histories}: unknown format (expected .ivecs)")
    offsets, items = vectors.read_ragged(options.histories)
    bad = np.flatnonzero((items < 0) | (items >= num_items))
    if len(bad):
        row = int(np.searchsorted(offsets, bad[0], side="right")) - 1
        raise BadInput(f"{options.histories}: row {row}: item {items[bad[0]]} (expected 0 to "
                       f"{num_items - 1})")
    return offsets, items


def deal_out(num_queries, users, first_item):
    """Candidates of each user: query q goes to user q modulo `users`."""
    import numpy as np

    queries = np.arange(num_queries)
    order = np.argsort(queries % users, kind="stable")
    offsets = np.zeros(users + 1, np.int64)
    np.cumsum(np.bincount(queries % users, minlength=users), out=offsets[1:])
    return offsets, (first_item + order).astype(np.int32)


def to_bundle(options):
    """Writes the bundle; returns a line about it."""
    import numpy as np
    from eta_simd.data.bundle import write_bundle

    table, queries = read_vectors(options)
    if table.shape[1] > importing.MAX_DIM:
        raise BadInput(f"{options.input}: {table.shape[1]} columns (expected 1 to "
                       f"{importing.MAX_DIM})")
    offsets, items = read_histories(options, len(table))
    arrays = {"history_offsets": offsets, "history_items": items}
    if queries is not None:
        if queries.shape[1] != table.shape[1]:
            raise BadInput(f"{options.queries or options.input}: queries of "
                           f"{queries.shape[1]} columns (expected {table.shape[1]})")
        arrays["candidates_offsets"], arrays["candidates_items"] = deal_out(
            len(queries), len(offsets) - 1, len(table))
        table = np.concatenate([table, queries])
    return write_bundle(options.output, {"item_embeddings": table, **arrays}, {
        "name": options.input.stem, "source": options.input.name, "licence": "",
        "made_by": "scripts/convert.py", **metric_of_input(options.input)})


# ---- out of a bundle


def read_embeddings(folder):
    """The item table of a bundle, mapped."""
    from eta_simd.data.bundle import read_array

    table = read_array(folder, "item_embeddings.npy", "<f4", (-1, -1), optional=True, mapped=True)
    if table is None:
        raise BadInput(f"{folder}: not a data bundle (there is no item_embeddings.npy in it)")
    return table


def lists_of(folder, name, num_items):
    """Offsets and items of `name` (history or candidates); None where the bundle has none."""
    from eta_simd.data.bundle import read_lists

    if not all((folder / f"{name}_{part}.npy").exists() for part in ("offsets", "items")):
        return None
    return read_lists(folder, name, num_items, mapped=True)


def need_lists(folder, name, num_items):
    """The same. Raises BadInput where the bundle has none."""
    lists = lists_of(folder, name, num_items)
    if lists is None:
        raise BadInput(f"{folder}: there are no {name} in it")
    return lists


def metric_of_output(options):
    """The metric of an .hdf5 file: --metric, else that of the bundle, else angular."""
    if options.metric:
        return options.metric
    path = options.input / "bundle.json"
    info = read_json(path) if path.exists() else {}
    metric = info.get("metric", METRICS[0]) if isinstance(info, dict) else None
    if metric not in METRICS:
        raise BadInput(f"{path}: made from a set of the metric '{shown(metric)}' (name with "
                       f"--metric what the neighbours are by: {' or '.join(METRICS)})")
    return metric


def write_file(options, path):
    """Writes what --part and the ending of --output ask for to `path`."""
    import numpy as np
    from eta_simd.data import vectors

    table = read_embeddings(options.input)
    suffix, part = options.output.suffix, options.part
    if suffix in vectors.HDF5:
        metric = metric_of_output(options)
        candidates = lists_of(options.input, "candidates", len(table))
        if candidates is None:
            return vectors.write_hdf5(path, np.asarray(table), None, metric)
        is_train = np.ones(len(table), bool)
        is_train[candidates[1]] = False
        is_train[need_lists(options.input, "history", len(table))[1]] = True
        if not is_train.any() or len(candidates[1]) == 0:
            raise BadInput(f"{options.input}: no items or no candidates for {options.output}")
        return vectors.write_hdf5(path, table[is_train], table[candidates[1]], metric)
    if part == "histories":
        if suffix != ".ivecs":
            raise BadInput(f"{options.output}: cannot hold histories (expected .ivecs)")
        return vectors.write_ragged(path, *need_lists(options.input, "history", len(table)))
    if part == "candidates":
        table = table[need_lists(options.input, "candidates", len(table))[1]]
    return vectors.write_matrix(path, table, options.output)


def from_bundle(options):
    """Writes the file --output of a bundle; returns a line about it."""
    from eta_simd.data import vectors
    from eta_simd.files import staged

    if options.output.suffix not in (*vectors.VECS, *vectors.BIN, *vectors.HDF5):
        raise BadInput(f"{options.output}: unknown format (expected a name that ends in "
                       f"{', '.join((*vectors.VECS, *vectors.BIN, *vectors.HDF5))})")
    with staged(options.output, is_folder=False) as path:
        write_file(options, path)
    return f"{options.output}: written"


def main(arguments):
    options = parse_options(arguments)
    if is_parquet(options):
        summarize(convert_parquet(options))
    else:
        summarize(from_bundle(options) if options.input.is_dir() else to_bundle(options))
