# SPDX-License-Identifier: Apache-2.0
"""Cells of the experiment: one training run each. A finished cell is kept and not run again."""
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from typing import NamedTuple, Optional

import numpy as np

from eta_simd import SOURCE_TREE
from eta_simd.command import BadInput, progress
from eta_simd.experiments.intervals import auc_draws
from eta_simd.files import replaced, write_text
from eta_simd.reading import number, read_json
from eta_simd.text import reason

MEASURES = ("auc", "gauc", "log_loss")
BITS, K = (16, 32, 64, 128, 256, 512), (16, 32, 64, 128, 256)
BASE_BITS, BASE_K = 128, 64  # what the sweep holds fixed while it varies the other

# Rows are half as wide as in serving benchmarks, so that all cells take under an hour.
COMMON = ("--dim", "32")
SETTINGS = {"movielens": ("--max-history", "256"), "planted": ()}
LENGTH = {"movielens": 256, "planted": 1024}  # of a timed request's history: --max-history
# MIMN writes behaviour by behaviour, in hundreds of small steps; larger batches keep the long
# histories within a few minutes. Even larger batches with fewer epochs are worse: an eighth of the
# steps lowered its AUC on MovieLens by 0.03.
OF_CELL = {("planted", "mimn"): ("--cost", "400000")}


class Cell(NamedTuple):
    """One training run. bits and k are None outside the sweep."""
    data: str
    model: str
    seed: int
    bits: Optional[int] = None
    k: Optional[int] = None

    @property
    def name(self):
        """Name of its files."""
        setting = f"-b{self.bits}-k{self.k}" if self.bits else ""
        return f"{self.data}-{self.model}{setting}-s{self.seed}"


def sweep_settings():
    """(bits, k) of the sweep: all widths at one K, and all K at one width."""
    return ([(bits, BASE_K) for bits in BITS] +
            [(BASE_BITS, k) for k in K if k != BASE_K])


def wanted_cells(options):
    """The table's cells by seed, then the sweep's."""
    cells = [Cell(data, model, seed) for seed in range(1, options.seeds + 1)
             for data in options.sets for model in options.models]
    cells += [Cell(data, "eta", seed, bits, k) for data in options.sets
              for seed in range(1, options.sweep_seeds + 1) for bits, k in sweep_settings()]
    return cells


def timed_cells(options, data):
    """The cells whose exported models are timed: those of the first seed."""
    return [cell for cell in wanted_cells(options) if cell.data == data and cell.seed == 1]


def arguments_of(options, cell):
    """Arguments of train_ctr.py that decide the result, beside model and seed."""
    arguments = [*COMMON, *SETTINGS[cell.data], *OF_CELL.get((cell.data, cell.model), ()),
                 *options.extra.split()]
    if cell.bits:
        arguments += ["--bits", str(cell.bits), "--k", str(cell.k)]
    return arguments


def train_cell(options, cell):
    """Runs a cell unless its report, and the model if it is kept, are there. Raises BadInput if the
    report has other arguments."""
    report = options.results / "cells" / f"{cell.name}.json"
    kept = options.results / "models" / cell.name if cell.seed <= options.keep_seeds else None
    arguments = arguments_of(options, cell)
    if report.exists():
        if read_json(report, "arguments")["arguments"] != arguments:
            raise BadInput(f"{report}: made with other arguments (remove it to train it anew)")
        if not kept or kept.exists():
            return
    with tempfile.TemporaryDirectory(prefix=".cell-", dir=options.results) as folder:
        out = pathlib.Path(folder) / "model"
        options_of_python = ["-E"] if sys.flags.ignore_environment else []
        command = [sys.executable, *options_of_python,
                   str(SOURCE_TREE / "scripts" / "train_ctr.py"), "--bundle",
                   str(getattr(options, cell.data)), "--model", cell.model, "--seed",
                   str(cell.seed), "--out", str(out), *arguments]
        done = subprocess.run(command, text=True, capture_output=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise BadInput(f"{cell.name}: {last}")
        finished = read_json(out / "report.json")
        keep_logits(options, cell, out / "test")
        if kept:
            shutil.rmtree(kept, ignore_errors=True)
            out.rename(kept)
        write_text(report, json.dumps({**finished, "arguments": arguments}, indent=2) + "\n")


def keep_logits(options, cell, folder):
    """Keeps what AUC is computed from, users, labels and logits of the test samples, in an .npz."""
    samples = np.load(folder / "samples.npy")
    with replaced(logits_path(options, cell)) as part, part.open("wb") as file:
        np.savez_compressed(file, users=samples[:, 0], labels=samples[:, 4].astype(np.int8),
                            logits=np.load(folder / "logits.npy"))


def logits_path(options, cell):
    return options.results / "cells" / f"{cell.name}.npz"


def read_draws(options, cell):
    """Draws of a finished cell's AUC (intervals.py)."""
    path = logits_path(options, cell)
    try:
        with np.load(path) as arrays:
            return auc_draws(*(arrays[name] for name in ("users", "labels", "logits")))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: no logits of this experiment ({reason(error)}; remove "
                       f"{cell.name}.json to train it anew)") from None


def train_all(options):
    """Runs all cells, options.jobs at a time; the first that fails ends the experiment."""
    for name in ("cells", "models"):
        (options.results / name).mkdir(parents=True, exist_ok=True)
    cells = wanted_cells(options)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(train_cell, options, cell) for cell in cells]
        try:
            for done, task in enumerate(concurrent.futures.as_completed(tasks), start=1):
                task.result()
                progress(f"{done} of {len(cells)} cells")
        finally:
            for task in tasks:
                task.cancel()
    progress("")


def read_cell(options, cell):
    """The report of a finished cell, NaN for measures that are not defined."""
    path = options.results / "cells" / f"{cell.name}.json"
    report = read_json(path, "test", "train_seconds")
    try:
        number(report["train_seconds"])
        for measure in MEASURES:  # null where all labels are the same
            value = report["test"][measure]
            report["test"][measure] = float("nan") if value is None else number(value)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: no report of train_ctr.py: {reason(error)}") from None
    return report
