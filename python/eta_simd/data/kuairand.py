# SPDX-License-Identifier: Apache-2.0
"""Turns logs of KuaiRand (log_standard_*.csv of KuaiRand-Pure, -1K or -27K, or the same columns in
Parquet) into a data bundle.

Several files make one log: name both periods. Only clicked videos are behaviours, unless --all
takes every video that was shown. The bundle has no categories, because a video has several tags.
Item embeddings come from an SVD of the user-item matrix (eta_simd/data/embeddings.py), or from
--embeddings. Logs are read twice, a piece at a time, so that memory does not grow with them
(docs/scale.md). Parquet needs PyArrow."""
import pathlib

from eta_simd.command import BadInput, Parser, summarize
from eta_simd.data import importing

HEADER = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
          "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
          "is_profile_enter,is_rand,tab")
KEPT = ("user_id", "video_id", "time_ms")
ABOUT = {
    "name": "kuairand",
    "source": "KuaiRand, https://kuairand.com; cite Gao et al. 2022, doi:10.1145/3511808.3557624",
    "licence": "CC BY-SA 4.0 by its README"}


def parse_options(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--input", required=True, nargs="+", type=pathlib.Path, metavar="FILE",
                        help="log_standard_*.csv, oldest first, or Parquet: names that end in "
                        ".parquet, files or folders of files")
    importing.add_output(parser)
    parser.add_argument("--all", action="store_true", help="take every video that was shown")
    parser.add_argument("--embeddings", type=pathlib.Path, metavar="FILE",
                        help="Parquet with video_id and embedding, a row for each video; others "
                        "are left out")
    importing.add_embedding_options(parser)
    options = importing.parse(parser, arguments)
    if len({path.resolve() for path in options.input}) < len(options.input):
        raise BadInput("--input names a file twice")
    return options


def csv_chunks(path):
    """A dict of the columns KEPT and is_click for each piece of a file, as int64 arrays."""
    from eta_simd.data import log

    known = {"user_id": log.Integer("user_id"), "video_id": log.Integer("video_id"),
             "time_ms": log.Time("time_ms", 1000), "is_click": log.Integer("is_click", 0, 1)}
    columns = [known.get(name, log.Skipped(name)) for name in HEADER.split(",")]
    return log.read_chunks(path, columns, HEADER)


def parquet_chunks(path):
    """The same of a file or a folder of files."""
    import numpy as np
    from eta_simd.data import parquet_log, times

    kinds = {name: parquet_log.INTEGER for name in (*KEPT, "is_click")}
    for batch, first, place in parquet_log.chunks([path], kinds):
        with parquet_log.located(place):
            chunk = {name: parquet_log.not_negative(batch, name, first) for name in KEPT}
            chunk["is_click"] = parquet_log.not_negative(batch, "is_click", first, 1)
            are_right = times.are_right(chunk["time_ms"], 1000)
            if not are_right.all():
                row = int(np.argmin(are_right))
                raise ValueError(f"row {first + row}, column "
                                 f"{times.fault('time_ms', int(chunk['time_ms'][row]), 1000)}")
        yield chunk


def read_chunks(options):
    """Users, videos and milliseconds of what is taken, a piece at a time."""
    is_empty = True
    for path in options.input:
        for chunk in (parquet_chunks if path.suffix == ".parquet" else csv_chunks)(path):
            taken = (chunk["is_click"] == 1) | options.all
            is_empty = is_empty and not taken.any()
            yield tuple(chunk[name][taken] for name in KEPT)
    if is_empty and not options.all:
        raise BadInput(f"{options.input[0]}: no clicks (--all takes videos that were not clicked)")


def embeddings_of(log, options, folder):
    """Writes item_embeddings.npy of an SVD; returns how, for bundle.json."""
    import numpy as np
    from eta_simd.data import embeddings

    np.save(folder / "item_embeddings.npy",
            embeddings.item_embeddings(log, options.dim, options.seed, folder / "pairs"))
    return f" dim={options.dim} seed={options.seed}: {embeddings.KIND}"


def main(arguments):
    options = parse_options(arguments)
    made_by = f"scripts/import_kuairand.py {'all' if options.all else 'clicks'}"
    if options.embeddings is None:
        from eta_simd.data import embeddings  # noqa: F401 before NumPy: sets variables it reads
    from eta_simd.data import histories
    from eta_simd.data.bundle import write_description
    from eta_simd.files import staged

    with staged(options.output, is_folder=True) as folder:
        items, dim = None, options.dim
        if options.embeddings:
            from eta_simd.data import parquet_log

            items, dim = parquet_log.read_embeddings(options.embeddings, folder, "video_id",
                                                     "embedding")
            made_by += " embeddings of a file"
        log, report = histories.write_flat(lambda: read_chunks(options), folder, items)
        histories.to_seconds(log.times)
        if items is None:
            made_by += embeddings_of(log, options, folder)
        counts = {"items": log.num_items, "dim": dim, "users": report.users,
                  "behaviours": report.behaviours}
        write_description(folder, {**ABOUT, "made_by": made_by, "left_out": report.left_out,
                                   "counts": counts})
    summarize(f"{options.output}: {log.num_items} items of {dim} dimensions, {report.users} users, "
              f"{report.behaviours} behaviours; {report.left_out} of videos without embedding were "
              "left out")
