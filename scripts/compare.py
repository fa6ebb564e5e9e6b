#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares two measurements row by row: kernel_bench (--benchmark_format=json, with repetitions) or
retrieval_bench (--json, of a sweep too: its rows are paired by method and cell).

  compare.py OLD.json NEW.json      samples are the repetitions (repeats) of each run
  compare.py OLD_FOLDER NEW_FOLDER  a file per round in each, paired by order of name; a sample is
                                    the fastest repetition of each

A row says by how much the time changed (new / old), the 95 % bootstrap interval of that, how likely
so much is by chance (p of the Mann-Whitney test), and a verdict: faster, slower, same (the interval
lies within 5 %) or undecided; docs/measurement.md tells more. Recall, attention mass, positions
returned and checks against the scalar twin must not change at all.

Exit code: 0 fine, 1 a row is slower by more than the threshold or returns something else, 2 bad
input."""
import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import scipy.stats

ALPHA = 0.01  # p below which a change is not put down to chance
LEAST_CHANGE = 0.01  # less is called no change whatever p is: code layout alone does so much
SAME = 0.05
MIN_SAMPLES = 5
RESAMPLES = 2000
EXACT = ("recall", "recall_p5", "recall_ties", "attention_mass", "positions_digest")


class BadInput(Exception):
    """One line for the user; exit code 2."""


@dataclasses.dataclass
class Row:
    samples: "list[float]"  # nanoseconds
    exact: dict  # what must not change
    data: "str | None" = None  # digest of what was measured on
    place: str = ""  # machine


# ---- reading


def kernel_rows(run):
    context = run.get("context", {})
    place = f"{context.get('host_name')}, {context.get('num_cpus')} CPUs"
    units = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    rows = {}
    for entry in run["benchmarks"]:
        if entry.get("run_type") == "aggregate":
            continue
        failed = entry.get("error_message") if entry.get("error_occurred") else None
        name = entry.get("run_name", entry["name"])
        if not isinstance(name, str):
            raise TypeError(f"a row's name is {name!r}")
        row = rows.setdefault(name, Row([], {"error": failed}, place=place))
        if failed is not None:  # in any repetition
            row.exact["error"] = failed
        else:
            # The time of other processes on this CPU is not in it.
            row.samples.append(float(entry["cpu_time"]) * units[entry["time_unit"]])
    return rows, None


def setting_of(row):
    shown = {"L": row["l_mean"], "b": row["b"], "k": row["k"], "threads": row["threads"]}
    # Cells may differ in what a row of them does not: dim, or lengths beyond those of a bundle.
    swept = {key.removeprefix("sweep_"): value for key, value in row.items()
             if key.startswith("sweep_")}
    more = "".join(f"/sweep_{axis}:{value}" for axis, value in sorted(swept.items())
                   if shown.get(axis) != value)
    return (f"L:{row['l_mean']:g}/B:{row['b']}/K:{row['k']}/threads:{row['threads']}/"
            f"{row['cache']}{more}")


def digests_of(run):
    """What each row was measured on."""
    if "sweep" not in run:
        return [run["data"]["digest"]] * len(run["rows"])
    digests = [cell["data_digest"] for cell in run["cells"] for _ in range(cell["rows"])]
    if len(digests) != len(run["rows"]):
        raise ValueError(f"its cells have {len(digests)} rows, and there are {len(run['rows'])}")
    return digests


def request_rows(run):
    environment = run.get("environment", {})
    place = f"{environment.get('cpu')}, {environment.get('target')}"
    rows = {}
    for entry, digest in zip(run["rows"], digests_of(run)):
        name = f"{entry['method']}/{setting_of(entry)}"
        samples = entry.get("repeat_p50_us") or [entry["p50_us"]]
        rows[name] = Row([1e3 * float(t) for t in samples],
                         {key: entry[key] for key in EXACT if key in entry}, digest, place)
    return rows, {key: run["settings"].get(key) for key in ("seed", "requests", "held_out")}


def read_run(path):
    """The rows of a file, and what must agree for two files to be comparable."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        rows, basis = kernel_rows(run) if "benchmarks" in run else request_rows(run)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") \
            from None
    except ValueError as error:
        raise BadInput(f"{path}: no JSON of a measurement: {error}") from None
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path}: neither kernel_bench's nor retrieval_bench's JSON: "
                       f"{error!r}") from None
    if not rows:
        raise BadInput(f"{path}: there are no rows in it")
    for name, row in rows.items():
        if not all(np.isfinite(t) and t > 0 for t in row.samples):
            raise BadInput(f"{path}: {name}: a time is not a number above 0")
    return rows, basis


