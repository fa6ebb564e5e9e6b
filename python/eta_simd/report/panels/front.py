# SPDX-License-Identifier: Apache-2.0
"""Recall against latency, and how recall varies between requests."""
from eta_simd.report import words
from eta_simd.report.panels.style import (COLOURS, FAINT, INK, NoData, Panel, legend_below,
                                          log_ticks, look, new_figure)
from eta_simd.report.selection import chosen_methods, family_of, main_group, pareto


def recall_latency(results):
    """All methods of the main setting, and the Pareto front."""
    rows = main_group(results.rows)
    if not rows:
        raise NoData("recall against latency (needs the JSON or CSV of retrieval_bench)")
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
                 f"{words.setting_text(rows[0])}. Up and left is better. For every method off "
                 "the grey line one on it is at least as good in both.", figure)


def label_front(figure, axes, front):
    """Names beside the points, away from the middle and from one another."""
    figure.canvas.draw()  # for the layout, which says how wide a name is
    taken: list = []  # areas of the names drawn, in pixels
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


def recall_histogram(results):
    """How many requests have which recall, for some methods of the main setting."""
    rows = [row for row in main_group(results.rows) or [] if row.get("recall_histogram")
            and 0 < row["recall"] < 0.9999]
    if not rows:
        raise NoData("recall by request (needs the JSON of retrieval_bench)")
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
    return Panel("recall_histogram", "Recall by user",
                 f"{words.setting_text(rows[0])}. The mean hides users with a low recall.", figure)
