# SPDX-License-Identifier: Apache-2.0
"""Training and prediction."""
import copy
import math
import time
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import torch

from eta_simd import command
from eta_simd.ctr import data, items
from eta_simd.ctr.make_unit import make_unit
from eta_simd.ctr.metrics import quality
from eta_simd.ctr.model import CtrModel
from eta_simd.ctr.team import Checkpoint, Team

PENALTY_WEIGHT = 0.1  # of MIMN's utilisation regularisation


# ---- prediction


@torch.no_grad()
def predict(model, bundle, rows, options):
    """Logits float32 of samples `rows`, each with exactly its last max_history behaviours."""
    model.eval()
    model.long.warming_up = False
    model.refresh()
    logits = np.full(len(bundle.samples), np.nan, np.float32)
    groups = data.exact_groups(bundle.samples, rows, options.max_history, options.group)
    parts = data.batches(groups, options.cost)
    for number, part in enumerate(parts):
        command.progress(f"{options.model}: predicting, batch {number + 1}/{len(parts)}")
        batch = data.make_batch(bundle, part)
        output, _ = run(model, batch)
        logits[batch.rows] = output.numpy()[batch.real]
    return logits[rows]


def run(model, batch):
    """Logits [G, N] and penalty of a Batch."""
    return model(*(torch.from_numpy(a) for a in
                   (batch.users, batch.window, batch.ends, batch.candidates)))


# ---- training


def auxiliary_table(bundle, options):
    """float32 [items, dim]: SIM soft's frozen embeddings, from a model that pools the history and
    is trained beforehand on the same samples."""
    options = copy.copy(options)
    options.model, options.epochs, options.export_every = "avg_pool", options.aux_epochs, 0
    options.checkpoint = None
    model, _ = fit(bundle, options)
    return model.table.numpy().copy()


def build(bundle, options):
    """A new model of options.model, seeded by options.seed and refreshed."""
    index = None
    if options.model == "sim_soft":
        index = (auxiliary_table(bundle, options) if options.aux_epochs else
                 np.ones((bundle.num_items, options.dim), np.float32))
    torch.manual_seed(options.seed)
    random = np.random.RandomState(options.seed)
    unit = make_unit(options, bundle.categories, index, random, is_native=True)
    model = CtrModel(options, bundle.num_users, bundle.categories, unit)
    items.start(model, bundle, options)
    model.refresh()
    return model


def step_loss(model, batch, decay):
    """Cross-entropy of a batch, with the unit's penalty and L2 on its users' embeddings."""
    logits, penalty = run(model, batch)
    real = torch.from_numpy(batch.real)
    users = torch.from_numpy(batch.users).repeat_interleave(real.sum(dim=1))
    # A user has few samples, which its embedding would memorise.
    penalty = PENALTY_WEIGHT * penalty + decay * model.users[users].square().sum(dim=1).mean()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[real], torch.from_numpy(batch.labels)[real])
    return loss + penalty


def fit(bundle, options, on_step=None):
    """Trains by Adam; keeps the weights of the epoch with the best validation AUC.

    `on_step(step, model)`, where given, is called before the first step and after each. All
    processes of a Team call fit with the same arguments. It goes on from options.checkpoint, where
    that file is there. Returns the model, refreshed and in evaluation mode, and the report of its
    training; of several processes each has the same but for train_seconds: those of this call, and
    of trainings that were killed up to their last checkpoint.
    """
    started, team = time.monotonic(), Team()
    model = build(bundle, options)
    random = team.random(options.seed)
    held = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.VALIDATION)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)
    report: dict[str, Any] = {"epochs": [], "steps": 0, "train_seconds": 0.0}
    best: Any = None  # score, epoch, weights
    checkpoint = Checkpoint(options.checkpoint, options, team)
    saved = checkpoint.load()
    if saved:
        load_state(model, saved["tensors"]["weights"])
        optimizer.load_state_dict({**optimizer.state_dict(),
                                   "state": saved["tensors"]["optimizer"]})
        random.set_state(saved["random"])
        report, best = saved["report"], (*saved["best"], saved["tensors"]["best"])
    before = report["train_seconds"]
    show = Progress(options)
    for epoch in range(len(report["epochs"]), options.epochs):
        if saved and saved["is_over"]:
            break
        entry = train_epoch(model, bundle, options, Epoch(epoch, report["steps"], random,
                                                          optimizer, on_step, team), show)
        if len(held):
            entry["validation"] = team.from_lead(lambda: quality(
                bundle.samples[held], predict(model, bundle, held, options)))
        show.epoch(epoch, entry)
        report["epochs"].append(entry)
        report["steps"] += entry["steps"]
        score = score_of(entry, epoch)
        is_best = best is None or score > best[0]
        if is_best:
            best = score, epoch, copy.deepcopy(model.state_dict())
        report["train_seconds"] = before + time.monotonic() - started
        is_over = not is_best and epoch - best[1] >= options.patience
        checkpoint.save(random, {"weights": model.state_dict(), "best": best[2],
                                 "optimizer": optimizer.state_dict()["state"]},
                        report=report, best=best[:2], is_over=is_over)
        if is_over:
            break
    command.progress("")
    if best:
        load_state(model, best[2])
        report["best_epoch"] = best[1] + 1
    model.eval()
    model.refresh()
    report["train_seconds"] = round(before + time.monotonic() - started, 3)
    return model, report


