# SPDX-License-Identifier: Apache-2.0
"""Paired differences of AUC to exact retrieval, and the cheapest method that is not worse."""
import math

import numpy as np

from eta_simd.command import BadInput
from eta_simd.experiments.ctr_rows import logits_of
from eta_simd.experiments.intervals import auc_draws, interval
from eta_simd.reading import number
from eta_simd.text import reason

BASE = "exact"  # what methods are compared with
MARGIN = 0.0005  # of AUC that may be lost
MEASURES = ("auc", "gauc", "log_loss")


def verdict(low, high):
    """Whether more than MARGIN is lost: "not worse", "worse", or "not shown"."""
    if math.isnan(low):
        return "not shown"
    if low >= -MARGIN:
        return "not worse"
    return "worse" if high < -MARGIN else "not shown"


def mean_difference_draws(pairs):
    """Draws of the mean difference over models, each a pair of draws of AUC."""
    return np.mean([ours - theirs for ours, theirs in pairs], axis=0)


def runs_of(document, place):
    """Rows of a JSON of ctr_bench --logits as {retrieval: [row of each model, in their order]},
    with the draws of its AUC in each."""
    runs: "dict[str, list[dict]]" = {}
    try:
        for row in document["rows"]:
            values = {name: number(row[name]) for name in (*MEASURES, "request_p50_us", "k")}
            samples, logits = logits_of(document, row)
            if samples is None:
                raise ValueError("it has no logits")
            values["draws"] = auc_draws(samples[0], samples[3], logits)
            runs.setdefault(str(row["retrieval"]), []).append(values)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadInput(f"{place}: no result of ctr_bench: {reason(error)}") from None
    if BASE not in runs or len({len(rows) for rows in runs.values()}) != 1:
        raise BadInput(f"{place}: not every model was served with every retrieval and {BASE}")
    return runs


def compare(runs, data):
    """A table row for each retrieval of one run, the cheapest that is not worse marked."""
    base = runs[BASE]
    rows = []
    for retrieval, models in runs.items():
        row = {"data": data, "k": int(base[0]["k"]), "retrieval": retrieval, "seeds": len(models)}
        row.update({m: float(np.mean([model[m] for model in models])) for m in MEASURES})
        row["p50_us"] = float(np.median([model["request_p50_us"] for model in models]))
        differences = [model["auc"] - other["auc"] for model, other in zip(models, base)]
        row["auc_difference"] = float(np.mean(differences))
        row["low"], row["high"] = interval(mean_difference_draws(
            [(model["draws"], other["draws"]) for model, other in zip(models, base)]))
        row["verdict"] = "-" if retrieval == BASE else verdict(row["low"], row["high"])
        rows.append(row)
    allowed = [row for row in rows if row["verdict"] in ("-", "not worse")]
    cheapest = min(allowed, key=lambda row: row["p50_us"])
    for row in rows:
        row["cheapest"] = "yes" if row is cheapest else ""
    return rows
