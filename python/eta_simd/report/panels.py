# SPDX-License-Identifier: Apache-2.0
"""The pictures of a report. Each is a function of the results that returns a Panel, a list of them,
or a text that says what is missing."""
import dataclasses
import re
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # pylint: disable=wrong-import-position

from eta_simd.report import words  # pylint: disable=wrong-import-position

# Each stands for a variable of the page's style sheet, so that a dark page can have others.
INK, GRID, PAPER = "#1c2128", "#d1d6dc", "#fefefe"
FAINT = 0.45  # opacity of lines of INK that lie behind the points
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#b8508f", "#8a6d00", "#3f8fc9", "#6b7280", INK]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 2)), (0, (3, 1))]
SIZE = (4.6, 3.9)  # inches; a telephone shows it at four fifths

# Which methods are drawn where not all have room, best known first.
PREFERRED = ("exact", "scan_i8", "eta:64", "eta:256", "eta:64+rerank:4", "faiss_exact",
             "eta_gather:64", "faiss_binary:64")
MOST_LINES = 6
MOST_KERNELS = 24

STYLE = {
    "font.size": 9, "font.family": "sans-serif", "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True,
    "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8, "svg.fonttype": "none",
    "svg.hashsalt": "eta-simd", "figure.facecolor": "none", "axes.facecolor": "none",
    "lines.linewidth": 1.6, "lines.markersize": 6,
}


@dataclasses.dataclass
class Panel:
    name: str  # of the files
    title: str
    caption: str
    figure: object
    is_dense: bool = False  # on paper its text needs the whole width


def new_figure(height=SIZE[1]):
    figure, axes = pyplot.subplots(figsize=(SIZE[0], height), layout="constrained")
    return figure, axes


def look(index):
    """Colour, marker and dashes of a line, told apart without colour."""
    i = index % len(COLOURS)
    return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": DASHES[i]}


def legend_below(figure, axes, columns=3):
    handles, labels = axes.get_legend_handles_labels()
    columns = min(columns, len(labels))
    figure.legend(handles, labels, loc="lower center", ncols=columns, handlelength=2.8,
                  columnspacing=1.2)
    room = (0.1 + 0.19 * -(-len(labels) // columns)) / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, room, 1, 1 - room))


def plain_ticks(axis, values=None):
    """Numbers instead of powers of ten."""
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda v, _: f"{v:,.10g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    if values is not None:
        axis.set_ticks(values)


def log_ticks(axis, low, high):
    """A logarithmic scale with two or three numbers per power of ten."""
    steps = (1, 2, 5) if high / low < 30 else (1, 3) if high / low < 1000 else (1,)
    axis.set_major_locator(matplotlib.ticker.LogLocator(base=10, subs=steps, numticks=20))
    plain_ticks(axis)


def family_of(method):
    name = re.sub(r":\d+", "", method)
    return re.sub(r":.*", "", name) if name.startswith("sim_soft") else name


# ---- recall against latency


def pareto(rows):
    """Rows that no other beats in both, fastest first."""
    front, best = [], -1
    for row in sorted(rows, key=lambda r: (r["p50_us"], -r["recall_ties"])):
        if row["recall_ties"] > best:
            front.append(row)
            best = row["recall_ties"]
    return front


def recall_latency(results):
    rows = words.main_group(results.rows)
    if not rows:
        return "recall against latency (no requests)"
    figure, axes = new_figure(4.4)
    families = list(dict.fromkeys(family_of(row["method"]) for row in rows))
    for index, family in enumerate(families):
        part = [row for row in rows if family_of(row["method"]) == family]
        style = look(index)
        # A second round of markers is hollow.
        fill = style["color"] if index < len(COLOURS) else "none"
        axes.plot([r["p50_us"] for r in part], [r["recall_ties"] for r in part], linestyle="none",
                  color=style["color"], marker=style["marker"], markerfacecolor=fill, label=family)
    front = pareto(rows)
    axes.plot([r["p50_us"] for r in front], [r["recall_ties"] for r in front], color=INK,
              alpha=FAINT, linewidth=3, zorder=0.5, solid_joinstyle="round", label="Pareto front")
    axes.set_xscale("log")
    times = [r["p50_us"] for r in rows]
    axes.set_xlim(min(times) / 1.5, max(times) * 1.5)
    log_ticks(axes.xaxis, min(times), max(times))
    axes.set_ylim(min(r["recall_ties"] for r in rows) - 0.08, 1.09)
    axes.set_xlabel("median latency of a request (us)")
    axes.set_ylabel("recall of the exact top K, ties forgiven (share)")
    legend_below(figure, axes)
    label_front(figure, axes, front)
    return Panel("recall_latency", "Recall against latency",
                 f"{words.setting_text(rows[0])}. Up and left is better; what is off the grey line "
                 "is beaten in both by something on it.", figure)


def label_front(figure, axes, front):
    """Names beside the points, away from the middle and from one another."""
    figure.canvas.draw()  # for the layout, which says how wide a name is
    taken = []
    for row in front:
        is_right = row["p50_us"] > (front[0]["p50_us"] * front[-1]["p50_us"])**0.5
        name = axes.annotate(row["method"], (row["p50_us"], row["recall_ties"]), fontsize=7.5,
                             xytext=(-7 if is_right else 7, 5), textcoords="offset points",
                             ha="right" if is_right else "left")
        name.set_in_layout(False)
        place = name.get_window_extent()
        # One that would lie on a name before it has to do without: the table has it.
        if any(place.overlaps(other) for other in taken):
            name.remove()
        else:
            taken.append(place)


# ---- latency against L and B


def chosen_methods(rows):
    there = list(dict.fromkeys(row["method"] for row in rows))
    return ([m for m in PREFERRED if m in there] +
            [m for m in there if m not in PREFERRED])[:MOST_LINES]


def widest(rows, axis, others):
    """Rows of the one setting of `others` along which `axis` has most values, two or more; among
    equals of that which has most lines."""
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in others), []).append(row)
    best = max(found.values(), default=[],
               key=lambda part: (len({row[axis] for row in part}), len(part)))
    return best if len({row[axis] for row in best}) > 1 else []


