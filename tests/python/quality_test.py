#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/quality.py. Exit code 77: a Python package is missing."""
import csv
import json
import unittest
from pathlib import Path

import support

support.need("matplotlib", "numpy", "torch", purpose="train")
import numpy as np

from eta_simd.ctr import metrics
from eta_simd.experiments import intervals
from eta_simd.experiments.quality import comparison, tables


USERS = np.repeat(np.arange(200), 10)
LABELS = np.random.default_rng(1).integers(0, 2, len(USERS))


def measures(shifts, noise=0.0):
    """A model of some seeds, by which labels move its logits."""
    found: dict[str, list] = {"auc": [], "draws": []}
    for seed, shift in enumerate(shifts):
        random = np.random.default_rng(seed)
        logits = shift * LABELS + random.standard_normal(len(USERS))
        logits += noise * random.standard_normal(len(USERS))
        found["auc"].append(metrics.auc(LABELS, logits))
        found["draws"].append(intervals.auc_draws(USERS, LABELS, logits))
    return {**found, "gauc": found["auc"], "log_loss": [1 - value for value in found["auc"]]}


class Compare(unittest.TestCase):
    def test_pairs_by_seed_and_user(self):
        # Seeds differ far more than the models do; only pairing shows the difference.
        base = [0.5, 0.9, 1.3]
        models = {"full_attention": measures(base), "none": measures([s - 0.05 for s in base]),
                  "eta": measures([s + 0.05 for s in base]), "twin": measures(base, 0.02)}
        rows = {row["model"]: row for row in comparison.compare(models)}
        self.assertEqual([rows[name].get("verdict") for name in models],
                         [None, "lower", "higher", "not shown"])
        self.assertLess(rows["none"]["low"], rows["none"]["auc_difference"])
        self.assertLess(rows["none"]["auc_difference"], rows["none"]["high"])
        # Wider than 95 %, because three models are compared.
        draws = np.mean(np.subtract(models["none"]["draws"], models["full_attention"]["draws"]), 0)
        expected = intervals.interval(draws, 1 - 0.05 / 3)
        self.assertEqual((rows["none"]["low"], rows["none"]["high"]), expected)
        self.assertLess(expected[0], intervals.interval(draws)[0])

    def test_one_seed_has_an_interval_over_its_users(self):
        rows = comparison.compare({"full_attention": measures([1.0]), "eta": measures([0.9])})
        self.assertEqual(rows[1]["verdict"], "lower")
        self.assertEqual(tables.shown(rows[1], "auc_sd"), "")

    def test_what_is_not_shown_is_not_called_equal(self):
        for low, high, text in ((-0.1, 0.1, "not shown"), (0.0, 0.0, "not shown"),
                                (float("nan"),) * 2 + ("not shown",), (0.1, 0.2, "higher"),
                                (-0.2, -0.1, "lower")):
            self.assertEqual(comparison.verdict(low, high), text)


BENCH = """#!/usr/bin/python3
import json, pathlib, sys
models = [a for a in sys.argv[1:] if pathlib.Path(a, "manifest.json").exists()]
rows = [{"request_p50_us": i + 1, "request_p99_us": 9} for i in range(len(models))]
pathlib.Path(sys.argv[-1]).write_text(json.dumps({"rows": rows}))
"""


class EndToEnd(support.FolderTest):
    def test_tables_resume_and_latency(self):
        folder = self.folder
        done = support.call(
            "make_planted.py", "--out", folder / "planted", "--users", 40, "--topics", 8, "--side",
            2, "--categories", 4, "--length", 24, "--recent", 6, "--interests", 3, "--repeats", 3)
        self.assertEqual(done.returncode, 0, done.stderr)
        bench = folder / "ctr_bench"  # stands for the program: a row for each model it is given
        bench.write_text(BENCH)
        bench.chmod(0o755)
        arguments = ["--planted", folder / "planted", "--results", folder / "results",
                     "--models", "none,full_attention", "--seeds", 2, "--sweep-seeds", 0,
                     "--jobs", 1, "--ctr-bench", bench, "--extra", "--dim 8 --epochs 1"]
        done = support.call("quality.py", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with (folder / "results" / "quality.csv").open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["model"], row["seeds"], row["p50_us"]) for row in rows],
                         [("none", "2", "1"), ("full_attention", "2", "2")])
        self.assertLess(float(rows[0]["low"]), float(rows[0]["high"]))
        cells = sorted((folder / "results" / "cells").glob("*.json"))
        self.assertEqual(len(cells), 4)
        reports = [json.loads(cell.read_text())["test"]["auc"] for cell in cells[:2]]
        self.assertAlmostEqual(float(rows[1]["auc"]), sum(reports) / 2)
        self.assertTrue((folder / "results/models/planted-none-s1/manifest.json").exists())
        self.assertFalse(list((folder / "results").glob(".cell-*")))
        other = support.call("quality.py", *arguments[:-1], "--dim 12 --epochs 1")
        self.assertEqual(other.returncode, 2)
        self.assertIn("other arguments", other.stderr)
        before = [cell.stat().st_mtime_ns for cell in cells]
        cells[1].unlink()
        self.assertEqual(support.call("quality.py", *arguments).returncode, 0)
        after = [cell.stat().st_mtime_ns for cell in cells]
        self.assertEqual([a == b for a, b in zip(after, before)], [True, False, True, True])
        models = folder / "results" / "models"
        self.assertEqual(len(list(models.iterdir())), 2)
        done = support.call("quality.py", *arguments, "--keep-seeds", 2)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sorted(path.name for path in models.iterdir()),
                         [cell.stem for cell in cells])
        for content in (None, b"", b"PK"):
            path = cells[0].with_suffix(".npz")
            path.unlink() if content is None else path.write_bytes(content)
            done = support.call("quality.py", *arguments)
            self.refused(done, rf"{path.name}: no logits .* remove {cells[0].name}")

    def test_refusals(self):
        for arguments, reason in ((["--results", "x"], "no data set"),
                                  (["--results", "x", "--planted", "y", "--models", "din"],
                                   "unknown 'din'"),
                                  (["--results", "x", "--planted", "y", "--seeds", "0"],
                                   "--seeds is 0")):
            done = support.call("quality.py", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(reason, done.stderr)
            self.assertFalse(Path("x").exists())


if __name__ == "__main__":
    unittest.main()
