# SPDX-License-Identifier: Apache-2.0
"""What items' own embeddings start from and whether they are trained: --item-embeddings."""
import math

import numpy as np
import torch

from eta_simd.command import BadInput


def needed_dim(width, heads):
    """The least --dim whose own three quarters hold `width` columns."""
    step = math.lcm(4, heads)
    return -(-4 * width // (3 * step)) * step


def given(bundle, options):
    """float32 [items, dim - dim // 4]: the bundle's embeddings, scaled by one factor so that their
    root mean square is --init, with columns of 0 behind. One factor changes no order of inner
    products. Raises BadInput where they do not fit or cannot be scaled."""
    width = bundle.embeddings.shape[1]
    room = options.dim - options.dim // 4
    if width > room:
        raise BadInput(f"--dim is {options.dim} (with --item-embeddings {options.item_embeddings} "
                       f"expected {needed_dim(width, options.heads)} or more: three quarters of it "
                       f"hold the bundle's {width} dimensions)")
    size = math.sqrt(np.mean(np.square(bundle.embeddings, dtype=np.float64)))
    if not 0 < size < math.inf:
        raise BadInput(f"--item-embeddings {options.item_embeddings}: the bundle's embeddings are "
                       "all 0, or some are not finite")
    rows = np.zeros((bundle.num_items, room), np.float32)
    rows[:, :width] = bundle.embeddings * (options.init / size)
    return rows


def start(model, bundle, options):
    """Gives a new model the bundle's embeddings where the options say so."""
    if options.item_embeddings == "learned":
        return
    with torch.no_grad():
        model.item_ids.copy_(torch.from_numpy(given(bundle, options)))
    model.item_ids.requires_grad_(options.item_embeddings == "init")


def description(bundle, options):
    """What is done with the bundle's embeddings, for people."""
    width = bundle.embeddings.shape[1]
    if options.item_embeddings == "learned":
        return (f"items: learned anew; the bundle's embeddings of {width} dimensions are not used "
                "(--item-embeddings init or frozen uses them)")
    then = "trained further" if options.item_embeddings == "init" else "kept as they are"
    has_towers = (options.bundle / "candidate_embeddings.npy").exists()
    towers = ("; candidate_embeddings.npy is not used, for models have one embedding an item"
              if has_towers else "")
    return (f"items: the bundle's embeddings of {width} dimensions, scaled to a root mean square "
            f"of {options.init:g} and {then}; category columns are learned{towers}")
