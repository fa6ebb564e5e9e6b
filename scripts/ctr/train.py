# SPDX-License-Identifier: Apache-2.0
"""Training, prediction and quality measures."""
import copy
import sys
import time

import numpy as np
import torch

from ctr import data
from ctr.model import CtrModel
from ctr.units import make_unit

PENALTY_WEIGHT = 0.1  # of MIMN's utilisation regularisation


# ---- quality


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
        if value == value:
            total += value * len(part)
            weight += len(part)
    return total / weight if weight else float("nan")


def log_loss(labels, logits):
    logits = logits.astype(np.float64)
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def quality(samples, logits):
    labels = samples[:, data.LABEL]
    return {"auc": auc(labels, logits), "gauc": gauc(samples[:, data.USER], labels, logits),
            "log_loss": log_loss(labels, logits), "samples": len(labels)}


# ---- prediction


@torch.no_grad()
def predict(model, bundle, rows, options):
    """Logits float32 of samples `rows`, each with exactly its last max_history behaviours."""
    model.eval()
    model.long.warming_up = False
    model.refresh()
    logits = np.full(len(bundle.samples), np.nan, np.float32)
    groups = data.exact_groups(bundle.samples, rows, options.max_history, options.group)
    for part in data.batches(groups, options.cost):
        batch = data.make_batch(bundle, part)
        output, _ = run(model, batch)
        logits[batch.rows] = output.numpy()[batch.real]
    return logits[rows]


def run(model, batch):
    return model(*(torch.from_numpy(a) for a in
                   (batch.users, batch.window, batch.ends, batch.candidates)))


# ---- training


class Progress:
    """One line that is rewritten, on a terminal only."""

    def __init__(self):
        self.on = sys.stderr.isatty()

    def show(self, text):
        if self.on:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def end(self):
        if self.on:
            sys.stderr.write("\r\x1b[K")


def auxiliary_table(bundle, options, progress):
    """SIM soft's embeddings: those of a model that pools the history, trained beforehand on the
    same training samples and frozen."""
    options = copy.copy(options)
    options.model, options.epochs, options.export_every = "avg_pool", options.aux_epochs, 0
    model, _ = fit(bundle, options, progress=progress)
    return model.table.numpy().copy()


def build(bundle, options, progress):
    index = None
    if options.model == "sim_soft":
        index = (auxiliary_table(bundle, options, progress) if options.aux_epochs else
                 np.ones((bundle.num_items, options.dim), np.float32))
    torch.manual_seed(options.seed)
    random = np.random.RandomState(options.seed)
    unit = make_unit(options, bundle.categories, index, random)
    model = CtrModel(options, bundle.num_users, bundle.categories, unit)
    model.refresh()
    return model


def step_loss(model, batch, decay):
    logits, penalty = run(model, batch)
    real = torch.from_numpy(batch.real)
    users = torch.from_numpy(batch.users).repeat_interleave(real.sum(dim=1))
    # A user has few samples: its embedding would learn them by heart.
    penalty = PENALTY_WEIGHT * penalty + decay * model.users[users].square().sum(dim=1).mean()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[real], torch.from_numpy(batch.labels)[real])
    return loss + penalty


def fit(bundle, options, on_step=None, progress=None):
    """Trains by Adam; keeps the weights of the epoch with the best validation AUC.

    `on_step(step, model)`, where given, is called before the first step and after each.
    Returns the model, refreshed and in evaluation mode, and the report of its training.
    """
    progress = progress or Progress()
    model = build(bundle, options, progress)
    random = np.random.RandomState(options.seed)
    rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TRAIN)
    held = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.VALIDATION)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)
    report = {"epochs": [], "steps": 0}
    best, step = None, 0
    for epoch in range(options.epochs):
        started, total = time.monotonic(), 0.0
        groups = data.training_groups(bundle.samples, rows, options.max_history, options.group,
                                      random)
        parts = data.batches(groups, options.cost, random)
        for number, part in enumerate(parts):
            # The rate falls in a straight line to 0 at the end of the last epoch.
            share = (epoch + number / len(parts)) / options.epochs
            optimizer.param_groups[0]["lr"] = options.rate * (1 - share)
            if on_step and step == 0:
                on_step(step, model)
            batch = data.make_batch(bundle, part)
            model.train()
            model.refresh()
            if hasattr(model.long, "warming_up"):
                model.long.warming_up = share < options.warm_up
            optimizer.zero_grad()
            loss = step_loss(model, batch, options.decay)
            loss.backward()
            optimizer.step()
            total += loss.item()
            step += 1
            if on_step:
                on_step(step, model)
            progress.show(f"{options.model}: epoch {epoch + 1}/{options.epochs}, "
                          f"step {number + 1}/{len(parts)}, loss {total / (number + 1):.4f}")
        entry = {"seconds": round(time.monotonic() - started, 3), "steps": len(parts),
                 "train_loss": total / len(parts)}
        if len(held):
            entry["validation"] = quality(bundle.samples[held],
                                          predict(model, bundle, held, options))
        report["epochs"].append(entry)
        score = entry["validation"]["auc"] if len(held) else epoch
        if score != score:  # one label only
            score = -entry["validation"]["log_loss"]
        if best is None or score > best[0]:
            best = score, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best[1] >= options.patience:
            break
    progress.end()
    if best:
        load_state(model, best[2])
        report["best_epoch"] = best[1] + 1
    report["steps"] = step
    model.eval()
    model.refresh()
    return model, report


def load_state(model, state):
    """Parameters only: buffers follow from them, by refresh()."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state[name])
