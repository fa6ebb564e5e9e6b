# SPDX-License-Identifier: Apache-2.0
"""Share of the hardware limit that kernels reach, and throughput against threads."""
import re
import statistics

from eta_simd.report.panels.style import (COLOURS, FAINT, INK, NoData, Panel, legend_below, look,
                                          new_figure)
from eta_simd.report.selection import chosen_methods, widest

MOST_KERNELS = 24


def kernel_of(name):
    """Kernel with its shape, and target, of a row of kernel_bench."""
    kernel, _, target = name.rpartition("/")
    return re.sub(r"(\w+):", r"\1 ", kernel).replace("/", ", "), target


def limits(results):
    """Share of the hardware limit, a row per kernel and shape, a marker per SIMD target."""
    shares: dict[tuple[str, str], list[float]] = {}
    for entry in results.kernels:
        if isinstance(entry.get("of_limit"), float) and entry["of_limit"] > 0:
            shares.setdefault(kernel_of(entry.get("run_name", entry["name"])), []).append(
                entry["of_limit"])
    if not shares:
        raise NoData("share of the hardware limit (needs the JSON of kernel_bench)")
    kernels = list(dict.fromkeys(kernel for kernel, _ in shares))
    left_out = len(kernels) - MOST_KERNELS
    seen: dict[str, int] = {}
    turn: dict[str, int] = {}
    for kernel in kernels:  # some shapes of each, rather than all of the first
        kind = kernel.split(",")[0]
        turn[kernel] = seen[kind] = seen.get(kind, 0) + 1
    kept = set(sorted(kernels, key=lambda kernel: turn[kernel])[:MOST_KERNELS])
    kernels = [kernel for kernel in kernels if kernel in kept]
    targets = list(dict.fromkeys(target for _, target in shares))
    figure, axes = new_figure(1.3 + 0.27 * len(kernels))
    for index, target in enumerate(targets):
        places = [i for i, kernel in enumerate(kernels) if (kernel, target) in shares]
        values = [100 * statistics.median(shares[kernels[i], target]) for i in places]
        style = look(index)
        heights = [i + 0.16 * (index - (len(targets) - 1) / 2) for i in places]
        axes.plot(values, heights, linestyle="none", color=style["color"], marker=style["marker"],
                  markersize=4.5, label=target)
    axes.axvline(100, color=INK, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(kernels)), kernels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("share of the target's limit (%)")
    legend_below(figure, axes, 4)
    more = f" {left_out} more are not shown." if left_out > 0 else ""
    return Panel("hardware_limits", "How near the kernels come to the hardware",
                 "The limit is the rate of the same instructions without the rest of the kernel, "
                 f"measured in turn with it; noise can lift a point over 100 %.{more}", figure,
                 is_dense=True)


def threads(results):
    """Throughput over that of one thread: ratios of thread_scaling.sh, and of runs with several
    threads."""
    points = [(f"{row['method']}, {row['case'].split(', ')[0]}", row["threads"], row["median"],
               row["least"], row["largest"]) for row in results.threads]
    rows = widest(results.rows, "threads", ("data", "dim", "l_mean", "b", "k", "cache"))
    for method in chosen_methods(rows):
        rates = {row["threads"]: row["candidates_per_s"] for row in rows
                 if row["method"] == method}
        one = rates.get(1)
        points += [(method, n, rate / one, rate / one, rate / one)
                   for n, rate in sorted(rates.items()) if one]
    if not points:
        raise NoData("threads (needs scripts/thread_scaling.sh --csv, or results of several "
                     "threads)")
    figure, axes = new_figure(5)
    names = list(dict.fromkeys(point[0] for point in points))
    most = max(point[1] for point in points)
    for index, name in enumerate(names[:len(COLOURS)]):
        part = sorted({(1, 1, 1, 1)} | {point[1:] for point in points if point[0] == name})
        x, middle, low, high = zip(*part)
        # Side by side, or the bars of one count would hide one another.
        x = [n + (index - len(names) / 2) * 0.02 * most * (n > 1) for n in x]
        axes.errorbar(x, middle, yerr=[[m - v for m, v in zip(middle, low)],
                                       [v - m for m, v in zip(middle, high)]],
                      label=name, capsize=2, markersize=5, elinewidth=1, **look(index))
    axes.plot([1, most], [1, most], color=INK, alpha=FAINT, linewidth=2, zorder=0.5,
              label="as many times")
    axes.set_xticks(sorted({1} | {int(point[1]) for point in points}))
    axes.set_xlabel("threads")
    axes.set_ylabel("throughput (times that of one thread)")
    axes.set_ylim(bottom=0)
    legend_below(figure, axes, 1)
    return Panel("threads", "Threads", "Bars span the least and the largest of several runs.",
                 figure)
