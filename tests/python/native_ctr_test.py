#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of CtrModel: the logits of PyTorch in float32, and those of ctr_bench in each precision.

native_ctr_test.py [FOLDER [CTR_BENCH]]: without the program, what needs it is skipped.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import native_support as support
import numpy as np

try:
    import torch  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing} (scripts/setup.sh train)")
    sys.exit(support.SKIPPED)

import eta_simd
from eta_simd import CtrModel
from eta_simd.ctr import command, planted

CTR_BENCH = ""
if len(sys.argv) > 1 and Path(sys.argv[1]).name == "ctr_bench":
    CTR_BENCH = sys.argv.pop(1)


class Scores(unittest.TestCase):
    """Of a tiny model that is trained and exported here."""
    PLANTED = ("--users", "20", "--topics", "8", "--side", "3", "--categories", "3", "--length",
               "30", "--recent", "6", "--interests", "3", "--repeats", "3", "--dim", "8")
    TINY = ("--epochs", "1", "--dim", "8", "--heads", "2", "--max-history", "24", "--short", "4",
            "--k", "5", "--bits", "20")

    temporary: tempfile.TemporaryDirectory
    folder: Path
    model: CtrModel

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        planted.main(["--out", str(cls.folder / "data"), *cls.PLANTED])
        command.main(["--bundle", str(cls.folder / "data"), "--model", "eta", "--out",
                      str(cls.folder / "model"), *cls.TINY])
        cls.model = CtrModel(cls.folder / "model")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_are_the_logits_of_pytorch(self):
        bundle = eta_simd.read_bundle(self.folder / "model" / "bundle")
        samples = np.load(self.folder / "model" / "test" / "samples.npy")
        logits = np.load(self.folder / "model" / "test" / "logits.npy")
        self.assertGreater(np.ptp(logits), 1e-2)
        self.assertEqual((self.model.unit, self.model.max_history), ("eta", 24))
        for (user, begin, end, item, _), logit in zip(samples, logits):
            first = bundle.history_offsets[user]
            window = bundle.history_items[first + begin:first + end]
            scores = self.model.score(int(user), window, np.array([item, 0, item], np.int32))
            self.assertEqual((scores.shape, scores.dtype), ((3,), np.float32))
            self.assertLessEqual(abs(scores[0] - logit), 1e-4)
            self.assertEqual(scores[0], scores[2])

    @unittest.skipUnless(CTR_BENCH, "no ctr_bench")
    def test_are_the_logits_of_ctr_bench_in_each_precision(self):
        path = self.folder / "run.json"
        subprocess.run([CTR_BENCH, self.folder / "model", "--precision", "float32,int8",
                        "--length", "4", "--candidates", "1", "--requests", "1", "--rounds", "1",
                        "--logits", "--json", path], check=True, capture_output=True)
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        self.assertEqual([row["precision"] for row in rows], ["float32", "int8"])
        self.assertNotEqual(rows[0]["logits"], rows[1]["logits"])
        bundle = eta_simd.read_bundle(self.folder / "model" / "bundle")
        samples = np.load(self.folder / "model" / "test" / "samples.npy")
        for row in rows:
            model = CtrModel(self.folder / "model", precision=row["precision"])
            self.assertEqual(model.precision, row["precision"])
            wanted = np.array(row["logits"], np.float32)
            self.assertEqual(len(wanted), len(samples))
            for (user, begin, end, item, _), logit in zip(samples, wanted):
                first = bundle.history_offsets[user]
                window = bundle.history_items[first + begin:first + end]
                self.assertEqual(model.score(int(user), window, support.int32([item]))[0], logit)

    def test_precisions(self):
        self.assertEqual(self.model.precision, "float32")
        self.assertIn(" in float32, ", repr(self.model))
        self.assertIn(" in int8, ", repr(CtrModel(self.folder / "model", "int8")))
        for name in ("", "int4", "INT8", "int8 ", "float"):
            with self.assertRaisesRegex(ValueError, f"^precision: .* or int8, not '{name}'"):
                CtrModel(self.folder / "model", precision=name)
        for wrong in (8, None, b"int8"):  # type: Any
            with self.assertRaisesRegex(TypeError, "precision"):
                CtrModel(self.folder / "model", precision=wrong)

    def test_refuses_what_eight_bits_cannot_hold(self):
        folder = self.folder / "large"
        shutil.copytree(self.folder / "model", folder)
        (path,) = folder.glob("weights/mlp_0_weight.npy")
        weights = np.load(path)
        weights[0, 0] = 1e35
        np.save(path, weights)
        with self.assertRaisesRegex(ValueError, "in eight bits"):
            CtrModel(folder, precision="int8")
        self.assertEqual(CtrModel(folder).precision, "float32")

    def test_threads_of_python_get_the_same(self):
        history, candidates = support.ids(20, 18), support.ids(9, 18, seed=2)
        want = self.model.score(3, history, candidates)
        wrong = []

        def work():
            for _ in range(50):
                if (self.model.score(3, history, candidates) != want).any():
                    wrong.append(1)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_refusals(self):
        ids = support.ids(5, 18)
        for user, history, candidates, message in (
                (20, ids, ids, "20"), (0, np.tile(ids, 9), ids, "24"),
                (0, ids, support.int32([-1]), "-1"), (0, support.int32([1000]), ids, "1000")):
            with self.assertRaisesRegex(ValueError, message):
                self.model.score(user, history, candidates)
        self.assertEqual(self.model.score(0, ids, ids[:0]).shape, (0,))
        self.assertEqual(self.model.score(0, ids[:0], ids).shape, (5,))


if __name__ == "__main__":
    unittest.main()
