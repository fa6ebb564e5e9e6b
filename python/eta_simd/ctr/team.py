# SPDX-License-Identifier: Apache-2.0
"""Training by several processes that torchrun starts, and checkpoints.

Each process trains on the samples of its own users. In every step the gradients are averaged over
the samples of all, so that the replicas stay the same to the bit.
"""
import json
import os

import numpy as np
import torch
from torch import distributed

from eta_simd import files
from eta_simd.command import BadInput
from eta_simd.text import shown


class Team:
    """The processes that train together; one, where torchrun started none."""

    def __init__(self):
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.is_lead = self.rank == 0
        if self.size > 1 and not distributed.is_initialized():
            distributed.init_process_group("gloo")

    def rows(self, samples, rows, user_column):
        """Those of `rows` whose users are this process's."""
        return rows if self.size == 1 else rows[samples[rows, user_column] % self.size == self.rank]

    def random(self, seed):
        """Random numbers of this process; of one alone those that `seed` has always given."""
        return np.random.RandomState(seed if self.size == 1 else [seed, self.rank])

    def most(self, count):
        """The largest of the processes' counts."""
        return int(self.reduce([count], distributed.ReduceOp.MAX if self.size > 1 else None)[0])

    def sums(self, *values):
        """The sums of each value over the processes."""
        return self.reduce(values, distributed.ReduceOp.SUM if self.size > 1 else None)

    def reduce(self, values, operation):
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor, operation)
        return tensor.tolist()

    def average_gradients(self, model, weight):
        """Replaces each gradient by its mean over the processes, weighted by `weight`, the samples
        that it comes from. A process without samples in this step has none."""
        if self.size == 1:
            return
        parameters = list(model.parameters())
        flat = torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten()
                          for p in parameters] + [torch.ones(1)]) * weight
        distributed.all_reduce(flat)
        begin, total = 0, flat[-1].clone()
        for parameter in parameters:
            part = flat[begin:begin + parameter.numel()]
            parameter.grad = (part / total).view_as(parameter)
            begin += parameter.numel()

    def from_lead(self, make):
        """What make() returns in the lead, which alone calls it, in all processes."""
        if self.size == 1:
            return make()
        found = [make() if self.is_lead else None]
        distributed.broadcast_object_list(found)
        return found[0]

    def gathered(self, value):
        """The processes' values, by rank."""
        if self.size == 1:
            return [value]
        found = [None] * self.size
        distributed.all_gather_object(found, value)
        return found


class Checkpoint:
    """A file that training goes on from after it was killed. The lead replaces it as a whole after
    each epoch.

    `settings` are what a training must share with the one that wrote the file: every option, as
    text, but --out, --checkpoint and --threads, and the number of processes."""

    def __init__(self, path, options, team):
        self.path, self.team = path, team
        left_out = ("out", "checkpoint", "threads")
        self.settings = {name: str(value) for name, value in sorted(vars(options).items())
                         if name not in left_out}
        self.settings["processes"] = str(team.size)

    def load(self):
        """What save was given, with the random numbers of this process as they were, and tensors
        under `tensors`; None where there is no file."""
        if self.path is None or not self.path.exists():
            return None
        try:
            file = torch.load(self.path, weights_only=True)  # never runs code of the file
            found = {**json.loads(file["about"]), "tensors": file["tensors"]}
            settings = found.pop("settings")
        except Exception as error:  # PyTorch raises whatever it meets
            raise BadInput(f"{self.path}: not a checkpoint: {shown(error, 200)}") from None
        if settings != self.settings:
            names = sorted(name for name in {*settings, *self.settings}
                           if settings.get(name) != self.settings.get(name))
            raise BadInput(f"{self.path}: of a training with other settings: {', '.join(names)}")
        name, keys, *rest = found.pop("randoms")[self.team.rank]
        found["random"] = (name, np.array(keys, np.uint32), *rest)
        return found

    def save(self, random, tensors, **about):
        """Replaces the file; all processes call it. `about` is for JSON, since PyTorch 1.13 reads
        no numbers but in tensors."""
        if self.path is None:
            return
        name, keys, *rest = random.get_state()
        randoms = self.team.gathered((name, keys.tolist(), *rest))
        text = json.dumps({"settings": self.settings, "randoms": randoms, **about})
        if self.team.is_lead:
            with files.replaced(self.path) as part:
                torch.save({"about": text, "tensors": tensors}, part)
