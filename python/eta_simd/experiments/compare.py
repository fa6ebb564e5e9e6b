# SPDX-License-Identifier: Apache-2.0
"""Compares two measurements row by row: kernel_bench (--benchmark_format=json, with repetitions),
retrieval_bench (--json, of a sweep too: its rows are paired by method and cell) or ctr_bench
(--json).

  compare.py OLD.json NEW.json      samples are the repetitions (repeats) of each run
  compare.py OLD_FOLDER NEW_FOLDER  a file per round in each, paired by order of name; a sample is
                                    the fastest repetition of each
  compare.py --other-data OLD NEW   two versions of a model, whose data differ

A row has the ratio of the times (new / old), its 95 % bootstrap interval, the probability of such a
difference by chance (p of the Mann-Whitney test), and a verdict: faster, slower, same (the interval
lies within 5 %) or undecided; docs/measurement.md says more. Recall, attention mass, positions
returned, AUC and checks against the scalar twin must not change at all.

With --other-data nothing must be equal. The files are those of retrieval_bench --per-request, or of
ctr_bench --json with --logits: recall, attention mass and AUC of both, their difference and its
95 % bootstrap interval over users, paired where both saw the same users or samples. "Not shown"
means that the interval has 0 in it, not that the two are equal. Times are compared only where the
requests are the same. The JSON of retrieval_bench has no intervals.

Exit code: 0 fine, 1 a row is slower by more than the threshold or returns something else, 2 bad
input."""
import argparse
import dataclasses
import re
from pathlib import Path

import numpy as np
import scipy.stats

from eta_simd.command import BadInput, Parser
from eta_simd.experiments import versions
from eta_simd.experiments.measurements import read_both
from eta_simd.text import printable

ALPHA = 0.01  # p below which a change is not put down to chance
LEAST_CHANGE = 0.01  # code layout alone can cause less, at any p
SAME = 0.05
MIN_SAMPLES = 5
RESAMPLES = 2000


@dataclasses.dataclass
class Comparison:
    """What became of a row: times in ns, their ratio with its interval, and a verdict."""
    name: str
    old: float  # ns
    new: float
    ratio: float
    low: float
    high: float
    p: float
    verdict: str
    changed: "list[str]"  # of what must not change, a line each

    def fails(self, threshold):
        return bool(self.changed) or (self.verdict == "slower" and self.ratio > 1 + threshold)


def interval(resampled):
    """The 95 % percentile interval."""
    return tuple(np.percentile(resampled, [2.5, 97.5]))


def resample(values, random):
    """Medians of RESAMPLES bootstrap samples of `values`."""
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
    """`change`, `low` and `high` are logarithms of new / old."""
    if samples < MIN_SAMPLES:
        return "undecided"
    if p < ALPHA and low * high > 0 and abs(change) >= np.log1p(LEAST_CHANGE):
        return "slower" if change > 0 else "faster"
    if -np.log1p(SAME) <= low and high <= np.log1p(SAME):
        return "same"
    return "undecided"


def differences(old, new):
    """Lines on what must not change and did; a new key is not a change."""
    return [printable(f"{key} {old[key]} -> {new.get(key, 'nothing')}") for key in old
            if key not in new or old[key] != new[key]]


def compare_row(name, old, new):
    """`old` and `new` hold a Row for each run."""
    changed = sorted({text for a, b in zip(old, new) for text in differences(a.exact, b.exact)})
    if not all(row.samples for row in old + new):
        nan = float("nan")
        return Comparison(name, nan, nan, nan, nan, nan, nan, "undecided", changed)
    if len(old) > 1:
        # Other load only adds to a time, and seldom to all repetitions of a process.
        a, b = ([min(row.samples) for row in side] for side in (old, new))
        change, (low, high) = judge_rounds(a, b)
    else:
        a, b = old[0].samples, new[0].samples
        change, (low, high) = judge_runs(a, b)
    p = scipy.stats.mannwhitneyu(b, a, alternative="two-sided").pvalue
    verdict = verdict_of(change, low, high, p, min(len(a), len(b)))
    ratio, low, high = (float(np.exp(x)) for x in (change, low, high))
    return Comparison(name, float(np.median(a)), float(np.median(b)), ratio, low, high, float(p),
                      verdict, changed)


def compare(old, new, pattern=""):
    """Comparisons of the rows that all runs have, and the names of those that some lack."""
    names = [name for name in old[0] if re.search(pattern, name)]
    common = [name for name in names if all(name in rows for rows in old + new)]
    everywhere = {name for rows in old + new for name in rows if re.search(pattern, name)}
    rows = [compare_row(name, [r[name] for r in old], [r[name] for r in new]) for name in common]
    return rows, sorted(everywhere - set(common))


# ---- showing


def duration(nanoseconds):
    """A time with its unit, three digits."""
    for unit, size in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if nanoseconds < 1e3 * size or unit == "s":
            return f"{nanoseconds / size:.3g} {unit}"
    return ""


def fields_of(row, threshold):
    """The fields of a row of the table."""
    verdict = f"{row.verdict}, fails" if row.fails(threshold) else row.verdict
    if np.isnan(row.ratio):
        return [printable(row.name), "-", "-", "-", "-", "-", verdict]
    return [printable(row.name), duration(row.old), duration(row.new), f"{row.ratio:.3f}",
            f"{row.low:.3f} to {row.high:.3f}", f"{row.p:.2g}", verdict]


HEAD = ["row", "old", "new", "new/old", "95 % interval", "p", "verdict"]


def table(lines, is_markdown, head):
    """The table as Markdown, or in columns for a terminal."""
    if is_markdown:
        lines = [head, ["---"] + ["---:"] * (len(head) - 2) + ["---"], *lines]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join([line[0].ljust(widths[0])] +
                               [f.rjust(w) for f, w in zip(line[1:-1], widths[1:-1])] + [line[-1]])
                     for line in [head, *lines])


def report_returned(rows, missing):
    """Lines on what must not change; times do not matter."""
    lines = [f"{row.name}: {change}" for row in rows for change in row.changed]
    if missing:
        lines.append(f"not in all runs: {', '.join(missing)}")
    return "\n".join(lines + [f"{sum(not row.changed for row in rows)} of {len(rows)} rows return "
                              "the same"])


def report(rows, missing, places, rounds, options):
    """The table, what has changed, and a closing line with counts."""
    lines = [fields_of(row, options.threshold) for row in rows]
    text = [table(lines, options.markdown, HEAD), ""]
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
    """Type of --threshold."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def regex(text):
    """Type of --filter."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from None


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
    add("--other-data", action="store_true",
        help="two versions of a model: recall and AUC with intervals over users")
    return parser.parse_args(arguments)


def print_versions(options):
    """Prints the table of --other-data."""
    lines, notes = versions.report(options.old, options.new)
    lines = [[printable(field) for field in line] for line in lines
             if re.search(options.filter, line[0])]
    if not lines:
        raise BadInput(f"--filter {options.filter.pattern}: finds no row")
    print(table(lines, options.markdown, versions.HEAD))
    for note in notes:
        print(f"- {note}")


def main(arguments):
    options = parse_options(arguments)
    if options.other_data:
        print_versions(options)
        return 0
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
