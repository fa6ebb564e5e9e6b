#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares retrieval methods at equal recall: the latency per candidate of the cheapest setting of
each family that returns a given share of the exact top K, for several history lengths, warm and
cold.

Runs retrieval_bench once per data set, cache mode and length, keeps what each run wrote, and makes
a table, a CSV, a JSON and a picture of it. Finished runs are not run again. scripts/equal_recall.sh
builds what this needs and calls it.
"""
import argparse
import csv
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

TARGETS = [0.8, 0.9, 0.95, 0.99]
LENGTHS = [256, 1024, 4096, 16384, 65536]
BITS = [64, 128, 256, 512, 1024]
RERANK = [2, 4, 8]
HELD_OUT = 8  # as retrieval_bench does by default
BASE = "faiss_exact"  # what speed-ups are against

# Requests per run by history length; longer histories need fewer for the same time.
REQUESTS = {256: 96, 1024: 64, 4096: 32, 16384: 16, 65536: 8}
SAMPLES = 64  # at least, of each method in a run: decides the repeats

# Families in the order of the table. A method is of the first family whose pattern it matches.
FAMILIES = {
    "eta": r"eta:\d+",
    "eta_gather": r"eta_gather:\d+",
    "eta+rerank": r"eta:\d+\+rerank:\d+",
    "eta+rerank_i8": r"eta:\d+\+rerank_i8:\d+",
    "eta_asym": r"eta_asym:\d+",
    "scan_f32": r"scan_f32|exact",
    "scan_i8": r"scan_i8",
    "faiss_exact": r"faiss_exact",
    "sim_soft": r"sim_soft:.*",
}


class BadInput(Exception):
    """One line for the user; exit code 2."""


def family_of(method):
    for family, pattern in FAMILIES.items():
        if re.fullmatch(pattern, method):
            return family
    return None


# ---- what to run


def choose_methods(listing, bits, with_hnsw):
    """Methods of the grid that the binary has by its --list-methods, and those that it lacks."""
    names = [line.split()[0] for line in listing.splitlines() if line.strip()]
    wanted = [(f"eta:{b}", "eta:") for b in bits]
    wanted += [(f"eta_gather:{b}", "eta_gather:") for b in bits]
    for step in ("+rerank:", "+rerank_i8:"):
        wanted += [(f"eta:{b}{step}{c}", step) for b in bits for c in RERANK]
    wanted += [(f"eta_asym:{b}", "eta_asym:") for b in bits]
    exact = "scan_f32" if "scan_f32" in names else "exact"
    wanted += [(name, name) for name in (exact, "scan_i8", "faiss_exact")]
    if with_hnsw:
        wanted += [(f"sim_soft:hnsw:{effort}", "sim_soft:hnsw") for effort in (64, 256, 1024)]

    def has(key):
        if key.startswith("+"):
            return any(name.startswith("eta:") and key in name for name in names)
        return any(name == key or (name.startswith(key) and key[-1] in ":w") for name in names)

    return [m for m, key in wanted if has(key)], [m for m, key in wanted if not has(key)]


class DataSet:
    """The generator, or a bundle with a name."""

    def __init__(self, name, folder=None):
        self.name = name
        self.folder = folder
        self.lengths = None
        if folder is not None:
            try:
                offsets = np.load(Path(folder) / "history_offsets.npy")
            except (OSError, ValueError) as error:
                raise BadInput(f"{folder} is no data bundle: {error}") from None
            held_out = 0 if (Path(folder) / "candidates_offsets.npy").exists() else HELD_OUT
            self.lengths = np.diff(offsets) - held_out

    def users_with(self, length):
        return sys.maxsize if self.lengths is None else int((self.lengths >= length).sum())

    def arguments(self, length, requests):
        if self.folder is None:
            return ["--users", requests, "--length", length + HELD_OUT]
        return ["--data", self.folder, "--min-history", length, "--max-history", length]


class Cell:
    """One run of retrieval_bench: its arguments and the files it leaves."""

    def __init__(self, data, cache, length, methods, options):
        self.data, self.cache, self.length = data.name, cache, length
        steps = [n for n in REQUESTS if n <= length] or [min(REQUESTS)]
        requests = options.requests or REQUESTS[max(steps)]
        requests = min(requests, data.users_with(length))
        repeats = options.repeats or max(3, math.ceil(SAMPLES / requests))
        stem = options.output / "cells" / f"{data.name}-{cache}-{length}"
        self.csv, self.json = stem.with_suffix(".csv"), stem.with_suffix(".json")
        arguments = data.arguments(length, requests)
        arguments += ["--requests", requests, "--repeats", repeats, "--b", options.b]
        arguments += ["--k", options.k, "--methods", ",".join(methods), "--cache", cache]
        if cache == "cold" and options.llc_mb:
            arguments += ["--llc-mb", options.llc_mb]
        self.arguments = [str(a) for a in arguments]

    def is_done(self):
        """Whether its files are there and come from the same arguments."""
        try:
            ran = json.loads(self.json.read_text())["command_line"]
            return self.csv.exists() and ran[1 : 1 + len(self.arguments)] == self.arguments
        except (OSError, ValueError, KeyError):
            return False

    def run(self, bench, timeout):
        command = [bench, *self.arguments, "--quiet", "--json", self.json, "--csv", self.csv]
        done = subprocess.run([str(c) for c in command], timeout=timeout, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BadInput(f"{self}: {done.stderr.strip() or f'exit code {done.returncode}'}")

    def __str__(self):
        return f"{self.data}, {self.cache}, L = {self.length}"


def make_cells(data_sets, methods, options, notes):
    """Short histories first, so that a budget that runs out leaves the rows that are cheap."""
    cells = []
    for length in options.lengths:
        for data in data_sets:
            if data.users_with(length) == 0:
                notes.append(f"{data.name}, L = {length}: no user has so many behaviours")
                continue
            cells += [Cell(data, cache, length, methods, options) for cache in options.caches]
    return cells


def run_cells(cells, options, notes):
    """Runs what is not done yet; returns the cells that are."""
    (options.output / "cells").mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + options.budget if options.budget else math.inf
    finished = []
    for number, cell in enumerate(cells, start=1):
        if not cell.is_done():
            left = deadline - time.monotonic()
            if left <= 0:
                notes.append(f"{cell}: not run, the time budget is used up")
                continue
            progress(f"[{number}/{len(cells)}] {cell}")
            try:
                cell.run(options.bench, None if left == math.inf else left)
            except subprocess.TimeoutExpired:
                notes.append(f"{cell}: given up, the time budget is used up")
                continue
        finished.append(cell)
    progress("")
    return finished


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


# ---- what came out


def read_rows(path):
    """The rows of a CSV of retrieval_bench, with what is compared as numbers."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [row for row in map(read_row, csv.DictReader(file)) if row]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, csv.Error) as error:
        raise BadInput(f"{path}: no results of retrieval_bench: {error!r}") from None


