#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/equal_auc.py. Exit code 77: a Python package is missing."""
import csv
import json
import unittest

import support

support.need("matplotlib", "scipy.stats", purpose="plot")
import scipy.stats

from eta_simd.command import BadInput
from eta_simd.experiments.equal_auc import choices


def rows_of(retrieval, aucs, microseconds, k=64):
    return [{"retrieval": retrieval, "k": k, "auc": auc, "gauc": auc, "log_loss": 1 - auc,
             "request_p50_us": microseconds} for auc in aucs]


EXACT = [0.70, 0.80, 0.90]


class Choices(unittest.TestCase):
    def compare(self, *parts):
        runs = choices.runs_of({"rows": sum(parts, [])}, "here")
        return {row["retrieval"]: row for row in choices.compare(runs, "set")}

    def test_the_interval_is_that_of_the_paired_t_test(self):
        ours = [0.7010, 0.8004, 0.9007]
        low, high = choices.interval([a - b for a, b in zip(ours, EXACT)])
        expected = scipy.stats.ttest_rel(ours, EXACT).confidence_interval()
        self.assertAlmostEqual(low, expected.low)
        self.assertAlmostEqual(high, expected.high)

    def test_the_cheapest_of_those_that_are_not_worse(self):
        # Models differ far more than retrievals: only pairing tells them apart.
        rows = self.compare(rows_of("exact", EXACT, 30), rows_of("worse", [0.69, 0.79, 0.89], 10),
                            rows_of("equal", [0.7001, 0.80, 0.8999], 20),
                            rows_of("dear", [0.71, 0.81, 0.91], 25),
                            rows_of("open", [0.70, 0.79, 0.905], 5))
        self.assertEqual({name: row["verdict"] for name, row in rows.items()},
                         {"exact": "-", "worse": "worse", "equal": "equal or better",
                          "dear": "equal or better", "open": "not shown"})
        self.assertEqual([name for name, row in rows.items() if row["cheapest"]], ["equal"])

    def test_exact_wins_where_nothing_cheaper_is_equal(self):
        rows = self.compare(rows_of("exact", EXACT, 30), rows_of("worse", [0.69, 0.79, 0.89], 10))
        self.assertEqual(rows["exact"]["cheapest"], "yes")

    def test_one_seed_has_no_verdict(self):
        rows = self.compare(rows_of("exact", [0.7], 30), rows_of("eta:16", [0.7], 10))
        self.assertEqual(rows["eta:16"]["verdict"], "one seed")

    def test_refuses_what_is_no_result(self):
        for rows in ([], rows_of("eta:16", EXACT, 1), [{"retrieval": "exact"}], [1],
                     rows_of("exact", EXACT, 1) + rows_of("eta:16", EXACT[:2], 1)):
            with self.assertRaises(BadInput):
                choices.runs_of({"rows": rows}, "here")


BENCH = """#!/usr/bin/python3
import json, pathlib, sys
names = sys.argv[sys.argv.index("--retrieval") + 1].split(",")
k = int(sys.argv[sys.argv.index("--k") + 1])
rows = [{"retrieval": name, "k": k, "auc": 0.7 + seed / 10, "gauc": 0.7, "log_loss": 0.6,
         "request_p50_us": len(name)} for seed in range(2) for name in names]
pathlib.Path(sys.argv[-1]).write_text(json.dumps({"rows": rows}))
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
