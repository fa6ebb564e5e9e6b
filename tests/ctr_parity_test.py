#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a tiny model of every kind and has ctr_bench compare its logits with PyTorch's.

  ctr_parity_test.py CTR_BENCH

Exit code 77: PyTorch or NumPy is missing."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
try:
    import numpy as np
    import torch  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing} (scripts/setup.sh train)")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ("none", "avg_pool", "full_attention", "sim_hard", "sim_soft", "eta", "mimn", "sdim",
          "reformer_lsh", "twin")
PLANTED = ("--users", "40", "--topics", "12", "--side", "3", "--categories", "4", "--length", "48",
           "--recent", "10", "--interests", "5", "--repeats", "4", "--dim", "8")
TINY = ("--epochs", "2", "--dim", "20", "--heads", "5", "--max-history", "40", "--short", "5",
        "--k", "6", "--bits", "21", "--hashes", "5", "--rounds", "3", "--buckets", "6", "--slots",
        "3", "--group", "4", "--cost", "4000", "--rate", "0.05")
BENCH = None


def python(script, *arguments):
    done = subprocess.run(["/usr/bin/python3", ROOT / "scripts" / script, *map(str, arguments)],
                          text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise AssertionError(done.stderr)


def bench(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], text=True, capture_output=True,
                          check=False)


class Parity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        python("make_planted.py", "--out", cls.folder / "planted", *PLANTED)
        for model in MODELS:
            python("train_ctr.py", "--bundle", cls.folder / "planted", "--model", model, "--out",
                   cls.folder / model, *TINY)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_every_model_agrees_with_pytorch(self):
        done = bench("--check", *(self.folder / model for model in MODELS))
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        lines = done.stdout.splitlines()[1:]
        self.assertEqual([line.split()[0] for line in lines], list(MODELS))
        for line in lines:
            self.assertTrue(line.endswith("ok"), line)
            self.assertLessEqual(float(line.split()[2]), 1e-4, line)

    def test_a_difference_ends_with_exit_code_1(self):
        path = self.folder / "eta" / "test" / "logits.npy"
        logits = np.load(path)
        try:
            changed = logits.copy()
            changed[3] += 3e-4
            np.save(path, changed)
            done = bench("--check", self.folder / "eta")
        finally:
            np.save(path, logits)
        self.assertEqual(done.returncode, 1)
        self.assertIn("MISMATCH", done.stdout)

    def test_times_requests(self):
        csv = self.folder / "rows.csv"
        done = bench(self.folder / "eta", self.folder / "full_attention", "--requests", 3,
                     "--length", 30, "--candidates", 70, "--csv", csv, "--json",
                     self.folder / "rows.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split(",") for line in csv.read_text().splitlines()]
        self.assertEqual([row[0] for row in rows], ["model", "eta", "full_attention"])
        self.assertGreater(float(rows[1][rows[0].index("request_p50_us")]), 0)

    def test_bad_input_ends_with_exit_code_2(self):
        for arguments in ((), (self.folder / "nothing",), (self.folder / "eta", "--length", 41),
                          (self.folder / "eta", "--requests", 0)):
            done = bench(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
