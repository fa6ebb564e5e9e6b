# SPDX-License-Identifier: Apache-2.0
"""What decide.py runs: retrieval_bench on the bundle and a centred copy, bundle_tool, training."""
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from eta_simd.command import BadInput, progress
from eta_simd.data.bundle import read_array
from eta_simd.experiments.programs import run_program, script
from eta_simd.reading import read_json

# Those that a program of another version does not know are left out.
ORACLES = ("exact", "cosine", "random")  # what others are judged by
METHODS = ("recent", "scan_i8", "scan_i8_gather", "eta_gather:64", "eta:64", "eta:128", "eta:256",
           "eta_norm:64", "eta_norm:128", "eta_asym:64", "eta_asym:128", "pq4:64", "pq4:128",
           "eta:64+rerank_i8:4", "pq4:64+rerank_i8:2")
QUICK = ("recent", "scan_i8", "eta:64", "eta:256", "pq4:64")
TRAINING_LIMIT = 240  # seconds


class Runs:
    """The runs of one call; `commands` has what a reader can repeat, by question."""

    def __init__(self, options):
        self.options = options
        self.commands: dict[str, list[str]] = {}
        self.notes: list[tuple[str, list[str]]] = []  # of the programs, by the name of the run
        done = subprocess.run([str(self.program("retrieval_bench")), "--list-methods"], text=True,
                              capture_output=True, check=False)
        self.known = set(done.stdout.split())
        self.has_towers = (options.bundle / "candidate_embeddings.npy").exists()

    def program(self, name):
        path = self.options.bench / name
        if not path.is_file():
            raise BadInput(f"{path}: there is no such program (expected in --bench)")
        return path

    def knows(self, method):
        """Whether the program has the method, by its name without numbers."""
        name = method.split(":")[0].split("+")[0]
        return any(known.split(":")[0].split("+")[0] == name for known in self.known)

    def methods(self, names):
        return ",".join(name for name in names if self.knows(name))

    def note(self, question, command):
        """Keeps a command for the page, with the name of a program instead of its path."""
        parts = [str(part) for part in command]
        parts[0] = Path(parts[0]).name
        self.commands.setdefault(question, []).append(shlex.join(parts))

    def retrieval(self, question, name, methods, *more, bundle=None):
        """The JSON of a run of retrieval_bench, which is kept in the output folder."""
        progress(f"{question}: {name}", is_logged=True)
        path = self.options.output / f"{name}.json"
        quick = ["--requests", "20", "--repeats", "1"] if self.options.quick else [
            "--requests", "200", "--repeats", "5"]
        command = [self.program("retrieval_bench"), "--data", bundle or self.options.bundle,
                   "--methods", self.methods(methods), *more, *quick, "--quiet", "--json", path]
        run_program(command)
        self.note(question, [part for part in command if part != "--quiet"])
        results = read_json(path, "rows")
        self.notes.append((name, results.get("notes", [])))
        return results

    def quality_by_k(self, ks):
        """Rows of the oracles for each K."""
        sweep = ["--sweep", f"k={','.join(map(str, ks))}", "--time-budget", "240"]
        return self.retrieval("K", "k", ORACLES, *sweep)["rows"]

    def at(self, k):
        """The rows of all methods at one K."""
        methods = QUICK if self.options.quick else METHODS
        return self.retrieval("bits", "methods", (*ORACLES, *methods), "--k", k)["rows"]

    def centred(self, k, rows):
        """Recall of eta:64 with the mean taken from behaviours only, which changes no order, beside
        that without; None where the program cannot tell candidates from behaviours, or no request
        has a history."""
        check = subprocess.run([str(self.program("bundle_tool")), "check",
                                str(self.options.bundle)], text=True, capture_output=True,
                               check=False)
        if self.has_towers or "candidate" not in check.stdout.replace("candidates:", ""):
            return None
        plain = next((row for row in rows if row["method"] == "eta:64"), None)
        with tempfile.TemporaryDirectory(prefix=".centred-", dir=self.options.output) as folder:
            bundle = Path(folder) / "bundle"
            bundle.mkdir()
            for path in self.options.bundle.iterdir():
                if path.suffix in (".npy", ".json") and path.name != "item_embeddings.npy":
                    shutil.copyfile(path, bundle / path.name)
            table = embeddings_of(self.options.bundle)
            np.save(bundle / "item_embeddings.npy", table - table.mean(axis=0, dtype=np.float64)
                    .astype(np.float32))
            np.save(bundle / "candidate_embeddings.npy", table)
            run = self.retrieval("centring", "centred", ("eta:64",), "--k", k, bundle=bundle)
            self.commands["centring"] = [
                "# CENTRED: the bundle with behaviours less their mean as item_embeddings.npy and "
                "the old table as candidate_embeddings.npy",
                *(line.replace(str(bundle), "CENTRED") for line in self.commands["centring"])]
        found = (plain and plain["recall_ties"], run["rows"][0]["recall_ties"])
        return None if None in found else found

    def encoding_seconds(self):
        """Seconds to make 128-bit codes of all items, reading included; None where bundle_tool has
        no such command."""
        help_text = subprocess.run([str(self.program("bundle_tool")), "codes", "--help"], text=True,
                                   capture_output=True, check=False)
        if help_text.returncode or "--bits" not in help_text.stdout:
            return None
        with tempfile.TemporaryDirectory(prefix=".codes-", dir=self.options.output) as folder:
            command = [self.program("bundle_tool"), "codes", "--input", self.options.bundle,
                       "--output", Path(folder) / "codes.npy", "--bits", "128"]
            started = time.monotonic()
            run_program(command)
            seconds = time.monotonic() - started
        self.note("hourly", [*command[:5], "codes.npy", *command[6:]])
        return seconds

    def training_seconds(self):
        """Seconds of one epoch of eta: None where it was not tried, infinity beyond the limit."""
        command = [*script("train_ctr.py"), "--bundle", self.options.bundle, "--model", "eta",
                   "--epochs", "1", "--max-history", "256", "--out", self.options.output / "model"]
        shown = ["scripts/train_ctr.py", *command[command.index("--bundle"):]]
        self.commands["training"] = [shlex.join(map(str, shown))]
        if self.options.quick:
            return None
        progress("training: one epoch", is_logged=True)
        with tempfile.TemporaryDirectory(prefix=".model-", dir=self.options.output) as folder:
            command[-1] = Path(folder) / "model"
            started = time.monotonic()
            try:
                done = subprocess.run([*map(str, command)], text=True, capture_output=True,
                                      check=False, stdin=subprocess.DEVNULL,
                                      timeout=TRAINING_LIMIT)
            except subprocess.TimeoutExpired:
                return float("inf")
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            print(f"decide.py: no training: {lines[-1]}", file=sys.stderr)
            return None
        return time.monotonic() - started


def embeddings_of(bundle):
    """The table of behaviours' embeddings, float32 [items, dim]."""
    return read_array(bundle, "item_embeddings.npy", np.float32, (-1, -1))


def norms_text(table):
    """The spread of the norms, as the header of retrieval_bench has it."""
    p5, p50, p95 = np.percentile(np.linalg.norm(table.astype(np.float64), axis=1), (5, 50, 95))
    return f"norms {p5:.3g} / {p50:.3g} / {p95:.3g} (p5 / p50 / p95)"


def mean_share(table):
    """Share of the mean squared norm that is the mean vector's: 0 is centred, 1 all alike."""
    table = table.astype(np.float64)
    square = np.square(table).sum(axis=1).mean()
    return float(np.square(table.mean(axis=0)).sum() / square) if square else 0.0
