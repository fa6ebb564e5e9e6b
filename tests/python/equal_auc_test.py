#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/equal_auc.py. Exit code 77: a Python package is missing."""
import csv
import json
import unittest

import support

support.need("matplotlib", "numpy", purpose="plot")
import numpy as np

from eta_simd.command import BadInput
from eta_simd.ctr.metrics import auc
from eta_simd.experiments import intervals
from eta_simd.experiments.equal_auc import choices


USERS = np.repeat(np.arange(200), 10)
LABELS = np.random.default_rng(1).integers(0, 2, len(USERS))
SAMPLES = {name: USERS.tolist() for name in ("users", "items", "ends")}
SAMPLES["labels"] = LABELS.tolist()


def rows_of(retrieval, shifts, microseconds, k=64, noise=0.0):
    """A row of ctr_bench --logits for each of `shifts`, by which labels move the logits of a model;
    models differ far more than retrievals."""
    rows = []
    for seed, shift in enumerate(shifts):
        random = np.random.default_rng(seed)
        logits = shift * LABELS + random.standard_normal(len(USERS))
        logits += noise * random.standard_normal(len(USERS))
        value = auc(LABELS, logits)
        rows.append({"retrieval": retrieval, "k": k, "auc": value, "gauc": value,
                     "log_loss": 1 - value, "request_p50_us": microseconds, "samples": 0,
                     "logits": logits.tolist()})
    return rows


EXACT = [0.5, 1.0, 1.5]


class Choices(unittest.TestCase):
    def compare(self, *parts):
        runs = choices.runs_of({"rows": sum(parts, []), "samples": [SAMPLES]}, "here")
        return {row["retrieval"]: row for row in choices.compare(runs, "set")}

    def test_the_interval_is_that_of_the_mean_of_paired_draws(self):
        rows = self.compare(rows_of("exact", EXACT, 30), rows_of("eta:8", EXACT, 9, noise=0.1))
        runs = [rows_of(name, EXACT, 1, noise=noise) for name, noise in (("a", 0), ("b", 0.1))]
        draws = [[intervals.auc_draws(USERS, LABELS, np.array(row["logits"])) for row in part]
                 for part in runs]
        expected = np.percentile(np.mean(draws[1], axis=0) - np.mean(draws[0], axis=0),
                                 [2.5, 97.5])
        np.testing.assert_allclose([rows["eta:8"]["low"], rows["eta:8"]["high"]], expected)
        self.assertLess(expected[0], rows["eta:8"]["auc_difference"])
        self.assertLess(rows["eta:8"]["auc_difference"], expected[1])

    def test_the_cheapest_of_those_that_are_not_worse(self):
        rows = self.compare(rows_of("exact", EXACT, 30),
                            rows_of("worse", [0.4, 0.9, 1.4], 10),
                            rows_of("near", EXACT, 20, noise=1e-6),
                            rows_of("slow", [0.6, 1.1, 1.6], 25),
                            rows_of("open", EXACT, 5, noise=0.05))
        self.assertEqual({name: row["verdict"] for name, row in rows.items()},
                         {"exact": "-", "worse": "worse", "near": "not worse",
                          "slow": "not worse", "open": "not shown"})
        self.assertEqual([name for name, row in rows.items() if row["cheapest"]], ["near"])

    def test_exact_wins_where_nothing_cheaper_is_shown_not_to_be_worse(self):
        rows = self.compare(rows_of("exact", EXACT, 30), rows_of("worse", [0.4, 0.9, 1.4], 10))
        self.assertEqual(rows["exact"]["cheapest"], "yes")

    def test_one_model_has_an_interval_over_its_users(self):
        rows = self.compare(rows_of("exact", [1.0], 30), rows_of("eta:16", [0.8], 10))
        self.assertEqual(rows["eta:16"]["verdict"], "worse")

    def test_refuses_what_is_no_result(self):
        good = rows_of("exact", EXACT, 1)
        for rows in ([], rows_of("eta:16", EXACT, 1), [{"retrieval": "exact"}], [1],
                     good + rows_of("eta:16", EXACT[:2], 1),
                     [{**good[0], "logits": None}], [{**good[0], "logits": [1.0]}],
                     [{**good[0], "samples": 1}]):
            with self.assertRaises(BadInput):
                choices.runs_of({"rows": rows, "samples": [SAMPLES]}, "here")


BENCH = """#!/usr/bin/python3
import json, pathlib, sys
names = sys.argv[sys.argv.index("--retrieval") + 1].split(",")
k = int(sys.argv[sys.argv.index("--k") + 1])
assert "--logits" in sys.argv
rows = [{"retrieval": name, "k": k, "auc": 0.7 + seed / 10, "gauc": 0.7, "log_loss": 0.6,
         "request_p50_us": len(name), "samples": 0, "logits": [0.1, 0.2, 0.3, 0.4]}
        for seed in range(2) for name in names]
pathlib.Path(sys.argv[-1]).write_text(json.dumps({"rows": rows, "samples": [
    {"users": [0, 0, 1, 1], "items": [1, 2, 3, 4], "ends": [1, 1, 1, 1], "labels": [0, 1, 0, 1]}]}))
"""


class EndToEnd(support.FolderTest):
    def call(self, *arguments):
        bench = self.folder / "bench"
        bench.write_text(BENCH)
        bench.chmod(0o755)
        return support.call("equal_auc.py", "--results", self.folder / "out", "--ctr-bench", bench,
                            *arguments)

    def test_writes_tables_and_a_picture(self):
        done = self.call("--data", "one", 256, "a", "b", "--data", "two", 64, "a", "b", "--k",
                         "16,64", "--retrieval", "eta:8,exact")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with open(self.folder / "out" / "equal_auc.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(r["data"], r["k"], r["retrieval"], r["seeds"]) for r in rows],
                         [(d, k, r, "2") for d in ("one", "two") for k in ("16", "64")
                          for r in ("eta:8", "exact")])
        self.assertTrue(all(r["cheapest"] == "yes" for r in rows if r["retrieval"] == "eta:8"))
        loaded = json.loads((self.folder / "out" / "equal_auc.json").read_text())
        self.assertEqual(len(loaded["rows"]), 8)
        self.assertGreater((self.folder / "out" / "equal_auc.png").stat().st_size, 1000)

    def test_bad_arguments(self):
        for arguments, word in ((("--data", "one", "256"), "NAME LENGTH MODEL"),
                                (("--data", "one", "x", "a"), "'x'"),
                                (("--data", "one", "1", "a", "--k", "0"), "'0'"),
                                (("--data", "one", "1", "a", "--retrieval", "eta:8"), "exact")):
            done = self.call(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(word, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
