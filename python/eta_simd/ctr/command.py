# SPDX-License-Identifier: Apache-2.0
"""Trains one CTR model on a data bundle and exports it; docs/models.md has the models and files.

Samples come from the bundle's ctr_samples.npy, or else from its histories: behaviours are clicks,
negatives are drawn by popularity. The same arguments on the same machine give the same bytes, at
the same number of threads. PyTorch must not be imported before main(), which sets its threads.

Under torchrun several processes train one model, each on its own users (team.py).
"""
import contextlib
import pathlib

from eta_simd.command import (BadInput, Count, Parser, add_counts, check_counts, check_range,
                              set_threads, summarize)
from eta_simd.ctr import ITEM_EMBEDDINGS, MODELS, RETRIEVALS
from eta_simd.files import staged

COUNTS = (
    Count("dim", 64, 4, 1024, "dimensions of an item's row; a quarter of them are its category's"),
    Count("heads", 4, 1, 64, "attention heads"),
    Count("max-history", 1024, 1, 16384, "behaviours of a history that are looked at, the newest"),
    Count("short", 16, 1, 1024, "behaviours of the short-term attention, the newest"),
    Count("k", 64, 1, 16384, "behaviours that a retrieving unit attends to"),
    Count("bits", 128, 1, 4096, "bits of eta's codes"),
    Count("hashes", 16, 1, 1024, "hashes of sdim"),
    Count("hash-width", 3, 1, 16, "bits of a hash of sdim"),
    Count("rounds", 8, 1, 1024, "rounds of reformer_lsh"),
    Count("buckets", 32, 2, 4096, "buckets of a round of reformer_lsh, an even number"),
    Count("slots", 4, 1, 64, "memory slots of mimn"),
    Count("epochs", 4, 0, 1000, "passes over the training samples, at most"),
    Count("patience", 2, 1, 1000, "epochs without a better validation AUC before it stops"),
    Count("aux-epochs", 1, 0, 1000, "passes that train the index of sim_soft"),
    Count("group", 64, 1, 4096, "samples of one user that share a window in training"),
    Count("cost", 200000, 1, 2**30, "behaviours times candidates of a batch, about"),
    Count("negatives", 1, 1, 100, "negatives for each positive, where samples are derived"),
    Count("data-seed", 1, 0, 2**32 - 1, "seed of the negatives"),
    Count("seed", 1, 0, 2**32 - 1, "seed of weights, hashes and order"),
    Count("threads", 1, 1, 1024, "threads"),
    Count("export-every", 0, 0, 2**31, "steps between exported snapshots; 0: none"),
)


def parse_options(arguments):
    parser = Parser(description="Train one CTR model on a data bundle and export it.")
    parser.add_argument("--bundle", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--model", required=True, choices=MODELS, metavar="NAME",
                        help=", ".join(MODELS))
    parser.add_argument("--retrieval", metavar="NAME",
                        help="what eta retrieves by, in training and in the export: eta:BITS, "
                        "eta_norm:BITS, eta_asym:BITS, pq4:BITS or exact (default: eta with "
                        "--bits); the exported model has its name")
    parser.add_argument("--item-embeddings", default="learned", metavar="HOW",
                        choices=ITEM_EMBEDDINGS,
                        help="what items' own embeddings are: learned anew, trained from the "
                        "bundle's (init), or the bundle's as they are (frozen); default: "
                        "%(default)s")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder to make; must not exist")
    parser.add_argument("--checkpoint", type=pathlib.Path, metavar="FILE",
                        help="file written after each epoch; where it is there, training goes on "
                        "from it; not with --export-every")
    parser.add_argument("--rate", type=float, default=0.02,
                        help="Adam's learning rate at the start; it falls to 0 "
                        "(default: %(default)s)")
    parser.add_argument("--init", type=float, default=0.1,
                        help="standard deviation of new embeddings (default: %(default)s)")
    parser.add_argument("--decay", type=float, default=0.1,
                        help="L2 penalty on user embeddings (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=0.4, metavar="SHARE",
                        help="share of training in which retrieving units attend to all behaviours "
                        "(default: %(default)s)")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    if options.retrieval is not None:
        choose_retrieval(options)
    check_counts(options, COUNTS)
    check_range("--rate", options.rate, 1e-8, 1)
    check_range("--decay", options.decay, 0, 1e6)
    check_range("--warm-up", options.warm_up, 0, 1)
    check_range("--init", options.init, 1e-8, 10)
    if options.dim % options.heads or options.dim % 4:
        raise BadInput(f"--dim is {options.dim} (expected a multiple of 4 and of --heads)")
    check_range("--hashes times --hash-width", options.hashes * options.hash_width, 1, 4096)
    if options.buckets % 2:
        raise BadInput(f"--buckets is {options.buckets} (expected an even number)")
    if options.checkpoint and options.export_every:
        raise BadInput("--checkpoint with --export-every: a training that goes on would lack the "
                       "snapshots of the one that was killed (expected one of the two)")
    return options


def choose_retrieval(options):
    """Sets options.model and options.bits to what --retrieval asks for."""
    if options.model != "eta":
        raise BadInput(f"--retrieval {options.retrieval}: {options.model} has its own (expected "
                       "--model eta)")
    name, colon, bits = options.retrieval.partition(":")
    is_known = name in RETRIEVALS and (not colon if name == "exact" else bits.isdecimal())
    if not is_known or len(bits) > 9:
        names = [known if known == "exact" else f"{known}:BITS" for known in RETRIEVALS]
        raise BadInput(f"--retrieval {options.retrieval}: cannot be trained with (expected "
                       f"{', '.join(names)})")
    options.model, options.bits = name, int(bits) if colon else options.bits
    if name == "pq4" and (options.bits % 8 or options.bits // 4 > options.dim):
        raise BadInput(f"--retrieval {options.retrieval}: BITS is {options.bits} (expected a "
                       "multiple of 8, of 4 bits a dimension at most)")


def train_and_export(options, folder):
    """Writes the exported model into `folder`, which is empty; returns its report. Processes
    other than the lead of a Team have no folder, write nothing and return None."""
    import numpy as np
    from eta_simd.ctr import data, export, items, train

    bundle = data.load_bundle(options.bundle, options.data_seed, options.negatives)
    if options.model == "sim_hard" and not bundle.has_categories:
        raise BadInput(f"{options.bundle}: no item_categories.npy, which sim_hard needs")
    summarize(items.description(bundle, options))
    rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)

    def snapshot(step, model):
        if folder and options.export_every and step % options.export_every == 0:
            path = folder / "snapshots" / f"step_{step:06}"
            path.mkdir(parents=True)
            export.write_model(path, model, bundle, options, rows, {"steps": step})

    model, report = train.fit(bundle, options, snapshot)
    report["options"] = {name: str(value) if isinstance(value, pathlib.Path) else value
                         for name, value in vars(options).items()}
    return folder and export.write_model(folder, model, bundle, options, rows, report)


def main(arguments):
    options = parse_options(arguments)
    set_threads(options.threads)  # before PyTorch and NumPy are imported
    import torch

    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    from eta_simd.ctr.team import Team

    is_lead = Team().is_lead
    with staged(options.out, is_folder=True) if is_lead else contextlib.nullcontext() as folder:
        report = train_and_export(options, folder)
    if is_lead:
        test = report["test"]
        summarize(f"{options.model}: AUC {test['auc']:.4f}, GAUC {test['gauc']:.4f}, log loss "
                  f"{test['log_loss']:.4f}")
