# SPDX-License-Identifier: Apache-2.0
"""Turns logs of KuaiRand (log_standard_*.csv of KuaiRand-Pure, -1K or -27K) into a data bundle.

Several files make one log: name both periods. Only clicked videos are behaviours, unless --all
takes every video that was shown. The bundle has no categories, because a video has several tags.
Item embeddings come from an SVD of the user-item matrix (eta_simd/data/embeddings.py)."""
import pathlib

from eta_simd.command import BadInput, Parser
from eta_simd.data import importing

HEADER = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
          "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
          "is_profile_enter,is_rand,tab")
KEPT = ("user_id", "video_id", "time_ms")


def parse_options(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--input", required=True, nargs="+", type=pathlib.Path, metavar="FILE",
                        help="log_standard_*.csv, oldest first")
    importing.add_output(parser)
    parser.add_argument("--all", action="store_true", help="take every video that was shown")
    importing.add_embedding_options(parser)
    options = importing.parse(parser, arguments)
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


def main(arguments):
    options = parse_options(arguments)
    importing.import_log(
        options, lambda: read_log(options.input, options.all),
        made_by=f"scripts/import_kuairand.py {'all' if options.all else 'clicks'}",
        name="kuairand",
        source="KuaiRand, https://kuairand.com; cite Gao et al. 2022, doi:10.1145/3511808.3557624",
        licence="CC BY-SA 4.0 by its README")
