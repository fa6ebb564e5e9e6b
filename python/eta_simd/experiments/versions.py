# SPDX-License-Identifier: Apache-2.0
"""Compares two versions of a model, whose data differ (compare.py --other-data): recall, attention
mass and AUC with intervals over users, times only where the requests are the same."""
from typing import NamedTuple, Optional

import numpy as np

from eta_simd.command import BadInput
from eta_simd.experiments.ctr_rows import is_ctr, logits_of, rows_of
from eta_simd.experiments.intervals import auc_draws, interval, mean_draws
from eta_simd.reading import number, read_csv, read_json
from eta_simd.report.selection import swept_axes
from eta_simd.results import digests_of
from eta_simd.text import reason, shown

PER_REQUEST = ("user", "length", "candidates", "method", "recall", "recall_ties", "attention_mass",
               "p50_us")
QUALITIES = ("recall", "recall_ties", "attention_mass")
HEAD = ["row", "measure", "old", "new", "new - old", "95 % interval", "verdict"]
HOW = {"csv": "", "retrieval": "compare files of --per-request", "ctr": "use ctr_bench --logits"}


class Version(NamedTuple):
    """A row of one file: a method or a model."""
    means: dict  # by measure
    users: dict  # by measure: whose values these are; the values stand in `values`
    values: dict
    samples: Optional[tuple]  # of AUC: users, items, ends, labels; and the logits in `values`
    times: np.ndarray  # us, one or one for each request
    requests: object  # what must be equal for times to be comparable


class Difference(NamedTuple):
    """A line of the table: new - old, or new / old for times."""
    name: str
    measure: str
    old: float
    new: float
    change: float
    low: float
    high: float

    @property
    def verdict(self):
        middle = 1 if self.measure == "time" else 0
        if np.isnan(self.low):
            return "-"
        if self.low <= middle <= self.high:
            return "not shown"
        names = ("faster", "slower") if self.measure == "time" else ("lower", "higher")
        return names[int(self.low > middle)]


# ---- reading


def of_requests(rows):
    """Versions by method of a CSV of --per-request."""
    parts: dict[str, list] = {}
    for row in rows:
        parts.setdefault(row["method"], []).append(row)
    found = {}
    for method, part in parts.items():
        users = np.array([int(row["user"]) for row in part])
        values = {q: np.array([number(row[q]) if row[q] else np.nan for row in part])
                  for q in QUALITIES}
        has = {q: ~np.isnan(value) for q, value in values.items()}
        kept = [q for q in QUALITIES if has[q].any()]
        found[method] = Version(
            {q: float(values[q][has[q]].mean()) for q in kept}, {q: users[has[q]] for q in kept},
            {q: values[q][has[q]] for q in kept}, None,
            np.array([number(row["p50_us"]) for row in part]),
            [(row["user"], row["length"], row["candidates"]) for row in part])
    return found


def of_retrieval(run):
    """Versions by method and setting of a JSON of retrieval_bench, without values of requests."""
    found = {}
    told = {key: run["settings"].get(key) for key in ("seed", "requests", "held_out", "b")}
    for row, _ in zip(run["rows"], digests_of(run)):
        name = (f"{row['method']}/B:{row['b']:g}/K:{row['k']:g}/threads:{row['threads']:g}/"
                f"{row['cache']}" + "".join(f"/{key.removeprefix('sweep_')}:{row[key]}"
                                            for key in sorted(swept_axes(row))))
        means = {q: number(row[q]) for q in QUALITIES if row.get(q) is not None}
        found[name] = Version(means, {}, {}, None, np.array([number(row["p50_us"])]),
                              (told, row["l_mean"], run.get("requests")))
    return found


def of_ctr(run):
    """Versions by model and retrieval of a JSON of ctr_bench."""
    found = {}
    for name, row in rows_of(run):
        samples, logits = logits_of(run, row)
        times = [row["request_p50_us"]] if row["request_p50_us"] is not None else []
        found[name] = Version(
            {} if row["auc"] is None else {"auc": number(row["auc"])}, {},
            {} if logits is None else {"auc": logits}, samples, np.array(times, float),
            tuple(run[key] for key in ("candidates", "length", "requests", "seed")))
    return found


