# SPDX-License-Identifier: Apache-2.0
"""Shows when recall matters: AUC lost against recall lost, over the knobs of planted data.

For each setting of make_planted.py's knobs and each seed it makes data, trains ETA and serves the
model with each retrieval. AUC is that of the test samples; recall, ties forgiven, is of the same
users and candidates against exact retrieval. What is lost is the difference to exact retrieval of
the same model and K, with a 95 % bootstrap interval over users, paired. It writes
recall_matters.csv and recall_matters.png; finished cells are kept in cells/ and not run again.
--models adds exported models of other data, one for each seed, to the table and the picture.

  scripts/recall_matters.py --results results/recall-matters --ctr-bench CTR_BENCH \\
    --retrieval-bench RETRIEVAL_BENCH
"""
import pathlib

import numpy as np

from eta_simd import files
from eta_simd.command import BadInput, Parser, check_range, progress, summarize
from eta_simd.experiments.equal_auc.choices import BASE
from eta_simd.experiments.intervals import interval
from eta_simd.experiments.recall_matters.cells import (
    SETTINGS, measure_models, read_cell, run_cell)

COLUMNS = ("knob", "value", "k", "retrieval", "seeds", "auc", "recall", "auc_lost", "low", "high")


def parse_options(arguments):
    parser = Parser(description="Draw AUC lost against recall lost over the knobs of planted data.")
    parser.add_argument("--results", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder for cells, table and picture; made where it is missing")
    parser.add_argument("--ctr-bench", required=True, metavar="PROGRAM")
    parser.add_argument("--retrieval-bench", required=True, metavar="PROGRAM")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--settings", default=",".join(s.name for s in SETTINGS), metavar="LIST",
                        help="default: %(default)s")
    parser.add_argument("--models", action="append", default=[], nargs="+",
                        metavar=("NAME", "MODEL"),
                        help="exported models of other data to measure alike; may be given again")
    parser.add_argument("--retrieval", default="eta:16,eta:32,eta:64,eta:128,eta_norm:64,"
                        "eta_asym:64,pq4:64,scan_i8,exact", metavar="LIST",
                        help="methods of retrieval_bench, exact among them (default: %(default)s)")
    parser.add_argument("--k", default="4,16,64", metavar="LIST",
                        help="behaviours attended to in serving (default: %(default)s)")
    parser.add_argument("--data", default="", metavar="ARGUMENTS",
                        help="more arguments of make_planted.py, for other sizes")
    parser.add_argument("--train", default="", metavar="ARGUMENTS",
                        help="more arguments of train_ctr.py")
    options = parser.parse_args(arguments)
    check_range("--seeds", options.seeds, 1, 1000)
    if BASE not in options.retrieval.split(","):
        raise BadInput(f"--retrieval {options.retrieval}: without {BASE}, the method of comparison")
    known = {setting.name: setting for setting in SETTINGS}
    for name, *models in options.models:
        if not models:
            raise BadInput(f"--models {name}: expected NAME MODEL...")
    unknown = [name for name in options.settings.split(",") if name not in known]
    if unknown:
        raise BadInput(f"--settings: unknown '{unknown[0]}' (expected {', '.join(known)})")
    options.chosen = [known[name] for name in options.settings.split(",")]
    options.ks = []
    for text in options.k.split(","):
        if not text.isdecimal() or not 1 <= int(text) <= 16384:
            raise BadInput(f"--k: '{text}' is no whole number from 1 to 16384")
        options.ks.append(int(text))
    return options


def table_rows(knob, value, found):
    """Rows of the table of one setting: means over its seeds, whose rows by (retrieval, K) are
    given."""
    rows = []
    for name, k in found[0]:
        lost = [cell[BASE, k]["auc"] - cell[name, k]["auc"] for cell in found]
        low, high = interval(np.mean([cell[name, k]["lost_draws"] for cell in found], axis=0))
        rows.append({
            "knob": knob, "value": value, "k": k, "retrieval": name,
            "seeds": len(found), "auc": float(np.mean([cell[name, k]["auc"] for cell in found])),
            "recall": float(np.mean([cell[name, k]["recall"] for cell in found])),
            "auc_lost": float(np.mean(lost)), "low": low, "high": high})
    return rows


def main(arguments):
    options = parse_options(arguments)
    (options.results / "cells").mkdir(parents=True, exist_ok=True)
    pairs = [(setting, seed) for seed in range(1, options.seeds + 1) for setting in options.chosen]
    for done, (setting, seed) in enumerate(pairs, start=1):
        progress(f"[{done}/{len(pairs)}] {setting.name}, seed {seed}", is_logged=True)
        run_cell(options, setting, seed)
    progress("")
    rows = []
    for setting in options.chosen:
        found = [read_cell(options, setting, seed) for seed in range(1, options.seeds + 1)]
        rows += table_rows(setting.knob, setting.value, found)
    for name, *models in options.models:
        rows += table_rows(name, "", measure_models(options, models))
    files.write_csv(options.results / "recall_matters.csv", rows, COLUMNS)
    from eta_simd.experiments.recall_matters.picture import draw

    draw(options.results / "recall_matters.png", rows)
    summarize(f"{len(rows)} rows in {options.results / 'recall_matters.csv'}")
