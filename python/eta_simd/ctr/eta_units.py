# SPDX-License-Identifier: Apache-2.0
"""ETA trained with another retrieval than Hamming distance, as simd/factors.h, simd/asym.h and
simd/pq4.h serve it. All scores are the whole numbers of these kernels; docs/models.md has the
formulas."""
import numpy as np
import torch
from torch import nn

from eta_simd.ctr.units import Eta, Retrieval, pack, to_int8

# How many of 255 units the median factor has, as in core/retrieval/factor_codes.cc.
UNITS_OF_MEDIAN = 255 / 8


def orthogonal(dim, bits, random):
    """float32 [dim, bits]: Gaussian columns, orthonormal in groups of dim."""
    groups = [np.linalg.qr(random.standard_normal((dim, dim)))[0] for _ in range(0, bits, dim)]
    return np.concatenate(groups, axis=1)[:, :bits].astype(np.float32)


def to_bytes(factors: torch.Tensor) -> torch.Tensor:
    """Factors [items] in whole units, 0 to 255, of which the median of the positive ones has 32."""
    positive = factors[factors > 0]
    if not len(positive):
        return torch.zeros(len(factors), dtype=torch.int64)
    middle = torch.sort(positive).values[len(positive) // 2]
    return torch.floor(factors / middle * UNITS_OF_MEDIAN + 0.5).clamp(max=255).to(torch.int64)


def nearest(rows: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """For rows [parts, items, width] the number of the nearest of centroids [parts, 16, width]."""
    squares = centroids.square().sum(dim=2).unsqueeze(1)
    return (rows @ centroids.transpose(1, 2) - squares / 2).argmax(dim=2)


def floor_divide(x: torch.Tensor, y: int) -> torch.Tensor:
    return torch.div(x, y, rounding_mode="floor")


def factor_distances(penalties: torch.Tensor, factors: torch.Tensor, largest: torch.Tensor,
                     longest: torch.Tensor, is_byte: bool) -> torch.Tensor:
    """Distances of 1 to 254 that fall as factor * (largest - 2 * penalty) grows.

    All int64: penalties [G, N, H], factors [G, 1, H], the largest penalty that a candidate can give
    [G, N, 1], and the largest factor of its history [G, N, 1]. `is_byte`: penalties are of a byte,
    those beyond it are cut. The twin is FactorDistances in core/reference/factors.cc.
    """
    most = largest
    doubled = penalties
    for _ in range(8):
        fits = (most > 0) & (2 * most <= 254)
        doubled = torch.where(fits, 2 * doubled, doubled)
        most = torch.where(fits, 2 * most, most)
    is_wide = largest > 254
    if is_byte:
        doubled = torch.where(is_wide, penalties.clamp(max=255), doubled)
        most = torch.where(is_wide, torch.full_like(most, 256), most)
    else:
        share = torch.div(torch.full_like(largest, 254 * 65536), largest.clamp(min=1),
                          rounding_mode="floor")
        doubled = torch.where(is_wide, floor_divide(penalties * share, 65536), doubled)
        most = torch.where(is_wide, torch.full_like(most, 254), most)
    product = floor_divide(longest * floor_divide(most + 1, 2) + 1, 2)
    gain = torch.div(torch.full_like(product, 127 * 65536 - 1), product.clamp(min=1),
                     rounding_mode="floor").clamp(max=32767)
    half = floor_divide(factors * (doubled - floor_divide(most, 2)), 2)
    return 128 + floor_divide(half * gain, 65536)


class EtaNorm(Eta):
    """Retrieves by |x| * (bits - 2 * Hamming distance); lengths are of a byte."""

    def __init__(self, options, random):
        super().__init__(options, random, orthogonal(options.dim, options.bits, random))
        self.bits = options.bits
        self.register_buffer("factors", torch.zeros(1, dtype=torch.int64))

    def refresh(self, table):
        super().refresh(table)
        self.factors = to_bytes(table.to(torch.float64).square().sum(dim=1).sqrt())

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        agree = self.signs[candidates] @ self.signs[window].transpose(1, 2)
        penalties = ((self.bits - agree) / 2).to(torch.int64)
        factors = self.factors[window].unsqueeze(1)
        longest = (factors * valid).amax(dim=2, keepdim=True)
        largest = torch.full_like(longest, self.bits)
        return -factor_distances(penalties, factors, largest, longest, self.bits <= 256)

    def arrays(self):
        codes = np.concatenate([pack(self.signs), self.factors.numpy().astype(np.uint8)[:, None]],
                               axis=1)
        return {"hyperplanes": self.hyperplanes.numpy(), "item_codes": codes}


class EtaAsym(EtaNorm):
    """Retrieves by an estimate of the inner product: the behaviour's factor times the candidate's
    projections, in whole numbers of up to 15, with the signs of the behaviour's code."""

    def __init__(self, options, random):
        super().__init__(options, random)
        self.register_buffer("weights", torch.zeros(1, 1))

    def refresh(self, table):
        super().refresh(table)
        sizes = (table @ self.hyperplanes).to(torch.float64).abs()
        total = sizes.sum(dim=1)
        square = table.to(torch.float64).square().sum(dim=1)
        self.factors = to_bytes(torch.where(total > 0, square / total.clamp(min=1e-300), total))
        step = sizes.amax(dim=1) / 15
        if self.bits <= 128:  # so that the magnitudes of a candidate add up to 254 at most
            step = torch.maximum(step, total / (254 - self.bits / 2))
        whole = torch.floor(sizes / step.clamp(min=1e-300).unsqueeze(1) + 0.5)
        self.weights = whole.to(torch.float32) * self.signs

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        weights = self.weights[candidates]
        largest = weights.abs().sum(dim=2, keepdim=True)
        agree = weights @ self.signs[window].transpose(1, 2)
        penalties = ((largest - agree) / 2).to(torch.int64)
        factors = self.factors[window].unsqueeze(1)
        longest = (factors * valid).amax(dim=2, keepdim=True)
        return -factor_distances(penalties, factors, largest.to(torch.int64), longest,
                                 self.bits <= 128)

    def arrays(self):
        unused = -self.bits % 8
        weights = np.pad(self.weights.numpy().astype(np.int8), ((0, 0), (0, unused)))
        return {**super().arrays(), "item_weights": weights}


class Pq4(Retrieval):
    """Retrieves by product codes of 4 bits a part (simd/pq4.h), without a rotation. Codebooks are
    made anew from the item table before every step, by a few rounds of k-means that begin with
    items spread over the table, so that they follow from the table alone."""

    ROUNDS = 6

    def __init__(self, options):
        super().__init__(options)
        self.bits = options.bits
        first = [options.dim * s // (self.bits // 4) for s in range(self.bits // 4 + 1)]
        self.parts = [range(begin, end) for begin, end in zip(first, first[1:])]
        self.register_buffer("codes", torch.zeros(1, 1, dtype=torch.int64))
        self.register_buffer("chosen", torch.zeros(1, 1))
        self.register_buffer("tables", torch.zeros(1, 1))

    def refresh(self, table):
        width = max(len(part) for part in self.parts)
        rows = torch.zeros(len(self.parts), len(table), width)  # parts, padded by zeros
        for s, part in enumerate(self.parts):
            rows[s, :, :len(part)] = table[:, part.start:part.stop]
        centroids = rows[:, torch.arange(16) * len(table) // 16]
        for _ in range(self.ROUNDS):
            members = nn.functional.one_hot(nearest(rows, centroids), 16).to(rows.dtype)
            counts = members.sum(dim=1).unsqueeze(2)
            means = members.transpose(1, 2) @ rows / counts.clamp(min=1)
            centroids = torch.where(counts > 0, means, centroids)
        self.codes = nearest(rows, centroids).t().contiguous()
        self.chosen = nn.functional.one_hot(self.codes, 16).to(rows.dtype).flatten(1)
        products = (rows @ centroids.transpose(1, 2)).transpose(0, 1).to(torch.float64)
        best = products.amax(dim=2, keepdim=True)
        ranges = (best - products.amin(dim=2, keepdim=True)).squeeze(2)
        scale = 63 / ranges.amax(dim=1).clamp(min=1e-30)
        if len(self.parts) <= 32:  # as simd/pq4_encode.h has it
            scale = torch.minimum(scale, 406 / ranges.sum(dim=1).clamp(min=1e-30))
        entries = torch.floor((best - products) * scale.view(-1, 1, 1) + 0.5).clamp(max=63)
        self.tables = entries.flatten(1).to(torch.float32)

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        return -(self.tables[candidates] @ self.chosen[window].transpose(1, 2))

    def arrays(self):
        codes = self.codes.numpy().astype(np.uint8)
        return {"item_codes": codes[:, ::2] | codes[:, 1::2] << 4,
                "item_tables": self.tables.numpy().astype(np.uint8)}


class Exact(Retrieval):
    """Retrieves by the inner product itself, of the item table in int8 with one factor."""

    def __init__(self, options):
        super().__init__(options)
        self.register_buffer("quantized", torch.zeros(1, 1))

    def refresh(self, table):
        self.quantized = to_int8(table)

    def scores(self, window: torch.Tensor, candidates: torch.Tensor,
               valid: torch.Tensor) -> torch.Tensor:
        return self.quantized[candidates] @ self.quantized[window].transpose(1, 2)

    def arrays(self):
        return {"exact_index": self.quantized.numpy().astype(np.int8)}
