#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/recall_matters.py. Exit code 77: a Python package is missing."""
import csv
import json
import shutil
import unittest

import support

support.need("matplotlib", "numpy", "scipy.stats", "torch", purpose="train")

# Each stands for a program: it writes to --json what the test says, and counts its calls.
PROGRAM = """#!/usr/bin/python3
import json, pathlib, sys
def value(name):
    return sys.argv[sys.argv.index(name) + 1]
here = pathlib.Path(sys.argv[0])
calls = here.with_suffix(".calls")
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
bundle = pathlib.Path(value("--data") if "--data" in sys.argv else sys.argv[1] + "/bundle")
seed = int(json.loads((bundle / "bundle.json").read_text())["made_by"][-1])
k = int(value("--k"))
rows = []
for name in value("--retrieval" if "--retrieval" in sys.argv else "--methods").split(","):
    loss = 0 if name == "exact" else 0.01 * seed
    if "--data" in sys.argv:
        assert (bundle / "candidates_items.npy").exists() and value("--max-history") == "256"
        rows.append({"method": name, "recall_ties": 1 - 10 * loss})
    else:
        rows.append({"retrieval": name, "k": k, "auc": 0.8 + seed / 10 - loss, "gauc": 0.7,
                     "log_loss": 0.6, "request_p50_us": 1, "samples": 0,
                     "logits": [0.0, 1.0, 0.0, 1.0 if name == "exact" else -1.0]})
pathlib.Path(value("--json")).write_text(json.dumps({"rows": rows, "samples": [
    {"users": [0, 0, 1, 1], "items": [1, 2, 3, 4], "ends": [1, 1, 1, 1], "labels": [0, 1, 0, 1]}]}))
"""


class RecallMatters(support.FolderTest):
    def call(self, *arguments):
        for name in ("ctr_bench", "retrieval_bench"):
            (self.folder / name).write_text(PROGRAM)
            (self.folder / name).chmod(0o755)
        return support.call("recall_matters.py", "--results", self.folder / "out", "--ctr-bench",
                            self.folder / "ctr_bench", "--retrieval-bench",
                            self.folder / "retrieval_bench", *arguments)

    def test_writes_a_table_and_a_picture_and_keeps_cells(self):
        arguments = ["--seeds", 2, "--settings", "weak-2", "--retrieval", "eta:64,exact",
                     "--k", "4,8", "--data", "--users 12 --topics 17", "--train",
                     "--epochs 0 --dim 8"]
        done = self.call(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.folder / "out" / "recall_matters.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(r["knob"], r["value"], r["k"], r["retrieval"], r["seeds"])
                          for r in rows],
                         [("weak", "2", k, name, "2") for k in ("4", "8")
                          for name in ("eta:64", "exact")])
        self.assertAlmostEqual(float(rows[0]["auc_lost"]), 0.015)  # of 0.01 and 0.02
        self.assertAlmostEqual(float(rows[0]["recall"]), 0.85)
        # Of two users one ranks wrongly without exact retrieval: draws have none, one or both.
        self.assertEqual((float(rows[0]["low"]), float(rows[0]["high"])), (0, 1))
        self.assertEqual(float(rows[1]["auc_lost"]), 0)
        self.assertEqual((self.folder / "out" / "recall_matters.png").read_bytes()[:4], b"\x89PNG")
        calls = (self.folder / "ctr_bench.calls").read_text()
        self.assertEqual(len(calls), 4)
        (self.folder / "out" / "cells" / "weak-2-s2.json").unlink()
        self.assertEqual(self.call(*arguments).returncode, 0)
        self.assertEqual(len((self.folder / "ctr_bench.calls").read_text()), 6)
        other = self.call(*arguments[:-1], "--epochs 0 --dim 12")
        self.assertEqual(other.returncode, 2)
        self.assertIn("other arguments", other.stderr)
        cell = self.folder / "out" / "cells" / "weak-2-s1.json"
        document = json.loads(cell.read_text())
        short = [{**row, "lost_draws": [0.0]} for row in document["rows"]]
        for rows in ([], [1], [{"retrieval": "exact", "k": 4}], document["rows"][1:], short):
            cell.write_text(json.dumps({**document, "rows": rows}))
            done = self.call(*arguments)
            self.assertEqual((done.returncode, len(done.stderr.splitlines()[2:])), (2, 1),
                             done.stderr)
            self.assertIn("weak-2-s1.json", done.stderr)

    def test_measures_given_models_alike(self):
        data, models = self.folder / "data", [self.folder / "m1", self.folder / "m2"]
        support.call("make_planted.py", "--out", data, "--users", 12)
        done = support.call("train_ctr.py", "--bundle", data, "--model", "eta", "--out", models[0],
                            "--epochs", 0, "--dim", 8, "--max-history", 256)
        self.assertEqual(done.returncode, 0, done.stderr)
        shutil.copytree(models[0], models[1])
        info = models[1] / "bundle" / "bundle.json"
        info.write_text(info.read_text().replace("seed=1", "seed=2"))
        done = self.call("--settings", "none-0", "--seeds", 1, "--data", "--users 12 --topics 17",
                         "--train", "--epochs 0 --dim 8", "--retrieval", "eta:64,exact", "--k", 4,
                         "--models", "mine", *models)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.folder / "out" / "recall_matters.csv", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["knob"] == "mine"]
        self.assertEqual([(row["retrieval"], row["seeds"]) for row in rows],
                         [("eta:64", "2"), ("exact", "2")])
        self.assertAlmostEqual(float(rows[0]["auc_lost"]), 0.015)
        self.assertFalse((models[0] / "bundle" / "candidates_items.npy").exists())
        (models[1] / "test" / "samples.npy").write_bytes(b"")
        done = self.call("--settings", "none-0", "--seeds", 1, "--data", "--users 12 --topics 17",
                         "--train", "--epochs 0 --dim 8", "--retrieval", "eta:64,exact", "--k", 4,
                         "--models", "mine", *models)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "m2/test/samples.npy: not a NumPy array file")
        self.assertNotIn("Traceback", done.stderr)

    def test_refusals(self):
        for arguments, word in ((("--seeds", 0), "--seeds is 0"),
                                (("--settings", "none-0,best"), "unknown 'best'"),
                                (("--retrieval", "eta:64"), "without exact"),
                                (("--models", "mine"), "NAME MODEL"),
                                (("--k", "8,0"), "'0'"), (("--k", "x"), "'x'")):
            done = self.call(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(word, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
