# SPDX-License-Identifier: Apache-2.0
"""Runs of retrieval_bench: one per data set, cache mode and history length. A finished run is kept
in cells/ and not run again."""
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from eta_simd.command import BadInput, progress
from eta_simd.data.bundle import read_array
from eta_simd.experiments.equal_recall.families import fits
from eta_simd.reading import read_json

HELD_OUT = 8  # behaviours of a user that are no history, as retrieval_bench has it by default
# Requests per run by history length; longer histories need fewer for the same time.
REQUESTS = {256: 96, 1024: 64, 4096: 32, 16384: 16, 65536: 8}
SAMPLES = 64  # times of each method in a run, at least: decides the repeats


class DataSet:
    """The generator with a number of dimensions, or a bundle with a name."""

    def __init__(self, name, folder=None, dim=64):
        self.name = name
        self.folder = folder
        self.dim = dim
        self.lengths = None
        if folder is not None:
            embeddings = read_array(Path(folder), "item_embeddings.npy", np.float32, (-1, -1))
            self.dim = embeddings.shape[1]
            offsets = read_array(Path(folder), "history_offsets.npy", np.int64, (-1,))
            held_out = 0 if (Path(folder) / "candidates_offsets.npy").exists() else HELD_OUT
            self.lengths = np.diff(offsets) - held_out

    def users_with(self, length):
        """How many users have `length` behaviours or more; the generator has any number."""
        return sys.maxsize if self.lengths is None else int((self.lengths >= length).sum())

    def arguments(self, length, requests):
        """Arguments of retrieval_bench for this data at one history length."""
        if self.folder is None:
            return ["--users", requests, "--length", length + HELD_OUT, "--dim", self.dim]
        return ["--data", self.folder, "--min-history", length, "--max-history", length]


class Cell:
    """One run of retrieval_bench: its arguments and the files it leaves."""

    def __init__(self, data, cache, length, methods, options):
        self.data, self.cache, self.length, self.dim = data.name, cache, length, data.dim
        methods = [method for method in methods if fits(method, data.dim)]
        steps = [n for n in REQUESTS if n <= length] or [min(REQUESTS)]
        requests = options.requests or REQUESTS[max(steps)]
        requests = min(requests, data.users_with(length))
        repeats = options.repeats or max(3, math.ceil(SAMPLES / requests))
        folder, name = options.output / "cells", f"{data.name}-{cache}-{length}"
        self.csv, self.json = folder / f"{name}.csv", folder / f"{name}.json"
        arguments = data.arguments(length, requests)
        arguments += ["--requests", requests, "--repeats", repeats, "--b", options.b]
        arguments += ["--k", options.k, "--methods", ",".join(methods), "--cache", cache]
        if cache == "cold" and options.llc_mb:
            arguments += ["--llc-mb", options.llc_mb]
        self.arguments = [str(a) for a in arguments]

    def is_done(self):
        """Whether its files are there and come from the same arguments."""
        try:
            ran = read_json(self.json, "command_line")["command_line"]
            return self.csv.exists() and ran[1:1 + len(self.arguments)] == self.arguments
        except (BadInput, TypeError):
            return False

    def run(self, bench, timeout):
        """Runs it. Raises BadInput if it fails, TimeoutExpired after `timeout` seconds."""
        command = [bench, *self.arguments, "--quiet", "--json", self.json, "--csv", self.csv]
        done = subprocess.run([str(c) for c in command], timeout=timeout, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BadInput(f"{self}: {done.stderr.strip() or f'exit code {done.returncode}'}")

    def __str__(self):
        return f"{self.data}, {self.cache}, L = {self.length}"


def make_cells(data_sets, methods, options, notes):
    """The runs, short histories first, so that a budget covers the cheap ones."""
    cells = []
    for length in options.lengths:
        for data in data_sets:
            if data.users_with(length) == 0:
                notes.append(f"{data.name}, L = {length}: no user has so many behaviours")
                continue
            cells += [Cell(data, cache, length, methods, options) for cache in options.caches]
    return cells


def run_cells(cells, options, notes):
    """Runs what is not done yet; returns the cells that are."""
    (options.output / "cells").mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + options.budget if options.budget else math.inf
    finished = []
    for number, cell in enumerate(cells, start=1):
        if not cell.is_done():
            left = deadline - time.monotonic()
            if left <= 0:
                notes.append(f"{cell}: not run, the time budget is used up")
                continue
            progress(f"[{number}/{len(cells)}] {cell}", is_logged=True)
            try:
                cell.run(options.bench, None if left == math.inf else left)
            except subprocess.TimeoutExpired:
                notes.append(f"{cell}: given up, the time budget is used up")
                continue
        finished.append(cell)
    progress("")
    return finished
