# SPDX-License-Identifier: Apache-2.0
"""Finds the cheapest retrieval that is shown not to rank worse than exact retrieval.

Serves exported models (scripts/train_ctr.py, one a seed) with each retrieval through ctr_bench and
compares the AUC of their test samples with that of exact retrieval of the same K, paired by model
and by user: the interval is a 95 % bootstrap over users of the mean difference of these models. A
method is "not worse" where it stays above -0.0005, "worse" where it lies below, else "not shown".
Of those that are not worse the one with the lowest median latency of a request is the cheapest. It
writes equal_auc.csv, equal_auc.json, equal_auc.md and equal_auc.png.

  scripts/equal_auc.py --results DIR --ctr-bench build/release/bench/ctr_bench \\
    --data movielens 256 models/movielens-eta-s* --data planted 512 models/planted-eta-s*
"""
import pathlib

from eta_simd import files
from eta_simd.command import BadInput, Parser, check_range, progress, summarize
from eta_simd.experiments.equal_auc.choices import BASE, compare, runs_of
from eta_simd.experiments.programs import run_program
from eta_simd.reading import read_json

COLUMNS = ("data", "k", "retrieval", "seeds", "auc", "auc_difference", "low", "high", "verdict",
           "gauc", "log_loss", "p50_us", "cheapest")
DIGITS = {"auc": 4, "auc_difference": 4, "low": 4, "high": 4, "gauc": 4, "log_loss": 4, "p50_us": 1}


def parse_options(arguments):
    parser = Parser(description="Find the cheapest retrieval at equal AUC of a served model.")
    parser.add_argument("--results", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder for tables and the picture; made where it is missing")
    parser.add_argument("--ctr-bench", required=True, metavar="PROGRAM")
    parser.add_argument("--data", required=True, action="append", nargs="+",
                        metavar=("NAME LENGTH", "MODEL"),
                        help="name of a data set, behaviours of a timed request's history, and "
                        "exported models of it, one for each seed; may be given again")
    parser.add_argument("--retrieval", default="eta:16,eta:32,eta:64,eta:128,eta_asym:64,recent,"
                        "scan_i8,exact", metavar="LIST",
                        help="methods of retrieval_bench, exact among them (default: %(default)s)")
    parser.add_argument("--k", default="16,64,256", metavar="LIST",
                        help="behaviours attended to (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=200, metavar="N",
                        help="timed requests of each model (default: %(default)s)")
    options = parser.parse_args(arguments)
    check_range("--requests", options.requests, 1, 10**6)
    if BASE not in options.retrieval.split(","):
        raise BadInput(f"--retrieval {options.retrieval}: without {BASE}, the method of comparison")
    options.ks = [whole("--k", text) for text in options.k.split(",")]
    options.sets = []
    for name, *rest in options.data:
        if len(rest) < 2:
            raise BadInput(f"--data {name}: expected NAME LENGTH MODEL...")
        options.sets.append((name, whole("--data", rest[0]), rest[1:]))
    return options


def whole(name, text):
    if not text.isdecimal() or not 1 <= int(text) <= 16384:
        raise BadInput(f"{name}: '{text}' is no whole number from 1 to 16384")
    return int(text)


def serve(options, name, length, models, k):
    """One run of ctr_bench over all models and retrievals of a data set; its JSON is kept."""
    path = options.results / f"{name}-k{k}.json"
    command = [options.ctr_bench, *models, "--retrieval", options.retrieval, "--k", str(k),
               "--length", str(length), "--requests", str(options.requests), "--rounds", "10",
               "--logits", "--json", str(path)]
    run_program(command)
    return compare(runs_of(read_json(path, "rows"), path), name)


def markdown(rows):
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        cells = [f"{row[c]:.{DIGITS[c]}f}" if c in DIGITS else str(row[c]) for c in COLUMNS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments):
    options = parse_options(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, length, models in options.sets:
        for k in options.ks:
            progress(f"{name}, K {k}")
            rows += serve(options, name, length, models, k)
    progress("")
    files.write_csv(options.results / "equal_auc.csv", rows, COLUMNS)
    files.write_json(options.results / "equal_auc.json", {"rows": rows})
    text = markdown(rows)
    files.write_text(options.results / "equal_auc.md", text)
    from eta_simd.experiments.equal_auc.picture import draw

    draw(options.results / "equal_auc.png", rows)
    summarize(text)
