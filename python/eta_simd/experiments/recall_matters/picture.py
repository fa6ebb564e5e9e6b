# SPDX-License-Identifier: Apache-2.0
"""Draws AUC lost against recall lost, a panel for each knob."""
import math

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from eta_simd import files  # noqa: E402
from eta_simd.experiments.equal_auc.choices import BASE, MARGIN  # noqa: E402

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = "osD^v<>"
TITLES = {"none": "planted, no knob", **{knob: f"planted, --{knob}" for knob in
                                         ("repeats", "near", "weak", "popularity")}}


def draw_panel(axis, rows):
    """The rows of one knob: colours are its values, shapes K; codes of 64 bits by ETA are full."""
    for colour, value in zip(COLOURS, dict.fromkeys(row["value"] for row in rows)):
        for shape, k in zip(SHAPES, dict.fromkeys(row["k"] for row in rows)):
            part = sorted((r for r in rows if r["value"] == value and r["k"] == k
                           and r["retrieval"] != BASE), key=lambda r: r["recall"])
            axis.plot([1 - r["recall"] for r in part], [r["auc_lost"] for r in part],
                      color=colour, linewidth=0.6, alpha=0.5)
            for row in part:
                reach = [[0], [0]]
                if not math.isnan(row["low"]):
                    reach = [[row["auc_lost"] - row["low"]], [row["high"] - row["auc_lost"]]]
                axis.errorbar([1 - row["recall"]], [row["auc_lost"]], yerr=reach, fmt=shape,
                              color=colour, markersize=5, elinewidth=0.6,
                              markerfacecolor=colour if row["retrieval"] == "eta:64" else "white")
    values = list(dict.fromkeys(row["value"] for row in rows))
    for colour, value in zip(COLOURS, values if len(values) > 1 else ()):
        axis.plot([], [], color=colour, label=value)
    for shape, k in zip(SHAPES, dict.fromkeys(row["k"] for row in rows)):
        axis.plot([], [], shape, color="0.3", markerfacecolor="white", label=f"K = {k}")
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.axhline(MARGIN, color="0.6", linewidth=0.8, linestyle=":")
    axis.legend(fontsize=7, frameon=False)
    knob = rows[0]["knob"]
    title = TITLES.get(knob, knob)
    if len(values) == 1 and knob in TITLES and knob != "none":
        title += f" {values[0]}"
    axis.set_title(title, fontsize=10)


def draw(path, rows):
    """Writes the picture."""
    knobs = list(dict.fromkeys(row["knob"] for row in rows))
    columns = min(3, len(knobs))
    lines = math.ceil(len(knobs) / columns)
    figure, grid = pyplot.subplots(lines, columns, squeeze=False,
                                   figsize=(4.2 * columns, 3.4 * lines))
    for axis, knob in zip(grid.flat, knobs):
        draw_panel(axis, [row for row in rows if row["knob"] == knob])
        axis.set_xlim(-0.05, 1)
        axis.set_xlabel("recall lost (1 - recall, ties forgiven)")
    for axis in list(grid.flat)[len(knobs):]:
        axis.set_axis_off()
    for line in grid:
        line[0].set_ylabel("AUC lost against exact")
    figure.tight_layout()
    with files.replaced(path) as part:
        figure.savefig(part, format="png", dpi=110)
    pyplot.close(figure)
