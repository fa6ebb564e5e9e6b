# SPDX-License-Identifier: Apache-2.0
"""Measures how often compare.py is wrong. Compares a kernel_bench with itself (A/A), and with
itself slowed down by some percent at one kernel (A/B), many times, as scripts/regress.sh would.
scripts/ab_test.sh builds what this needs and calls it.

Exit code: 0 if A/A is called different in at most 2 % and A/B caught in at least 95 %, else 1."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from eta_simd import files
from eta_simd.command import BadInput, Parser, progress
from eta_simd.experiments import compare
from eta_simd.experiments.measurements import read_both

ROW = "^hamming_distances/bits:64/L:1024/"


def measure(options, slowdown, path):
    """Runs one process of kernel_bench, which writes the file `path`."""
    environment = {**os.environ, "ETA_SIMD_TARGET": options.simd_target,
                   "ETA_KERNEL_BENCH_RIVALS": "0"}
    if slowdown:
        environment["ETA_KERNEL_BENCH_SLOWDOWN"] = str(slowdown)
    command = [options.bench, f"--benchmark_filter={ROW}", "--benchmark_format=json",
               f"--benchmark_repetitions={options.repetitions}",
               f"--benchmark_min_time={options.min_time}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BadInput(f"{options.bench}: {done.stderr.strip()}")
    path.write_text(done.stdout, encoding="utf-8")


def best_target(bench):
    """The best SIMD target of a kernel_bench on this machine."""
    done = subprocess.run([bench, "--benchmark_list_tests", "--benchmark_filter=^limit_fma/"],
                          capture_output=True, text=True, check=False)
    names = done.stdout.split()
    if done.returncode or not names or not names[0].startswith("limit_fma/"):
        raise BadInput(f"{bench}: no kernel_bench")
    return names[0].rsplit("/", 1)[1]


def compare_once(options, slowdown):
    """The Comparison of one series of rounds, which alternate: A B, B A, ..."""
    with tempfile.TemporaryDirectory(prefix="eta-ab-") as scratch:
        sides = [(Path(scratch) / "old", 0), (Path(scratch) / "new", slowdown)]
        for folder, _ in sides:
            folder.mkdir()
        for number in range(options.rounds):
            for folder, percent in sides if number % 2 == 0 else sides[::-1]:
                measure(options, percent, folder / f"{number:03}.json")
        old, new = read_both(*(folder for folder, _ in sides))
        (row,), _ = compare.compare(old, new)
        return row


def series(options, name, count, slowdown, is_right):
    """Runs `count` comparisons and prints a summary. Returns the number of right ones, and all."""
    rows = []
    for number in range(count):
        rows.append(compare_once(options, slowdown))
        right = sum(is_right(row) for row in rows)
        progress(f"{name}: {number + 1} of {count}, {right} right")
    progress("")
    verdicts = {v: sum(row.verdict == v for row in rows)
                for v in ("faster", "slower", "same", "undecided")}
    ratios = sorted(row.ratio for row in rows)
    middle = ", ".join(f"{ratios[min(int(q * count), count - 1)]:.3f}" for q in (0.05, 0.5, 0.95))
    print(f"{name}: {right} of {count} right ({100 * right / count:.1f} %); "
          + ", ".join(f"{n} {v}" for v, n in verdicts.items())
          + f"; new/old p5, p50, p95: {middle}", flush=True)
    return right, [row.__dict__ for row in rows]


def parse_options(arguments):
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--bench", required=True, help="the kernel_bench to run")
    add("--aa", type=int, default=200, help="A/A comparisons (default: %(default)s)")
    add("--ab", type=int, default=100, help="A/B comparisons (default: %(default)s)")
    add("--slowdown", type=int, default=5, help="percent, planted in A/B (default: %(default)s)")
    add("--rounds", type=int, default=16, help="of each comparison (default: %(default)s)")
    add("--repetitions", type=int, default=40, help="of each process (default: %(default)s)")
    add("--min-time", type=float, default=0.0005, help="seconds of one (default: %(default)s)")
    add("--json", type=Path, help="file for all comparisons")
    options = parser.parse_args(arguments)
    for name in ("aa", "ab", "slowdown"):
        if not 0 <= getattr(options, name) <= 10000:
            raise BadInput(f"--{name} is {getattr(options, name)} (expected 0 to 10000)")
    if options.rounds < compare.MIN_SAMPLES or options.repetitions < 9:
        raise BadInput(f"--rounds must be {compare.MIN_SAMPLES} or more, --repetitions 9")
    if options.json:
        options.json.open("a", encoding="utf-8").close()  # fails now, not after hours
    return options


def main(arguments):
    options = parse_options(arguments)
    options.simd_target = best_target(options.bench)
    print(f"{ROW[1:]}{options.simd_target}, {options.rounds} rounds of {options.repetitions} "
          f"repetitions; load average {os.getloadavg()[0]:.1f}", flush=True)
    kept, passed = {}, True
    if options.aa:
        right, kept["aa"] = series(options, "A/A", options.aa, 0,
                                   lambda row: row.verdict in ("same", "undecided"))
        passed = right >= 0.98 * options.aa
    if options.ab:
        right, kept["ab"] = series(options, f"A/B, {options.slowdown} % slower", options.ab,
                                   options.slowdown, lambda row: row.verdict == "slower")
        passed = right >= 0.95 * options.ab and passed
    if options.json:
        files.write_text(options.json, json.dumps(kept, indent=1) + "\n")
    print("holds" if passed else "does not hold",
          "(A/A called different in <= 2 %, A/B caught in >= 95 %)")
    return 0 if passed else 1
