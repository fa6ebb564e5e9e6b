#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/precision.py. Exit code 77: a Python package is missing."""
import csv
import json
import unittest

import support

support.need("numpy", "torch", purpose="train")

# Stands for ctr_bench: the AUC of int8 is lower by "loss" of the model's manifest.
PROGRAM = """#!/usr/bin/python3
import json, pathlib, sys
folder, path = pathlib.Path(sys.argv[1]), sys.argv[sys.argv.index("--json") + 1]
loss = json.loads((folder / "manifest.json").read_text())["loss"]
assert sys.argv[sys.argv.index("--precision") + 1] == "float32,int8"
if loss is None:
    sys.exit("no such model")
rows = [{"precision": name, "auc": 0.8 - less, "gauc": 0.7 + less, "log_loss": 0.6, "samples": 0,
         "logits": [0.5, -100 * less]} for name, less in (("float32", 0), ("int8", loss))]
pathlib.Path(path).write_text(json.dumps({"rows": rows, "samples": [
    {"users": [0, 1], "items": [1, 2], "ends": [1, 1], "labels": [0, 1]}]}))
"""


class Precision(support.FolderTest):
    def call(self, *losses):
        """Models of two data sets by turns, a seed more each time."""
        program = self.folder / "ctr_bench"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        models = []
        for number, loss in enumerate(losses):
            models.append(self.folder / f"model-{number}")
            (models[-1] / "bundle").mkdir(parents=True, exist_ok=True)
            (models[-1] / "manifest.json").write_text(
                json.dumps({"model": "eta", "seed": number // 2, "loss": loss}))
            (models[-1] / "bundle" / "bundle.json").write_text(
                json.dumps({"name": f"n{number % 2}"}))
        return support.call("precision.py", "--ctr-bench", program, "--results",
                            self.folder / "out", *models)

    def rows(self):
        with open(self.folder / "out" / "precision.csv", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def test_differences_are_of_int8_less_float32_by_data_set(self):
        done = self.call(1e-4, 0, -3e-4, 1e-5)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        first, second = self.rows()
        self.assertEqual([(row["data"], row["model"], row["seeds"]) for row in (first, second)],
                         [("n0", "eta", "2"), ("n1", "eta", "2")])
        self.assertAlmostEqual(float(first["auc"]), 0.8)
        self.assertAlmostEqual(float(first["auc_difference"]), 1e-4)  # of -1e-4 and 3e-4
        self.assertAlmostEqual(float(first["auc_largest"]), 3e-4)
        self.assertAlmostEqual(float(first["gauc_difference"]), -1e-4)
        self.assertAlmostEqual(float(first["log_loss_difference"]), 0)
        self.assertAlmostEqual(float(first["largest_logit_difference"]), 0.03)
        self.assertAlmostEqual(float(second["auc_difference"]), -5e-6)
        models = json.loads((self.folder / "out" / "precision.json").read_text())["models"]
        self.assertEqual([one["seed"] for one in models], [0, 0, 1, 1])
        self.assertIn("| n0 | `eta` | 2 |", (self.folder / "out" / "precision.md").read_text())

    def test_the_limits_are_those_of_the_mean_and_of_one_model(self):
        for losses, code in (((2e-4, 2e-4), 0), ((2.2e-4, 2.2e-4), 1), ((4.9e-4, 0, 0), 0),
                             ((5.1e-4, 0, 0), 1), ((-5.1e-4, 0, 0), 1)):
            done = self.call(*losses)
            self.assertEqual(done.returncode, code, losses)
            self.assertEqual("TOO MUCH" in done.stderr, code == 1, done.stderr)
            self.assertEqual(len(self.rows()), min(len(losses), 2))

    def test_a_failure_leaves_no_tables_and_one_line(self):
        done = self.call(0, None)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done.stderr)
        self.assertIn("no such model", done.stderr)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
