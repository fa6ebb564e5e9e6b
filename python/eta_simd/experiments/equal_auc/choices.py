# SPDX-License-Identifier: Apache-2.0
"""Paired differences of AUC to exact retrieval, and the cheapest method that is not worse."""
import math

import numpy as np
import scipy.stats

from eta_simd.command import BadInput
from eta_simd.reading import number
from eta_simd.text import reason

BASE = "exact"  # what methods are compared with
MARGIN = 0.0005  # of AUC that may be lost
MEASURES = ("auc", "gauc", "log_loss")


def interval(differences, level=0.95):
    """Ends of the t interval of the mean of paired differences; NaN for fewer than two."""
    values = np.asarray(differences, float)
    if len(values) < 2:
        return float("nan"), float("nan")
    reach = (scipy.stats.t.ppf((1 + level) / 2, len(values) - 1)
             * np.std(values, ddof=1) / math.sqrt(len(values)))
    return float(values.mean() - reach), float(values.mean() + reach)


def verdict(low, high):
    """Whether more than MARGIN is lost: "equal or better", "worse", or "not shown"."""
    if math.isnan(low):
        return "one seed"
    if low >= -MARGIN:
        return "equal or better"
    return "worse" if high < -MARGIN else "not shown"


def runs_of(document, place):
    """Rows of a ctr_bench JSON as {retrieval: [row of each model, in their order]}."""
    runs: "dict[str, list[dict[str, float]]]" = {}
    try:
        for row in document["rows"]:
            values = {name: number(row[name]) for name in (*MEASURES, "request_p50_us", "k")}
            runs.setdefault(str(row["retrieval"]), []).append(values)
    except (ValueError, KeyError, TypeError) as error:
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
        row["low"], row["high"] = interval(differences)
        row["verdict"] = "-" if retrieval == BASE else verdict(row["low"], row["high"])
        rows.append(row)
    allowed = [row for row in rows if row["verdict"] in ("-", "equal or better")]
    cheapest = min(allowed, key=lambda row: row["p50_us"])
    for row in rows:
        row["cheapest"] = "yes" if row is cheapest else ""
    return rows
