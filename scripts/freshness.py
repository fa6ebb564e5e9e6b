#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what freshness_bench measured: recall and AUC over the steps of a training run, for ETA
re-hashed and for SIM soft with older and older indexes.

  build/release/bench/freshness_bench RUN/snapshots --rebuild 200,500 --json freshness.json
  scripts/freshness.py --json freshness.json --out freshness.png
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from ctr.errors import BadInput, Parser, run  # noqa: E402

NAMES = {"eta": "ETA, re-hashed", "eta:stale": "ETA, first codes", "sim_soft:stale":
         "SIM soft, first index", "sim_soft:fresh": "SIM soft, index always rebuilt"}
PANELS = (("recall_ties", "recall@K against the current embeddings"), ("auc", "AUC, test samples"))


def parse_arguments():
    parser = Parser(description="Draw what freshness_bench measured.")
    parser.add_argument("--json", required=True, type=pathlib.Path, metavar="FILE",
                        help="written by freshness_bench --json")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="FILE",
                        help="picture to write, of a kind that Matplotlib knows by its ending")
    return parser.parse_args()


def read(path):
    """Rows and costs of a report; every row has what is drawn."""
    try:
        report = json.loads(path.read_text())
        rows, costs = report["rows"], report["costs"]
        for row in rows:
            str(row["method"]), int(row["step"]), [row[key] for key, _ in PANELS]
        for key in ("rehash_ms_per_million", "rebuild_ms_per_million"):
            float(costs[key])
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = str(error).splitlines()[0]
        raise BadInput(f"{path}: not a report of freshness_bench: {text}") from error
    if not rows:
        raise BadInput(f"{path}: no rows")
    return rows, costs


def name_of(method):
    if method in NAMES:
        return NAMES[method]
    return f"SIM soft, rebuilt every {method.rsplit(':', 1)[-1]} steps"


def draw(rows, costs, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(11, 4.5))
    for axis, (key, title) in zip(axes, PANELS):
        for method in dict.fromkeys(row["method"] for row in rows):
            points = [(row["step"], row[key]) for row in rows
                      if row["method"] == method and row[key] is not None]
            axis.plot(*zip(*points) if points else ([], []), marker="o", markersize=3,
                      label=name_of(method))
        axis.set_title(title)
        axis.set_xlabel("training steps")
        axis.grid(alpha=0.3)
    axes[0].set_ylim(0, 1.02)
    axes[0].legend(fontsize=8)
    figure.suptitle(f"per million items: re-hash {costs['rehash_ms_per_million']:.0f} ms, "
                    f"index rebuilt {costs['rebuild_ms_per_million']:.0f} ms", fontsize=10)
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}") from error


def main():
    options = parse_arguments()
    rows, costs = read(options.json)
    try:
        draw(rows, costs, options.out)
    except ImportError as error:
        raise BadInput(f"{error} (scripts/setup.sh plot)") from error


if __name__ == "__main__":
    run("freshness.py", main)
