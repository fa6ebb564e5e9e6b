#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/quality.py. Exit code 77: a Python package is missing."""
import csv
import json
import unittest
from pathlib import Path

import support

support.need("matplotlib", "scipy.stats", "torch", purpose="train")
import scipy.stats

from eta_simd.experiments.quality import comparison, tables


def measures(auc):
    return {"auc": auc, "gauc": auc, "log_loss": [1 - value for value in auc]}


class Compare(unittest.TestCase):
    def test_holm(self):
        self.assertEqual(comparison.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
        self.assertEqual(comparison.holm([0.9, 0.8]), [1.0, 1.0])

    def test_pairs_by_seed(self):
        # Seeds differ far more than the models do; only pairing shows the difference.
        base = [0.70, 0.75, 0.80, 0.85, 0.90]
        lower = [value - 0.01 - 0.0001 * (-1) ** i for i, value in enumerate(base)]
        p = comparison.paired_p(lower, base)
        self.assertLess(p, 1e-6)
        self.assertGreater(scipy.stats.ttest_ind(lower, base).pvalue, 0.8)
        rows = {r["model"]: r for r in comparison.compare({
            "full_attention": measures(base), "none": measures(lower),
            "twin": measures([0.71, 0.74, 0.80, 0.86, 0.89])})}
        self.assertEqual(rows["none"]["verdict"], "differs")
        self.assertAlmostEqual(rows["none"]["auc_difference"], -0.01, places=4)
        self.assertAlmostEqual(rows["none"]["p"], 2 * p)
        self.assertEqual(rows["twin"]["verdict"], "noise")
        self.assertNotIn("verdict", rows["full_attention"])

    def test_one_seed_has_no_verdict(self):
        rows = comparison.compare({"full_attention": measures([0.7]), "eta": measures([0.6])})
        self.assertEqual(rows[1]["verdict"], "one seed")
        self.assertEqual(tables.shown(rows[1], "auc_sd"), "")


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
        cells = sorted((folder / "results" / "cells").iterdir())
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
