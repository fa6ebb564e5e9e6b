# SPDX-License-Identifier: Apache-2.0
"""Draws what each retrieval loses in AUC against exact retrieval, and what a request costs."""
import math

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402

from eta_simd import files  # noqa: E402
from eta_simd.experiments.equal_auc.choices import MARGIN  # noqa: E402


# Below this differences are drawn to scale, above it by their logarithms: losses reach from 0.0001
# to 0.3, and those about the margin matter.
LINEAR = 2 * MARGIN


def label(axis, rows):
    """Names the points at the right edge, in the order of their heights, with lines to them."""
    rows = sorted(rows, key=lambda row: -row["p50_us"])
    for i, row in enumerate(rows):
        height = 0.95 - 0.9 * i / max(1, len(rows) - 1)
        axis.annotate(row["retrieval"], (row["auc_difference"], row["p50_us"]), fontsize=7.5,
                      xytext=(1.03, height), textcoords="axes fraction", va="center",
                      arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.6})


def draw_panel(axis, rows):
    """Latency against the difference of AUC, with its interval; full is the cheapest of those that
    are not worse."""
    for row in rows:
        reach = [[0], [0]]
        if not math.isnan(row["low"]):
            reach = [[row["auc_difference"] - row["low"]], [row["high"] - row["auc_difference"]]]
        colour = "#0072B2" if row["verdict"] in ("-", "not worse") else "#D55E00"
        axis.errorbar([row["auc_difference"]], [row["p50_us"]], xerr=reach, fmt="o", color=colour,
                      markerfacecolor=colour if row["cheapest"] else "white", capsize=2)
    label(axis, rows)
    axis.set_xscale("symlog", linthresh=LINEAR, linscale=1.0)
    axis.xaxis.set_major_locator(ticker.SymmetricalLogLocator(base=10, linthresh=LINEAR))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.axvline(-MARGIN, color="0.6", linewidth=0.8, linestyle=":")
    axis.margins(0.15)
    axis.set_title(f"{rows[0]['data']}, K = {rows[0]['k']}, {rows[0]['seeds']} seeds", fontsize=10)


def draw(path, rows):
    """Writes the picture: a line of panels per data set, a column per K."""
    sets = list(dict.fromkeys(row["data"] for row in rows))
    ks = list(dict.fromkeys(row["k"] for row in rows))
    figure, grid = pyplot.subplots(len(sets), len(ks), squeeze=False,
                                   figsize=(4.8 * len(ks), 3.4 * len(sets)))
    for line, data in zip(grid, sets):
        for axis, k in zip(line, ks):
            part = [row for row in rows if row["data"] == data and row["k"] == k]
            if part:
                draw_panel(axis, part)
        line[0].set_ylabel("median latency of a request (us)")
    for axis in grid[-1]:
        axis.set_xlabel("AUC less that of exact retrieval (95 % interval)")
    figure.tight_layout()
    with files.replaced(path) as part:
        figure.savefig(part, format="png", dpi=120)
    pyplot.close(figure)
