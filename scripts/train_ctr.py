#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains one CTR model on a data bundle and exports it; docs/models.md has the models and files.

Samples come from the bundle's ctr_samples.npy, or else from its histories: behaviours are clicks,
negatives are drawn by popularity. Same arguments, machine and threads, same bytes.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from ctr import MODELS  # noqa: E402
from ctr.errors import BadInput, Parser, check_range, run, set_threads  # noqa: E402

# Name, default, lowest, highest, help.
COUNTS = (
    ("dim", 64, 4, 1024, "dimensions of an item's row; a quarter of them are its category's"),
    ("heads", 4, 1, 64, "attention heads"),
    ("max-history", 1024, 1, 16384, "behaviours of a history that are looked at, the newest"),
    ("short", 16, 1, 1024, "behaviours of the short-term attention, the newest"),
    ("k", 64, 1, 16384, "behaviours that a retrieving unit attends to"),
    ("bits", 128, 1, 4096, "bits of eta's codes"),
    ("hashes", 16, 1, 1024, "hashes of sdim"),
    ("hash-width", 3, 1, 16, "bits of a hash of sdim"),
    ("rounds", 8, 1, 1024, "rounds of reformer_lsh"),
    ("buckets", 32, 2, 4096, "buckets of a round of reformer_lsh, an even number"),
    ("slots", 4, 1, 64, "memory slots of mimn"),
    ("epochs", 4, 0, 1000, "passes over the training samples, at most"),
    ("patience", 2, 1, 1000, "epochs without a better validation AUC before it stops"),
    ("aux-epochs", 1, 0, 1000, "passes that train the index of sim_soft"),
    ("group", 64, 1, 4096, "samples of one user that share a window in training"),
    ("cost", 200000, 1, 2**30, "behaviours times candidates of a batch, about"),
    ("negatives", 1, 1, 100, "negatives for each positive, where samples are derived"),
    ("data-seed", 1, 0, 2**32 - 1, "seed of the negatives"),
    ("seed", 1, 0, 2**32 - 1, "seed of weights, hashes and order"),
    ("threads", 1, 1, 1024, "threads"),
    ("export-every", 0, 0, 2**31, "steps between exported snapshots; 0: none"),
)


def parse_arguments():
    parser = Parser(description="Train one CTR model on a data bundle and export it.")
    parser.add_argument("--bundle", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--model", required=True, choices=MODELS, metavar="NAME",
                        help=", ".join(MODELS))
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder to make; must not exist")
    parser.add_argument("--rate", type=float, default=0.02,
                        help="Adam's learning rate at the start; it falls to 0 "
                        "(default: %(default)s)")
    parser.add_argument("--init", type=float, default=0.1,
                        help="standard deviation of new embeddings (default: %(default)s)")
    parser.add_argument("--decay", type=float, default=0.1,
                        help="L2 penalty on user embeddings (default: %(default)s)")
    parser.add_argument("--warm-up", type=float, default=0.4, metavar="SHARE",
                        help="of training in which units that retrieve attend to all behaviours "
                        "(default: %(default)s)")
    for name, default, _, _, text in COUNTS:
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N",
                            help=f"{text} (default: %(default)s)")
    options = parser.parse_args()
    for name, _, low, high, _ in COUNTS:
        check_range(f"--{name}", getattr(options, name.replace("-", "_")), low, high)
    check_range("--rate", options.rate, 1e-8, 1)
    check_range("--decay", options.decay, 0, 1e6)
    check_range("--warm-up", options.warm_up, 0, 1)
    check_range("--init", options.init, 1e-8, 10)
    if options.dim % options.heads or options.dim % 4:
        raise BadInput(f"--dim is {options.dim} (expected a multiple of 4 and of --heads)")
    check_range("--hashes times --hash-width", options.hashes * options.hash_width, 1, 4096)
    if options.buckets % 2:
        raise BadInput(f"--buckets is {options.buckets} (expected an even number)")
    return options


def main():
    options = parse_arguments()
    set_threads(options.threads)
    try:
        import numpy as np
        import torch
    except ImportError as error:
        raise BadInput(f"{error} (scripts/setup.sh train)") from error
    from ctr import data, export, train

    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    with export.StagedFolder(options.out) as folder:
        bundle = data.load_bundle(options.bundle, options.data_seed, options.negatives)
        if options.model == "sim_hard" and not bundle.has_categories:
            raise BadInput(f"{options.bundle}: no item_categories.npy, which sim_hard needs")
        rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)

        def snapshot(step, model):
            if options.export_every and step % options.export_every == 0:
                path = folder / "snapshots" / f"step_{step:06}"
                path.mkdir(parents=True)
                export.write_model(path, model, bundle, options, rows, {"steps": step})

        started = time.monotonic()
        model, report = train.fit(bundle, options, snapshot)
        report["train_seconds"] = round(time.monotonic() - started, 3)
        report["options"] = {name: str(value) if isinstance(value, pathlib.Path) else value
                             for name, value in vars(options).items()}
        report = export.write_model(folder, model, bundle, options, rows, report)
        export.write_script(folder / "model.pt", model)
    if sys.stdout.isatty():
        print(f"{options.model}: AUC {report['test']['auc']:.4f}, "
              f"GAUC {report['test']['gauc']:.4f}, log loss {report['test']['log_loss']:.4f}")


if __name__ == "__main__":
    run("train_ctr.py", main)
