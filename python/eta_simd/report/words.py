# SPDX-License-Identifier: Apache-2.0
"""Sums up results in words: the fastest method for a recall, the best one for a latency."""
from eta_simd.report.selection import load_setting, main_group, most_within_limit

RECALLS = (0.8, 0.9, 0.95, 0.99)


def setting_text(row):
    """The setting of a row for a reader."""
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']:.0f} threads"
    dim = f"dim = {row['dim']:.0f}, " if row.get("sweep_dim") else ""
    return (f"{row['data']}: {dim}L = {row['l_mean']:,.0f}, B = {row['b']:,.0f}, "
            f"K = {row['k']:.0f}, {threads}, {row['cache']} cache")


def microseconds(value):
    """A time with three digits, or whole with separators."""
    return f"{value:,.0f} us" if value >= 100 else f"{value:.3g} us"


def budgets(rows):
    """The three largest round latencies that are too short for the highest recall of all."""
    low = min(row["p50_us"] for row in rows)
    most = max(row["recall_ties"] for row in rows)
    high = min(row["p50_us"] for row in rows if row["recall_ties"] == most)
    round_ones = [digit * 10.0**power for power in range(-2, 9) for digit in (1, 2, 5)]
    return [value for value in round_ones if low < value < high][-3:]


def joined(names):
    """Names as an enumeration."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def winners_by_recall(rows):
    """Sentences on the fastest method for each of RECALLS; one for recalls with the same winner."""
    by_winner: dict[str | None, tuple[dict | None, list[str]]] = {}
    for recall in RECALLS:
        fit = [row for row in rows if row["recall_ties"] >= recall]
        best = min(fit, key=lambda row: row["p50_us"], default=None)
        by_winner.setdefault(best and best["method"], (best, []))[1].append(f"{recall:g}")
    for best, recalls in by_winner.values():
        if best is None:
            yield f"no method reaches a recall of {recalls[0]}"
        else:
            span = recalls[0] if len(recalls) == 1 else f"{recalls[0]} to {recalls[-1]}"
            yield (f"for a recall of {span} {best['method']} is the fastest "
                   f"({microseconds(best['p50_us'])} per request, recall "
                   f"{best['recall_ties']:.3f})")


def winners_by_latency(rows):
    """Sentences on the best recall within each of budgets()."""
    for budget in budgets(rows):
        best = max((row for row in rows if row["p50_us"] <= budget),
                   key=lambda row: (row["recall_ties"], -row["p50_us"]))
        yield (f"within {microseconds(budget)} {best['method']} has the highest recall "
               f"({best['recall_ties']:.3f})")


def winners_at_equal_recall(choices):
    """One sentence on the tables of equal_recall.sh."""
    wins: dict[str, int] = {}
    total = 0
    for choice in choices:
        if choice["is_winner"]:
            wins[choice["family"]] = wins.get(choice["family"], 0) + 1
            total += 1
    ranked = sorted(wins.items(), key=lambda item: -item[1])
    parts = [f"{family} wins {count}" for family, count in ranked]
    return f"At equal recall, of {total} cells of length, recall and cache {joined(parts)}."


def winners_under_load(loads):
    """Sentences on which method serves the most within a limit of p99, one for each setting."""
    settings: dict[tuple, list] = {}
    for row in loads:
        if row["limit_ms"] is not None:
            settings.setdefault(load_setting(row), []).append(row)
    for part in settings.values():
        best = most_within_limit(part)
        workers = part[0]["threads"]
        with_workers = f"{workers:.0f} worker" + "s" * (workers != 1)
        name = max(best, key=lambda method: best[method])
        limit = f"{part[0]['limit_ms']:g} ms"
        yield (f"With {with_workers} and p99 within {limit} {name} serves the most: "
               f"{best[name]:,.0f} requests per second." if best[name] else
               f"With {with_workers} no method keeps p99 within {limit} at a rate that was tried.")


def summary(results):
    """Paragraphs of text."""
    paragraphs = []
    rows = main_group(results.rows)
    if rows:
        by_recall, by_latency = list(winners_by_recall(rows)), list(winners_by_latency(rows))
        text = f"On {setting_text(rows[0])}: {'; '.join(by_recall)}."
        if by_latency:
            text += f" By the median time of a request: {'; '.join(by_latency)}."
        text += " Recall is that of the exact top K, ties forgiven."
        paragraphs.append(text)
    if any(choice["is_winner"] for choice in results.choices):
        paragraphs.append(winners_at_equal_recall(results.choices))
    under_load = list(winners_under_load(results.loads))
    if under_load:
        paragraphs.append(" ".join(under_load))
    if not paragraphs:
        paragraphs.append("There are no requests among these results, so no method can be named "
                          "the winner.")
    return paragraphs
