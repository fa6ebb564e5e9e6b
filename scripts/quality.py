#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What retrieval costs in ranking quality: trains all models on several seeds and compares them.

Each cell (data set, model, settings, seed) is one run of scripts/train_ctr.py; its report is kept
in cells/, and cells that are there are not run again. The first seed's exported models are kept in
models/. Then it writes

  quality.csv, quality.json, quality.md   AUC, GAUC and log loss, mean and standard deviation over
                                          seeds, and the difference to full_attention
  sweep.csv, sweep.png                    AUC of eta against bits and K

A difference is paired by seed (same data, same negatives; weights and order differ). It is called
noise unless the paired t-test, with Holm's correction for the number of models, has p < 0.05.

With --ctr-bench PROGRAM the models of the first seed are timed too (requests of 256 candidates, one
thread): p50_us and p99_us in the tables, and latency in the picture of the sweep.
"""
import concurrent.futures
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from ctr import MODELS  # noqa: E402
from ctr.errors import BadInput, Parser, check_range, run  # noqa: E402

BASE = "full_attention"
BITS, K = (16, 32, 64, 128, 256, 512), (16, 32, 64, 128, 256)
MEASURES = ("auc", "gauc", "log_loss")
LEVEL = 0.05

# Rows are half as wide as in serving benchmarks, so that all cells take under an hour.
COMMON = ("--dim", "32")
SETTINGS = {"movielens": ("--max-history", "256"), "planted": ()}
LENGTH = {"movielens": 256, "planted": 1024}  # of a timed request's history: --max-history
# MIMN writes behaviour by behaviour, in hundreds of small steps: larger batches keep the long
# histories within a few minutes. Not larger still, with fewer epochs: an eighth of the steps cost 0.03
# of its AUC on MovieLens.
OF_CELL = {("planted", "mimn"): ("--cost", "400000")}


def parse_arguments():
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
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1,
                        help="cells at a time, one thread each (default: one a core)")
    parser.add_argument("--ctr-bench", metavar="PROGRAM", help="also times the models with it")
    parser.add_argument("--extra", default="", help="more arguments of train_ctr.py, for tests")
    options = parser.parse_args()
    options.models = options.models.split(",")
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        raise BadInput(f"--models: unknown '{unknown[0]}' (expected {', '.join(MODELS)})")
    check_range("--seeds", options.seeds, 1, 1000)
    check_range("--sweep-seeds", options.sweep_seeds, 0, 1000)
    check_range("--jobs", options.jobs, 1, 1024)
    options.sets = [name for name in SETTINGS if getattr(options, name)]
    if not options.sets:
        raise BadInput("no data set given (expected --movielens or --planted)")
    return options


# ---- cells


def cell_name(data, model, seed, bits=None, k=None):
    setting = f"-b{bits}-k{k}" if bits else ""
    return f"{data}-{model}{setting}-s{seed}"


def wanted_cells(options):
    """(data, model, seed, bits, k); bits and k are those of the sweep, else None."""
    cells = [(data, model, seed, None, None) for seed in range(1, options.seeds + 1)
             for data in options.sets for model in options.models]
    cells += [(data, "eta", seed, bits, k) for data in options.sets
              for seed in range(1, options.sweep_seeds + 1) for bits, k in sweep_settings()]
    return cells


def kept_cells(options, data):
    """Those whose models are kept: the first seed's."""
    return [cell for cell in wanted_cells(options) if cell[0] == data and cell[2] == 1]


def sweep_settings():
    return [(bits, 64) for bits in BITS] + [(128, k) for k in K if k != 64]


def train_cell(options, cell):
    data, model, seed, bits, k = cell
    report = options.results / "cells" / f"{cell_name(*cell)}.json"
    arguments = [*COMMON, *SETTINGS[data], *OF_CELL.get((data, model), ()), *options.extra.split()]
    if bits:
        arguments += ["--bits", str(bits), "--k", str(k)]
    if report.exists():
        if json.loads(report.read_text())["arguments"] != arguments:
            raise BadInput(f"{report}: made with other arguments (remove it to train it anew)")
        return
    with tempfile.TemporaryDirectory(prefix=".cell-", dir=options.results) as folder:
        out = pathlib.Path(folder) / "model"
        command = [sys.executable, str(pathlib.Path(__file__).with_name("train_ctr.py")),
                   "--bundle", str(getattr(options, data)), "--model", model, "--seed", str(seed),
                   "--out", str(out), *arguments]
        done = subprocess.run(command, text=True, capture_output=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise BadInput(f"{report.stem}: {reason}")
        finished = json.loads((out / "report.json").read_text())
        kept = options.results / "models" / cell_name(*cell)
        if cell in kept_cells(options, data):
            shutil.rmtree(kept, ignore_errors=True)
            out.rename(kept)
        part = pathlib.Path(folder) / "report.json"
        part.write_text(json.dumps({**finished, "arguments": arguments}, indent=2) + "\n")
        part.rename(report)


def train_all(options):
    for name in ("cells", "models"):
        (options.results / name).mkdir(parents=True, exist_ok=True)
    cells = wanted_cells(options)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(train_cell, options, cell) for cell in cells]
        try:
            for number, task in enumerate(concurrent.futures.as_completed(tasks)):
                task.result()
                if sys.stderr.isatty():
                    print(f"\r{number + 1} of {len(cells)} cells", end="", file=sys.stderr)
        finally:
            for task in tasks:
                task.cancel()
    if sys.stderr.isatty():
        print(file=sys.stderr)


