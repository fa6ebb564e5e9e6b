# SPDX-License-Identifier: Apache-2.0
"""The long-term interest units. docs/models.md has their formulas, sources and tie rules.

Each maps the rows of a window x [G, H, dim], its item ids [G, H], which behaviours belong to each
sample's history (valid [G, N, H]), the candidates' rows [G, N, dim] and ids [G, N] to an interest
[G, N, dim] and a penalty to add to the loss. `refresh(table)` is called with the current item table
before every training step and before use; what it sets has no gradient and is whole numbers, so
that C++ finds the same positions.
"""
import math
from typing import List, Tuple

import numpy as np
import torch
from torch import nn

from eta_simd.ctr.attention import TargetAttention, top_k


def signs_of(table: torch.Tensor, hyperplanes: torch.Tensor) -> torch.Tensor:
    """+1 where a bit is 1 (projection > 0), else -1."""
    return (table @ hyperplanes > 0).to(torch.float32) * 2 - 1


def pack(signs: torch.Tensor) -> np.ndarray:
    """Codes as uint8 [items, ceil(bits / 8)], least significant bit first."""
    return np.packbits(signs.numpy() > 0, axis=1, bitorder="little")


def to_int8(table: torch.Tensor) -> torch.Tensor:
    """Scaled to whole numbers from -127 to 127, by one factor, so that inner products are exact."""
    largest = table.abs().max().clamp(min=1e-20)
    return torch.round(table * (127 / largest))


class Unit(nn.Module):
    """What all share. `arrays` names what the export holds beside the parameters."""

    def refresh(self, table):
        pass

    def arrays(self):
        return {}


class AvgPool(Unit):
    """Mean of the rows."""

    def forward(self, rows: torch.Tensor, window: torch.Tensor, valid: torch.Tensor,
                targets: torch.Tensor, candidates: torch.Tensor
                ) -> Tuple[torch.Tensor, torch.Tensor]:
        weights = valid.to(rows.dtype)
        counts = weights.sum(dim=-1, keepdim=True).clamp(min=1.0)
        return (weights / counts) @ rows, torch.zeros(())


class FullAttention(Unit):
    """Target attention over all behaviours."""

    def __init__(self, options):
        super().__init__()
        self.attention = TargetAttention(options.dim, options.heads)

    def forward(self, rows: torch.Tensor, window: torch.Tensor, valid: torch.Tensor,
                targets: torch.Tensor, candidates: torch.Tensor
                ) -> Tuple[torch.Tensor, torch.Tensor]:
        return self.attention.masked(targets, rows, valid), torch.zeros(())


