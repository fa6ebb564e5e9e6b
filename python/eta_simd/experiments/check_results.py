# SPDX-License-Identifier: Apache-2.0
"""Checks the CSV of a retrieval_bench run for what must hold on any data.

    check_results.py CSV...

The columns are the published ones, numbers are numbers in their range, exact search has recall 1,
percentiles are in order, and ETA's recall rises with its bits. Prints each violation; exit code 1.
"""
import argparse
import csv
import math
import re
import sys
from collections import defaultdict

from eta_simd.command import Parser

TEXTS = ["method", "target", "cache"]
SHARES = ["recall", "recall_p5", "recall_ties", "attention_mass"]
OPTIONAL = ["p50_low_us", "p50_high_us"]  # empty with few repeats
PERCENTILES = ["p50_us", "p95_us", "p99_us", "p999_us"]
COLUMNS = (
    "method bits dim k l_mean b threads target cache recall recall_p5 recall_ties attention_mass "
    "p50_us p50_low_us p50_high_us p95_us p99_us p999_us candidates_per_s bytes_per_behaviour build_us"
).split()


def violations(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or rows[0] != COLUMNS:
        yield f"the header is {rows[0] if rows else 'missing'}, expected {','.join(COLUMNS)}"
        return
    if len(rows) == 1:
        yield "there are no rows"
    exact_rows = 0
    eta_rows = defaultdict(list)
    for line, values in enumerate(rows[1:], start=2):
        if len(values) != len(COLUMNS):
            yield f"line {line}: {len(values)} values for {len(COLUMNS)} columns"
            continue
        row = dict(zip(COLUMNS, values))
        try:
            row.update((name, float(row[name])) for name in COLUMNS
                       if name not in TEXTS and (row[name] or name not in OPTIONAL))
        except ValueError as error:
            yield f"line {line}: {error}"
            continue
        where = f"line {line} ({row['method']})"
        for name in COLUMNS:
            if name not in TEXTS and row[name] != "" and not (math.isfinite(row[name]) and row[name] >= 0):
                yield f"{where}: {name} = {row[name]}"
        for name in SHARES:
            if row[name] > 1:
                yield f"{where}: {name} = {row[name]} is more than 1"
        times = [row[name] for name in PERCENTILES]
        if times != sorted(times) or times[0] == 0:
            yield f"{where}: the percentiles {times} are not rising"
        if row["p50_low_us"] != "" and row["p50_low_us"] > row["p50_high_us"]:
            yield f"{where}: the interval of p50 ends before it begins"
        if row["recall_ties"] < row["recall"]:
            yield f"{where}: forgiving ties lowers recall from {row['recall']}"
        if row["method"] == "exact":
            exact_rows += 1
            if any(row[name] != 1 for name in SHARES[:3]):
                yield f"{where}: exact search has {[row[name] for name in SHARES[:3]]} for recall"
        if re.fullmatch(r"eta:\d+", row["method"]):
            setting = tuple(row[n] for n in ("dim", "k", "l_mean", "b", "threads", "target", "cache"))
            eta_rows[setting].append((row["bits"], row["recall"]))
    if exact_rows == 0:
        yield "there is no row of the method 'exact'"
    if not any(len(group) >= 2 for group in eta_rows.values()):
        yield "there are no two rows of ETA that differ in their bits only"
    for setting, group in eta_rows.items():
        group.sort()
        recalls = [recall for _, recall in group]
        if any(b <= a for a, b in zip(recalls, recalls[1:])):
            yield f"recall of ETA does not rise with its bits at {setting}: {group}"


def main(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CSV")
    found = [(path, text) for path in parser.parse_args(arguments).files
             for text in violations(path)]
    for path, text in found:
        print(f"{path}: {text}", file=sys.stderr)
    return 1 if found else 0
