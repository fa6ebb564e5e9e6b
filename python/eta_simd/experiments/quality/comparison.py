# SPDX-License-Identifier: Apache-2.0
"""Mean, standard deviation and paired comparison of models over seeds."""
import math

import numpy as np
import scipy.stats

from eta_simd.experiments.quality.cells import MEASURES

BASE = "full_attention"  # what models are compared with
LEVEL = 0.05


def holm(values):
    """Holm's correction of p values, NaN left alone."""
    order = sorted((p, i) for i, p in enumerate(values) if not math.isnan(p))
    corrected, highest = list(values), 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[i] = highest
    return corrected


def paired_p(ours, theirs):
    """p of the paired t-test; NaN below two pairs, 1 where all pairs are equal."""
    differences = np.asarray(ours) - np.asarray(theirs)
    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) == 0:
        return 0.0 if differences[0] else 1.0
    return float(scipy.stats.ttest_rel(ours, theirs).pvalue)


def verdict(p):
    """Whether a difference with this p is more than noise."""
    if math.isnan(p):
        return "one seed"
    return "noise" if p >= LEVEL else "differs"


def compare(by_model):
    """by_model: model -> measure -> values by seed. Adds difference and verdict to each row."""
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