def first_at_each(rows, axis, *keys):
    """Points by rising `axis`, of the first run where several have the same place."""
    return sorted({row[axis]: (row[axis], *(row[key] for key in keys))
                   for row in reversed(rows)}.values())


def latency_lines(rows, axis, label):
    figure, axes = new_figure(4.3)
    rows = [row for row in rows
            if len({r[axis] for r in rows if r["method"] == row["method"]}) > 1]
    for index, method in enumerate(chosen_methods(rows)):
        x, p50, p99 = zip(*first_at_each([row for row in rows if row["method"] == method], axis,
                                         "p50_us", "p99_us"))
        style = look(index)
        axes.plot(x, p50, label=method, markersize=5, **style)
        axes.fill_between(x, p50, p99, color=style["color"], alpha=0.08, linewidth=0)
        axes.plot(x, p99, color=style["color"], linestyle=style["linestyle"], linewidth=0.7,
                  alpha=0.7)
    values = sorted({row[axis] for row in rows})
    axes.set_xscale("log")
    axes.set_yscale("log")
    times = [row[key] for row in rows for key in ("p50_us", "p99_us")]
    log_ticks(axes.yaxis, min(times), max(times))
    plain_ticks(axes.xaxis, values if len(values) <= 6 else values[::2])
    axes.set_xlabel(label)
    axes.set_ylabel("latency of a request (us)")
    legend_below(figure, axes, 2)
    return figure


def latency_l(results):
    rows = widest(results.rows, "l_mean", ("data", "dim", "b", "k", "threads", "cache"))
    if not rows:
        return "latency against L (needs results of two or more lengths)"
    figure = latency_lines(rows, "l_mean", "mean history length L (behaviours)")
    return Panel("latency_length", "Latency against history length",
                 f"{rows[0]['data']}, B = {rows[0]['b']:,.0f}, K = {rows[0]['k']:.0f}, {rows[0]['cache']} "
                 "cache. Thick lines are the median, bands reach up to p99.", figure)


def latency_b(results):
    rows = widest(results.rows, "b", ("data", "dim", "l_mean", "k", "threads", "cache"))
    if not rows:
        return "latency against B (needs results of two or more numbers of candidates)"
    figure = latency_lines(rows, "b", "candidates per request B")
    return Panel("latency_candidates", "Latency against candidates",
                 f"{rows[0]['data']}, L = {rows[0]['l_mean']:,.0f}, K = {rows[0]['k']:.0f}, "
                 f"{rows[0]['cache']} cache. Thick lines are the median, bands reach up to p99.", figure)


# ---- recall against bits, and against oversampling


