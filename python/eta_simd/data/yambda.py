# SPDX-License-Identifier: Apache-2.0
"""Turns a log of Yambda (listens.parquet, likes.parquet or multi_event.parquet, flat or sequential,
of any size) into a data bundle.

Item embeddings are those of embeddings.parquet; behaviours of tracks that are not in it are left
out, and bundle.json says how many. A file of events has a column event_type, of which only listens
are taken. Times are the data set's: seconds from its own beginning. Memory does not grow with the
log (docs/scale.md); PyArrow is needed."""
import pathlib

from eta_simd.command import BadInput, Parser, check_range, summarize
from eta_simd.data import importing

COLUMNS = ("normalized_embed", "embed")


def parse_options(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--input", required=True, type=pathlib.Path, metavar="FILE",
                        help="the log, flat or sequential: a file, or a folder of files")
    parser.add_argument("--embeddings", required=True, type=pathlib.Path, metavar="FILE",
                        help="embeddings.parquet")
    parser.add_argument("--column", choices=COLUMNS, default=COLUMNS[0],
                        help="which of its embeddings (default: %(default)s)")
    parser.add_argument("--min-played", type=int, default=0, metavar="PERCENT",
                        help="listens of less than this share of the track are left out "
                        "(default: %(default)s)")
    importing.add_output(parser)
    options = importing.parse(parser, arguments)
    check_range("--min-played", options.min_played, 0, 65535)
    return options


def kinds_of(path, min_played):
    """The columns to be read with their types, by parquet_log.chunks, and whether a row is a
    user. chunks refuses a file that lacks a column of another: without event_type its likes would
    be taken for listens."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from eta_simd.data import parquet_log

    schemas = []
    for part in parquet_log.files_of(path):
        try:
            schemas.append(pq.read_schema(part))
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{part}: {error}") from None
    names = schemas[0].names
    item = schemas[0].types[names.index("item_id")] if "item_id" in names else pa.null()
    is_sequential = parquet_log.INTEGERS[0](item)
    integer = parquet_log.INTEGERS if is_sequential else parquet_log.INTEGER
    kinds = {"uid": parquet_log.INTEGER, "item_id": integer, "timestamp": integer}
    if min_played:
        kinds["played_ratio_pct"] = integer
    if any("event_type" in schema.names for schema in schemas):
        def is_text(kind):
            if is_sequential:
                is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
                kind = kind.value_type if is_list else pa.null()
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            return pa.types.is_string(kind) or pa.types.is_large_string(kind)
        kinds["event_type"] = is_text, "list of strings" if is_sequential else "string"
    return kinds, is_sequential


def taken(kinds, values, min_played):
    """Which behaviours are; `values` gives those of a column."""
    import numpy as np
    import pyarrow.compute as pc

    result = np.ones(len(values("item_id")), bool)
    if "event_type" in kinds:
        result &= pc.equal(values("event_type"), "listen").fill_null(False).to_numpy(False)
    if min_played:
        played = values("played_ratio_pct").fill_null(0).to_numpy()
        result &= played >= min_played
    return result


def read_flat(options, kinds):
    """For histories.write_flat."""
    from eta_simd.data import parquet_log

    for batch, first, place in parquet_log.chunks([options.input], kinds):
        with parquet_log.located(place):
            user, item = (parquet_log.not_negative(batch, name, first)
                          for name in ("uid", "item_id"))
            time = parquet_log.not_negative(batch, "timestamp", first, parquet_log.MAX_ITEMS)
            kept = taken(kinds, batch.column, options.min_played)
        yield user[kept], item[kept], time[kept]


def read_sequential(options, kinds):
    """For parquet_log.write_sequential."""
    import numpy as np
    from eta_simd import columns
    from eta_simd.data import parquet_log

    for batch, first, place in parquet_log.chunks([options.input], kinds, "item_id"):
        with parquet_log.located(place):
            user = parquet_log.not_negative(batch, "uid", first)
            offsets, item = parquet_log.lists_not_negative(batch, "item_id", first)
            time = parquet_log.lists_not_negative(batch, "timestamp", first,
                                                  parquet_log.MAX_ITEMS)[1]
            values = {}
            for name in [name for name in kinds if name != "uid"]:
                found, values[name] = columns.parts(batch.column(name), name, first)
                columns.check_lengths(found, name, offsets, first)
            columns.check_rising(time, "timestamp", offsets, first)
            kept = taken(kinds, values.get, options.min_played)
        yield user, np.append(0, np.cumsum(kept))[offsets], item[kept], time[kept]


def main(arguments):
    options = parse_options(arguments)
    from eta_simd.data import histories, parquet_log
    from eta_simd.data.bundle import write_description
    from eta_simd.files import staged

    kinds, is_sequential = kinds_of(options.input, options.min_played)
    with staged(options.output, is_folder=True) as folder:
        items, dim = parquet_log.read_embeddings(options.embeddings, folder, "item_id",
                                                 options.column)
        if is_sequential:
            report = parquet_log.write_sequential(lambda: read_sequential(options, kinds), folder,
                                                  items, options.input)
        else:
            report = histories.write_flat(lambda: read_flat(options, kinds), folder, items)[1]
        write_description(folder, {
            "name": "yambda", "source": "Yambda, https://huggingface.co/datasets/yandex/yambda; "
            "cite Ploshkin et al. 2025, arXiv:2505.22238", "licence": "Apache-2.0",
            "made_by": f"scripts/import_yambda.py {options.column} min-played="
            f"{options.min_played}", "left_out": report.left_out,
            "counts": {"items": len(items), "dim": dim, "users": report.users,
                       "behaviours": report.behaviours}})
    summarize(f"{options.output}: {len(items)} items of {dim} dimensions, {report.users} users, "
              f"{report.behaviours} behaviours; {report.left_out} of tracks without embedding were "
              "left out")
