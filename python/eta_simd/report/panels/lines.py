# SPDX-License-Identifier: Apache-2.0
"""Recall and latency as lines: against history length, candidates, widths and oversampling."""
import re
from typing import NamedTuple

from eta_simd.report.panels.style import (NoData, Panel, legend_below, log_ticks, look, new_figure,
                                          value_ticks)
from eta_simd.report.selection import MOST_LINES, chosen_methods, first_at_each, widest


RESCORED = re.compile(r"(.+)\+(rerank|rerank_i8|refine):(\d+)")
CODES = re.compile(r"(\w+):(\d+)")


class Along(NamedTuple):
    """What a panel has along its horizontal axis."""
    key: str  # column of the rows
    symbol: str
    name: str
    label: str
    fixed: tuple[str, ...]  # columns of its counterparts, which must not vary


LENGTH = Along("l_mean", "L", "history length", "mean history length L (behaviours)", ("b",))
CANDIDATES = Along("b", "B", "candidates", "candidates per request B", ("l_mean",))
# A line is a kind of code: its methods differ by their width alone.
WIDTHS = Along("bits", "code widths", "code widths", "width of a code (bits)",
               ("digest", "l_mean", "b"))


def kind_of_code(row):
    """The row as of a method without its width; None where that is no code."""
    found = CODES.fullmatch(row["method"])
    if not found or int(found[2]) != row["bits"]:
        return None
    return {**row, "method": found[1]}


def rows_along(along, rows, what):
    """The rows of the setting with most values along the axis, without methods that have one only.

    Raises NoData for the panel "`what` against ..." where there are none."""
    if along is WIDTHS:
        rows = [code for code in map(kind_of_code, rows) if code]
    rows = widest(rows, along.key, ("data", "dim", *along.fixed, "k", "threads", "cache"))
    rows = [row for row in rows
            if len({r[along.key] for r in rows if r["method"] == row["method"]}) > 1]
    if not rows:
        raise NoData(f"{what} against {along.symbol} (needs results of two or more values of "
                     f"{along.symbol})")
    return rows


def setting_along(along, row):
    """The caption's words for what does not vary."""
    words = {"l_mean": f"L = {row['l_mean']:,.0f}", "b": f"B = {row['b']:,.0f}"}
    fixed = ", ".join(words[key] for key in along.fixed if key in words)
    return f"{row['data']}, {fixed}, K = {row['k']:.0f}, {row['cache']} cache."


def recall_lines(lines, label, columns=3):
    """A figure of recall against a number named by `label`; `lines` has (index of the look, name,
    points) triples."""
    figure, axes = new_figure()
    for index, name, points in lines:
        axes.plot(*zip(*points), label=name, **look(index))
    value_ticks(axes.xaxis, sorted({x for _, _, points in lines for x, _ in points}))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(label)
    axes.set_ylabel("recall of the exact top K (share)")
    legend_below(figure, axes, columns)
    return figure


def recall_along(along, results):
    """Recall of each method that is not exact; a method looks as in latency_along."""
    rows = rows_along(along, [row for row in results.rows if row["recall"] is not None], "recall")
    lines: list[tuple] = []
    for index, method in enumerate(chosen_methods(rows)):
        points = first_at_each([row for row in rows if row["method"] == method], along.key,
                               "recall")
        if any(recall < 1 for _, recall in points):
            lines.append((index, method, points))
    if not lines:
        raise NoData(f"recall against {along.symbol} (all methods are exact)")
    return Panel(f"recall_{along.name.split()[-1]}", f"Recall against {along.name}",
                 setting_along(along, rows[0]), recall_lines(lines, along.label, 2))


