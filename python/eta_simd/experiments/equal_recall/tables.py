# SPDX-License-Identifier: Apache-2.0
"""Writes the choices as Markdown, CSV and JSON."""
import json

from eta_simd import files
from eta_simd.experiments.equal_recall.choices import group
from eta_simd.experiments.equal_recall.families import BASE
from eta_simd.reading import read_json


def number(value):
    """A number with three digits, or whole with separators."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def table_field(choice):
    """A choice in the Markdown table."""
    if choice["method"] is None:
        return f"- (at most {choice['best_recall']:.2f})"
    latency = number(choice["ns_per_candidate"])
    if choice["is_winner"]:
        latency = f"**{latency}**"
    speedup = choice["speedup_vs_faiss_exact"]
    details = [] if choice["method"] == choice["family"] else [f"`{choice['method']}`"]
    details += [f"{number(speedup)}x"] if speedup and choice["family"] != BASE else []
    return f"{latency} {' '.join(details)}".strip()


MARKDOWN_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Latency per candidate at equal recall

Median latency of a request divided by its candidates, in ns, of the fastest setting of each family
whose mean recall, ties forgiven, reaches the target. The fastest family is **bold**; `x` is the
speed-up over `faiss_exact`; `-` where no setting reaches the target, with its best recall."""


WINNERS_HEAD = """
## Who wins

The fastest setting of all for a recall, and its speed-up over the int8 scan."""


def winner_field(choices):
    """The winner among the families of a cell and a recall."""
    winner = next((c for c in choices if c["is_winner"]), None)
    if winner is None:
        return "-"
    scan = next((c["ns_per_candidate"] for c in choices if c["family"] == "scan_i8"), None)
    text = f"`{winner['method']}`"
    if scan and winner["family"] != "scan_i8":
        text += f" {scan / winner['ns_per_candidate']:.2f}x"
    return text


def winners_markdown(choices):
    """The table of winners: a line for each data set, cache mode and length."""
    targets = list(dict.fromkeys(c["target"] for c in choices))
    heads = " | ".join(f"recall {target:g}" for target in targets)
    lines = [WINNERS_HEAD, "", f"| data | cache | L | {heads} |",
             "|---|---|---:|" + "---|" * len(targets)]
    for (data, cache, length), part in group(choices, "data", "cache", "l").items():
        by_target = group(part, "target")
        fields = [winner_field(by_target[target,]) for target in targets]
        lines.append(f"| {data} | {cache} | {length:,} | " + " | ".join(fields) + " |")
    return lines


BYTES_HEAD = """
## Best recall in so many bytes

The setting of best recall whose code or row of a behaviour takes at most so many bytes, and its
median latency per candidate: the fastest of those within 0.005 of the best. Rescoring reads rows of
the items, which all users share. In brackets: all bytes of a prepared history, per behaviour."""


def bytes_field(choice):
    """A choice by bytes in the Markdown table."""
    if choice is None:
        return "-"
    return (f"`{choice['method']}` {choice['recall_ties']:.2f} in "
            f"{number(choice['ns_per_candidate'])} ns ({number(choice['bytes_per_behaviour'])})")


def bytes_markdown(choices):
    """The table of the choices by bytes."""
    budgets = sorted({c["code_bytes_at_most"] for c in choices})
    lines = [BYTES_HEAD, "", "| data | cache | L | rescored | "
             + " | ".join(f"{budget} bytes" for budget in budgets) + " |"]
    lines += ["|---|---|---:|---|" + "---|" * len(budgets)]
    for where, row in group(choices, "data", "cache", "l", "is_rescored").items():
        by_budget = {c["code_bytes_at_most"]: c for c in row}
        cells = [where[0], where[1], f"{where[2]:,}", "yes" if where[3] else "no"]
        cells += [bytes_field(by_budget.get(budget)) for budget in budgets]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def markdown(choices, by_bytes, notes):
    """A table for each data set and cache mode, one by bytes, and the notes."""
    lines = [MARKDOWN_HEAD, *winners_markdown(choices)]
    for (data, cache), part in group(choices, "data", "cache").items():
        families = list(dict.fromkeys(c["family"] for c in part))
        lines += ["", f"## {data}, {cache}", ""]
        lines += ["| L | recall | winner | " + " | ".join(families) + " |"]
        lines += ["|---:|---:|---|" + "---|" * len(families)]
        for (length, target), row in group(part, "l", "target").items():
            fields = {c["family"]: table_field(c) for c in row}
            winner = next((c["family"] for c in row if c["is_winner"]), "-")
            cells = [f"{length:,}", f"{target:g}", winner] + [fields.get(f, "") for f in families]
            lines.append("| " + " | ".join(cells) + " |")
    if by_bytes:
        lines += bytes_markdown(by_bytes)
    if notes:
        lines += ["", "Notes:", ""] + [f"- {note}" for note in notes]
    return "\n".join(lines) + "\n"


def describe(cell):
    """Arguments, machine and notes of a run, to judge or repeat it."""
    run = read_json(cell.json, "environment", "settings", "data", "notes")
    environment = {k: run["environment"].get(k)
                   for k in ("cpu", "target", "date", "load_average", "versions")}
    return {"cell": str(cell), "arguments": cell.arguments, "environment": environment,
            "cold": run["settings"].get("cold"), "digest": run["data"]["digest"],
            "notes": run["notes"]}


def write_all(cells, choices, by_bytes, notes, output):
    """Writes equal_recall.csv, equal_recall_bytes.csv, .md and .json; returns the Markdown."""
    files.write_csv(output / "equal_recall.csv", choices, list(choices[0]))
    if by_bytes:
        files.write_csv(output / "equal_recall_bytes.csv", by_bytes, list(by_bytes[0]))
    text = markdown(choices, by_bytes, notes)
    files.write_text(output / "equal_recall.md", text)
    whole = {"format": "eta-simd equal_recall 1", "choices": choices, "by_bytes": by_bytes,
             "notes": notes,
             "runs": [describe(cell) for cell in cells]}
    files.write_text(output / "equal_recall.json", json.dumps(whole, indent=1) + "\n")
    return text
