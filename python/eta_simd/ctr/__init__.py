# SPDX-License-Identifier: Apache-2.0
"""The CTR models of docs/models.md in PyTorch: samples, skeleton, units, training, export."""

MODELS = ("none", "avg_pool", "full_attention", "sim_hard", "sim_soft", "eta", "mimn", "sdim",
          "reformer_lsh", "twin", "recent")
# How ETA may retrieve. Trained with another than eta, its unit has the name of the retrieval.
RETRIEVALS = ("eta", "eta_norm", "eta_asym", "pq4", "exact")
# What train_ctr.py does with the bundle's embeddings; items.py says more.
ITEM_EMBEDDINGS = ("learned", "init", "frozen")
