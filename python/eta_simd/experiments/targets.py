# SPDX-License-Identifier: Apache-2.0
"""Checks measured speeds against their targets; scripts/targets.sh measures and calls it.

  targets.py --kernels JSON --threads TEXT --recall CSV --codes CSV --scans LENGTH=CSV...
             --hyperplanes KIND=CSV... --turns DIR

Prints a line for each target: name, target, measured, and whether it is reached. A target of an
instruction set that the machine lacks is undecided; its line shows the best instruction set
instead. Exit code 1 if a target is not reached.
"""
import re

from eta_simd.command import BadInput, Parser
from eta_simd.experiments.turns import Turns, check
from eta_simd.reading import finite_number, read_csv, read_json, read_text
from eta_simd.text import reason, shown

# What most targets are defined on: AVX-512 with instructions for bytes. Highway's name for it is
# AVX3_DL, and newer versions of it have supersets under other names.
BEST = {"avx512", "byte_popcount", "vbmi2", "vnni"}

# name, bits, L, K; at least: distances of limit, sorted x FAISS; at most: unsorted x distances
SHAPES = [
    ("S1", 64, 1024, 64, 0.90, 35, 3.0),
    ("S2", 64, 16384, 64, 0.90, 22, 1.6),
    ("S3", 256, 1024, 64, 0.85, 35, 1.6),
    ("S4", 256, 16384, 64, 0.85, 22, 1.2),
    ("S5", 128, 2048, 48, 0.90, 40, 2.0),
    ("S6", 1024, 100000, 100, 0.85, 10, 1.1),
]
AVX2_SORTED = [("S1", 64, 1024, 64, 14), ("S3", 256, 1024, 64, 12)]
# Recall by position of codes that estimate inner products: generated histories of 1,024, dim 64.
CODES = {"eta_norm:128": 0.50, "eta_asym:64": 0.52, "eta_asym:128": 0.61, "pq4:64": 0.57,
         "pq4:128": 0.70}
BATCHES = [("S4", 256, 16384, 64), ("S6", 1024, 100000, 100)]


class Kernels:
    """The rows of a kernel_bench JSON, with the SIMD target that was the best there."""

    def __init__(self, path):
        data = read_json(path, "context", "benchmarks")
        self.target = data["context"]["simd_target"]
        self.lacks = sorted(BEST - set(data["context"]["simd_capabilities"].split()))
        self.faiss = data["context"].get("faiss", "?")
        self.rows = {row["name"]: row for row in data["benchmarks"]}

    def counter(self, name, target, counter):
        """A counter of a row; None without the row. Raises BadInput if the row failed."""
        row = self.rows.get(f"{name}/{target}")
        if row is None:
            return None
        if row.get("error_occurred"):
            raise BadInput(f"{shown(row['name'])}: {shown(row.get('error_message', 'failed'))}")
        return row.get(counter)

    def matching(self, pattern, target, counter):
        """The counters of all rows whose name matches `pattern`."""
        found = [row[counter] for name, row in self.rows.items()
                 if re.fullmatch(f"{pattern}/{target}", name) and counter in row]
        return found


class Report:
    """Lines of the table, and the exit code they make."""

    def __init__(self):
        self.missed = 0
        self.undecided = 0
        print(f"{'name':52} {'target':>9} {'measured':>9}  {'':3}")

    def line(self, name, bound, limit, measured, unit="", note="", counts=True):
        """Prints a line and counts it. With `counts` false it decides nothing, and `note` says
        why."""
        if measured is None:
            verdict, shown = "not measured", "-"
            counts_here = counts
        else:
            reached = measured >= limit if bound == ">=" else measured <= limit
            verdict, shown = ("reached" if reached else "NOT reached"), f"{measured:.2f}{unit}"
            counts_here = counts and not reached
        if not counts:
            self.undecided += 1
            verdict = f"{'not measured' if measured is None else 'undecided'}: {note}"
        elif note:
            verdict += f" ({note})"
        self.missed += counts_here
        print(f"{name:52} {bound + ' ' + format(limit, 'g') + unit:>9} {shown:>9}  {verdict}")