def read_row(row):
    family = family_of(row["method"])
    if family is None or row["recall_ties"] == "":
        return None
    return {"family": family, "method": row["method"], "recall_ties": float(row["recall_ties"]),
            "ns": 1e3 * float(row["p50_us"]) / float(row["b"])}


def cheapest(rows, family, target):
    """The fastest row of a family whose recall reaches the target, or None."""
    fit = [r for r in rows if r["family"] == family and r["recall_ties"] >= target]
    return min(fit, key=lambda r: r["ns"], default=None)


def select(where, rows, targets):
    """A choice for each target and family that was run. `where` is {data, cache, l}."""
    choices = []
    base = min((r["ns"] for r in rows if r["family"] == BASE), default=None)
    families = [f for f in FAMILIES if any(r["family"] == f for r in rows)]
    for target in targets:
        best = {f: cheapest(rows, f, target) for f in families}
        reached = [r["ns"] for r in best.values() if r]
        for family, row in best.items():
            choices.append({
                **where,
                "target": target,
                "family": family,
                "method": row["method"] if row else None,
                "recall_ties": row["recall_ties"] if row else None,
                "ns_per_candidate": row["ns"] if row else None,
                "speedup_vs_faiss_exact": base / row["ns"] if row and base else None,
                "is_winner": bool(row) and row["ns"] == min(reached),
                "best_recall": max(r["recall_ties"] for r in rows if r["family"] == family),
            })
    return choices


# ---- how it is shown


