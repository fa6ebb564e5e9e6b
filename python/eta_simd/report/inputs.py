# SPDX-License-Identifier: Apache-2.0
"""Reads what the benchmarks and scripts of this project write. Every number that is drawn is
checked; BadInput names the file."""
import dataclasses
import math
from pathlib import Path

from eta_simd import reading
from eta_simd.command import BadInput
from eta_simd.report.selection import swept_axes
from eta_simd.results import digests_of
from eta_simd.text import reason, shown

NUMBERS = ("bits", "dim", "k", "l_mean", "b", "threads", "recall", "recall_ties", "attention_mass",
           "p50_us", "p99_us", "candidates_per_s")
MAY_LACK = ("recall", "recall_ties", "attention_mass")  # requests without history
THREAD_COLUMNS = ["case", "method", "threads", "median", "least", "largest"]


@dataclasses.dataclass
class Results:
    """What was read, by kind; rows are dicts."""
    rows: list = dataclasses.field(default_factory=list)  # of retrieval_bench, with "data"
    kernels: list = dataclasses.field(default_factory=list)  # of kernel_bench, one per repetition
    choices: list = dataclasses.field(default_factory=list)  # of equal_recall.py
    threads: list = dataclasses.field(default_factory=list)  # of thread_scaling.sh
    machines: list = dataclasses.field(default_factory=list)  # lines about what ran where
    files: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)


def number(row, key, path):
    """A finite float, or None where the row has none."""
    value = row.get(key)
    if value in (None, ""):
        return None
    value = reading.number(value)
    if not math.isfinite(value):
        raise BadInput(f"{path}: {key} is {value}")
    return value


def need(holds, path, text):
    """Raises BadInput about the file unless `holds`."""
    if not holds:
        raise BadInput(f"{path}: {text}")


def choice_of(choice, path):
    """A choice of equal_recall.py, checked."""
    kinds = {"data": (str,), "cache": (str,), "family": (str,), "l": (int, float),
             "target": (int, float), "is_winner": (bool,)}
    for key, kind in kinds.items():
        need(isinstance(choice[key], kind), path,
             f"{key} of a choice is '{shown(choice[key], 40)}'")
    need(not choice["is_winner"] or isinstance(choice["method"], str) and
         number(choice, "ns_per_candidate", path) is not None, path, "a winner without its time")
    return choice


def request_row(row, data, digest, path):
    """A row of retrieval_bench, checked and with its numbers as floats."""
    numbers = {key: number(row, key, path) for key in NUMBERS}
    need(all(isinstance(row.get(key), str) and row[key] for key in ("method", "cache")), path,
         "a row without method or cache")
    lacking = [key for key in NUMBERS if numbers[key] is None and key not in MAY_LACK]
    need(not lacking, path, f"{row['method']:.40}: no {', '.join(lacking)}")
    need(all(0 < numbers[key] < 1e15 for key in ("p50_us", "p99_us")), path,
         f"{row['method']:.40}: p50_us or p99_us is not a time")
    need((numbers["recall"] is None) == (numbers["recall_ties"] is None), path,
         f"{row['method']:.40}: only one of recall and recall_ties")
    bins = row.get("recall_histogram")
    is_histogram = isinstance(bins, list) and min(bins, default=0) >= 0 < sum(bins)
    need(numbers["recall"] is None or not bins or is_histogram, path,
         f"{row['method']:.40}: recall_histogram is no list of counts")
    return {**row, **numbers, "data": data, "digest": digest, "file": str(path)}


def data_name(run, path):
    """The name of the data of a run. A sweep generates data anew for its cells; of a bundle it
    keeps the digest alone, for which name_swept_bundles puts the name where another file has it."""
    if "sweep" not in run:
        return run["data"]["name"] or "unnamed"
    settings = run["settings"]
    return f"synthetic-{settings['gen-seed']}" if settings["data"] == "generated" else path.stem


def name_swept_bundles(rows):
    """Gives rows of a sweep over a bundle the name that other rows have for its digest."""
    names = {row["digest"]: row["data"] for row in rows if not swept_axes(row) and row["digest"]}
    for row in rows:
        if swept_axes(row):
            row["data"] = names.get(row["digest"], row["data"])


def add_machine(results, text):
    """Adds a line about a machine once."""
    if text not in results.machines:
        results.machines.append(text)


def add_json(results, run, path):
    """Whether the file is one of ours."""
    if not isinstance(run, dict):
        return False
    form = str(run.get("format", ""))
    if form.startswith("eta-simd retrieval_bench cells"):  # what --json has as well
        return False
    if form.startswith("eta-simd retrieval_bench"):
        name = data_name(run, path)
        results.rows += [request_row(row, name, digest, path)
                         for row, digest in zip(run["rows"], digests_of(run))]
        environment = run["environment"]
        add_machine(results, f"{environment['cpu']}, {environment['target']}, "
                             f"{environment['date'][:10]}, "
                             f"eta-simd {environment['versions']['git_revision']}")
    elif form.startswith("eta-simd equal_recall"):
        results.choices += [choice_of(choice, path) for choice in run["choices"]]
    elif "benchmarks" in run and "context" in run:
        need(all("/" in entry["name"] for entry in run["benchmarks"]), path, "a row without target")
        results.kernels += [entry for entry in run["benchmarks"]
                            if entry.get("run_type") != "aggregate"
                            and not entry.get("error_occurred")]
        context = run["context"]
        add_machine(results, f"{context['num_cpus']} CPUs at {context['mhz_per_cpu']} MHz, "
                             f"{context['date'][:10]} (kernels)")
    else:
        return False
    return True


def add_csv(results, path, is_found):
    """Whether the file is one of ours, whose rows are then in `results`. A file that was found in a
    folder (`is_found`) is passed over if its JSON is there."""
    columns, rows = reading.read_csv(path)
    if columns == THREAD_COLUMNS:
        for row in rows:
            row.update({key: reading.number(row[key]) for key in THREAD_COLUMNS[2:]})
            need(0 < row["least"] <= row["median"] <= row["largest"] < math.inf and
                 0 < row["threads"] < 1e5, path, f"no ratios: {shown(row)}")
            results.threads.append(row)
    elif {"method", "recall_ties", "p99_us"} <= set(columns):
        if is_found and path.with_suffix(".json").exists():  # which has the same rows and more
            return False
        results.rows += [request_row(row, path.stem, None, path) for row in rows]
    else:
        return False
    return True


def add_file(results, path, is_found):
    """Reads a file into `results`. Raises BadInput if it cannot be read or is malformed."""
    try:
        if path.suffix == ".csv":
            is_ours = add_csv(results, path, is_found)
        else:
            is_ours = add_json(results, reading.read_json(path), path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: malformed: {reason(error)}") from None
    (results.files if is_ours else results.skipped).append(str(path))


def read(paths):
    """Results of files, and of all .json and .csv files in folders."""
    results = Results()
    for path in map(Path, paths):
        if not path.exists():
            raise BadInput(f"{path}: there is no such file or folder")
        files = [path] if not path.is_dir() else sorted(
            file for file in path.rglob("*") if file.suffix in (".json", ".csv") and file.is_file())
        for file in files:
            add_file(results, file, is_found=file != path)
    name_swept_bundles(results.rows)
    if not results.files:
        raise BadInput("no results of retrieval_bench, kernel_bench, equal_recall.sh or "
                       f"thread_scaling.sh in {', '.join(map(str, paths))}")
    return results