def read_cell(options, *cell):
    path = options.results / "cells" / f"{cell_name(*cell)}.json"
    report = json.loads(path.read_text())
    for measure in MEASURES:  # null where one label only leaves it undefined
        if report["test"][measure] is None:
            report["test"][measure] = float("nan")
    return report


# ---- table


def holm(values):
    """Holm's correction of p values, NaN left alone."""
    order = sorted((p, i) for i, p in enumerate(values) if p == p)
    corrected, highest = list(values), 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[i] = highest
    return corrected


def paired_p(ours, theirs):
    """p of the paired t-test; NaN below two pairs. Equal pairs differ by nothing: p is 1."""
    import numpy as np
    import scipy.stats

    differences = np.asarray(ours) - np.asarray(theirs)
    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] else 1.0
    return float(scipy.stats.ttest_rel(ours, theirs).pvalue)


def verdict(p):
    if p != p:
        return "one seed"
    return "noise" if p >= LEVEL else "differs"


def compare(by_model):
    """by_model: model -> measure -> values by seed. Adds difference and verdict to each row."""
    import numpy as np

    rows = []
    for model, measures in by_model.items():
        row = {"model": model, "seeds": len(measures["auc"])}
        for measure in MEASURES:
            row[measure] = float(np.mean(measures[measure]))
            row[f"{measure}_sd"] = (float(np.std(measures[measure], ddof=1))
                                    if row["seeds"] > 1 else float("nan"))
        rows.append(row)
    if BASE not in by_model:
        return rows
    others = [row for row in rows if row["model"] != BASE]
    base = by_model[BASE]["auc"]
    values = holm([paired_p(by_model[row["model"]]["auc"], base) for row in others])
    for row, p in zip(others, values):
        row["auc_difference"] = float(np.mean(np.subtract(by_model[row["model"]]["auc"], base)))
        row["p"], row["verdict"] = p, verdict(p)
    return rows


def collect(options, data, latency):
    by_model = {}
    for model in options.models:
        reports = [read_cell(options, data, model, seed) for seed in range(1, options.seeds + 1)]
        by_model[model] = {m: [report["test"][m] for report in reports] for m in MEASURES}
        by_model[model]["seconds"] = [report["train_seconds"] for report in reports]
    rows = compare(by_model)
    for row in rows:
        row["data"] = data
        row["train_seconds"] = sum(by_model[row["model"]]["seconds"]) / row["seeds"]
        row.update(latency.get((row["model"], None, None), {}))
    return rows


def measure(options, data):
    """(model, bits, k) -> what ctr_bench says of the models that were kept; models take turns."""
    if not options.ctr_bench:
        return {}
    cells = kept_cells(options, data)
    path = options.results / f"latency-{data}.json"
    command = [options.ctr_bench, *(options.results / "models" / cell_name(*c) for c in cells),
               "--length", LENGTH[data], "--requests", "100", "--rounds", "10", "--json", path]
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True,
                          check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        reason = ((done.stdout + done.stderr).strip().splitlines() or ["no message"])[-1]
        raise BadInput(f"{options.ctr_bench}: {reason}")
    rows = json.loads(path.read_text())["rows"]
    return {(model, bits, k): {"p50_us": row["request_p50_us"], "p99_us": row["request_p99_us"]}
            for (_, model, _, bits, k), row in zip(cells, rows)}


COLUMNS = ("data", "model", "seeds", "auc", "auc_sd", "gauc", "gauc_sd", "log_loss", "log_loss_sd",
           "auc_difference", "p", "verdict", "train_seconds", "p50_us", "p99_us")


def shown(row, column):
    value = row.get(column, "")
    if isinstance(value, float):
        return "" if value != value else f"{value:.1f}" if value >= 10 else f"{value:.4f}"
    return str(value)