def number(value):
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def table_field(choice):
    if choice["method"] is None:
        return f"- (at most {choice['best_recall']:.2f})"
    latency = number(choice["ns_per_candidate"])
    if choice["is_winner"]:
        latency = f"**{latency}**"
    speedup = choice["speedup_vs_faiss_exact"]
    details = [] if choice["method"] == choice["family"] else [f"`{choice['method']}`"]
    details += [f"{number(speedup)}x"] if speedup and choice["family"] != BASE else []
    return f"{latency} {' '.join(details)}".strip()


def group(choices, *keys):
    groups = {}
    for choice in choices:
        groups.setdefault(tuple(choice[k] for k in keys), []).append(choice)
    return groups


MARKDOWN_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Latency per candidate at equal recall

Median latency of a request divided by its candidates, in ns, of the fastest setting of each family
whose mean recall, ties forgiven, reaches the target. The fastest family is **bold**; `x` is the
speed-up over `faiss_exact`; `-` where no setting reaches the target, with its best recall."""


def markdown(choices, notes):
    lines = [MARKDOWN_HEAD]
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
    if notes:
        lines += ["", "Notes:", ""] + [f"- {note}" for note in notes]
    return "\n".join(lines) + "\n"


# Colours that a colour-blind reader can tell apart, and a marker and a dash each for print.
STYLES = {
    "eta": ("#0072B2", "o", "-"),
    "eta_gather": ("#56B4E9", "s", "--"),
    "eta+rerank": ("#009E73", "^", "-"),
    "eta+rerank_i8": ("#332288", "<", "--"),
    "eta_asym": ("#CC79A7", "v", "-."),
    "scan_f32": ("#000000", "D", "-"),
    "scan_i8": ("#D55E00", "P", "--"),
    "faiss_exact": ("#7F7F7F", "X", ":"),
    "sim_soft": ("#B8860B", "*", "-."),
}


def draw_panel(axes, choices):
    """One line per family; says which families do not reach the target anywhere."""
    missing = []
    for (family,), part in group(choices, "family").items():
        points = [(c["l"], c["ns_per_candidate"]) for c in part if c["method"]]
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
        names = ",\n".join(", ".join(missing[i : i + 2]) for i in range(0, len(missing), 2))
        axes.text(0.97, 0.03, f"not reached:\n{names}", transform=axes.transAxes, fontsize=7.5,
                  ha="right", va="bottom", color="#555555")


def set_scales(axes, lengths):
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
    import matplotlib  # pylint: disable=import-outside-toplevel

    matplotlib.use("Agg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel

    rows = group(choices, "data", "cache")
    targets = sorted({c["target"] for c in choices})
    lengths = sorted({c["l"] for c in choices})
    figure, grid = pyplot.subplots(len(rows), len(targets), sharex=True, sharey=True, squeeze=False,
                                   figsize=(3.3 * len(targets), 2.8 * len(rows) + 0.9))
    for line, ((data, cache), part) in zip(grid, rows.items()):
        for axes, target in zip(line, targets):
            set_scales(axes, lengths)
            draw_panel(axes, [c for c in part if c["target"] == target])
            axes.set_title(f"{data}, {cache}: recall \u2265 {target:g}", fontsize=9.5)
        line[0].set_ylabel("median latency per\ncandidate (ns)")
    for axes in grid[-1]:
        axes.set_xlabel("history length L (behaviours)")
    handles = {}
    for axes in grid.flat:
        handles.update({label: h for h, label in zip(*axes.get_legend_handles_labels())})
    labels = [f for f in FAMILIES if f in handles]
    figure.legend([handles[f] for f in labels], labels, loc="upper center", ncol=len(labels),
                  frameon=False, handlelength=3.2,
                  title="Fastest setting of each family at equal recall")
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.6 / figure.get_figheight()))
    for extension in ("svg", "png"):
        figure.savefig(output / f"equal_recall.{extension}", dpi=130)
    pyplot.close(figure)


def describe(cell):
    """What one needs to judge or repeat a run: its arguments, machine and notes."""
    run = json.loads(cell.json.read_text())
    environment = {k: run["environment"].get(k)
                   for k in ("cpu", "target", "date", "load_average", "versions")}
    return {"cell": str(cell), "arguments": cell.arguments, "environment": environment,
            "cold": run["settings"].get("cold"), "digest": run["data"]["digest"],
            "notes": run["notes"]}


def write_all(cells, choices, notes, output):
    with open(output / "equal_recall.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(choices[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(choices)
    text = markdown(choices, notes)
    (output / "equal_recall.md").write_text(text, encoding="utf-8")
    whole = {"format": "eta-simd equal_recall 1", "choices": choices, "notes": notes,
             "runs": [describe(cell) for cell in cells]}
    (output / "equal_recall.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return text


# ---- the command line


def whole(minimum, maximum):
    def parse(text):
        if not re.fullmatch(r"\d{1,9}", text) or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a whole number from {minimum} to {maximum}")
        return int(text)
    return parse


def list_of(parse):
    def parse_list(text):
        values = [parse(part) for part in text.split(",")]
        if len(set(values)) < len(values):
            raise argparse.ArgumentTypeError(f"'{text}' names one twice")
        return values
    return parse_list


def cache_mode(text):
    if text not in ("warm", "cold"):
        raise argparse.ArgumentTypeError(f"'{text}' is none of warm, cold")
    return text


def share(text):
    if not re.fullmatch(r"[01]?\.?\d+", text) or not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0, up to 1")
    return float(text)


def named_bundle(text):
    name, separator, folder = text.partition("=")
    if not separator or not folder or not re.fullmatch(r"[A-Za-z0-9._]+", name):
        raise argparse.ArgumentTypeError(f"'{text}' has not the form NAME=BUNDLE")
    return name, folder


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadInput(f"{message}; --help lists the options")


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bench", required=True, help="the retrieval_bench to run")
    add("--output", required=True, type=Path, help="folder for the results and finished runs")
    add("--data", action="append", type=named_bundle, default=[], metavar="NAME=BUNDLE",
        help="a data bundle beside the generator; may be repeated")
    add("--no-generator", action="store_true", help="bundles only")
    add("--lengths", type=list_of(whole(1, 10**8)), default=LENGTHS, help="history lengths")
    add("--caches", type=list_of(cache_mode), default=["warm", "cold"], help="warm,cold")
    add("--targets", type=list_of(share), default=TARGETS, help="recalls to reach")
    add("--bits", type=list_of(whole(1, 4096)), default=BITS, help="code widths")
    add("--k", type=whole(1, 10**6), default=64, help="behaviours to retrieve per candidate")
    add("--b", type=whole(1, 10**6), default=256, help="candidates per request")
    add("--requests", type=whole(1, 10**8), help="per run, instead of a number by length")
    add("--repeats", type=whole(1, 10**6), help="per request, instead of a number by requests")
    add("--llc-mb", type=whole(1, 10**8), help="given to retrieval_bench for cold runs")
    add("--with-hnsw", action="store_true", help="sim_soft:hnsw too; slow to build")
    add("--budget", type=whole(1, 10**8), help="seconds after which runs are left for another time")
    options = parser.parse_args(arguments)
    names = [name for name, _ in options.data] + ["generated"]
    if len(set(names)) < len(names):
        raise BadInput("--data: two data sets have one name ('generated' is the generator)")
    return options


def list_methods(bench):
    try:
        return subprocess.run([bench, "--list-methods"], capture_output=True, text=True,
                              check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BadInput(f"--bench {bench}: {error}") from None


def main(arguments):
    options = parse_options(arguments)
    notes = []
    methods, unknown = choose_methods(list_methods(options.bench), options.bits, options.with_hnsw)
    if unknown:
        notes.append("left out, this retrieval_bench does not know them: " + ", ".join(unknown))
    data_sets = [] if options.no_generator else [DataSet("generated")]
    data_sets += [DataSet(name, folder) for name, folder in options.data]
    cells = run_cells(make_cells(data_sets, methods, options, notes), options, notes)
    if not cells:
        raise BadInput("no run is finished: " + "; ".join(notes))
    order = {data.name: i for i, data in enumerate(data_sets)}
    cells.sort(key=lambda c: (order[c.data], options.caches.index(c.cache), c.length))
    choices = []
    for cell in cells:
        where = {"data": cell.data, "cache": cell.cache, "l": cell.length}
        choices += select(where, read_rows(cell.csv), options.targets)
    print(write_all(cells, choices, notes, options.output), end="")
    try:
        draw(choices, options.output)
    except ImportError as error:
        print(f"no picture: {error} (scripts/setup.sh plot)", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (BadInput, OSError) as error:
        print(f"equal_recall.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
