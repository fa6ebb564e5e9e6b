# SPDX-License-Identifier: Apache-2.0
"""Settings of the sweep, and its cells: data of one setting and seed, a model trained on them, and
what each retrieval makes of its recall and AUC. A finished cell is kept and not run again."""
import pathlib
import shutil
import tempfile
from typing import NamedTuple

import numpy as np

from eta_simd import files
from eta_simd.command import BadInput
from eta_simd.data.bundle import read_array
from eta_simd.experiments.equal_auc.choices import BASE, runs_of
from eta_simd.experiments.intervals import DRAWS
from eta_simd.experiments.programs import run_program, script
from eta_simd.reading import number, read_json
from eta_simd.text import reason

LENGTH = 256
# Half as long as make_planted.py makes them, and fewer topics, so that a cell takes half a minute.
DATA = ("--users", "3000", "--topics", "40", "--categories", "12", "--length", str(LENGTH),
        "--recent", "16", "--interests", "8", "--repeats", "12", "--dim", "32")
TRAIN = ("--dim", "32", "--bits", "64", "--max-history", str(LENGTH), "--k", "32", "--epochs",
         "6", "--cost", "50000")  # small batches: with few steps nothing is learnt


class Setting(NamedTuple):
    """A point of the sweep: the knob that is turned, its value, arguments of make_planted.py, and
    more arguments of train_ctr.py."""
    knob: str
    value: str
    arguments: tuple = ()
    train: tuple = ()

    @property
    def name(self):
        return f"{self.knob}-{self.value}"


def turned(knob, values, train=()):
    """Settings of one knob."""
    return [Setting(knob, str(value), (f"--{knob}", str(value)), train) for value in values]


# Fewer repeats and near behaviours are hardly learnt in the epochs of the others.
LONGER = ("--epochs", "12")
SETTINGS = (Setting("none", "0"), *turned("repeats", (8,), LONGER), *turned("repeats", (24,)),
            *turned("near", (2, 3), LONGER), *turned("weak", (2, 4, 8)),
            *turned("popularity", (1, 2)))


def arguments_of(options, setting, seed):
    """All that decides the result of a cell."""
    return {"data": [*DATA, *options.data.split(), *setting.arguments, "--seed", str(seed)],
            "train": [*TRAIN, *setting.train, *options.train.split(), "--seed", str(seed)],
            "retrieval": options.retrieval, "k": options.ks}


def path_of(options, setting, seed):
    return options.results / "cells" / f"{setting.name}-s{seed}.json"


def run_cell(options, setting, seed):
    """Makes the cell's file unless it is there. Raises BadInput if that has other arguments."""
    path, arguments = path_of(options, setting, seed), arguments_of(options, setting, seed)
    if path.exists():
        if read_json(path, "arguments")["arguments"] != arguments:
            raise BadInput(f"{path}: made with other arguments (remove it to make it anew)")
        return
    with tempfile.TemporaryDirectory(prefix=".cell-", dir=options.results) as name:
        folder = pathlib.Path(name)
        data, model = folder / "data", folder / "model"
        run_program([*script("make_planted.py"), "--out", data, *arguments["data"]])
        run_program([*script("train_ctr.py"), "--bundle", data, "--model", "eta", "--out", model,
                     *arguments["train"]])
        rows = measure(options, model, folder)
    files.write_json(path, {"arguments": arguments, "rows": rows})


def measure(options, model, folder):
    """Rows of retrieval, k, auc, recall of an exported model; `folder` is for what is made."""
    bundle = folder / "bundle"
    shutil.copytree(model / "bundle", bundle)
    add_candidates(model, bundle)
    longest = read_json(model / "manifest.json", "settings")["settings"]["max_history"]
    return [row for k in options.ks
            for row in serve(options, model, bundle, longest, k, folder / "run.json")]


def measure_models(options, models):
    """Rows by (retrieval, K), for each of some exported models."""
    found = []
    for model in models:
        with tempfile.TemporaryDirectory(prefix=".cell-", dir=options.results) as name:
            rows = measure(options, pathlib.Path(model), pathlib.Path(name))
        found.append({(row["retrieval"], row["k"]): row for row in rows})
    return found


def add_candidates(model, bundle):
    """Gives a copy of the model's bundle the test samples' items as candidates, so that recall is
    that of the requests whose AUC is measured."""
    samples = read_array(model / "test", "samples.npy", np.int32, (-1, 5))
    samples = samples[np.argsort(samples[:, 0], kind="stable")]
    users = len(read_array(bundle, "history_offsets.npy", np.int64, (-1,))) - 1
    offsets = np.searchsorted(samples[:, 0], np.arange(users + 1)).astype(np.int64)
    np.save(bundle / "candidates_offsets.npy", offsets)
    np.save(bundle / "candidates_items.npy", np.ascontiguousarray(samples[:, 3]))


def serve(options, model, bundle, longest, k, path):
    """The rows of one K. Recall is over the newest `longest` behaviours of each user."""
    run_program([options.ctr_bench, model, "--retrieval", options.retrieval, "--k", k, "--length",
                 "1", "--requests", "1", "--rounds", "1", "--logits", "--json", path])
    served = {name: rows[0] for name, rows in runs_of(read_json(path, "rows"), path).items()}
    run_program([options.retrieval_bench, "--data", bundle, "--max-history", longest, "--methods",
                 options.retrieval, "--k", k, "--repeats", "1", "--requests", "1000",
                 "--min-history", "0", "--quiet", "--json", path])
    try:
        recalls = {row["method"]: number(row["recall_ties"])
                   for row in read_json(path, "rows")["rows"]}
        return [{"retrieval": name, "k": k, "auc": row["auc"], "recall": recalls[name],
                 "lost_draws": [round(float(lost), 7) for lost in
                                served[BASE]["draws"] - row["draws"]]}
                for name, row in served.items()]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: no result of retrieval_bench: {reason(error)}") from None


def kept_row(row):
    """The numbers of a kept row; a draw without positive or negative samples is NaN."""
    draws = [np.nan if lost is None else number(lost) for lost in row["lost_draws"]]
    return {"auc": number(row["auc"]), "recall": number(row["recall"]),
            "lost_draws": np.array(draws)}


def read_cell(options, setting, seed):
    """Rows of a finished cell by (retrieval, K)."""
    path = path_of(options, setting, seed)
    try:
        rows = {(row["retrieval"], row["k"]): kept_row(row)
                for row in read_json(path, "rows")["rows"]}
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not a cell of this program: {reason(error)}") from None
    expected = {(name, k) for k in options.ks for name in options.retrieval.split(",")}
    if set(rows) != expected:
        raise BadInput(f"{path}: not a row for each retrieval and K")
    if any(len(row["lost_draws"]) != DRAWS for row in rows.values()):
        raise BadInput(f"{path}: not {DRAWS} draws in each row")
    return rows