def recall_bits(results):
    rows = [row for row in results.rows if re.fullmatch(r"eta:\d+", row["method"])
            and row["recall"] is not None]
    rows = widest(rows, "bits", ("data", "digest", "dim", "l_mean", "b", "threads", "cache"))
    if not rows:
        return "recall against bits (needs eta:BITS of two or more widths)"
    figure, axes = new_figure()
    for index, k in enumerate(sorted({row["k"] for row in rows})):
        part = first_at_each([row for row in rows if row["k"] == k], "bits", "recall")
        axes.plot(*zip(*part), label=f"K = {k:.0f}", **look(index))
    axes.set_xscale("log", base=2)
    plain_ticks(axes.xaxis, sorted({row["bits"] for row in rows}))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("width of a code (bits)")
    axes.set_ylabel("recall of the exact top K (share)")
    legend_below(figure, axes)
    return Panel("recall_bits", "Recall against bits",
                 f"ETA on {rows[0]['data']}, L = {rows[0]['l_mean']:,.0f}, dim = {rows[0]['dim']:.0f}.",
                 figure)


def oversampling(results):
    rows = []
    for row in results.rows:
        found = re.fullmatch(r"eta:(\d+)(?:\+rerank:(\d+))?", row["method"])
        if found and row["recall"] is not None:
            rows.append({**row, "c": int(found[2] or 1), "bits": int(found[1])})
    rows = widest(rows, "c", ("data", "digest", "dim", "l_mean", "b", "k", "threads", "cache"))
    if not rows:
        return "oversampling (needs eta:BITS+rerank:C)"
    widths = [bits for bits in sorted({row["bits"] for row in rows})
              if len({row["c"] for row in rows if row["bits"] == bits}) > 1]
    figure, axes = new_figure()
    for index, bits in enumerate(widths[:MOST_LINES]):
        part = first_at_each([row for row in rows if row["bits"] == bits], "c", "recall")
        axes.plot(*zip(*part), label=f"{bits} bits", **look(index))
    axes.set_xscale("log", base=2)
    plain_ticks(axes.xaxis, sorted({row["c"] for row in rows}))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("oversampling C (best C x K by code, rescored exactly)")
    axes.set_ylabel("recall of the exact top K (share)")
    legend_below(figure, axes)
    return Panel("oversampling", "Recall against oversampling",
                 f"eta:BITS+rerank:C on {rows[0]['data']}, L = {rows[0]['l_mean']:,.0f}, "
                 f"K = {rows[0]['k']:.0f}; C = 1 is without rescoring.", figure)


# ---- hardware limits, threads


def kernel_of(name):
    """Kernel with its shape, and target, of a row of kernel_bench."""
    kernel, _, target = name.rpartition("/")
    return re.sub(r"(\w+):", r"\1 ", kernel).replace("/", ", "), target