def latency_along(along, results):
    """Median and p99 of each method."""
    rows = rows_along(along, results.rows, "latency")
    figure, axes = new_figure(4.3)
    for index, method in enumerate(chosen_methods(rows)):
        x, p50, p99 = zip(*first_at_each([row for row in rows if row["method"] == method],
                                         along.key, "p50_us", "p99_us"))
        style = look(index)
        axes.plot(x, p50, label=method, markersize=5, **style)
        axes.fill_between(x, p50, p99, color=style["color"], alpha=0.08, linewidth=0)
        axes.plot(x, p99, color=style["color"], linestyle=style["linestyle"], linewidth=0.7,
                  alpha=0.7)
    value_ticks(axes.xaxis, sorted({row[along.key] for row in rows}))
    axes.set_yscale("log")
    times = [row[key] for row in rows for key in ("p50_us", "p99_us")]
    log_ticks(axes.yaxis, min(times), max(times))
    axes.set_xlabel(along.label)
    axes.set_ylabel("latency of a request (us)")
    legend_below(figure, axes, 2)
    return Panel(f"latency_{along.name.split()[-1]}", f"Latency against {along.name}",
                 f"{setting_along(along, rows[0])} Thick lines are the median, bands reach up to "
                 "p99.", figure)


def recall_bits(results):
    """Recall of plain ETA, a line per K."""
    rows = [row for row in results.rows if re.fullmatch(r"eta:\d+", row["method"])
            and row["recall"] is not None]
    rows = widest(rows, "bits", ("data", "digest", "dim", "l_mean", "b", "threads", "cache"))
    if not rows:
        raise NoData("recall against bits (needs eta:BITS of two or more widths)")
    lines = [(index, f"K = {k:.0f}",
              first_at_each([row for row in rows if row["k"] == k], "bits", "recall"))
             for index, k in enumerate(sorted({row["k"] for row in rows}))]
    return Panel("recall_bits", "Recall against bits",
                 f"ETA on {rows[0]['data']}, L = {rows[0]['l_mean']:,.0f}, dim = "
                 f"{rows[0]['dim']:.0f}.", recall_lines(lines, "width of a code (bits)"))


def oversampling(results):
    """Recall of a shortlist with rescoring, a line for each method that makes the list and each
    kind of rescoring; C = 1 is the method alone."""
    rows = []
    for row in results.rows:
        found = RESCORED.fullmatch(row["method"])
        if row["recall"] is not None:
            rows.append({**row, "base": found[1] if found else row["method"],
                         "step": found[2] if found else None, "c": int(found[3]) if found else 1})
    bases = {row["base"] for row in rows if row["step"]}
    rows = widest([row for row in rows if row["base"] in bases], "c",
                  ("data", "digest", "dim", "l_mean", "b", "k", "threads", "cache"))
    lines: list[tuple] = []
    for base, step in sorted({(row["base"], row["step"]) for row in rows if row["step"]},
                             key=lambda line: (*map(natural, line),)):
        points = first_at_each([row for row in rows if row["base"] == base and
                                row["step"] in (step, None)], "c", "recall")
        if len(points) > 1:
            name = base + (", int8" if step == "rerank_i8" else "")
            lines.append((len(lines), name, points))
    if not lines:
        raise NoData("oversampling (needs METHOD+rerank:C of two or more C, or with METHOD)")
    return Panel("oversampling", "Recall against oversampling",
                 f"METHOD+rerank:C on {rows[0]['data']}, L = {rows[0]['l_mean']:,.0f}, K = "
                 f"{rows[0]['k']:.0f}; C = 1 is without rescoring, int8 is +rerank_i8:C.",
                 recall_lines(shared(lines), "oversampling C (best C x K by code, rescored)", 2))


def shared(lines):
    """At most MOST_LINES of them, both kinds of rescoring among them where there are both."""
    kinds = [[line for line in lines if line[1].endswith(", int8") == is_i8]
             for is_i8 in (False, True)]
    room = max(MOST_LINES - len(kinds[1]), MOST_LINES // 2, 1)
    return sorted(kinds[0][:room] + kinds[1][:MOST_LINES - len(kinds[0][:room])])


def natural(text):
    """A key by which eta:64 comes before eta:256."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]
