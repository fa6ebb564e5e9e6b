# SPDX-License-Identifier: Apache-2.0
"""Draws what freshness_bench measured: recall and AUC against the training steps since the index
was built, for ETA re-hashed, for product codes with kept and with new codebooks, and for SIM soft
with that index and with rebuilt ones.

  build/release/bench/freshness_bench RUN/snapshots --rebuild 200,500 --json freshness.json
  scripts/freshness.py --json freshness.json --out freshness.png

Several files, such as of one run with --from at several steps, are drawn below each other.
"""
import pathlib
import re

from eta_simd.command import BadInput, Parser
from eta_simd.files import check_not_read, replaced
from eta_simd.reading import read_json
from eta_simd.text import reason

NAMES = {"eta": "ETA, re-hashed", "eta:stale": "ETA, old codes",
         "pq4:kept": "PQ, codes renewed, codebooks kept", "pq4:retrained": "PQ, all renewed",
         "sim_soft:stale": "SIM soft, old index",
         "sim_soft:fresh": "SIM soft, index always rebuilt"}
METHOD = re.compile(r"[a-z0-9_]+(:\w+)?")
STYLES = (("o", "-"), ("v", "-."), ("P", "-"), ("p", "--"), ("s", "-"), ("^", "--"), ("D", ":"),
          ("x", ":"), ("+", "-."))
PANELS = (("recall_ties", "recall@K against the current embeddings"), ("auc", "AUC, test samples"))


def parse_options(arguments):
    parser = Parser(description="Draw what freshness_bench measured.")
    parser.add_argument("--json", required=True, type=pathlib.Path, metavar="FILE", nargs="+",
                        help="written by freshness_bench --json; a line of panels each")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="FILE",
                        help="picture to write; its ending is the format, such as .png or .svg")
    return parser.parse_args(arguments)


def is_number(value):
    """Whether a value is a finite number of a size that can be drawn."""
    return type(value) in (int, float) and abs(value) < 1e15  # false for NaN, too


def check(holds, what):
    """Raises ValueError unless `holds`."""
    if not holds:
        raise ValueError(f"a {what} is not valid")


def read(path):
    """Rows and costs of a report; every row has what is drawn."""
    report = read_json(path, "rows", "costs")
    rows, costs = report["rows"], report["costs"]
    try:
        for row in rows:
            check(isinstance(row["method"], str) and METHOD.fullmatch(row["method"]), "method")
            check(type(row["step"]) is int and 0 <= row["step"] < 10**9, "step")
            for key, _ in PANELS:
                check(row[key] is None or is_number(row[key]), key)
        keys = ["rehash_ms_per_million", "rebuild_ms_per_million"]
        if costs.get("pq4_bits"):  # not in reports of before
            keys += ["pq4_encode_ms_per_million", "pq4_train_ms"]
        for key in keys:
            check(is_number(costs[key]), key)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a report of freshness_bench: {reason(error)}") from error
    if not rows:
        raise BadInput(f"{path}: no rows")
    return rows, costs


def name_of(method):
    """What the legend calls a method of freshness_bench."""
    if method in NAMES:
        return NAMES[method]
    return f"SIM soft, rebuilt every {method.rsplit(':', 1)[-1]} steps"


def draw_line(axes, rows, costs):
    """Both panels of one report."""
    first = min(int(row["step"]) for row in rows)
    for axis, (key, title) in zip(axes, PANELS):
        for i, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
            points = [(row["step"] - first, row[key]) for row in rows
                      if row["method"] == method and row[key] is not None]
            marker, line = STYLES[i % len(STYLES)]
            axis.plot(*zip(*points) if points else ([], []), marker=marker, linestyle=line,
                      markersize=4, label=name_of(method))
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(f"training steps since codes and index were built, at step {first}")
        axis.grid(alpha=0.3)
    axes[0].set_ylim(0, 1.02)
    axes[0].legend(fontsize=7)
    text = (f"per million items: re-hash {costs['rehash_ms_per_million']:.0f} ms,\n"
            f"index rebuilt {costs['rebuild_ms_per_million']:.0f} ms")
    if costs.get("pq4_bits"):
        text += (f",\nPQ encoded {costs['pq4_encode_ms_per_million']:.0f} ms"
                 f" (codebooks {costs['pq4_train_ms']:.0f} ms once)")
    axes[1].annotate(text, (0.97, 0.05), xycoords="axes fraction", ha="right", fontsize=8)


def draw(reports, path):
    """Writes the picture, a line of panels per report."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(reports), len(PANELS), figsize=(11, 4.2 * len(reports)),
                                   squeeze=False)
    for line, (rows, costs) in zip(axes, reports):
        draw_line(line, rows, costs)
    figure.tight_layout()
    try:
        with replaced(path) as part:
            figure.savefig(part, format=path.suffix[1:], dpi=120)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}") from error


def main(arguments):
    options = parse_options(arguments)
    check_not_read(options.out, options.json)
    draw([read(path) for path in options.json], options.out)