def read_versions(path):
    """The kind of a file and its versions by name."""
    try:
        if path.suffix == ".csv":
            columns, rows = read_csv(path)
            if not set(PER_REQUEST) <= set(columns):
                raise ValueError("its columns are not those of --per-request")
            kind, found = "csv", of_requests(rows)
        else:
            run = read_json(path, "rows")
            kind, found = ("ctr", of_ctr(run)) if is_ctr(run) else ("retrieval", of_retrieval(run))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BadInput(f"{path}: neither retrieval_bench's (JSON or --per-request) nor ctr_bench's:"
                       f" {reason(error)}") from None
    if not found:
        raise BadInput(f"{path}: there are no rows in it")
    if not all((version.times > 0).all() for version in found.values()):
        raise BadInput(f"{path}: a time is not a number above 0")
    return kind, found


# ---- comparing


def same_samples(old, new):
    """Whether two models saw the same samples, in order."""
    return old.samples is not None and new.samples is not None and all(
        np.array_equal(a, b) for a, b in zip(old.samples, new.samples))


def auc_interval(old, new):
    """Interval of the difference of AUC; without logits NaN."""
    if "auc" not in old.values or "auc" not in new.values:
        return float("nan"), float("nan")
    a, b = (auc_draws(side.samples[0], side.samples[3], side.values["auc"]) for side in (old, new))
    return interval((b if same_samples(old, new) else unpaired(b)) - a)


def unpaired(draws):
    """The draws in another order, for users who are not those of the other side."""
    return np.roll(draws, 1)


def quality_interval(measure, old, new):
    """Interval of the difference of a mean over requests, paired where the users are the same."""
    if measure not in old.values or measure not in new.values:
        return float("nan"), float("nan")
    users, others = old.users[measure], new.users[measure]
    if np.array_equal(users, others):
        return interval(mean_draws(users, new.values[measure] - old.values[measure]))
    return interval(unpaired(mean_draws(others, new.values[measure]))
                    - mean_draws(users, old.values[measure]))


def time_difference(name, old, new):
    """new / old as the geometric mean over requests; None unless the requests are the same."""
    if old.requests != new.requests or not len(old.times) or len(old.times) != len(new.times):
        return None
    if old.samples is not None and not same_samples(old, new):
        return None
    change = np.log(new.times / old.times)
    low = high = float("nan")
    if len(change) > 1:
        low, high = np.exp(interval(mean_draws(np.array([r[0] for r in old.requests]), change)))
    return Difference(name, "time", float(np.median(old.times)), float(np.median(new.times)),
                      float(np.exp(change.mean())), low, high)


def compare(old, new):
    """Differences of the rows that both have."""
    for name in (name for name in old if name in new):
        a, b = old[name], new[name]
        for measure in (m for m in a.means if m in b.means):
            ends = (auc_interval(a, b) if measure == "auc" else quality_interval(measure, a, b))
            yield Difference(name, measure, a.means[measure], b.means[measure],
                             b.means[measure] - a.means[measure], *ends)
        time = time_difference(name, a, b)
        if time:
            yield time


def fields_of(line):
    """The fields of a line of the table."""
    if line.measure == "time":
        texts = [f"{line.old:.1f} us", f"{line.new:.1f} us", f"x {line.change:.3f}"]
        ends = f"x {line.low:.3f} to {line.high:.3f}"
    else:
        texts = [f"{line.old:.4f}", f"{line.new:.4f}", f"{line.change:+.4f}"]
        ends = f"{line.low:+.4f} to {line.high:+.4f}"
    return [line.name, line.measure, *texts, "-" if np.isnan(line.low) else ends, line.verdict]


def report(old_path, new_path):
    """Rows of fields below HEAD, and notes. Raises BadInput where nothing can be compared."""
    (kind, old), (other_kind, new) = read_versions(old_path), read_versions(new_path)
    if kind != other_kind:
        raise BadInput(f"{old_path} and {new_path} are not of one kind")
    lines = list(compare(old, new))
    if not lines:
        raise BadInput(f"{old_path} and {new_path} have no rows in common")
    notes = []
    lacking = sorted(set(old) ^ set(new))
    if lacking:
        notes.append(f"not in both: {shown(', '.join(lacking), 200)}")
    if not any(line.measure == "time" for line in lines):
        notes.append("no times: the requests are not the same")
    if HOW[kind] and all(np.isnan(line.low) for line in lines if line.measure != "time"):
        notes.append(f"no intervals: {HOW[kind]}")
    return [fields_of(line) for line in lines], notes
