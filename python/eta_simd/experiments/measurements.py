# SPDX-License-Identifier: Apache-2.0
"""Reads measurements that compare.py holds against each other: the JSON of kernel_bench with
repetitions, of retrieval_bench, a sweep included, or of ctr_bench. Raises BadInput, which names the
file."""
import dataclasses

import numpy as np

from eta_simd.command import BadInput
from eta_simd.experiments.ctr_rows import is_ctr, rows_of
from eta_simd.reading import number, read_json
from eta_simd.results import digests_of
from eta_simd.text import reason, shown

EXACT = ("recall", "recall_p5", "recall_ties", "attention_mass", "positions_digest")


@dataclasses.dataclass
class Row:
    """The times of a row in one run, and what it returned."""
    samples: "list[float]"  # nanoseconds
    exact: dict  # what must not change
    data: "str | None" = None  # digest of what was measured on
    place: str = ""  # machine


def kernel_rows(run):
    """Rows by name of a kernel_bench run; nothing more has to agree, so the second value is
    None."""
    context = run.get("context", {})
    place = f"{context.get('host_name')}, {context.get('num_cpus')} CPUs"
    units = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    rows: dict[str, Row] = {}
    for entry in run["benchmarks"]:
        if entry.get("run_type") == "aggregate":
            continue
        failed = entry.get("error_message") if entry.get("error_occurred") else None
        name = entry.get("run_name", entry["name"])
        if not isinstance(name, str):
            raise TypeError(f"a row's name is {shown(name)}")
        row = rows.setdefault(name, Row([], {"error": failed}, place=place))
        if failed is not None:  # in any repetition
            row.exact["error"] = failed
        else:
            # The time of other processes on this CPU is not in it.
            row.samples.append(number(entry["cpu_time"]) * units[entry["time_unit"]])
    return rows, None


def setting_of(row):
    """The setting of a row of retrieval_bench, as a part of its name."""
    shown = {"L": row["l_mean"], "b": row["b"], "k": row["k"], "threads": row["threads"]}
    # Cells may differ in what a row of them does not: dim, or lengths beyond those of a bundle.
    swept = {key.removeprefix("sweep_"): value for key, value in row.items()
             if key.startswith("sweep_")}
    more = "".join(f"/sweep_{axis}:{value}" for axis, value in sorted(swept.items())
                   if shown.get(axis) != value)
    return (f"L:{row['l_mean']:g}/B:{row['b']}/K:{row['k']}/threads:{row['threads']}/"
            f"{row['cache']}{more}")


def request_rows(run):
    """Rows by name of a retrieval_bench run, and the settings that must agree."""
    environment = run.get("environment", {})
    place = f"{environment.get('cpu')}, {environment.get('target')}"
    rows = {}
    digests = digests_of(run)
    if None in digests:
        raise KeyError("digest")
    for entry, digest in zip(run["rows"], digests):
        name = f"{entry['method']}/{setting_of(entry)}"
        samples = entry.get("repeat_p50_us") or [entry["p50_us"]]
        rows[name] = Row([1e3 * number(t) for t in samples],
                         {key: entry[key] for key in EXACT if key in entry}, digest, place)
    return rows, {key: run["settings"].get(key) for key in ("seed", "requests", "held_out")}


def ctr_rows(run):
    """Rows by name of a ctr_bench run, and the settings that must agree."""
    environment = run.get("environment", {})
    place = f"{environment.get('cpu')}, {run.get('target')}"
    rows = {name: Row([1e3 * number(row["request_p50_us"])],
                      {key: row[key] for key in ("auc", "gauc", "log_loss")}, place=place)
            for name, row in rows_of(run)}
    return rows, {key: run[key] for key in ("seed", "requests", "candidates", "length")}


def read_run(path):
    """The rows of a file, and what must agree for two files to be comparable."""
    run = read_json(path)
    try:
        read = (kernel_rows if "benchmarks" in run else ctr_rows if is_ctr(run) else
                request_rows)
        rows, basis = read(run)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(f"{path}: neither kernel_bench's nor retrieval_bench's nor ctr_bench's "
                       f"JSON: {reason(error)}") from None
    if not rows:
        raise BadInput(f"{path}: there are no rows in it")
    for name, row in rows.items():
        if not all(np.isfinite(t) and t > 0 for t in row.samples):
            raise BadInput(f"{path}: {shown(name)}: a time is not a number above 0")
    return rows, basis


def read_side(path):
    """A list of runs: one for a file, one per round for a folder."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{path}: there are no .json files in it")
    return [read_run(file) for file in files]


def read_both(old_path, new_path):
    """Two lists with the rows of each run. Raises BadInput unless they are as many, with the same
    settings and, row by row, the same data."""
    old, new = read_side(old_path), read_side(new_path)
    if len(old) != len(new):
        raise BadInput(f"{len(old)} runs in {old_path} and {len(new)} in {new_path} (expected as "
                       "many)")
    for _, basis in old + new:
        if basis != old[0][1]:
            raise BadInput(f"not comparable: {shown(old[0][1])} and {shown(basis)}")
    digests = {name: row.data for name, row in old[0][0].items()}
    for name, row in ((n, r) for rows, _ in old + new for n, r in rows.items()):
        if row.data != digests.setdefault(name, row.data):
            raise BadInput(f"not comparable: {shown(name)} is of data {shown(digests[name])} and "
                           f"{shown(row.data)}")
    return [rows for rows, _ in old], [rows for rows, _ in new]
