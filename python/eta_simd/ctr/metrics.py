# SPDX-License-Identifier: Apache-2.0
"""Quality of predicted logits: AUC, GAUC and log loss. Labels are 0 or 1, in NumPy arrays."""
import math

import numpy as np

from eta_simd.ctr import data


def auc(labels, logits):
    """Area under the ROC curve; tied scores count one half. NaN when a class is missing."""
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(logits, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def gauc(users, labels, logits):
    """Mean of the users' AUC, weighted by their samples; users of one class do not count."""
    order = np.argsort(users, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(users[order]) != 0])
    total = weight = 0.0
    for part in np.split(order, starts[1:]):
        value = auc(labels[part], logits[part])
        if not math.isnan(value):
            total += value * len(part)
            weight += len(part)
    return total / weight if weight else float("nan")


def log_loss(labels, logits):
    """Mean of -log(probability of the label), computed in float64 without overflow."""
    logits = logits.astype(np.float64)
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def quality(samples, logits):
    """All measures of `logits` [n] for `samples` [n, 5], as report.json has them."""
    labels = samples[:, data.LABEL]
    return {"auc": auc(labels, logits), "gauc": gauc(samples[:, data.USER], labels, logits),
            "log_loss": log_loss(labels, logits), "samples": len(labels)}
