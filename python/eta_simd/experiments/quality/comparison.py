# SPDX-License-Identifier: Apache-2.0
"""Mean and standard deviation of models over seeds, and their comparison over users."""
import math

import numpy as np

from eta_simd.experiments.intervals import LEVEL, interval
from eta_simd.experiments.quality.cells import MEASURES

BASE = "full_attention"  # what models are compared with


def verdict(low, high):
    """What the interval of a difference shows. That it contains 0 does not show equality."""
    if math.isnan(low) or low <= 0 <= high:
        return "not shown"
    return "higher" if low > 0 else "lower"


def compare(by_model):
    """by_model: model -> measure -> values by seed, and "draws": those of AUC (intervals.py) by
    seed. Adds to each row the difference to BASE, its interval and a verdict. The intervals are of
    these trained models, for other users, and hold together with 95 % (Bonferroni)."""
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
    level = 1 - (1 - LEVEL) / max(len(others), 1)
    for row in others:
        ours = by_model[row["model"]]
        row["auc_difference"] = float(np.mean(np.subtract(ours["auc"], base)))
        row["low"], row["high"] = interval(
            np.mean(np.subtract(ours["draws"], by_model[BASE]["draws"]), axis=0), level)
        row["verdict"] = verdict(row["low"], row["high"])
    return rows