def deciding(kernels):
    """Whether rows of the best SIMD target decide, and the note of a line if they do not."""
    if not kernels.lacks:
        return "", True
    return f"on {kernels.target}, for want of {', '.join(kernels.lacks)}", False


def hamming(report, kernels):
    """The table of shapes, on the best target, which has to have BEST."""
    target = kernels.target
    note, counts = deciding(kernels)
    for name, bits, length, k, share, faiss, unsorted in SHAPES:
        shape = f"bits:{bits}/L:{length}"
        report.line(f"{name} distances, share of popcount limit", ">=", share,
                    kernels.counter(f"hamming_distances/{shape}", target, "of_limit"),
                    note=note, counts=counts)
        report.line(f"{name} sorted top-K against FAISS", ">=", faiss,
                    kernels.counter(f"hamming_topk_sorted/{shape}/K:{k}", target, "x_faiss"), "x",
                    note, counts)
        report.line(f"{name} unsorted top-K against own distances", "<=", unsorted,
                    kernels.counter(f"hamming_topk_any/{shape}/K:{k}", target, "x_distances"), "x",
                    note, counts)
    for name, bits, length, k, faiss in AVX2_SORTED:
        report.line(f"{name} sorted top-K against FAISS, forced to AVX2", ">=", faiss,
                    kernels.counter(f"hamming_topk_sorted/bits:{bits}/L:{length}/K:{k}", "AVX2",
                                    "x_faiss"), "x")
    for name, bits, length, k in BATCHES:
        report.line(f"{name} a batch of 256 against single calls", ">=", 1.5,
                    kernels.counter(f"hamming_topk_batch/bits:{bits}/L:{length}/K:{k}/B:256",
                                    target, "x_single"), "x")


def other_kernels(report, kernels):
    """Encoding, gathering, and scores of floats and int8."""
    target = kernels.target

    def least(name, pattern, limit):
        found = kernels.matching(pattern, target, "of_limit")
        report.line(name, ">=", limit, min(found) if found else None)

    least("encode, least share of FMA peak", r"simhash_encode/rows:1024/dim:\d+/bits:\d+", 0.85)
    report.line("Hadamard encode against dense, dim 128, 256 bits", ">=", 3,
                kernels.counter("hadamard_encode/rows:1024/dim:128/bits:256", target, "x_dense"),
                "x")
    least("gather from a large table, least share of random reads",
          r"gather_code_blocks/table:4194304/L:1024/bytes:\d+", 0.8)
    least("float32 scores, share of FMA peak", "dot_scores/L:1024/dim:64/B:256", 0.8)
    least("int8 scores, share of int8 dot peak", "dot_i8_scores/L:1024/dim:64/B:256", 0.8)


def scans(report, kernels, paths):
    """Fused top-K against scores alone, and requests against kernels; `paths` by length."""
    target = kernels.target
    note, counts = deciding(kernels)

    def nanoseconds(name):
        seconds = kernels.counter(name, target, "s_per_query")
        return None if seconds is None else seconds * 1e9

    def ratio(measured, base):
        return None if measured is None or base is None else measured / base

    def request(path, method):
        row = next((row for row in rows_of(path) if row["method"] == method), None)
        if row is None:
            raise BadInput(f"{path}: there is no row of {method}")
        return finite_number(row, "p50_us") * 1e3 / finite_number(row, "b")

    for length, queries, method, kernel, limit in ((1024, 256, "scan_i8", "dot_i8_scores", 1.7),
                                                   (16384, 64, "scan_i8", "dot_i8_scores", 1.35),
                                                   (16384, 64, "exact", "dot_scores", 1.25)):
        report.line(f"{method} against its scores alone, L {length:,}", "<=", limit,
                    ratio(request(paths[str(length)], method),
                          nanoseconds(f"{kernel}/L:{length}/dim:64/B:{queries}")),
                    "x", note, counts)
    report.line("request of eta:64 against its kernel, L 1,024", "<=", 1.15,
                ratio(request(paths["1024"], "eta:64"),
                      nanoseconds("hamming_topk_any/bits:64/L:1024/K:64")), "x", note, counts)
    shape = "L:1024/dim:64/B:256/K:64"
    report.line("int8 top-K sorted against unsorted, L 1,024", "<=", 1.35,
                ratio(nanoseconds(f"dot_i8_topk_sorted/{shape}"),
                      nanoseconds(f"dot_i8_topk_any/{shape}")), "x", note, counts)


