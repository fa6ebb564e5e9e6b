# SPDX-License-Identifier: Apache-2.0
"""Measures the loss of ranking quality by retrieval: trains all models on several seeds and
compares them.

Each cell (data set, model, settings, seed) is one run of scripts/train_ctr.py; its report is kept
in cells/, and cells that are there are not run again. The first seed's exported models, or those of
the first --keep-seeds, are kept in models/. Then it writes

  quality.csv, quality.json, quality.md   AUC, GAUC and log loss, mean and standard deviation over
                                          seeds, and the difference to full_attention
  sweep.csv, sweep.png                    AUC of eta against bits and K

A difference is of the same seeds, data and negatives; weights and order differ. Its interval is a
bootstrap over users, paired, of the mean over these trained models; the intervals of all models
hold together with 95 % (Bonferroni). A model is called higher or lower where its interval lies
beside 0, else "not shown", which does not say that it is equal. Other seeds vary too: the standard
deviation stands beside it.

With --ctr-bench PROGRAM the models of the first seed are timed too (requests of 256 candidates, one
thread): p50_us and p99_us in the tables, and latency in the picture of the sweep.
"""
import os
import pathlib

from eta_simd import files
from eta_simd.command import BadInput, Parser, check_range, summarize
from eta_simd.ctr import MODELS
from eta_simd.experiments.quality.cells import SETTINGS, train_all
from eta_simd.reading import read_json


def parse_options(arguments):
    parser = Parser(description="Train all CTR models on several seeds and compare them.")
    parser.add_argument("--results", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder for cells, models, tables and pictures")
    for name in SETTINGS:
        parser.add_argument(f"--{name}", type=pathlib.Path, metavar="BUNDLE",
                            help="bundle folder; left out: not run")
    parser.add_argument("--models", default=",".join(MODELS),
                        help="comma-separated (default: all)")
    parser.add_argument("--seeds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--sweep-seeds", type=int, default=1,
                        help="of the sweep; 0: no sweep (default: %(default)s)")
    parser.add_argument("--keep-seeds", type=int, default=1,
                        help="the first seeds' models are kept (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1,
                        help="cells at a time, one thread each (default: one a core)")
    parser.add_argument("--ctr-bench", metavar="PROGRAM", help="also times the models with it")
    parser.add_argument("--extra", default="", help="more arguments of train_ctr.py, for tests")
    options = parser.parse_args(arguments)
    options.models = options.models.split(",")
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        raise BadInput(f"--models: unknown '{unknown[0]}' (expected {', '.join(MODELS)})")
    check_range("--seeds", options.seeds, 1, 1000)
    check_range("--sweep-seeds", options.sweep_seeds, 0, 1000)
    check_range("--keep-seeds", options.keep_seeds, 1, 1000)
    check_range("--jobs", options.jobs, 1, 1024)
    options.sets = [name for name in SETTINGS if getattr(options, name)]
    if not options.sets:
        raise BadInput("no data set given (expected --movielens or --planted)")
    return options


def write_tables(options, tables, sweep, facts):
    """quality.csv, .json, sweep.csv; returns the text of quality.md, which it writes too."""
    from eta_simd.experiments.quality.tables import COLUMNS, SWEEP_COLUMNS, markdown

    rows = [row for table in tables.values() for row in table]
    files.write_csv(options.results / "quality.csv", rows, COLUMNS)
    text = markdown(tables, facts)
    files.write_text(options.results / "quality.md", text)
    files.write_json(options.results / "quality.json",
                     {"rows": rows, "sweep": sweep, "facts": facts})
    if sweep:
        files.write_csv(options.results / "sweep.csv", sweep, SWEEP_COLUMNS)
    return text


def main(arguments):
    options = parse_options(arguments)
    from eta_simd.experiments.quality.tables import collect, collect_sweep, measure

    train_all(options)
    latency = {data: measure(options, data) for data in options.sets}
    tables = {data: collect(options, data, latency[data]) for data in options.sets}
    planted = {data: getattr(options, data) / "planted.json" for data in options.sets}
    facts = {data: read_json(path, "bayes_auc", "same_category_auc")
             for data, path in planted.items() if path.exists()}
    sweep = collect_sweep(options, latency) if options.sweep_seeds else []
    text = write_tables(options, tables, sweep, facts)
    if sweep:
        from eta_simd.experiments.quality.picture import draw_sweep

        draw_sweep(options.results / "sweep.png", sweep, tables)
    summarize(text)