class Progress:
    """Shows on a terminal how far training is; a pipe gets nothing."""

    def __init__(self, options):
        self.name, self.epochs, self.started = options.model, options.epochs, time.monotonic()
        self.auc = ""  # of the last epoch

    def step(self, epoch, share, text):
        """After a step: `share` of the epoch is done. Early stopping may end sooner."""
        spent, done = time.monotonic() - self.started, epoch + share
        command.progress(f"{self.name}: epoch {epoch + 1}/{self.epochs}, {text}{self.auc}, about "
                         f"{duration(spent * (self.epochs - done) / done)} left")

    def epoch(self, epoch, entry):
        """After the epoch with this entry of the report: a line that stays."""
        auc = entry.get("validation", {}).get("auc", math.nan)
        self.auc = "" if math.isnan(auc) else f", validation AUC {auc:.4f}"
        command.summarize(f"{self.name}: epoch {epoch + 1}/{self.epochs}, loss "
                          f"{entry['train_loss']:.4f}{self.auc}, "
                          f"{duration(time.monotonic() - self.started)}")


def duration(seconds):
    """Seconds as a text for people."""
    minutes = round(seconds) // 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes} min"


class Epoch(NamedTuple):
    """What an epoch continues from."""
    number: int
    step: int  # steps of the epochs before
    random: np.random.RandomState
    optimizer: torch.optim.Optimizer
    on_step: Optional[Callable]
    team: Team


def train_epoch(model, bundle, options, epoch, show):
    """One pass over the training samples, in random order; returns its entry of the report."""
    started, total, step, team = time.monotonic(), 0.0, epoch.step, epoch.team
    rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TRAIN)
    rows = team.rows(bundle.samples, rows, data.USER)
    groups = data.training_groups(bundle.samples, rows, options.max_history, options.group,
                                  epoch.random)
    # A step of all processes is as large as one of a single process.
    parts = data.batches(groups, max(options.cost // team.size, 1), epoch.random)
    steps = team.most(len(parts))
    for number in range(steps):
        # The rate falls in a straight line to 0 at the end of the last epoch.
        share = (epoch.number + number / steps) / options.epochs
        epoch.optimizer.param_groups[0]["lr"] = options.rate * (1 - share)
        if epoch.on_step and step == 0:
            epoch.on_step(step, model)
        model.train()
        model.refresh()
        if hasattr(model.long, "warming_up"):
            model.long.warming_up = share < options.warm_up
        epoch.optimizer.zero_grad()
        samples = 0
        if number < len(parts):
            batch = data.make_batch(bundle, parts[number])
            loss = step_loss(model, batch, options.decay)
            loss.backward()
            total += loss.item()
            samples = len(batch.rows)
        team.average_gradients(model, samples)
        epoch.optimizer.step()
        step += 1
        if epoch.on_step:
            epoch.on_step(step, model)
        show.step(epoch.number, (number + 1) / steps,
                  f"step {number + 1}/{steps}, loss {total / (number + 1):.4f}")
    total, batches = team.sums(total, len(parts))
    return {"seconds": round(time.monotonic() - started, 3), "steps": steps,
            "train_loss": total / batches}


def score_of(entry, epoch):
    """What the best epoch has the most of: validation AUC; less log loss where all labels are the
    same; the number of the epoch without validation samples."""
    if "validation" not in entry:
        return epoch
    score = entry["validation"]["auc"]
    return -entry["validation"]["log_loss"] if math.isnan(score) else score


def load_state(model, state):
    """Copies the parameters only: refresh() computes the buffers from them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state[name])
