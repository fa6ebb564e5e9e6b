# SPDX-License-Identifier: Apache-2.0
"""What scripts/targets.sh measures in turn: this tree, and the commit it is compared with.

A folder holds a file of each side and round: SIDE-DIM-LENGTH-CACHE-ROUND.csv of retrieval_bench and
SIDE-kernels-ROUND.json of kernel_bench, where SIDE is `base` or `new`. The fastest round of a side
counts.
"""
from pathlib import Path

from eta_simd.command import BadInput
from eta_simd.reading import finite_number, read_csv, read_json
from eta_simd.text import shown

NO_BASE = "needs --base COMMIT"
RECALL = 0.9
# dim, length, cache; at least: the best method of RECALL x base's scan_i8
AGAINST_BASE = [(64, 1024, "warm", 1.8), (64, 4096, "warm", 2), (64, 16384, "warm", 2.5),
                (128, 4096, "warm", 3), (64, 16384, "cold", 3)]
# dim, length; at least: the best code of RECALL x this tree's scan_i8, warm
CODES = [(64, 16384, 1.3), (128, 4096, 1.3), (128, 16384, 1.3)]
SHAPES = [(f"{length:,}", f"bits:64/L:{length}/K:64") for length in (1024, 16384)]
# Rows of kernel_bench, of this tree and of base; at most: the time of one over that of the other
KERNELS = [
    ("rerank_i8 of 128 rows against base", "dot_i8_rows/count:128/dim:64",
     "dot_i8_rows/count:128/dim:64", 0.4),
    *((f"pq4 top-K against base's asymmetric, L {length}", f"pq4_topk_any/{shape}",
       f"asym_topk_any/{shape}", 1.1) for length, shape in SHAPES),
    *((f"asymmetric with factor against base's, L {length}", f"asym_factor_topk_any/{shape}",
       f"asym_topk_any/{shape}", 1.25) for length, shape in SHAPES)]


class Turns:
    """The measurements of both sides in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.has_base = any(self.folder.glob("base-*"))

    def methods(self, side, dim, length, cache):
        """Recall and least time in us by method; the time is the median over requests."""
        found: dict[str, tuple[float, float]] = {}
        for path in self.files(f"{side}-{dim}-{length}-{cache}-*.csv"):
            for row in read_csv(path)[1]:
                time = finite_number(row, "p50_us")
                _, least = found.get(row["method"], (0.0, time))
                found[row["method"]] = finite_number(row, "recall"), min(time, least)
        return found

    def kernel(self, side, name):
        """The least time of a row of kernel_bench, in seconds a query, or a row of a rerank."""
        times = []
        for path in self.files(f"{side}-kernels-*.json"):
            for row in read_json(path, "benchmarks")["benchmarks"]:
                if row["name"].rpartition("/")[0] != name:
                    continue
                if row.get("error_occurred"):
                    raise BadInput(f"{shown(row['name'])}: "
                                   f"{shown(row.get('error_message', 'failed'))}")
                times.append(row.get("s_per_query") or row["s_per_row"])
        if not times:
            raise BadInput(f"{self.folder}: no row {name} of the {side} side")
        return min(times)

    def files(self, pattern):
        paths = sorted(self.folder.glob(pattern))
        if not paths:
            raise BadInput(f"{self.folder}: there is no {pattern}")
        return paths


def best(methods):
    """The fastest method of enough recall, and its time."""
    good = {method: time for method, (recall, time) in methods.items() if recall >= RECALL}
    if not good:
        raise BadInput(f"malformed measurements: no method has a recall of {RECALL}")
    return min(good.items(), key=lambda item: item[1])


def check(report, turns, note, counts):
    """The lines of all targets that are measured in turn. `note` and `counts` as Report.line."""
    for name, ours, theirs, limit in KERNELS:
        compared(report, turns, name, "<=", limit, note, counts,
                 lambda: (turns.kernel("new", ours) / turns.kernel("base", theirs), ""))
    for dim, length, cache, limit in AGAINST_BASE:
        name = f"recall 0.9 against base's scan_i8, {length:,} x {dim}, {cache}"
        compared(report, turns, name, ">=", limit, note, counts,
                 lambda: against_base(turns, dim, length, cache))
    for dim, length, limit in CODES:
        methods = turns.methods("new", dim, length, "warm")
        scan = methods.pop("scan_i8")[1]
        method, time = best(methods)
        report.line(f"code of recall 0.9 against scan_i8, {length:,} x {dim}", ">=", limit,
                    scan / time, "x", join(note, method), counts)


def compared(report, turns, name, bound, limit, note, counts, measure):
    """A line of what needs the base: `measure` gives a ratio and a word on it."""
    if not turns.has_base:
        report.line(name, bound, limit, None, "x", NO_BASE, False)
        return
    ratio, word = measure()
    report.line(name, bound, limit, ratio, "x", join(note, word), counts)


def against_base(turns, dim, length, cache):
    """How many times as fast as base's scan_i8 the best method is, and which it is."""
    method, time = best(turns.methods("new", dim, length, cache))
    return turns.methods("base", dim, length, cache)["scan_i8"][1] / time, method


def join(*notes):
    return ", ".join(note for note in notes if note)