def codes(report, path, kernels):
    """Codes that estimate inner products: their recall, and encoding against SimHash. Their scans
    are compared with those of another commit (turns.py)."""
    recall = {row["method"]: finite_number(row, "recall") for row in rows_of(path)}
    for method, limit in CODES.items():
        report.line(f"recall of {method}, L 1,024", ">=", limit, recall[method])
    report.line("pq4 encode, not rotated, against SimHash, 128 bits", "<=", 1,
                kernels.counter("pq4_encode/rows:1024/dim:64/bits:128", kernels.target,
                                "x_simhash"), "x")


def rows_of(path):
    return list(read_csv(path)[1])


def hyperplanes(report, paths):
    """Recall with Hadamard hyperplanes against Gaussian ones."""
    recall = {kind: finite_number(rows_of(path)[-1], "recall") for kind, path in paths.items()}
    report.line("Hadamard recall less Gaussian, 256 bits, dim 128", ">=", -0.01,
                recall["hadamard"] - recall["gaussian"])


RATIO = re.compile(r"(\([ab]\)) .* (\S+) +(\d+\.\d+)x +\d+\.\d+ to \d+\.\d+")


def ratio_of(line):
    """Case, method and median of a row of scripts/thread_scaling.sh."""
    row = RATIO.fullmatch(line)
    if row is None:
        raise ValueError(f"no row of thread_scaling.sh: '{shown(line)}'")
    return row[1], row[2], float(row[3])


def threads(report, path):
    """The rows of scripts/thread_scaling.sh: the least ratio of its ETA methods."""
    found = [ratio_of(line) for line in read_text(path).splitlines() if line.startswith("(")]
    for mark, name, limit in (("(a)", "2 threads against 1, user batches", 1.9),
                              ("(b)", "2 threads against 1, one request of 1,000", 1.7)):
        ratios = [ratio for case, method, ratio in found
                  if case == mark and method.startswith("eta:")]
        report.line(name, ">=", limit, min(ratios) if ratios else None, "x")


def equal_recall(report, path, kernels):
    """The fastest method of recall 0.95 or more against FAISS exact."""
    rows = rows_of(path)
    faiss = next(row for row in rows if row["method"] == "faiss_exact")
    good = [row for row in rows if finite_number(row, "recall") >= 0.95 and
            not row["method"].startswith("faiss")]
    best = min(good, key=lambda row: finite_number(row, "p50_us"))
    on = f", on {kernels.target}" if kernels.lacks else ""
    report.line("best of recall >= 0.95 against FAISS exact, L 1,024", ">=", 25,
                finite_number(faiss, "p50_us") / finite_number(best, "p50_us"), "x",
                best["method"] + on)


def parse_options(arguments):
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", required=True)
    parser.add_argument("--threads", required=True)
    parser.add_argument("--recall", required=True)
    parser.add_argument("--codes", required=True)
    parser.add_argument("--scans", required=True, nargs=2, metavar="LENGTH=CSV")
    parser.add_argument("--hyperplanes", required=True, nargs=2, metavar="KIND=CSV")
    parser.add_argument("--turns", required=True, metavar="DIR")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse_options(arguments)
    try:
        kernels = Kernels(options.kernels)
        print(f"SIMD target {kernels.target}; FAISS {kernels.faiss}")
        report = Report()
        hamming(report, kernels)
        other_kernels(report, kernels)
        hyperplanes(report, dict(item.split("=", 1) for item in options.hyperplanes))
        threads(report, options.threads)
        equal_recall(report, options.recall, kernels)
        codes(report, options.codes, kernels)
        scans(report, kernels, dict(item.split("=", 1) for item in options.scans))
        check(report, Turns(options.turns), *deciding(kernels))
    except StopIteration:
        raise BadInput("malformed measurements: there is no row of faiss_exact") from None
    except (ValueError, LookupError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise BadInput(f"malformed measurements: {reason(error)}") from error
    print(f"{report.missed} not reached, {report.undecided} undecided")
    return 1 if report.missed else 0
