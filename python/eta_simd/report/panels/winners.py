# SPDX-License-Identifier: Apache-2.0
"""Which family of methods is the fastest at equal recall."""
import re

from matplotlib.patches import Rectangle

from eta_simd.report.panels.style import NoData, Panel, look, new_figure


def winners(results):
    """A panel for each data set and cache mode."""
    parts: dict[tuple[str, str], list[dict]] = {}
    for choice in results.choices:
        parts.setdefault((choice["data"], choice["cache"]), []).append(choice)
    if not parts:
        raise NoData("winners at equal recall (needs scripts/equal_recall.sh)")
    families = list(dict.fromkeys(c["family"] for c in results.choices))
    return [draw_winners(data, cache, part, families) for (data, cache), part in parts.items()]


def draw_winners(data, cache, choices, families):
    """A grid of history lengths and recalls with the fastest family in each cell."""
    lengths = sorted({c["l"] for c in choices})
    recalls = sorted({c["target"] for c in choices}, reverse=True)
    figure, axes = new_figure(1.3 + 0.55 * len(recalls))
    axes.grid(False)
    for choice in choices:
        if not choice["is_winner"]:
            continue
        x, y = lengths.index(choice["l"]), recalls.index(choice["target"])
        colour = look(families.index(choice["family"]))["color"]
        axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=colour,
                                 alpha=0.18, edgecolor=colour, linewidth=1))
        setting = choice["method"].removeprefix("eta_gather:").removeprefix("eta:")
        setting = "" if setting == choice["family"] else re.sub(r"\+rerank(_i8)?:", "+r", setting)
        value = choice["ns_per_candidate"]
        time = f"{value:,.0f} ns" if value >= 10 else f"{value:.2g} ns"
        lines = [choice["family"], setting, time]
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
                 "The fastest family in each cell, its bits (+r: oversampling of the rescoring) "
                 "and its time per candidate.", figure, is_dense=True)
