# SPDX-License-Identifier: Apache-2.0
"""The skeleton that all CTR models share: docs/models.md, "Skeleton"."""
from typing import Optional, Tuple

import torch
from torch import nn

from eta_simd.ctr.attention import TargetAttention
from eta_simd.ctr.units import Unit

HIDDEN = (200, 80)


class CtrModel(nn.Module):
    """Logits of candidates from a user, a window of the history and the candidates.

    `long` is a unit, or None: then there are no long-term features. In training mode the item
    table is computed with its gradient; otherwise the one of the last refresh() is used.
    """

    has_long: torch.jit.Final[bool]

    def __init__(self, options, num_users, categories, unit: Optional[Unit]):
        super().__init__()
        self.short_length = options.short
        category_dim = options.dim // 4
        self.item_ids = nn.Parameter(
            torch.randn(len(categories), options.dim - category_dim) * options.init)
        self.category_ids = nn.Parameter(
            torch.randn(int(categories.max()) + 1, category_dim) * options.init)
        self.users = nn.Parameter(torch.zeros(num_users, options.dim))
        self.register_buffer("item_categories", torch.from_numpy(categories))
        self.short = TargetAttention(options.dim, options.heads)
        self.has_long = unit is not None
        self.long = unit if unit is not None else nn.Identity()
        self.wide = nn.Parameter(torch.ones(2 if unit is not None else 1))
        features = (6 if unit is not None else 4) * options.dim
        self.mlp = nn.Sequential(
            nn.Linear(features, HIDDEN[0]), nn.ReLU(), nn.Linear(HIDDEN[0], HIDDEN[1]), nn.ReLU(),
            nn.Linear(HIDDEN[1], 1))
        self.register_buffer("table", torch.zeros(1, 1))

    def item_table(self) -> torch.Tensor:
        """[items, dim]: an item's own embedding beside its category's."""
        category = nn.functional.embedding(self.item_categories, self.category_ids)
        return torch.cat([self.item_ids, category], dim=1)

    @torch.no_grad()
    def refresh(self):
        """Hashes and tables of the current weights; see units.py."""
        self.table = self.item_table()
        if self.has_long:
            self.long.refresh(self.table)

    def forward(self, users: torch.Tensor, window: torch.Tensor, ends: torch.Tensor,
                candidates: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """users [G], window [G, H] item ids, oldest first, ends [G, N]: how many of the window are
        the sample's history, candidates [G, N] -> logits [G, N] and a penalty for the loss."""
        table = self.item_table() if self.training else self.table
        rows = nn.functional.embedding(window, table)
        targets = nn.functional.embedding(candidates, table)
        newest = ends.unsqueeze(2) - 1 - torch.arange(self.short_length)
        short = self.short.gathered(targets, rows, newest.clamp(min=0), newest >= 0)
        user = nn.functional.embedding(users, self.users).unsqueeze(1).expand_as(targets)
        features = [user, targets, short, targets * short]
        wide = self.wide[0] * (targets * short).sum(dim=2)
        penalty = torch.zeros(())
        if self.has_long:
            valid = torch.arange(window.size(1)) < ends.unsqueeze(2)
            long, penalty = self.long(rows, window, valid, targets, candidates)
            features = features + [long, targets * long]
            wide = wide + self.wide[1] * (targets * long).sum(dim=2)
        return self.mlp(torch.cat(features, dim=2)).squeeze(2) + wide, penalty
