# SPDX-License-Identifier: Apache-2.0
"""Turns Taobao's UserBehavior.csv (Tianchi data set 649) into a data bundle.

The file has no header; its columns are user, item, category, behaviour type and timestamp. Only
clicks (pv) are behaviours, unless --behaviours names other types: these follow a click on the same
item, which would then count twice. An item has the category of its last row. Item embeddings come
from an SVD of the user-item matrix (eta_simd/data/embeddings.py).

A few times of the published file lie before 1970 and are kept; a file with more wrong times than
right ones is refused."""
import argparse
import pathlib

from eta_simd.command import BadInput, Parser
from eta_simd.data import importing

TYPES = ("pv", "buy", "cart", "fav")
LICENCE = "terms of Tianchi, to be accepted there; may not be passed on without permission"


def types(text):
    """Type of --behaviours: a list of TYPES."""
    chosen = text.split(",")
    if not set(chosen) <= set(TYPES):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of {', '.join(TYPES)}")
    return chosen


def parse_options(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--input", required=True, type=pathlib.Path, metavar="FILE",
                        help="UserBehavior.csv")
    importing.add_output(parser)
    parser.add_argument("--behaviours", type=types, default=["pv"], metavar="TYPE,...",
                        help="types to take, of pv, buy, cart and fav (default: pv)")
    importing.add_embedding_options(parser)
    return importing.parse(parser, arguments)


def check_times(path, values):
    """Raises BadInput if half or more of the times cannot be right."""
    from eta_simd.data import times

    wrong = values[~times.are_right(values)]
    if 2 * len(wrong) >= len(values):
        raise BadInput(f"{path}: {len(wrong)} of {len(values)} times are not from 1995 to now: "
                       f"{times.fault('timestamp', int(wrong[0]))}")


def read_log(path, chosen):
    """The Log of the behaviours of the `chosen` types, with categories."""
    import numpy as np
    from eta_simd.data import log

    columns = [log.Integer("user"), log.Integer("item"), log.Integer("category", 0, log.MAX_INT32),
               log.Text("behaviour type", "|".join(TYPES), "one of " + ", ".join(TYPES)),
               log.Time("timestamp", strays=True)]  # the published file has 38 negative ones
    parts = []
    for chunk in log.read_chunks(path, columns):
        texts, codes = chunk["behaviour type"]
        taken = np.isin(texts, [t.encode() for t in chosen])[codes]
        parts.append([chunk[name][taken].astype(dtype) for name, dtype in (
            ("user", np.int64), ("item", np.int64), ("category", np.int32),
            ("timestamp", np.int64))])
    users, items, categories, times = (np.concatenate(part) for part in zip(*parts))
    del parts
    if len(users) == 0:
        raise BadInput(f"{path}: no behaviours of type {', '.join(chosen)}")
    check_times(path, times)
    users = log.number_ids(users)[1]
    items = log.number_ids(items)[1]
    result = log.make_log(users, items, times)
    result.categories = np.zeros(result.num_items, np.int32)
    result.categories[items] = categories
    return result


def main(arguments):
    options = parse_options(arguments)
    importing.import_log(
        options, lambda: read_log(options.input, options.behaviours),
        made_by=f"scripts/import_taobao.py behaviours={','.join(options.behaviours)}",
        name="taobao", source="Taobao UserBehavior, https://tianchi.aliyun.com/dataset/649",
        licence=LICENCE)
