# SPDX-License-Identifier: Apache-2.0
"""Trains MIRRN (Xu et al., 2025, arXiv 2411.15005) as a long-term unit of this project's skeleton,
and ETA beside it, and prints the test AUC of both: what decides whether the unit joins. Its filter
layer is FuxiCTR's (build/peers/bin/python -m pip install fuxictr). Options are those of
scripts/train_ctr.py without --model and --out; --seeds takes the place of --seed."""
import time
import unittest.mock

from eta_simd.command import BadInput, set_threads

NEWEST = 16  # behaviours whose mean is the query of the recent interest
POSITION_WEIGHT = 0.02  # of the embedding of a behaviour's age


def make_mirrn(options, random):
    """The unit; torch is imported here, after the threads are set."""
    import torch
    from torch import nn
    from eta_simd.ctr.attention import top_k
    from eta_simd.ctr.units import Eta
    from model_zoo.LongCTR.MIRRN.MIRRN import FilterLayer2

    class Mirrn(Eta):
        """The K nearest behaviours by Hamming distance to the candidate, to the mean of the newest
        and to the mean of all; each set, in order of time, is filtered by frequencies and averaged,
        and the candidate attends to the three means."""

        def __init__(self):
            super().__init__(options, random)
            self.ages = nn.Embedding(options.max_history + 1, options.dim)
            self.filters = nn.ModuleList(FilterLayer2(options.k, options.dim, 0.1, 4)
                                         for _ in range(3))

        def nearest(self, rows, signs, valid, weights):
            """The set nearest to the mean of the rows that have a weight, for each sample."""
            means = (weights @ rows) / weights.sum(dim=2, keepdim=True).clamp(min=1)
            queries = (means @ self.hyperplanes > 0).to(rows.dtype) * 2 - 1
            return top_k((queries @ signs.transpose(1, 2)).double(), valid, self.k)

        def forward(self, rows, window, valid, targets, candidates):
            if self.warming_up:
                return super().forward(rows, window, valid, targets, candidates)
            groups, count, dim = targets.shape
            ends = valid.sum(dim=2, keepdim=True)
            places = torch.arange(window.size(1))
            newest = (valid & (places >= ends - NEWEST)).to(rows.dtype)
            signs = self.signs[window]
            sets = [self.choose(window, candidates, valid),
                    self.nearest(rows, signs, valid, newest),
                    self.nearest(rows, signs, valid, valid.to(rows.dtype))]
            means = []
            group = torch.arange(groups).view(-1, 1, 1)
            for (positions, found), layer in zip(sets, self.filters):
                # Oldest first, and what fills a set up behind.
                positions, order = torch.where(found, positions, window.size(1)).sort(dim=2)
                positions, found = positions.clamp(max=window.size(1) - 1), found.gather(2, order)
                ages = self.ages((ends - positions).clamp(min=0))
                chosen = (rows[group, positions] + POSITION_WEIGHT * ages) * found.unsqueeze(3)
                means.append(layer(chosen.flatten(0, 1)).mean(dim=1))
            interest = self.attention.masked(
                targets.reshape(-1, 1, dim), torch.stack(means, dim=1),
                torch.ones(groups * count, 1, 3, dtype=torch.bool))
            return interest.view(groups, count, dim), torch.zeros(())
    return Mirrn()


def auc_of(model, bundle, options):
    """Test AUC of a model that is trained here, and the seconds of its training."""
    import numpy as np
    from eta_simd.ctr import data, train
    from eta_simd.ctr.make_unit import make_unit
    from eta_simd.ctr.metrics import quality
    started = time.monotonic()

    def unit_of(options, categories, index, random, is_native=False):
        if model == "mirrn":
            return make_mirrn(options, random)
        return make_unit(options, categories, index, random, is_native)
    with unittest.mock.patch.object(train, "make_unit", unit_of):
        fitted, _ = train.fit(bundle, options)
    seconds = time.monotonic() - started
    rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)
    logits = train.predict(fitted, bundle, rows, options)
    return quality(bundle.samples[rows], logits)["auc"], seconds


def main(arguments):
    from eta_simd.ctr import command
    seeds = [1]
    if "--seeds" in arguments:
        at = arguments.index("--seeds")
        try:
            seeds = [int(seed) for seed in arguments[at + 1].split(",")]
        except (IndexError, ValueError):
            raise BadInput("--seeds expects whole numbers, such as 1,2") from None
        arguments = arguments[:at] + arguments[at + 2:]
    options = command.parse_options([*arguments, "--model", "eta", "--out", "unused"])
    if options.dim % 4 or options.k % 2:
        raise BadInput("the filter needs a --dim that 4 divides and an even --k")
    set_threads(options.threads)
    import torch
    from eta_simd.ctr import data
    torch.set_num_threads(options.threads)
    bundle = data.load_bundle(options.bundle, options.data_seed, options.negatives)
    for seed in seeds:
        options.seed = seed
        for model in ("eta", "mirrn"):
            auc, seconds = auc_of(model, bundle, options)
            print(f"seed {seed}, {model}: test AUC {auc:.4f}, trained in {seconds:.0f} s",
                  flush=True)


if __name__ == "__main__":
    from eta_simd.command import run

    run("eta_simd.peers.mirrn", needs="peers")