def limits(results):
    shares = {}
    for entry in results.kernels:
        if isinstance(entry.get("of_limit"), float) and entry["of_limit"] > 0:
            shares.setdefault(kernel_of(entry.get("run_name", entry["name"])), []).append(
                entry["of_limit"])
    if not shares:
        return "share of the hardware limit (needs the JSON of kernel_bench)"
    kernels = list(dict.fromkeys(kernel for kernel, _ in shares))
    left_out = len(kernels) - MOST_KERNELS
    seen, turn = {}, {}
    for kernel in kernels:  # some shapes of each, rather than all of the first
        kind = kernel.split(",")[0]
        turn[kernel] = seen[kind] = seen.get(kind, 0) + 1
    kept = set(sorted(kernels, key=turn.get)[:MOST_KERNELS])
    kernels = [kernel for kernel in kernels if kernel in kept]
    targets = list(dict.fromkeys(target for _, target in shares))
    figure, axes = new_figure(1.3 + 0.27 * len(kernels))
    for index, target in enumerate(targets):
        places = [i for i, kernel in enumerate(kernels) if (kernel, target) in shares]
        values = [100 * statistics.median(shares[kernels[i], target]) for i in places]
        style = look(index)
        places = [i + 0.16 * (index - (len(targets) - 1) / 2) for i in places]
        axes.plot(values, places, linestyle="none", color=style["color"], marker=style["marker"],
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
    points = [(f"{row['method']}, {row['case'].split(', ')[0]}", row["threads"], row["median"],
               row["least"], row["largest"]) for row in results.threads]
    rows = widest(results.rows, "threads", ("data", "dim", "l_mean", "b", "k", "cache"))
    for method in chosen_methods(rows):
        part = {row["threads"]: row["candidates_per_s"] for row in rows if row["method"] == method}
        one = part.get(1)
        points += [(method, n, rate / one, rate / one, rate / one)
                   for n, rate in sorted(part.items()) if one]
    if not points:
        return "threads (needs scripts/thread_scaling.sh --csv, or results of several threads)"
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


# ---- recall of requests, winners


def recall_histogram(results):
    rows = [row for row in words.main_group(results.rows) or [] if row.get("recall_histogram")
            and 0 < row["recall"] < 0.9999]
    if not rows:
        return "recall by request (needs the JSON of retrieval_bench)"
    figure, axes = new_figure()
    for index, method in enumerate(chosen_methods(rows)[:4]):
        bins = next(row for row in rows if row["method"] == method)["recall_histogram"]
        edges = [i / len(bins) for i in range(len(bins) + 1)]
        shares = [100 * count / sum(bins) for count in bins]
        style = look(index)
        axes.stairs(shares, edges, color=style["color"], linestyle=style["linestyle"],
                    linewidth=1.8, label=method)
        axes.plot([(a + b) / 2 for a, b, s in zip(edges, edges[1:], shares) if s],
                  [s for s in shares if s], linestyle="none", marker=style["marker"], markersize=4,
                  color=style["color"])
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("recall of a user's request (share)")
    axes.set_ylabel("requests (%)")
    legend_below(figure, axes, 2)
    return Panel("recall_histogram", "Recall by user", f"{words.setting_text(rows[0])}. A mean hides "
                 "the users to the left.", figure)


def winners(results):
    parts = {}
    for choice in results.choices:
        parts.setdefault((choice["data"], choice["cache"]), []).append(choice)
    if not parts:
        return "winners at equal recall (needs scripts/equal_recall.sh)"
    families = list(dict.fromkeys(c["family"] for c in results.choices))
    return [draw_winners(*key, part, families) for key, part in parts.items()]


def draw_winners(data, cache, choices, families):
    lengths = sorted({c["l"] for c in choices})
    recalls = sorted({c["target"] for c in choices}, reverse=True)
    figure, axes = new_figure(1.3 + 0.55 * len(recalls))
    axes.grid(False)
    for choice in choices:
        if not choice["is_winner"]:
            continue
        x, y = lengths.index(choice["l"]), recalls.index(choice["target"])
        colour = look(families.index(choice["family"]))["color"]
        axes.add_patch(pyplot.Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=colour,
                                        alpha=0.18, edgecolor=colour, linewidth=1))
        setting = choice["method"].removeprefix("eta_gather:").removeprefix("eta:")
        setting = "" if setting == choice["family"] else re.sub(r"\+rerank(_i8)?:", "+r", setting)
        value = choice["ns_per_candidate"]
        lines = [choice["family"], setting, f"{value:,.0f} ns" if value >= 10 else f"{value:.2g} ns"]
        axes.text(x, y, "\n".join(line for line in lines if line), ha="center", va="center",
                  fontsize=6.5 if len(lengths) <= 6 else 5, linespacing=1.15)
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    axes.set_ylim(len(recalls) - 0.5, -0.5)
    axes.set_xticks(range(len(lengths)), [f"{n:,}" for n in lengths])
    axes.set_yticks(range(len(recalls)), [f"{r:g}" for r in recalls])
    axes.tick_params(length=0)
    axes.set_xlabel("history length L (behaviours)")
    axes.set_ylabel("recall reached (share)")
    name = re.sub(r"[^\w.-]", "_", f"winners_{data}_{cache}")[:100]
    return Panel(name, f"Winners at equal recall: {data}, {cache}",
                 "The fastest family in each cell, its bits (+r: oversampling of the rescoring) and "
                 "its time per candidate.", figure, is_dense=True)


ALL = (recall_latency, recall_histogram, recall_bits, oversampling, latency_l, latency_b, winners,
       limits, threads)


def draw(results):
    """All panels that the results have data for, and what is missing."""
    pyplot.rcParams.update(STYLE)
    drawn, missing = [], []
    for make in ALL:
        panel = make(results)
        if isinstance(panel, str):
            missing.append(panel)
        else:
            drawn += panel if isinstance(panel, list) else [panel]
    return drawn, missing
