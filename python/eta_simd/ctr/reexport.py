# SPDX-License-Identifier: Apache-2.0
"""Exports a trained model once more, for the histories and test samples of another bundle.

The weights stay; histories, samples, their logits and quality are the other bundle's. So a model
can be judged on longer histories than it was trained on (--max-history), or on a later day's. The
bundle must have the same items in the same categories, and the same number of users, whose
embeddings are kept by their ids. PyTorch must not be imported before main() has set its threads.
"""
import pathlib

from eta_simd.command import (BadInput, Count, Parser, add_counts, check_counts, set_threads,
                              summarize)
from eta_simd.files import staged

COUNTS = (
    Count("max-history", 1024, 1, 16384, "behaviours of a history that are looked at, the newest"),
    Count("cost", 200000, 1, 2**30, "behaviours times candidates of a batch, about"),
    Count("negatives", 1, 1, 100, "negatives for each positive, where samples are derived"),
    Count("data-seed", 1, 0, 2**32 - 1, "seed of the negatives"),
    Count("threads", 1, 1, 1024, "threads"),
)
GROUP = 64  # samples of a user that share a window


def parse_options(arguments):
    parser = Parser(description="Export a trained model for the test samples of another bundle.")
    parser.add_argument("--model", required=True, type=pathlib.Path, metavar="DIR",
                        help="exported model (scripts/train_ctr.py)")
    parser.add_argument("--bundle", required=True, type=pathlib.Path, metavar="DIR",
                        help="bundle of the same items and as many users")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder to make; must not exist")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    return options


def check_bundle(path, bundle, model, manifest):
    """Raises BadInput where the bundle's items or users are not the model's."""
    import numpy as np

    for name, ours, theirs in (("items", bundle.num_items, manifest["items"]),
                               ("users", bundle.num_users, manifest["users"])):
        if ours != theirs:
            raise BadInput(f"{path}: {ours} {name} (expected {theirs}, as the model has)")
    if not np.array_equal(bundle.categories, model.item_categories.numpy()):
        raise BadInput(f"{path}: items are of other categories than those of the model")


def main(arguments):
    options = parse_options(arguments)
    set_threads(options.threads)  # before PyTorch and NumPy are imported
    import numpy as np
    import torch
    from eta_simd.ctr import data, export

    torch.set_num_threads(options.threads)
    with staged(options.out, is_folder=True) as folder:
        model, manifest = export.restore(options.model)
        bundle = data.load_bundle(options.bundle, options.data_seed, options.negatives)
        check_bundle(options.bundle, bundle, model, manifest)
        settings = manifest["settings"]
        options.model, options.seed, options.group = manifest["model"], manifest["seed"], GROUP
        options.dim, options.heads = settings["dim"], settings["heads"]
        options.short = settings["short_length"]
        rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)
        report = export.write_model(folder, model, bundle, options, rows, {})
    test = report["test"]
    summarize(f"{options.model}: AUC {test['auc']:.4f}, GAUC {test['gauc']:.4f}, log loss "
              f"{test['log_loss']:.4f}")
