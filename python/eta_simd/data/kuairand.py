# SPDX-License-Identifier: Apache-2.0
"""Turns logs of KuaiRand (log_standard_*.csv of KuaiRand-Pure, -1K or -27K, or the same columns in
Parquet) into a data bundle.

Several files make one log: name both periods. Only clicked videos are behaviours, unless --all
takes every video that was shown. The bundle has no categories, because a video has several tags.
Item embeddings come from an SVD of the user-item matrix (eta_simd/data/embeddings.py). Parquet is
read a piece at a time, so that memory does not grow with the log (docs/scale.md)."""
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
                        "are left out (for Parquet only)")
    importing.add_embedding_options(parser)
    options = importing.parse(parser, arguments)
    are_parquet = {path.suffix == ".parquet" for path in options.input}
    if len(are_parquet) > 1:
        raise BadInput("--input names files of CSV and of Parquet")
    if options.embeddings and are_parquet != {True}:
        raise BadInput("--embeddings is for Parquet only")
    if len({path.resolve() for path in options.input}) < len(options.input):
        raise BadInput("--input names a file twice")
    return options


def read_log(paths, take_all):
    """The Log of all files together: clicks, or with `take_all` all videos shown."""
    import numpy as np
    from eta_simd.data import log

    known = {"user_id": log.Integer("user_id"), "video_id": log.Integer("video_id"),
             "time_ms": log.Time("time_ms", 1000), "is_click": log.Integer("is_click", 0, 1)}
    columns = [known.get(name, log.Skipped(name)) for name in HEADER.split(",")]
    parts = []
    for path in paths:
        for chunk in log.read_chunks(path, columns, HEADER):
            taken = (chunk["is_click"] == 1) | take_all
            parts.append([chunk[name][taken] for name in KEPT])
    users, items, milliseconds = (np.concatenate(part) for part in zip(*parts))
    if len(users) == 0:
        raise BadInput(f"{paths[0]}: no clicks (--all takes videos that were not clicked)")
    users = log.number_ids(users)[1]
    items = log.number_ids(items)[1]
    result = log.make_log(users, items, milliseconds)
    result.times //= 1000
    return result


def read_chunks(options):
    """Users, videos and milliseconds of what is taken from Parquet, a piece at a time."""
    import numpy as np
    from eta_simd.data import parquet_log, times

    kinds = {name: parquet_log.INTEGER for name in (*KEPT, "is_click")}
    for batch, first, place in parquet_log.chunks(options.input, kinds):
        with parquet_log.located(place):
            user, video, time = (parquet_log.not_negative(batch, name, first) for name in KEPT)
            kept = (parquet_log.not_negative(batch, "is_click", first, 1) == 1) | options.all
            are_right = times.are_right(time, 1000)
            if not are_right.all():
                row = int(np.argmin(are_right))
                raise ValueError(f"row {first + row}, column "
                                 f"{times.fault('time_ms', int(time[row]), 1000)}")
        yield user[kept], video[kept], time[kept]


def import_parquet(options, made_by):
    """Writes the bundle options.output of logs in Parquet; returns a line about it."""
    import numpy as np
    from eta_simd.data import parquet, parquet_log
    from eta_simd.files import staged

    with staged(options.output, is_folder=True) as folder:
        items = None
        if options.embeddings:
            items, dim = parquet_log.read_embeddings(options.embeddings, folder, "video_id",
                                                     "embedding")
            made_by += " embeddings of a file"
        log, report = parquet_log.write_flat(lambda: read_chunks(options), folder, items)
        for begin in range(0, len(log.times), parquet.PIECE):
            log.times[begin:begin + parquet.PIECE] //= 1000
        log.times.flush()
        if items is None:
            from eta_simd.data import embeddings

            dim = options.dim
            np.save(folder / "item_embeddings.npy",
                    embeddings.item_embeddings(log, dim, options.seed, folder / "pairs"))
            made_by += f" dim={dim} seed={options.seed}: {embeddings.KIND}"
        counts = {"items": log.num_items, "dim": dim, "users": report.users,
                  "behaviours": report.behaviours}
        parquet.write_description(folder, {**ABOUT, "made_by": made_by,
                                           "left_out": report.left_out, "counts": counts})
    return (f"{options.output}: {log.num_items} items of {dim} dimensions, {report.users} users, "
            f"{report.behaviours} behaviours; {report.left_out} of videos without embedding were "
            "left out")


def main(arguments):
    options = parse_options(arguments)
    made_by = f"scripts/import_kuairand.py {'all' if options.all else 'clicks'}"
    if options.input[0].suffix == ".parquet":
        summarize(import_parquet(options, made_by))
        return
    importing.import_log(options, lambda: read_log(options.input, options.all), made_by=made_by,
                         **ABOUT)
