# SPDX-License-Identifier: Apache-2.0
"""Bootstrap over users: how far a difference of AUC or recall would move with other users.

A draw takes as many users as there are, with replacement, and all that is theirs. Two models or
methods that saw the same samples get the same draws, so that their differences are paired: what
makes a user easy or hard for both cancels. An interval says nothing of other seeds of a model; the
spread over seeds stands beside it where there are several.
"""
import numpy as np

DRAWS = 2000
LEVEL = 0.95


def user_draws(count, draws=DRAWS):
    """Generates how often each of `count` users is in a draw; the same numbers at every call."""
    random = np.random.default_rng(1)
    for _ in range(draws):
        yield np.bincount(random.integers(0, count, count), minlength=count)


def auc_draws(users, labels, logits, draws=DRAWS):
    """AUC of each draw, float64 [draws]; NaN where a draw lacks a positive or a negative sample.

    `users` [n] names the user of each sample, `labels` [n] is 0 or 1; equal logits count one half.
    """
    _, users = np.unique(users, return_inverse=True)
    order = np.argsort(logits, kind="stable")
    scores, is_positive = np.asarray(logits)[order], np.asarray(labels)[order] > 0
    positives, negatives = users[order][is_positive], users[order][~is_positive]
    # For each positive sample how many negative ones are below it, and below or equal.
    places = scores[~is_positive], scores[is_positive]
    below, not_above = np.searchsorted(*places), np.searchsorted(*places, side="right")
    found, up_to = np.empty(draws), np.zeros(len(negatives) + 1)
    for i, counts in enumerate(user_draws(users.max() + 1, draws)):
        counts = counts.astype(float)
        np.cumsum(counts[negatives], out=up_to[1:])
        weights = counts[positives]
        pairs = weights.sum() * up_to[-1]
        wins = weights @ (up_to[below] + up_to[not_above]) / 2
        found[i] = wins / pairs if pairs else np.nan
    return found


def mean_draws(users, values, draws=DRAWS):
    """Mean of `values` [n], one or more of each user, in each draw, float64 [draws]."""
    _, users = np.unique(users, return_inverse=True)
    sums, sizes = np.bincount(users, values), np.bincount(users)
    return np.array([counts @ sums / (counts @ sizes) for counts in user_draws(len(sums), draws)])


def interval(draws, level=LEVEL):
    """Ends of the percentile interval; NaN without draws that are numbers."""
    draws = np.asarray(draws, float)
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)
