# SPDX-License-Identifier: Apache-2.0
"""Reads what the benchmarks and scripts of this project write."""
import csv
import dataclasses
import json
import math
from pathlib import Path

NUMBERS = ("bits", "dim", "k", "l_mean", "b", "threads", "recall", "recall_ties", "attention_mass",
           "p50_us", "p99_us", "candidates_per_s")
THREAD_COLUMNS = ["case", "method", "threads", "median", "least", "largest"]


class BadInput(Exception):
    """One line for the user; exit code 2."""


@dataclasses.dataclass
class Results:
    rows: list = dataclasses.field(default_factory=list)  # of retrieval_bench, with "data"
    kernels: list = dataclasses.field(default_factory=list)  # of kernel_bench, one per repetition
    choices: list = dataclasses.field(default_factory=list)  # of equal_recall.py
    threads: list = dataclasses.field(default_factory=list)  # of thread_scaling.sh
    machines: list = dataclasses.field(default_factory=list)  # lines about what ran where
    files: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)


def number(row, key, path):
    value = row.get(key)
    if value in (None, ""):
        return None
    value = float(value)
    if not math.isfinite(value):
        raise BadInput(f"{path}: {key} is {value}")
    return value


def request_row(row, data, path):
    numbers = {key: number(row, key, path) for key in NUMBERS}
    return {**row, **numbers, "data": data, "file": str(path)}


def data_name(run, path):
    """A sweep generates data anew for its cells, and does not keep the name of a bundle."""
    if "sweep" not in run:
        return run["data"]["name"] or "unnamed"
    settings = run["settings"]
    return f"synthetic-{settings['gen-seed']}" if settings["data"] == "generated" else path.stem


def add_machine(results, text):
    if text not in results.machines:
        results.machines.append(text)


def add_json(results, run, path):
    """Whether the file is one of ours."""
    if not isinstance(run, dict):
        return False
    form = str(run.get("format", ""))
    if form.startswith("eta-simd retrieval_bench"):
        name = data_name(run, path)
        results.rows += [request_row(row, name, path) for row in run["rows"]]
        environment = run["environment"]
        add_machine(results, f"{environment['cpu']}, {environment['target']}, "
                             f"{environment['date'][:10]}, "
                             f"eta-simd {environment['versions']['git_revision']}")
    elif form.startswith("eta-simd equal_recall"):
        results.choices += run["choices"]
    elif "benchmarks" in run and "context" in run:
        results.kernels += [entry for entry in run["benchmarks"]
                            if entry.get("run_type") != "aggregate"
                            and not entry.get("error_occurred")]
        context = run["context"]
        add_machine(results, f"{context['num_cpus']} CPUs at {context['mhz_per_cpu']} MHz, "
                             f"{context['date'][:10]} (kernels)")
    else:
        return False
    return True


def add_csv(results, path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if columns == THREAD_COLUMNS:
            for row in reader:
                results.threads.append({**row, **{key: float(row[key])
                                                  for key in THREAD_COLUMNS[2:]}})
        elif {"method", "recall_ties", "p99_us"} <= set(columns):
            if path.with_suffix(".json").exists():  # which has the same rows and more
                return False
            results.rows += [request_row(row, path.stem, path) for row in reader]
        else:
            return False
    return True


def add_file(results, path):
    try:
        if path.suffix == ".csv":
            is_ours = add_csv(results, path)
        else:
            is_ours = add_json(results, json.loads(path.read_text(encoding="utf-8")), path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: malformed: {error!r}") from None
    (results.files if is_ours else results.skipped).append(str(path))


def read(paths):
    """Results of files, and of all .json and .csv files in folders."""
    results = Results()
    for path in map(Path, paths):
        if not path.exists():
            raise BadInput(f"{path}: there is no such file or folder")
        files = [path] if path.is_file() else sorted(
            file for file in path.rglob("*") if file.suffix in (".json", ".csv"))
        for file in files:
            add_file(results, file)
    if not results.files:
        raise BadInput("no results of retrieval_bench, kernel_bench, equal_recall.sh or "
                       f"thread_scaling.sh in {', '.join(map(str, paths))}")
    return results
