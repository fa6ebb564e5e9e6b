# SPDX-License-Identifier: Apache-2.0
"""Collects the cells of a data set into the rows of the tables, and writes these as Markdown."""
import math
import subprocess

from eta_simd.command import BadInput
from eta_simd.experiments.quality.cells import (LENGTH, MEASURES, Cell, read_cell,
                                                read_draws, sweep_settings, timed_cells)
from eta_simd.experiments.quality.comparison import compare
from eta_simd.reading import read_json

COLUMNS = ("data", "model", "seeds", "auc", "auc_sd", "gauc", "gauc_sd", "log_loss", "log_loss_sd",
           "auc_difference", "low", "high", "verdict", "train_seconds", "p50_us", "p99_us")
SWEEP_COLUMNS = ("data", "bits", "k", "seeds", "auc", "low", "high", "p50_us", "p99_us")


def shown(row, column):
    """A value of a row as text; empty where it is missing or NaN."""
    value = row.get(column, "")
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.1f}" if value >= 10 else f"{value:.4f}"
    return str(value)


def markdown(tables, facts):
    """A table for each data set."""
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


def measure(options, data):
    """Latencies by Cell, of the models of the first seed; ctr_bench measures them in turn."""
    if not options.ctr_bench:
        return {}
    cells = timed_cells(options, data)
    path = options.results / f"latency-{data}.json"
    command = [options.ctr_bench, *(options.results / "models" / cell.name for cell in cells),
               "--length", LENGTH[data], "--requests", "100", "--rounds", "10", "--json", path]
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True,
                          check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        reason = ((done.stdout + done.stderr).strip().splitlines() or ["no message"])[-1]
        raise BadInput(f"{options.ctr_bench}: {reason}")
    rows = read_json(path, "rows")["rows"]
    return {cell: {"p50_us": row["request_p50_us"], "p99_us": row["request_p99_us"]}
            for cell, row in zip(cells, rows)}


def collect(options, data, latency):
    """The rows of the table of a data set, a model each."""
    by_model = {}
    for model in options.models:
        reports = [read_cell(options, Cell(data, model, seed))
                   for seed in range(1, options.seeds + 1)]
        by_model[model] = {m: [report["test"][m] for report in reports] for m in MEASURES}
        by_model[model]["draws"] = [read_draws(options, Cell(data, model, seed))
                                    for seed in range(1, options.seeds + 1)]
        by_model[model]["seconds"] = [report["train_seconds"] for report in reports]
    rows = compare(by_model)
    for row in rows:
        row["data"] = data
        row["train_seconds"] = sum(by_model[row["model"]]["seconds"]) / row["seeds"]
        row.update(latency.get(Cell(data, row["model"], 1), {}))
    return rows


def collect_sweep(options, latency):
    """The rows of the sweep: AUC of eta at each setting, mean and range over seeds."""
    rows = []
    for data in options.sets:
        for bits, k in sweep_settings():
            values = [read_cell(options, Cell(data, "eta", seed, bits, k))["test"]["auc"]
                      for seed in range(1, options.sweep_seeds + 1)]
            row = {"data": data, "bits": bits, "k": k, "seeds": len(values),
                   "auc": sum(values) / len(values), "low": min(values), "high": max(values)}
            row.update(latency[data].get(Cell(data, "eta", 1, bits, k), {}))
            rows.append(row)
    return rows
