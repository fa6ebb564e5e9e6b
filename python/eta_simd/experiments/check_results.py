# SPDX-License-Identifier: Apache-2.0
"""Checks the CSV of a retrieval_bench run for what must hold on any data.

    check_results.py CSV...

The columns are the published ones, numbers are numbers in their range, exact search has recall 1,
percentiles are in order, ETA's recall rises with its bits, and rescoring does not lower it. Prints
each violation; exit code 1.
"""
import argparse
import math
import re
import sys
from collections import defaultdict

from eta_simd.command import Parser
from eta_simd.reading import number, read_csv
from eta_simd.results import COLUMNS
from eta_simd.text import printable, shown

TEXTS = ["method", "target", "cache"]
SHARES = ["recall", "recall_p5", "recall_ties", "attention_mass"]
OPTIONAL = ["p50_low_us", "p50_high_us"]  # empty with few repeats
SETTING = ["dim", "k", "l_mean", "b", "threads", "target", "cache"]
PERCENTILES = ["p50_us", "p95_us", "p99_us", "p999_us"]


def read_row(row):
    """The row with its numbers as floats. Raises ValueError where one is none."""
    return {**row, **{name: number(row[name]) for name in COLUMNS
                      if name not in TEXTS and (row[name] or name not in OPTIONAL)}}


def row_violations(row):
    """What is wrong with a row by itself."""
    for name in COLUMNS:
        if name not in TEXTS and row[name] != "" and not 0 <= row[name] < math.inf:
            yield f"{name} = {row[name]}"
    for name in SHARES:
        if row[name] > 1:
            yield f"{name} = {row[name]} is more than 1"
    times = [row[name] for name in PERCENTILES]
    if times != sorted(times) or times[0] == 0:
        yield f"the percentiles {times} are not rising"
    if row["p50_low_us"] != "" and row["p50_low_us"] > row["p50_high_us"]:
        yield "the interval of p50 ends before it begins"
    if row["recall_ties"] < row["recall"]:
        yield f"forgiving ties lowers recall from {row['recall']}"
    if row["method"] == "exact" and any(row[name] != 1 for name in SHARES[:3]):
        yield f"exact search has {[row[name] for name in SHARES[:3]]} for recall"


def eta_violations(rows):
    """What is wrong with ETA's recall over the width of its codes."""
    settings = defaultdict(list)
    for row in rows:
        if re.fullmatch(r"eta:\d+", row["method"]):
            setting = tuple(row[name] for name in SETTING)
            settings[setting].append((row["bits"], row["recall"]))
    if not any(len(group) >= 2 for group in settings.values()):
        yield "there are no two rows of ETA that differ in their bits only"
    for setting, group in settings.items():
        recalls = [recall for _, recall in sorted(group)]
        if any(b <= a for a, b in zip(recalls, recalls[1:])):
            yield f"recall of ETA does not rise with its bits at {setting}: {sorted(group)}"


def rescoring_violations(rows):
    """Where rescored codes recall less than the codes alone."""
    plain = {tuple(row[name] for name in ["bits", *SETTING]): row["recall"]
             for row in rows if re.fullmatch(r"eta:\d+", row["method"])}
    for row in rows:
        if re.fullmatch(r"eta:\d+\+rerank(_i8)?:\d+", row["method"]):
            alone = plain.get(tuple(row[name] for name in ["bits", *SETTING]), 0)
            if row["recall"] < alone - 0.01:  # int8 may lose a little of what the codes find
                yield f"{row['method']}: rescoring lowers recall from {alone} to {row['recall']}"


def violations(path):
    """Yields a line about each violation in the file."""
    columns, lines = read_csv(path)
    if tuple(columns) != COLUMNS:
        yield (f"the header is {shown(','.join(columns)) or 'missing'}, expected "
               f"{','.join(COLUMNS)}")
        return
    rows = []
    for line, row in enumerate(lines, start=2):
        try:
            rows.append(read_row(row))
        except ValueError as error:
            yield f"line {line}: {error}"
            continue
        for text in row_violations(rows[-1]):
            yield f"line {line} ({shown(row['method'])}): {text}"
    if not rows:
        yield "there are no rows"
    if not any(row["method"] == "exact" for row in rows):
        yield "there is no row of the method 'exact'"
    yield from eta_violations(rows)
    yield from rescoring_violations(rows)


def main(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CSV")
    found = [f"{path}: {text}" for path in parser.parse_args(arguments).files
             for text in violations(path)]
    for line in found:
        print(printable(line), file=sys.stderr)
    return 1 if found else 0
