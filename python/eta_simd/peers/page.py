# SPDX-License-Identifier: Apache-2.0
"""Puts tables of rows that `python -m eta_simd.peers --csv` wrote into pages.

  python -m eta_simd.peers.page PAGE.md... --results CSV...

In a page the lines between `<!-- peers: NAME -->` and `<!-- end -->` are replaced by all rows of
the result NAME.csv, or, for the name `summary`, by the fastest row of each library in each
result at the same quality."""
import re
from pathlib import Path

from eta_simd.command import BadInput, Parser
from eta_simd.files import write_files
from eta_simd.reading import number, read_csv, read_text
from eta_simd.results import COLUMNS

BLOCK = re.compile(r"(?P<begin><!-- peers: (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.S)
LIBRARIES = {"faiss": "FAISS", "usearch": "USearch", "numkong": "NumKong", "scann": "ScaNN",
             "hnswlib": "hnswlib", "torch": "PyTorch"}
# What rows are compared at: a name, and which rows count.
LEVELS = (
    ("recall 0.9", lambda row: number(row["recall_ties"]) >= 0.9),
    ("exact", lambda row: number(row["recall_ties"]) >= 0.9999),
    ("Hamming", lambda row: is_hamming(row)),
)
HAMMING = ("faiss:IndexBinaryFlat", "usearch:b1", "numkong:b1")
LONG = 4096  # behaviours, from which on the goal is GOALS[1]
GOALS = (3, 2)  # times as slow as ours that no peer should beat at recall 0.9


def is_hamming(row):
    """Whether a row is of a search of 64-bit codes by Hamming distance."""
    return row["method"] == "eta:64" or (row["method"].startswith(HAMMING) and
                                         number(row["bits"]) == 64)


def library(row):
    """Which library a row is of, "" for this project."""
    return row["method"].partition(":")[0] if row["method"].startswith(tuple(
        f"{name}:" for name in LIBRARIES)) else ""


def read_rows(path):
    columns, rows = read_csv(path)
    if tuple(columns) != COLUMNS:
        raise BadInput(f"{path}: has not the columns that eta_simd.peers writes")
    rows = list(rows)
    for row in rows:
        for name in ("bits", "recall", "recall_ties", "p50_us", "l_mean", "b"):
            try:
                number(row[name])
            except ValueError as error:
                raise BadInput(f"{path}: {name}: {error}") from None
    if not any(library(row) == "" for row in rows):
        raise BadInput(f"{path}: has no row of this project's methods")
    return rows


def microseconds(row):
    return number(row["p50_us"])


def table(rows):
    """All rows, the fastest first, as a block of code."""
    lines = [f"{'method':<35}{'recall':>7}{'ties':>8}{'p50 us':>10}{'ns/cand.':>10}  what runs it"]
    for row in sorted(rows, key=microseconds):
        lines.append(f"{row['method']:<35}{number(row['recall']):>7.4f}"
                     f"{number(row['recall_ties']):>8.4f}{microseconds(row):>10.1f}"
                     f"{1e3 * microseconds(row) / number(row['b']):>10.0f}  {row['target']}")
    return "```\n" + "\n".join(lines) + "\n```\n"


def cell(best, ours, goal):
    """The fastest row of a library beside ours."""
    if best is None:
        return "-"
    ratio = microseconds(best) / microseconds(ours)
    text = f"{microseconds(best):.0f} ({ratio:.1f}x)"
    return f"**{text}**" if goal and ratio < goal else text


def summary(results):
    """For each result and level the fastest row of each library, in us, against ours."""
    lines = ["| data, behaviours | at | ours, us | " + " | ".join(LIBRARIES.values()) + " |",
             "|---" * (3 + len(LIBRARIES)) + "|"]
    for name, rows in results.items():
        length = number(rows[0]["l_mean"])
        data = name.removeprefix("peers_").partition("_")[0]
        for level, counts in LEVELS:
            fastest = {}
            for row in sorted(filter(counts, rows), key=microseconds, reverse=True):
                fastest[library(row)] = row
            ours = fastest.get("")
            if ours is None:
                continue
            goal = GOALS[length >= LONG] if level == LEVELS[0][0] else 0
            lines.append(f"| {data}, {length:,.0f} | {level} | `{ours['method']}` "
                         f"{microseconds(ours):.0f} | " + " | ".join(
                             cell(fastest.get(key), ours, goal) for key in LIBRARIES) + " |")
    return "\n".join(lines) + "\n"


def filled(text, results, path):
    """The text of a page with its blocks filled."""
    def block(match):
        name = match["name"]
        if name != "summary" and name not in results:
            raise BadInput(f"{path}: asks for {name}, which is no result that was given")
        body = summary(results) if name == "summary" else table(results[name])
        return match["begin"] + body + match["end"]
    made, count = BLOCK.subn(block, text)
    if not count:
        raise BadInput(f"{path}: has no line '<!-- peers: NAME -->'")
    return made


def main(arguments):
    parser = Parser(prog="python -m eta_simd.peers.page", description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE.md")
    parser.add_argument("--results", nargs="+", type=Path, required=True, metavar="CSV")
    options = parser.parse_args(arguments)
    results = {path.stem: read_rows(path) for path in options.results}
    write_files({path: filled(read_text(path), results, path).encode("utf-8")
                 for path in options.pages})


if __name__ == "__main__":
    from eta_simd.command import run

    run("eta_simd.peers.page", needs="data")
