# SPDX-License-Identifier: Apache-2.0
"""Latency under load, and how much load a latency limit allows (--load and --slo-ms)."""
from eta_simd.report.panels.style import (NoData, Panel, legend_below, log_ticks, look, new_figure,
                                          plain_ticks)
from eta_simd.report.selection import chosen_methods, load_setting, loads_of, most_within_limit


def setting_text(row):
    """The setting of a rate for a caption."""
    workers = f"{row['threads']:.0f} worker" + "s" * (row["threads"] != 1)
    data = f"{row['data']}, " if row["data"] else ""
    return (f"{data}L = {row['l_mean']:,.0f}, B = {row['b']:,.0f}, K = {row['k']:.0f}, {workers}; "
            "Poisson arrivals, latency from the intended start")


def latency_by_rate(results):
    """Median and p99 of each method against the rate of requests."""
    rows = loads_of([row for row in results.loads if row["limit_ms"] is None])
    if not rows:
        raise NoData("latency under load (needs --load of retrieval_bench)")
    figure, axes = new_figure(4.3)
    for index, method in enumerate(chosen_methods(rows)):
        part = sorted((row for row in rows if row["method"] == method), key=lambda r: r["rate"])
        rates, style = [row["rate"] for row in part], look(index)
        axes.plot(rates, [row["p99_us"] for row in part], label=method, markersize=5, **style)
        axes.plot(rates, [row["p50_us"] for row in part], color=style["color"], linewidth=0.7,
                  linestyle=style["linestyle"], alpha=0.7)
        # Requests that were not served count with the time that they had waited.
        late = [row for row in part if row["unserved"]]
        axes.plot([row["rate"] for row in late], [row["p99_us"] for row in late], linestyle="none",
                  color=style["color"], marker="o", markersize=11, markerfacecolor="none")
    axes.set_xscale("log")
    axes.set_yscale("log")
    rates = [row["rate"] for row in rows]
    log_ticks(axes.xaxis, min(rates), max(rates))
    times = [row[key] for row in rows for key in ("p50_us", "p99_us")]
    log_ticks(axes.yaxis, min(times), max(times))
    axes.set_xlabel("requests per second")
    axes.set_ylabel("latency of a request (us)")
    legend_below(figure, axes, 2)
    return Panel("latency_load", "Latency under load",
                 f"{setting_text(rows[0])}. Thick lines are p99, thin ones the median; in a "
                 "ring p99 is a lower bound, because requests were left unserved.", figure)


def rate_within_limit(results):
    """A panel for each setting: the highest rate at which p99 kept the limit."""
    settings: dict[tuple, list] = {}
    for row in results.loads:
        if row["limit_ms"] is not None:
            settings.setdefault(load_setting(row), []).append(row)
    if not settings:
        raise NoData("highest rate within a limit (needs --slo-ms of retrieval_bench)")
    return [draw_rates(part, index) for index, part in enumerate(settings.values())]


def draw_rates(rows, index):
    """Bars of the methods of one setting, the highest rate first."""
    best = most_within_limit(rows)
    names = sorted(best, key=lambda name: best[name], reverse=True)
    figure, axes = new_figure(max(1.6, 0.8 + 0.28 * len(names)))
    axes.grid(axis="y", visible=False)
    axes.barh(range(len(names)), [best[name] for name in names], height=0.6,
              color=look(0)["color"])
    for place, name in enumerate(names):
        axes.annotate(f"{best[name]:,.0f}" if best[name] else "none", (best[name], place),
                      xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.16)
    axes.set_xlim(left=0, right=None if any(best.values()) else 1)
    plain_ticks(axes.xaxis)
    axes.set_xlabel("requests per second")
    limit = rows[0]["limit_ms"]
    return Panel("rate_limit" + f"_{index + 1}" * (index > 0), f"Rate with p99 within {limit:g} ms",
                 f"{setting_text(rows[0])}. The highest rate that was seen to keep the limit.",
                 figure)
