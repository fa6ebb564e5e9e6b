# SPDX-License-Identifier: Apache-2.0
"""Multi-head target attention, and the choice of the K best behaviours.

Shapes: G groups (users), N candidates of each, H behaviours of its window, K chosen ones, dim.
"""
import math
from typing import Tuple

import torch
from torch import nn


def softmax_or_zero(scores: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Softmax over the last axis where `valid`; exactly 0 elsewhere and where nothing is valid."""
    any_valid = valid.any(dim=-1, keepdim=True)
    # The softmax of a row that is -inf throughout is NaN, its gradient too. Such a row keeps its
    # scores and is multiplied by 0 afterwards.
    scores = scores.masked_fill(~valid & any_valid, -math.inf)
    return torch.softmax(scores, dim=-1) * any_valid.to(scores.dtype)


def top_k(scores: torch.Tensor, valid: torch.Tensor, k: int) -> Tuple[torch.Tensor, torch.Tensor]:
    """The k best valid positions of each candidate; ties go to the newest.

    scores: float64 [G, N, H], whole numbers (so that order is exact), higher is better.
    Returns positions int64 [G, N, min(k, H)] and which of them are valid. A candidate with fewer
    valid behaviours has as many valid positions.
    """
    length = scores.size(-1)
    position = torch.arange(length, dtype=scores.dtype)
    keys = (scores * length + position).masked_fill(~valid, -math.inf)
    best = torch.topk(keys, min(k, length), dim=-1)
    return best.indices, best.values > -math.inf


def gather_rows(rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """rows [G, H, dim], positions [G, N, K] -> [G, N, K, dim]."""
    groups, length, dim = rows.size(0), rows.size(1), rows.size(2)
    flat = positions + length * torch.arange(groups).view(-1, 1, 1)
    return nn.functional.embedding(flat, rows.reshape(groups * length, dim))


class TargetAttention(nn.Module):
    """out = concat_h(softmax_l(q_h . k_hl / sqrt(dim / heads)) v_hl) W_o with q = c W_q, k = x W_k,
    v = x W_v; head h has columns [h dim / heads, (h + 1) dim / heads). Starts as identity, so that
    a score starts as the inner product of embeddings, which is what retrieval looks for."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.eye(dim))
        self.key = nn.Parameter(torch.eye(dim))
        self.value = nn.Parameter(torch.eye(dim))
        self.output = nn.Parameter(torch.eye(dim))

    def masked(self, targets: torch.Tensor, rows: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        """targets [G, N, dim] over rows [G, H, dim] where valid [G, N, H]."""
        groups, count, dim = targets.size(0), targets.size(1), targets.size(2)
        part = dim // self.heads
        q = (targets @ (self.query / math.sqrt(part))).view(groups, count, self.heads, part)
        k = (rows @ self.key).view(groups, -1, self.heads, part)
        v = (rows @ self.value).view(groups, -1, self.heads, part)
        scores = q.transpose(1, 2) @ k.permute(0, 2, 3, 1)
        weights = softmax_or_zero(scores, valid.unsqueeze(1))
        pooled = (weights @ v.transpose(1, 2)).transpose(1, 2)
        return pooled.reshape(groups, count, dim) @ self.output

    def gathered(self, targets: torch.Tensor, rows: torch.Tensor, positions: torch.Tensor,
                 valid: torch.Tensor) -> torch.Tensor:
        """The same over rows at `positions` [G, N, K] only. The query is folded through W_k and
        the weighted sum taken before W_v, so that the chosen rows are read as they are."""
        groups, count, dim = targets.size(0), targets.size(1), targets.size(2)
        part = dim // self.heads
        chosen = gather_rows(rows, positions)
        q = (targets @ (self.query / math.sqrt(part))).view(groups * count, self.heads, part)
        folded = (q.transpose(0, 1) @ self.key.view(dim, self.heads, part).permute(1, 2, 0))
        folded = folded.transpose(0, 1).reshape(groups, count, self.heads, dim)
        weights = softmax_or_zero(folded @ chosen.transpose(2, 3), valid.unsqueeze(2))
        sums = (weights @ chosen).view(groups * count, self.heads, dim).transpose(0, 1)
        pooled = sums @ self.value.view(dim, self.heads, part).transpose(0, 1)
        return pooled.transpose(0, 1).reshape(groups, count, dim) @ self.output