def read_side(path):
    """A list of runs: one for a file, one per round for a folder."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{path}: there are no .json files in it")
    return [read_run(file) for file in files]


def read_both(old_path, new_path):
    old, new = read_side(old_path), read_side(new_path)
    if len(old) != len(new):
        raise BadInput(f"{len(old)} runs in {old_path} and {len(new)} in {new_path} (expected as "
                       "many)")
    for _, basis in old + new:
        if basis != old[0][1]:
            raise BadInput(f"not comparable: {old[0][1]} and {basis}")
    digests = {name: row.data for name, row in old[0][0].items()}
    for name, row in ((n, r) for rows, _ in old + new for n, r in rows.items()):
        if row.data != digests.setdefault(name, row.data):
            raise BadInput(f"not comparable: {name} is of data {digests[name]} and {row.data}")
    return [rows for rows, _ in old], [rows for rows, _ in new]


# ---- judging


@dataclasses.dataclass
class Comparison:
    name: str
    old: float  # ns
    new: float
    ratio: float
    low: float
    high: float
    p: float
    verdict: str
    changed: "list[str]"  # what must not change, and did

    def fails(self, threshold):
        return bool(self.changed) or (self.verdict == "slower" and self.ratio > 1 + threshold)


def interval(resampled):
    return tuple(np.percentile(resampled, [2.5, 97.5]))


def resample(values, random):
    return np.median(values[random.integers(0, len(values), (RESAMPLES, len(values)))], axis=1)


def judge_rounds(old, new):
    """Log ratio and its interval from a pair of times per round."""
    ratios = np.log(np.array(new) / np.array(old))
    return np.median(ratios), interval(resample(ratios, np.random.default_rng(1)))


def judge_runs(old, new):
    """The same from the repetitions of one run each."""
    old, new, random = np.log(old), np.log(new), np.random.default_rng(1)
    return (np.median(new) - np.median(old),
            interval(resample(new, random) - resample(old, random)))


def verdict_of(change, low, high, p, samples):
    if samples < MIN_SAMPLES:
        return "undecided"
    if p < ALPHA and low * high > 0 and abs(change) >= np.log1p(LEAST_CHANGE):
        return "slower" if change > 0 else "faster"
    if -np.log1p(SAME) <= low and high <= np.log1p(SAME):
        return "same"
    return "undecided"


def differences(old, new):
    return [f"{key} {old[key]} -> {new.get(key, 'nothing')}" for key in old
            if key not in new or old[key] != new[key]]


def compare_row(name, old, new):
    """`old` and `new` hold a Row for each run."""
    changed = sorted({text for a, b in zip(old, new) for text in differences(a.exact, b.exact)})
    if not all(row.samples for row in old + new):
        nan = float("nan")
        return Comparison(name, nan, nan, nan, nan, nan, nan, "undecided", changed)
    if len(old) > 1:
        # Other load only ever adds to a time, and seldom to all repetitions of a process.
        a, b = ([min(row.samples) for row in side] for side in (old, new))
        change, (low, high) = judge_rounds(a, b)
    else:
        a, b = old[0].samples, new[0].samples
        change, (low, high) = judge_runs(a, b)
    p = scipy.stats.mannwhitneyu(b, a, alternative="two-sided").pvalue
    verdict = verdict_of(change, low, high, p, min(len(a), len(b)))
    return Comparison(name, float(np.median(a)), float(np.median(b)),
                      *(float(np.exp(x)) for x in (change, low, high)), float(p), verdict, changed)


def compare(old, new, pattern=""):
    """Comparisons of the rows that all runs have, and the names of those that some lack."""
    names = [name for name in old[0] if re.search(pattern, name)]
    common = [name for name in names if all(name in rows for rows in old + new)]
    everywhere = {name for rows in old + new for name in rows if re.search(pattern, name)}
    rows = [compare_row(name, [r[name] for r in old], [r[name] for r in new]) for name in common]
    return rows, sorted(everywhere - set(common))


# ---- showing


def duration(nanoseconds):
    for unit, size in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if nanoseconds < 1e3 * size or unit == "s":
            return f"{nanoseconds / size:.3g} {unit}"
    return ""


def fields_of(row, threshold):
    verdict = f"{row.verdict}, fails" if row.fails(threshold) else row.verdict
    if np.isnan(row.ratio):
        return [row.name, "-", "-", "-", "-", "-", verdict]
    return [row.name, duration(row.old), duration(row.new), f"{row.ratio:.3f}",
            f"{row.low:.3f} to {row.high:.3f}", f"{row.p:.2g}", verdict]


HEAD = ["row", "old", "new", "new/old", "95 % interval", "p", "verdict"]


def table(lines, is_markdown):
    if is_markdown:
        lines = [HEAD, ["---"] + ["---:"] * 5 + ["---"], *lines]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[i]) for line in [HEAD, *lines]) for i in range(len(HEAD))]
    return "\n".join("  ".join([line[0].ljust(widths[0])] +
                               [f.rjust(w) for f, w in zip(line[1:-1], widths[1:-1])] + [line[-1]])
                     for line in [HEAD, *lines])


def report_returned(rows, missing):
    """Only what must not change, whatever the times are."""
    lines = [f"{row.name}: {change}" for row in rows for change in row.changed]
    if missing:
        lines.append(f"not in all runs: {', '.join(missing)}")
    return "\n".join(lines + [f"{sum(not row.changed for row in rows)} of {len(rows)} rows return "
                              "the same"])


def report(rows, missing, places, rounds, options):
    lines = [fields_of(row, options.threshold) for row in rows]
    text = [table(lines, options.markdown), ""]
    mark = "- " if options.markdown else ""
    text += [f"{mark}{row.name}: {change}" for row in rows for change in row.changed]
    if missing:
        text.append(f"{mark}not in all runs: {', '.join(missing)}")
    if len(places) > 1:
        text.append(f"{mark}not on one machine: {'; '.join(places)}")
    counts = {v: sum(row.verdict == v for row in rows)
              for v in ("faster", "slower", "same", "undecided")}
    failed = sum(row.fails(options.threshold) for row in rows)
    source = f"{rounds} paired rounds" if rounds > 1 else "one run each"
    text.append(f"{mark}{source}: " + ", ".join(f"{n} {v}" for v, n in counts.items()) + "; " + (
        f"{failed} of {len(rows)} rows fail (threshold {options.threshold:g})" if failed
        else f"nothing fails (threshold {options.threshold:g})"))
    return "\n".join(text)


# ---- the command line


def positive(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def regex(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from None


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadInput(f"{message}; --help lists the options")


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("old", type=Path, metavar="OLD", help="file, or folder with a file per round")
    add("new", type=Path, metavar="NEW")
    add("--threshold", type=positive, default=0.15,
        help="slowdown from which a row fails (default: %(default)s)")
    add("--filter", type=regex, default="", help="only rows whose name it finds")
    add("--markdown", action="store_true", help="a table for a pull request")
    add("--returned", action="store_true", help="only what is returned; times do not matter")
    add("--list-slow", action="store_true",
        help="print the names only of the rows that fail by their speed")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse_options(arguments)
    old, new = read_both(options.old, options.new)
    rows, missing = compare(old, new, options.filter)
    if not rows:
        raise BadInput(f"{options.old} and {options.new} have no rows in common")
    failed = [row for row in rows if row.fails(options.threshold)]
    if options.returned:
        failed = [row for row in rows if row.changed]
        print(report_returned(rows, missing))
    elif options.list_slow:
        print("".join(f"{row.name}\n" for row in failed if not row.changed), end="")
    else:
        places = sorted({row.place for run in old + new for row in run.values()})
        print(report(rows, missing, places, len(old), options))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        print(f"compare.py: {error}", file=sys.stderr)
        sys.exit(2)