class Retrieval(Unit):
    """Attention over the K behaviours of the best score, newest first among equals.

    Training begins with attention over all behaviours (warming_up): an item that is never retrieved
    gets no gradient, so one that starts far from similar items would stay there.
    """

    def __init__(self, options):
        super().__init__()
        self.warming_up = False
        self.k = options.k
        self.attention = TargetAttention(options.dim, options.heads)

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        """Whole numbers [G, N, H], higher is better; -inf for what is never chosen. What is not
        valid may have any, and no bearing on others."""
        raise NotImplementedError

    def choose(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Positions [G, N, min(K, H)] of the best behaviours, and which of them are some."""
        scores = self.scores(window, candidates, valid).to(torch.float64)
        return top_k(scores, valid & (scores > -math.inf), self.k)

    def forward(self, rows: torch.Tensor, window: torch.Tensor, valid: torch.Tensor,
                targets: torch.Tensor, candidates: torch.Tensor
                ) -> Tuple[torch.Tensor, torch.Tensor]:
        if self.warming_up:
            return self.attention.masked(targets, rows, valid), torch.zeros(())
        positions, found = self.choose(window, candidates, valid)
        if self.training:
            # A training group has a short window and many samples: a mask over the window costs
            # less than gathering rows, above all backward.
            chosen = torch.zeros_like(valid).scatter_(2, positions, found)
            return self.attention.masked(targets, rows, chosen), torch.zeros(())
        return self.attention.gathered(targets, rows, positions, found), torch.zeros(())


class SimHard(Retrieval):
    """Retrieves behaviours of the candidate's category."""

    def __init__(self, options, categories):
        super().__init__(options)
        self.register_buffer("categories", torch.from_numpy(categories))

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        same = self.categories[candidates].unsqueeze(2) == self.categories[window].unsqueeze(1)
        return torch.zeros(same.shape).masked_fill(~same, -math.inf)


class Recent(Retrieval):
    """Retrieves the newest behaviours, whatever the candidate: a truncated history."""

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        return torch.zeros(candidates.size(0), candidates.size(1), window.size(1))


class SimSoft(Retrieval):
    """Retrieves by inner product of embeddings that are trained beforehand and frozen."""

    def __init__(self, options, index):
        super().__init__(options)
        self.register_buffer("index", to_int8(torch.from_numpy(index)))

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        return self.index[candidates] @ self.index[window].transpose(1, 2)

    def arrays(self):
        return {"sim_index": self.index.numpy().astype(np.int8)}


class Eta(Retrieval):
    """Retrieves by Hamming distance of SimHash codes of the current item table."""

    def __init__(self, options, random, planes=None):
        super().__init__(options)
        if planes is None:
            planes = random.standard_normal((options.dim, options.bits)).astype(np.float32)
        self.register_buffer("hyperplanes", torch.from_numpy(planes))
        self.register_buffer("signs", torch.zeros(1, 1))

    def refresh(self, table):
        self.signs = signs_of(table, self.hyperplanes)

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        # Equal bits less unequal ones: bits - 2 distance.
        return self.signs[candidates] @ self.signs[window].transpose(1, 2)

    def arrays(self):
        return {"hyperplanes": self.hyperplanes.numpy(), "item_codes": pack(self.signs)}


class Twin(Retrieval):
    """Scores are the attention's own, summed over heads: (c W_q) . (x W_k), in int8."""

    def __init__(self, options):
        super().__init__(options)
        self.register_buffer("queries", torch.zeros(1, 1))
        self.register_buffer("keys", torch.zeros(1, 1))

    def refresh(self, table):
        self.queries = to_int8(table @ self.attention.query.detach())
        self.keys = to_int8(table @ self.attention.key.detach())

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        return self.queries[candidates] @ self.keys[window].transpose(1, 2)

    def arrays(self):
        return {"twin_queries": self.queries.numpy().astype(np.int8),
                "twin_keys": self.keys.numpy().astype(np.int8)}


class ReformerLsh(Retrieval):
    """Scores are the number of rounds in which both share a bucket, 1 or more."""

    def __init__(self, options, random):
        super().__init__(options)
        shape = (options.rounds, options.dim, options.buckets // 2)
        self.register_buffer("rotations",
                             torch.from_numpy(random.standard_normal(shape).astype(np.float32)))
        self.register_buffer("item_buckets", torch.zeros(1, 1, dtype=torch.int64))

    def refresh(self, table):
        turned = table @ self.rotations  # [rounds, items, buckets / 2]
        self.item_buckets = torch.cat([turned, -turned], dim=2).argmax(dim=2).t().contiguous()

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        wanted, given = self.item_buckets[candidates], self.item_buckets[window]
        shared = torch.zeros(candidates.size(0), candidates.size(1), window.size(1))
        for r in range(wanted.size(2)):
            shared += wanted[:, :, None, r] == given[:, None, :, r]
        return shared.masked_fill(shared == 0, -math.inf)

    def arrays(self):
        return {"rotations": self.rotations.numpy(),
                "item_buckets": self.item_buckets.numpy().astype(np.int32)}


class Sdim(Unit):
    """Mean over hashes of the normalised sum of the behaviours with the candidate's hash value."""

    def __init__(self, options, random):
        super().__init__()
        self.hashes, self.width = options.hashes, options.hash_width
        shape = (options.dim, options.hashes * options.hash_width)
        self.register_buffer("hyperplanes",
                             torch.from_numpy(random.standard_normal(shape).astype(np.float32)))
        self.register_buffer("signs", torch.zeros(1, 1))
        self.register_buffer("signatures", torch.zeros(1, 1))
        self.value = nn.Parameter(torch.eye(options.dim))

    def refresh(self, table):
        self.signs = signs_of(table, self.hyperplanes)
        bits = (self.signs > 0).view(len(table), self.hashes, self.width).to(torch.float32)
        self.signatures = bits @ (2.0 ** torch.arange(self.width))

    def forward(self, rows: torch.Tensor, window: torch.Tensor, valid: torch.Tensor,
                targets: torch.Tensor, candidates: torch.Tensor
                ) -> Tuple[torch.Tensor, torch.Tensor]:
        wanted, given = self.signatures[candidates], self.signatures[window]
        total = torch.zeros_like(targets)
        for r in range(self.hashes):
            same = (wanted[:, :, None, r] == given[:, None, :, r]) & valid
            sums = same.to(rows.dtype) @ rows
            total = total + sums * torch.rsqrt((sums * sums).sum(dim=-1, keepdim=True) + 1e-12)
        return (total / self.hashes) @ self.value, torch.zeros(())

    def arrays(self):
        return {"hyperplanes": self.hyperplanes.numpy(), "item_codes": pack(self.signs)}


class Mimn(Unit):
    """A memory and one interest state per slot, written behaviour by behaviour and independent of
    the candidate, which attends to both in the end."""

    def __init__(self, options):
        super().__init__()
        dim, slots = options.dim, options.slots
        self.attention = TargetAttention(dim, options.heads)
        self.memory = nn.Parameter(torch.randn(slots, dim) * 0.1)
        self.sharpness = nn.Parameter(torch.full((1,), 4.0))
        self.usage = nn.Parameter(-torch.eye(slots))
        # Columns: key, erase, add, update gate, reset gate, new state.
        self.write = nn.Parameter(torch.randn(dim, 6 * dim) / math.sqrt(dim))
        # Gates begin almost closed: if half open, a slot forgets all but the last 10 behaviours,
        # and older ones get no gradient.
        bias = torch.zeros(6, dim)
        bias[1] = bias[3] = -4.0
        self.write_bias = nn.Parameter(bias.view(-1))
        self.gates = nn.Parameter(torch.randn(2 * dim, 2 * dim) / math.sqrt(2 * dim))
        self.induce = nn.Parameter(torch.randn(2 * dim, dim) / math.sqrt(2 * dim))

    def forward(self, rows: torch.Tensor, window: torch.Tensor, valid: torch.Tensor,
                targets: torch.Tensor, candidates: torch.Tensor
                ) -> Tuple[torch.Tensor, torch.Tensor]:
        groups, length, dim = rows.size(0), rows.size(1), rows.size(2)
        slots = self.memory.size(0)
        inputs = (rows @ self.write + self.write_bias).unbind(1)
        memory = self.memory.expand(groups, slots, dim)
        state = torch.zeros(groups, slots, dim)
        used = torch.zeros(groups, slots)
        states: List[torch.Tensor] = [torch.cat([memory, state], dim=1)]
        usages: List[torch.Tensor] = [used]
        for t in range(length):
            memory, state, used = self.step(inputs[t], memory, state, used, t)
            states.append(torch.cat([memory, state], dim=1))
            usages.append(used)
        # Sample (g, n) reads what its own history wrote, not what came later in the window.
        ends = valid.sum(dim=-1)
        group = torch.arange(groups).unsqueeze(1)
        seen = torch.stack(states, dim=1)[group, ends]  # [G, N, 2 slots, dim]
        count = ends.size(1)
        flat = seen.view(groups * count, 2 * slots, dim)
        read = self.attention.masked(
            targets.reshape(groups * count, 1, dim), flat,
            torch.ones(groups * count, 1, 2 * slots, dtype=torch.bool))
        shares = torch.stack(usages, dim=1)[group, ends] / ends.clamp(min=1).unsqueeze(2)
        spread = shares - shares.mean(dim=-1, keepdim=True)
        return read.view(groups, count, dim), (spread * spread).sum(dim=-1).mean()

    def step(self, inputs: torch.Tensor, memory: torch.Tensor, state: torch.Tensor,
             used: torch.Tensor, t: int) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Writes behaviour number t, whose inputs [G, 6 dim] are given."""
        dim = memory.size(2)
        key, erase, add, update, reset, new = inputs.unsqueeze(1).split(dim, dim=2)
        norms = torch.sqrt(((memory * memory).sum(dim=2) + 1e-8) * ((key * key).sum(dim=2) + 1e-8))
        cosine = (memory * key).sum(dim=2) / norms
        weights = torch.softmax(
            self.sharpness * cosine + (used / max(t, 1)) @ self.usage, dim=1)
        w = weights.unsqueeze(2)
        memory = memory * (1 - w * torch.sigmoid(erase)) + w * torch.tanh(add)
        gates = torch.sigmoid(torch.cat([update, reset], dim=2)
                              + torch.cat([memory, state], dim=2) @ self.gates)
        update, reset = gates.split(dim, dim=2)
        induced = torch.tanh(new + torch.cat([memory, reset * state], dim=2) @ self.induce)
        state = state + w * update * (induced - state)
        return memory, state, used + weights
