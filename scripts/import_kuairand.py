#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turns logs of KuaiRand (log_standard_*.csv of KuaiRand-Pure, -1K or -27K) into a data bundle.

Several files make one log: name both periods. Without --all only clicked videos are behaviours; the
others were shown and passed over. There are no categories: the tags of the data set are several per
video. Item embeddings come from an SVD of who clicked what (scripts/eta_data/embeddings.py)."""
import os
import pathlib
import sys

from eta_data import command
from eta_data.command import BadInput

HEADER = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
          "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
          "is_profile_enter,is_rand,tab")
READ = ("user_id", "video_id", "time_ms", "is_click")


def parse_arguments():
    parser = command.Parser(description=__doc__)
    parser.add_argument("--input", required=True, nargs="+", type=pathlib.Path, metavar="FILE",
                        help="log_standard_*.csv, oldest first")
    command.add_output(parser)
    parser.add_argument("--all", action="store_true", help="take every video that was shown")
    command.add_embedding_options(parser)
    arguments = command.parse(parser)
    if len({path.resolve() for path in arguments.input}) < len(arguments.input):
        raise BadInput("--input names a file twice")
    return arguments


def read_log(paths, take_all):
    import numpy as np
    from eta_data import log

    columns = [log.Integer(name, 0, 1) if name == "is_click" else log.Integer(name)
               if name in READ else log.Skipped(name) for name in HEADER.split(",")]
    parts = []
    for path in paths:
        for chunk in log.read_chunks(path, columns, HEADER):
            taken = (chunk["is_click"] == 1) | take_all
            parts.append([chunk[name][taken] for name in READ[:3]])
    users, items, milliseconds = (np.concatenate(part) for part in zip(*parts))
    if len(users) == 0:
        raise BadInput(f"{paths[0]}: no clicks (--all takes videos that were not clicked)")
    users = log.number_ids(users)[1]
    items = log.number_ids(items)[1]
    result = log.make_log(users, items, milliseconds)
    result.times //= 1000
    return result


def import_kuairand():
    arguments = parse_arguments()
    from eta_data import embeddings  # sets variables that NumPy reads when it is loaded
    from eta_data.bundle import write_log_bundle

    log = read_log(arguments.input, arguments.all)
    table = embeddings.item_embeddings(log, arguments.dim, arguments.seed)
    return write_log_bundle(arguments.output, log, table, {
        "name": "kuairand",
        "source": "KuaiRand, https://kuairand.com; cite Gao et al. 2022, "
                  "doi:10.1145/3511808.3557624",
        "licence": "CC BY-SA 4.0 by its README",
        "made_by": f"scripts/import_kuairand.py {'all' if arguments.all else 'clicks'} "
                   f"dim={arguments.dim} seed={arguments.seed}: "
                   "SVD of the regularised user-item matrix"})


if __name__ == "__main__":
    sys.exit(command.run(os.path.basename(__file__), import_kuairand))
