# SPDX-License-Identifier: Apache-2.0
"""Draws the choices: latency against history length, a panel per data set, cache and recall.
Latencies are shares of the int8 scan's, because all of them grow with the length; where it was not
run, they are in ns."""
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from eta_simd.experiments.equal_recall.choices import group
from eta_simd.experiments.equal_recall.families import FAMILIES
from eta_simd.files import replaced

# Colours that a colour-blind reader can tell apart, and a marker and a dash each for print.
STYLES = {
    "eta": ("#0072B2", "o", "-"),
    "eta_gather": ("#56B4E9", "s", "--"),
    "eta+rerank": ("#009E73", "^", "-"),
    "eta+rerank_i8": ("#332288", "<", "--"),
    "eta_norm": ("#117733", "d", "-."),
    "eta_norm+rerank_i8": ("#117733", "D", "-"),
    "eta_asym": ("#CC79A7", "v", "-."),
    "eta_asym+rerank_i8": ("#CC79A7", ">", "-"),
    "pq4": ("#AA4499", "H", "--"),
    "pq4+rerank_i8": ("#AA4499", "8", "-"),
    "scan_f32": ("#000000", "D", "-"),
    "scan_i8": ("#D55E00", "P", "--"),
    "faiss_exact": ("#7F7F7F", "X", ":"),
    "faiss_pq4": ("#882255", "p", ":"),
    "faiss_pq4+refine": ("#882255", "h", "-"),
    "faiss_sq8": ("#999933", "<", ":"),
    "faiss_rabitq": ("#DDCC77", "8", "-."),
    "sim_soft": ("#B8860B", "*", "-."),
}


def units(choices):
    """What latencies are divided by, for each (data, cache, length), and the label of the axis."""
    scans = {(c["data"], c["cache"], c["l"]): c["ns_per_candidate"] for c in choices
             if c["family"] == "scan_i8" and c["method"]}
    if all((c["data"], c["cache"], c["l"]) in scans for c in choices):
        return scans, "latency / int8 scan's"
    return {}, "median latency per\ncandidate (ns)"


def draw_panel(axes, choices, scans):
    """One line per family; says which families do not reach the target anywhere."""
    missing = []
    for (family,), part in group(choices, "family").items():
        points = [(c["l"], c["ns_per_candidate"] / scans.get((c["data"], c["cache"], c["l"]), 1))
                  for c in part if c["method"]]
        if not points:
            missing.append(family)
            continue
        colour, marker, dash = STYLES[family]
        # eta is a ring: eta_gather often lies on it.
        is_ring = family == "eta"
        axes.plot(*zip(*points), color=colour, marker=marker, linestyle=dash, label=family,
                  linewidth=1.5, markersize=9 if is_ring else 5.5,
                  markerfacecolor="none" if is_ring else colour,
                  markeredgecolor=colour if is_ring else "white",
                  markeredgewidth=1.2 if is_ring else 0.5)
    if missing:
        names = ",\n".join(", ".join(missing[i:i + 2]) for i in range(0, len(missing), 2))
        axes.text(0.97, 0.97, f"not reached:\n{names}", transform=axes.transAxes, fontsize=7.5,
                  ha="right", va="top", color="#555555")


def set_scales(axes, lengths):
    """Logarithmic scales with a tick at each length, and a light grid."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(lengths, [f"{n:,}" for n in lengths], fontsize=8)
    axes.minorticks_off()
    axes.set_xlim(min(lengths) / 1.6, max(lengths) * 1.6)
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(choices, output):
    """One row of panels per data set and cache mode, one column per target."""
    rows = group(choices, "data", "cache")
    scans, label = units(choices)
    targets = sorted({c["target"] for c in choices})
    lengths = sorted({c["l"] for c in choices})
    figure, grid = pyplot.subplots(len(rows), len(targets), sharex=True, sharey=True, squeeze=False,
                                   figsize=(3.3 * len(targets), 2.8 * len(rows) + 0.9))
    for line, ((data, cache), part) in zip(grid, rows.items()):
        for axes, target in zip(line, targets):
            set_scales(axes, lengths)
            draw_panel(axes, [c for c in part if c["target"] == target], scans)
            axes.set_title(f"{data}, {cache}: recall \u2265 {target:g}", fontsize=9.5)
        line[0].set_ylabel(label)
    for axes in grid[-1]:
        axes.set_xlabel("history length L (behaviours)")
    handles = {}
    for axes in grid.flat:
        handles.update({label: h for h, label in zip(*axes.get_legend_handles_labels())})
    labels = [f for f in FAMILIES if f in handles]
    columns = max(1, round(1.5 * len(targets)))
    figure.legend([handles[f] for f in labels], labels, loc="upper center", ncol=columns,
                  frameon=False, handlelength=3.2,
                  title="Fastest setting of each family at equal recall")
    legend_inches = 0.4 + 0.2 * -(-len(labels) // columns)
    figure.tight_layout(rect=(0, 0, 1, 1 - legend_inches / figure.get_figheight()))
    for extension in ("svg", "png"):
        with replaced(output / f"equal_recall.{extension}") as part:
            figure.savefig(part, format=extension, dpi=130)
    pyplot.close(figure)