def markdown(tables, facts):
    lines = []
    for data, rows in tables.items():
        lines += [f"## {data}", ""]
        if data in facts:
            lines += [f"Best possible AUC {facts[data]['bayes_auc']:.4f}; within categories only "
                      f"{facts[data]['same_category_auc']:.4f}.", ""]
        columns = [c for c in COLUMNS[1:] if any(shown(row, c) for row in rows)]
        lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
        lines += ["| " + " | ".join(shown(row, c) for c in columns) + " |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def write(path, text):
    part = path.with_name(path.name + ".tmp")
    part.write_text(text)
    part.rename(path)


def write_csv(path, rows, columns):
    part = path.with_name(path.name + ".tmp")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.rename(path)


# ---- sweep


def collect_sweep(options, latency):
    rows = []
    for data in options.sets:
        for bits, k in sweep_settings():
            values = [read_cell(options, data, "eta", seed, bits, k)["test"]["auc"]
                      for seed in range(1, options.sweep_seeds + 1)]
            row = {"data": data, "bits": bits, "k": k, "seeds": len(values),
                   "auc": sum(values) / len(values), "low": min(values), "high": max(values)}
            row.update(latency[data].get(("eta", bits, k), {}))
            rows.append(row)
    return rows


def draw_line(axis, rows, along, table):
    """AUC, and where it was measured latency, of one data set against bits or K."""
    values = [r["auc"] for r in rows]
    # One seed says little: the spread is that of the seeds at 128 bits and K = 64, where known.
    spread = next((r["auc_sd"] for r in table if r["model"] == "eta"), float("nan"))
    low, high = ([r["auc"] - r["low"] for r in rows], [r["high"] - r["auc"] for r in rows])
    if rows[0]["seeds"] == 1 and spread == spread:
        low = high = [spread] * len(rows)
    axis.errorbar([r[along] for r in rows], values, [low, high], marker="o", color="C0", capsize=3,
                  label="eta, AUC")
    for row in table:
        if row["model"] in (BASE, "none"):
            axis.axhline(row["auc"], linestyle="--" if row["model"] == BASE else ":", color="0.4",
                         label=f"{row['model']}, AUC")
    axis.set_xscale("log", base=2)
    axis.set_xticks([r[along] for r in rows], [str(r[along]) for r in rows])
    axis.set(xlabel="K (behaviours)" if along == "k" else "width of a code (bits)",
             ylabel="test AUC")
    handles, labels = axis.get_legend_handles_labels()
    if all("p50_us" in r for r in rows):
        twin = axis.twinx()
        handles += twin.plot([r[along] for r in rows], [r["p50_us"] for r in rows], "s-.",
                             color="C1")
        labels.append("eta, latency")
        twin.set_ylim(0, 1.15 * max(r["p50_us"] for r in rows))
        twin.set_ylabel("median latency of a request (us)", color="C1")
    return handles, labels


def draw_sweep(path, sweep, tables):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    sets = list(dict.fromkeys(row["data"] for row in sweep))
    figure, axes = pyplot.subplots(len(sets), 2, figsize=(10, 3.4 * len(sets) + 0.5),
                                   squeeze=False)
    for line, data in zip(axes, sets):
        for axis, along, other, fixed in ((line[0], "bits", "k", 64), (line[1], "k", "bits", 128)):
            rows = sorted((r for r in sweep if r["data"] == data and r[other] == fixed),
                          key=lambda r: r[along])
            legend = draw_line(axis, rows, along, tables[data])
            axis.set_title(f"{data}, {'K' if other == 'k' else 'bits'} = {fixed}, "
                           f"{rows[0]['seeds']} seed{'s' * (rows[0]['seeds'] > 1)}", fontsize=10)
    figure.legend(*legend, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.35 / figure.get_figheight(), 1, 1))
    part = path.with_name(path.name + ".tmp")
    figure.savefig(part, format="png", dpi=120)
    part.rename(path)


def main():
    options = parse_arguments()
    train_all(options)
    latency = {data: measure(options, data) for data in options.sets}
    tables = {data: collect(options, data, latency[data]) for data in options.sets}
    facts = {}
    for data in options.sets:
        path = getattr(options, data) / "planted.json"
        if path.exists():
            facts[data] = json.loads(path.read_text())
    rows = [row for table in tables.values() for row in table]
    write_csv(options.results / "quality.csv", rows, COLUMNS)
    text = markdown(tables, facts)
    write(options.results / "quality.md", text)
    sweep = collect_sweep(options, latency) if options.sweep_seeds else []
    clean = [{k: None if v != v else v for k, v in row.items()} for row in rows]
    write(options.results / "quality.json",
          json.dumps({"rows": clean, "sweep": sweep, "facts": facts}, indent=2) + "\n")
    if sweep:
        write_csv(options.results / "sweep.csv", sweep,
                  ("data", "bits", "k", "seeds", "auc", "low", "high", "p50_us", "p99_us"))
        draw_sweep(options.results / "sweep.png", sweep, tables)
    if sys.stdout.isatty():
        print(text)


if __name__ == "__main__":
    run("quality.py", main)
