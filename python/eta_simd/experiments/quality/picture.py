# SPDX-License-Identifier: Apache-2.0
"""Draws the sweep: AUC of eta, and its latency, against bits and K."""
import math

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from eta_simd import files
from eta_simd.experiments.quality.cells import BASE_BITS, BASE_K
from eta_simd.experiments.quality.comparison import BASE


def draw_line(axis, rows, along, table):
    """AUC, and where it was measured latency, of one data set against bits or K."""
    values = [r["auc"] for r in rows]
    # One seed says little: the spread is that of the seeds at 128 bits and K = 64, where known.
    spread = next((r["auc_sd"] for r in table if r["model"] == "eta"), float("nan"))
    low, high = ([r["auc"] - r["low"] for r in rows], [r["high"] - r["auc"] for r in rows])
    if rows[0]["seeds"] == 1 and not math.isnan(spread):
        low = high = [spread] * len(rows)
    axis.errorbar([r[along] for r in rows], values, [low, high], marker="o", color="C0", capsize=3,
                  label="eta, AUC")
    for row in table:
        if row["model"] in (BASE, "none"):
            axis.axhline(row["auc"], linestyle="--" if row["model"] == BASE else ":", color="0.4",
                         label=f"{row['model']}, AUC")
    axis.set_xscale("log", base=2)
    axis.set_xticks([r[along] for r in rows], [str(r[along]) for r in rows])
    axis.set(xlabel="K (behaviours)" if along == "k" else "width of a code (bits)",
             ylabel="test AUC")
    handles, labels = axis.get_legend_handles_labels()
    if all("p50_us" in r for r in rows):
        twin = axis.twinx()
        handles += twin.plot([r[along] for r in rows], [r["p50_us"] for r in rows], "s-.",
                             color="C1")
        labels.append("eta, latency")
        twin.set_ylim(0, 1.15 * max(r["p50_us"] for r in rows))
        twin.set_ylabel("median latency of a request (us)", color="C1")
    return handles, labels


def draw_sweep(path, sweep, tables):
    """Writes the picture, a line of panels per data set."""
    sets = list(dict.fromkeys(row["data"] for row in sweep))
    figure, axes = pyplot.subplots(len(sets), 2, figsize=(10, 3.4 * len(sets) + 0.5),
                                   squeeze=False)
    for line, data in zip(axes, sets):
        for axis, along, other, fixed in ((line[0], "bits", "k", BASE_K),
                                          (line[1], "k", "bits", BASE_BITS)):
            rows = sorted((r for r in sweep if r["data"] == data and r[other] == fixed),
                          key=lambda r: r[along])
            legend = draw_line(axis, rows, along, tables[data])
            axis.set_title(f"{data}, {'K' if other == 'k' else 'bits'} = {fixed}, "
                           f"{rows[0]['seeds']} seed{'s' * (rows[0]['seeds'] > 1)}", fontsize=10)
    figure.legend(*legend, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.35 / figure.get_figheight(), 1, 1))
    with files.replaced(path) as part:
        figure.savefig(part, format="png", dpi=120)
