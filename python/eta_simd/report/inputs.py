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
           "p50_us", "p99_us", "candidates_per_s", "bytes_per_behaviour", "table_bytes")
# Requests without history, and files of other versions.
MAY_LACK = ("recall", "recall_ties", "attention_mass", "bytes_per_behaviour", "table_bytes")
LOAD_NUMBERS = ("rate", "k", "l_mean", "b", "threads", "unserved", "p50_us", "p99_us")
THREAD_COLUMNS = ["case", "method", "threads", "median", "least", "largest"]


@dataclasses.dataclass
class Results:
    """What was read, by kind; rows are dicts."""
    rows: list = dataclasses.field(default_factory=list)  # of retrieval_bench, with "data"
    loads: list = dataclasses.field(default_factory=list)  # of --load and --slo-ms, a rate each
    kernels: list = dataclasses.field(default_factory=list)  # of kernel_bench, one per repetition
    choices: list = dataclasses.field(default_factory=list)  # of equal_recall.sh
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
    """A choice of equal_recall.sh, checked; None for a text that its CSV leaves empty."""
    if isinstance(choice["l"], str):
        choice = {key: value or None for key, value in choice.items()}
        need(choice["is_winner"] in ("True", "False"), path, "is_winner is neither True nor False")
        choice.update({key: number(choice, key, path) for key in ("l", "target",
                                                                  "ns_per_candidate")},
                      is_winner=choice["is_winner"] == "True")
    kinds = {"data": (str,), "cache": (str,), "family": (str,), "l": (int, float),
             "target": (int, float), "is_winner": (bool,)}
    for key, kind in kinds.items():
        need(isinstance(choice[key], kind), path,
             f"{key} of a choice is '{shown(choice[key], 40)}'")
    need(not choice["is_winner"] or isinstance(choice["method"], str) and
         number(choice, "ns_per_candidate", path) is not None, path, "a winner without its time")
    return choice


def lengths_of(requests, row):
    """Which histories a row is of, so that no line joins two kinds: "fixed" where all are of one
    length, else "ragged"; None where the file does not say. Lengths that a sweep sets are one kind,
    because a bundle's histories may be shorter."""
    if "sweep_L" in row:
        return "swept"
    least, most = (requests.get(f"behaviours_{end}") for end in ("min", "max"))
    if least is None or most is None:
        return None
    return "fixed" if least == most else "ragged"


def request_row(row, data, digest, path, requests=None):
    """A row of retrieval_bench, checked and with its numbers as floats; `requests` is what the file
    says of its histories."""
    numbers = {key: number(row, key, path) for key in NUMBERS}
    if row.get("shared_bytes") is not None:  # counts alike for all methods, table_bytes does not
        numbers["table_bytes"] = number(row, "shared_bytes", path)
    need(all(isinstance(row.get(key), str) and row[key] for key in ("method", "cache")), path,
         "a row without method or cache")
    lacking = [key for key in NUMBERS if numbers[key] is None and key not in MAY_LACK]
    need(not lacking, path, f"{row['method']:.40}: no {', '.join(lacking)}")
    need(all(0 < numbers[key] < 1e15 for key in ("p50_us", "p99_us")), path,
         f"{row['method']:.40}: p50_us or p99_us is not a time")
    need(all((numbers[key] or 0) >= 0 for key in ("bytes_per_behaviour", "table_bytes")), path,
         f"{row['method']:.40}: bytes_per_behaviour or table_bytes is below 0")
    need((numbers["recall"] is None) == (numbers["recall_ties"] is None), path,
         f"{row['method']:.40}: only one of recall and recall_ties")
    bins = row.get("recall_histogram")
    is_histogram = isinstance(bins, list) and min(bins, default=0) >= 0 < sum(bins)
    need(numbers["recall"] is None or not bins or is_histogram, path,
         f"{row['method']:.40}: recall_histogram is no list of counts")
    return {**row, **numbers, "data": data, "digest": digest, "file": str(path),
            "items": row.get("items"), "lengths": lengths_of(requests or {}, row)}


def requests_of(run):
    """What a run says of the histories behind each of its rows, and the axes of its sweep that add
    no column to its rows."""
    if "sweep" not in run:
        return [run.get("requests") or {}] * len(run["rows"]), {}
    told = [cell.get("requests") or {} for cell in run["cells"] for _ in range(cell["rows"])]
    return told, {"sweep_bits": run["sweep"]["bits"]} if "bits" in run["sweep"] else {}


def load_row(row, where, limit, kept, path):
    """A rate of the open loop, checked. `where` has its setting; `limit` of p99 is in ms and None
    for --load, `kept` whether p99 was within it."""
    need(isinstance(row.get("method"), str) and row["method"], path, "a rate without method")
    found = {**where, **row}
    numbers = {key: number(found, key, path) for key in LOAD_NUMBERS}
    lacking = [key for key in LOAD_NUMBERS if numbers[key] is None]
    need(not lacking, path, f"{row['method']:.40}: no {', '.join(lacking)}")
    need(all(0 < numbers[key] < 1e15 for key in ("rate", "p50_us", "p99_us")), path,
         f"{row['method']:.40}: rate, p50_us or p99_us is not above 0")
    need(limit is None or limit > 0, path, f"limit_ms is {limit}")
    return {**numbers, "method": row["method"], "data": where.get("data"), "limit_ms": limit,
            "kept": kept, "file": str(path)}


def add_load(results, run, data, path):
    """Adds the open loop of a run of retrieval_bench, if it had one."""
    load = run.get("load") or {}
    if not load.get("rows") and not load.get("slo"):
        return
    told = run["requests"]
    where = {"data": data, "k": run["settings"]["k"], "l_mean": told["behaviours_mean"],
             "b": told["candidates_mean"], "threads": load["workers"]}
    results.loads += [load_row(row, where, None, None, path) for row in load["rows"]]
    limit = number(load, "slo_ms", path)
    results.loads += [load_row({"method": row["method"], **probe}, where, limit,
                               bool(probe["kept"]), path)
                      for row in load["slo"] for probe in row["probes"]]


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
        told, axes = requests_of(run)
        axes["items"] = number(run.get("data") or {}, "items", path)
        results.rows += [request_row({**axes, **row}, name, digest, path, requests)
                         for row, digest, requests in zip(run["rows"], digests_of(run), told)]
        add_load(results, run, name, path)
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
    elif {"method", "limit_ms", "kept", "rate"} <= set(columns):
        # The JSON of the same run has the same rates, and says of which data.
        if is_found and any(Path(load["file"]).parent == path.parent for load in results.loads):
            return False
        results.loads += [load_row(row, {}, number(row, "limit_ms", path),
                                   row["kept"] == "1" if row["kept"] else None, path)
                          for row in rows]
    elif is_found and path.with_suffix(".json").exists():  # which has the same rows and more
        return False
    elif {"family", "target", "is_winner", "ns_per_candidate"} <= set(columns):
        results.choices += [choice_of(row, path) for row in rows]
    elif {"method", "recall_ties", "p99_us"} <= set(columns):
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
            (file for file in path.rglob("*") if file.suffix in (".json", ".csv")
             and file.is_file()), key=lambda file: (file.suffix == ".csv", file))
        for file in files:
            add_file(results, file, is_found=file != path)
    name_swept_bundles(results.rows)
    if not results.files:
        raise BadInput("no results of retrieval_bench, kernel_bench, equal_recall.sh or "
                       f"thread_scaling.sh in {', '.join(map(str, paths))}")
    return results
