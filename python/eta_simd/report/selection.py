# SPDX-License-Identifier: Apache-2.0
"""Which rows of retrieval_bench belong together, and which of them are shown.

Rows are dicts as inputs.py makes them.
"""
import re
from pathlib import Path

# Methods that are drawn where not all have room, the best known first.
PREFERRED = ("exact", "scan_i8", "eta:64", "eta:256", "eta:64+rerank:4", "eta_asym:64", "pq4:64",
             "eta_norm:64", "pq4:64+rerank_i8:4", "eta:64+rerank_i8:4", "faiss_exact",
             "eta_gather:64", "faiss_binary:64")
MOST_LINES = 6


def swept_axes(row):
    """The axes of the sweep that the row is of, which adds their values to it; () for a run."""
    return tuple(sorted(key for key in row if key.startswith("sweep_")))


def setting_key(row):
    """What rows of one table have in common."""
    # sweep_L, because two cells of a sweep have the same mean length where both limits exceed the
    # histories.
    return tuple(row[key] for key in ("file", "data", "dim", "l_mean", "b", "k", "threads",
                                      "cache")) + (row.get("sweep_L"), row.get("lengths"))


def groups(rows):
    """Rows by run and setting, those of one table together."""
    found: dict[tuple, list] = {}
    for row in rows:
        if row["recall_ties"] is not None:
            found.setdefault(setting_key(row), []).append(row)
    return found


def main_group(rows):
    """The rows of the setting that a reader looks at first; None without rows.

    It is the one with most families of methods, then with most methods, warm before cold. Sweeps
    and the cells of equal_recall.sh come last, because they leave rivals out."""
    return max(groups(rows).values(), default=None, key=lambda part: (
        Path(part[0]["file"]).parent.name != "cells", not swept_axes(part[0]),
        len({family_of(row["method"]) for row in part}), len(part), part[0]["cache"] == "warm"))


def family_of(method):
    """The method without its numbers, which tells how its marker looks."""
    name = re.sub(r":\d+", "", method)
    return re.sub(r":.*", "", name) if name.startswith("sim_soft") else name


def pareto(rows):
    """The rows with more recall than every faster one, fastest first."""
    front, best = [], -1
    for row in sorted(rows, key=lambda r: (r["p50_us"], -r["recall_ties"])):
        if row["recall_ties"] > best:
            front.append(row)
            best = row["recall_ties"]
    return front


def chosen_methods(rows):
    """The methods to draw, at most MOST_LINES: PREFERRED first, then in their order."""
    there = list(dict.fromkeys(row["method"] for row in rows))
    return ([m for m in PREFERRED if m in there] +
            [m for m in there if m not in PREFERRED])[:MOST_LINES]


def widest(rows, axis, others):
    """Rows of the one setting of `others` along which `axis` has most values, two or more; among
    equals of that which has most lines. Rows are not mixed unless they are of sweeps over the same
    axes, or of runs, and of the same kind of lengths: histories of one length each, or of lengths
    that differ around their mean."""
    found: dict[tuple, list] = {}
    for row in rows:
        found.setdefault((swept_axes(row), row.get("lengths"), *(row[key] for key in others)),
                         []).append(row)
    best: list[dict] = max(found.values(), default=[], key=lambda part: (
        len({row[axis] for row in part}), len(part)))
    return best if len({row[axis] for row in best}) > 1 else []


def first_at_each(rows, axis, *keys):
    """Points by rising `axis`, of the first run where several have the same place."""
    return sorted({row[axis]: (row[axis], *(row[key] for key in keys))
                   for row in reversed(rows)}.values())


# ---- the open loop


def load_setting(row):
    """What rates of one panel have in common."""
    return tuple(row[key] for key in ("file", "data", "l_mean", "b", "k", "threads", "limit_ms"))


def loads_of(rows):
    """The rates of the setting with most of them."""
    found: dict[tuple, list] = {}
    for row in rows:
        found.setdefault(load_setting(row), []).append(row)
    return max(found.values(), default=[], key=len)


def most_within_limit(rows):
    """The highest rate of each method that kept the limit; 0 where none did."""
    best: dict[str, float] = {}
    for row in rows:
        best[row["method"]] = max(best.get(row["method"], 0.0), row["rate"] if row["kept"] else 0.0)
    return best
