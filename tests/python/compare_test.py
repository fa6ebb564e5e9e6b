#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/compare.py on measurements made up here. Exit code 77: SciPy is missing."""
import contextlib
import copy
import io
import json
import unittest
from typing import Any

import support

support.need("numpy", "scipy.stats", purpose="data")
import numpy as np

from eta_simd.command import BadInput
from eta_simd.experiments import compare
from eta_simd.experiments.measurements import Row

REQUEST_ROW: dict[str, Any] = {
    "method": "eta:64", "k": 64, "l_mean": 1024.0, "b": 256, "threads": 1,
    "cache": "warm", "recall": 0.34, "recall_ties": 0.35, "recall_p5": 0.2,
    "attention_mass": 0.9, "positions_digest": "00000000000000aa",
    "repeat_p50_us": [35.0 + 0.01 * i for i in range(9)]}
REQUESTS: dict[str, Any] = {
    "format": "eta-simd retrieval_bench 1", "rows": [REQUEST_ROW],
    "data": {"digest": "ab"}, "settings": {"seed": 1, "requests": 20, "held_out": 8}}


def sweep(*cells):
    """The JSON of a sweep whose cells are (values, rows)."""
    rows = [{**row, **{f"sweep_{axis}": value for axis, value in values.items()}}
            for values, part in cells for row in part]
    return {"format": "eta-simd retrieval_bench sweep 1", "sweep": {}, "rows": rows,
            "settings": {"data": "generated", "seed": 1, "requests": 20, "held_out": 8},
            "cells": [{"values": values, "data_digest": f"d{values['L']}", "rows": len(part)}
                      for values, part in cells]}


def request_row(factor=1.0, **more):
    return {**REQUEST_ROW, "repeat_p50_us": [factor * t for t in REQUEST_ROW["repeat_p50_us"]],
            **more}


def kernels(times, name="hamming/AVX2", **more):
    entries = [{"name": name, "run_name": name, "run_type": "iteration", "cpu_time": t,
                "time_unit": "us", **more} for t in times]
    aggregate = {"name": name + "_mean", "run_name": name, "run_type": "aggregate",
                 "cpu_time": 1e9, "time_unit": "us"}
    return {"context": {}, "benchmarks": entries + [aggregate]}


class Compare(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.random = np.random.default_rng(3)

    def write(self, name, run):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(run if isinstance(run, str) else json.dumps(run))
        return path

    def call(self, old, new, *arguments):
        """Exit code and what is printed for two files or folders."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = compare.main([str(old), str(new), *arguments])
        return code, out.getvalue()

    def compare_runs(self, old, new, *arguments):
        return self.call(self.write("old.json", old), self.write("new.json", new), *arguments)

    def times(self, factor=1.0, count=20, noise=0.01):
        return list(10 * factor * np.exp(noise * self.random.standard_normal(count)))

    def rounds(self, factor, drift, count=12):
        """Folders of `count` rounds on a machine whose speed drifts."""
        for number in range(count):
            speed = np.exp(drift * self.random.standard_normal())
            for side, by in (("old", speed), ("new", speed * factor)):
                times = self.times(by, 9)
                times[:6] = [3 * t for t in times[:6]]  # other load, most of the time
                self.write(f"{side}/{number:03}.json", kernels(times))
        return self.folder / "old", self.folder / "new"

    def test_names_what_is_slower_faster_and_the_same(self):
        for factor, verdict, code in ((1.3, "slower, fails", 1), (1.1, "slower", 0),
                                      (0.8, "faster", 0), (1.0, "same", 0)):
            got, text = self.compare_runs(kernels(self.times()), kernels(self.times(factor)))
            self.assertEqual(got, code, text)
            self.assertRegex(text, rf"hamming/AVX2 .* {verdict}\n")
        self.assertIn("10 us", text)  # the aggregate is not in it

    def test_says_so_when_it_cannot_tell(self):
        _, text = self.compare_runs(kernels(self.times(noise=0.3)), kernels(self.times(noise=0.3)))
        self.assertIn("undecided", text)
        code, text = self.compare_runs(kernels(self.times(count=4)), kernels(self.times(2, 4)))
        self.assertEqual(code, 0)
        self.assertIn("undecided", text)

    def test_takes_the_fast_end_of_each_round(self):
        code, text = self.call(*self.rounds(1.05, drift=0.01))
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"1\.0[45]\d .* slower\n")
        self.assertIn("12 paired rounds", text)
        code, text = self.call(*self.rounds(1.3, drift=0.01), "--list-slow")
        self.assertEqual((code, text), (1, "hamming/AVX2\n"))
        _, text = self.call(*self.rounds(1.0, drift=0.01))
        self.assertRegex(text, " same\n")
        _, text = self.call(*self.rounds(1.05, drift=0.5))
        self.assertRegex(text, r"1\.0[45]\d .* undecided\n")

    def test_takes_the_interval_from_the_ratio(self):
        old, new = ([Row([t], {}) for t in times] for times in
                    ([100.0] * 10, [109.0, 111.0] * 5))
        row = compare.compare_row("x", old, new)
        self.assertAlmostEqual(row.ratio, 1.1, places=3)
        self.assertLessEqual(1.09, row.low)
        self.assertLessEqual(row.low, row.ratio)
        self.assertLessEqual(row.ratio, row.high)
        self.assertLessEqual(row.high, 1.11)
        self.assertLess(row.p, 1e-3)  # no new time is below an old one

    def test_threshold_and_filter(self):
        old, new = kernels(self.times()), kernels(self.times(1.1))
        self.assertEqual(self.compare_runs(old, new, "--threshold", "0.05")[0], 1)
        with self.assertRaisesRegex(BadInput, "no rows in common"):
            self.compare_runs(old, new, "--filter", "^dot")

    def test_gates_what_is_returned_exactly(self):
        for key, value in (("recall", 0.3400001), ("positions_digest", "00000000000000ab"),
                           ("attention_mass", None), ("recall_ties", 0.36)):
            changed = copy.deepcopy(REQUESTS)
            changed["rows"][0][key] = value
            code, text = self.compare_runs(REQUESTS, changed)
            self.assertEqual(code, 1, text)
            self.assertIn(f"eta:64/L:1024/B:256/K:64/threads:1/warm: {key} ", text)
            self.assertEqual(self.compare_runs(REQUESTS, changed, "--list-slow"), (1, ""))
        code, text = self.compare_runs(REQUESTS, REQUESTS)
        self.assertEqual(code, 0)
        self.assertIn("same", text)
        self.assertEqual(self.compare_runs(REQUESTS, changed, "--returned")[0], 1)
        slow = copy.deepcopy(REQUESTS)
        slow["rows"][0]["repeat_p50_us"] = [70.0 + 0.01 * i for i in range(9)]
        self.assertEqual(self.compare_runs(REQUESTS, slow)[0], 1)
        self.assertEqual(self.compare_runs(REQUESTS, slow, "--returned"),
                         (0, "1 of 1 rows return the same\n"))
        older = copy.deepcopy(REQUESTS)
        del older["rows"][0]["positions_digest"]  # a version that had none
        self.assertEqual(self.compare_runs(older, REQUESTS)[0], 0)
        code, text = self.compare_runs(REQUESTS, older)  # but it must not get lost
        self.assertEqual(code, 1)
        self.assertIn("-> nothing", text)

    def test_says_that_machines_differ(self):
        elsewhere = copy.deepcopy(REQUESTS)
        elsewhere["environment"] = {"cpu": "another", "target": "AVX2"}
        self.assertIn("not on one machine: ", self.compare_runs(REQUESTS, elsewhere)[1])
        self.assertNotIn("not on one machine", self.compare_runs(REQUESTS, REQUESTS)[1])

    def test_an_error_in_a_later_repetition_counts(self):
        bad = kernels(self.times())
        last = [e for e in bad["benchmarks"] if e.get("run_type") != "aggregate"][-1]
        last.update(error_occurred=True, error_message="differs")
        self.assertEqual(self.compare_runs(kernels(self.times()), bad)[0], 1)

    def test_gates_checks_against_the_twin(self):
        bad = kernels([1.0], error_occurred=True, error_message="differs from the reference")
        code, text = self.compare_runs(kernels(self.times()), bad)
        self.assertEqual(code, 1)
        self.assertIn("error None -> differs from the reference", text)
        self.assertEqual(self.compare_runs(bad, kernels(self.times()))[0], 1)
        self.assertEqual(self.compare_runs(bad, bad)[0], 0)

    def test_pairs_the_rows_of_sweeps_by_method_and_cell(self):
        def run(slow=1.0, recall=0.34, order=1):
            cells = [({"L": 256, "k": 64}, [request_row(l_mean=256.0)]),
                     ({"L": 1024, "k": 64}, [request_row(slow), request_row(method="exact")])]
            return sweep(*cells[::order], ({"L": 1024, "k": 16}, [request_row(k=16,
                                                                              recall=recall)]))

        code, text = self.compare_runs(run(), run(order=-1))
        self.assertEqual(code, 0, text)
        self.assertIn("4 same, 0 undecided; nothing fails", text)
        code, text = self.compare_runs(run(), run(2.0), "--list-slow")
        self.assertEqual((code, text), (1, "eta:64/L:1024/B:256/K:64/threads:1/warm\n"))
        code, text = self.compare_runs(run(), run(recall=0.35), "--returned")
        self.assertEqual(code, 1)
        self.assertIn("eta:64/L:1024/B:256/K:16/threads:1/warm: recall 0.34 -> 0.35\n", text)
        # One that ran out of time.
        code, text = self.compare_runs(run(), sweep(({"L": 256, "k": 64},
                                                     [request_row(l_mean=256.0)])))
        self.assertEqual(code, 0)
        self.assertRegex(text, "not in all runs: .*L:1024/B:256/K:16")

    def test_tells_cells_apart_whose_rows_look_alike(self):
        old = sweep(*(({"L": length, "dim": dim}, [request_row(length * dim)])
                      for length in (1024, 4096) for dim in (16, 64)))
        new = copy.deepcopy(old)
        new["rows"][3] = request_row(3 * 4096 * 64, sweep_L=4096, sweep_dim=64)
        code, text = self.compare_runs(old, new)
        self.assertEqual(code, 1)
        self.assertIn("1 slower, 3 same", text)
        self.assertRegex(text, r"warm/sweep_L:4096/sweep_dim:64 .* 3\.000 .* slower, fails")
        self.assertIn("warm/sweep_dim:16 ", text)

    def test_refuses_sweeps_of_other_data(self):
        old = sweep(({"L": 1024}, [REQUEST_ROW]))
        other = copy.deepcopy(old)
        other["cells"][0]["data_digest"] = "x"
        with self.assertRaisesRegex(BadInput, "of data d1024 and x"):
            self.compare_runs(old, other)
        wrong: "tuple[tuple[str, Any, str], ...]" = (
            ("cells", [], "have 0 rows"), ("settings", None, "neither"),
            ("rows", [], "have 1 rows"))
        for key, value, text in wrong:
            with self.assertRaisesRegex(BadInput, text):
                self.compare_runs({**old, key: value}, old)
        seed = {**old, "settings": {**old["settings"], "seed": 2}}
        with self.assertRaisesRegex(BadInput, "not comparable"):
            self.compare_runs(old, seed)

    def test_prints_markdown(self):
        _, text = self.compare_runs(kernels(self.times()), kernels(self.times(1.3)), "--markdown")
        self.assertIn("| row | old | new | new/old | 95 % interval | p | verdict |\n| --- |", text)
        self.assertRegex(text, r"\| hamming/AVX2 \| [\d.]+ us \| 1\d us \| 1\.[23]\d* \|")
        self.assertIn("\n- one run each: 0 faster, 1 slower", text)

    def test_names_rows_that_are_missing(self):
        old, new = kernels(self.times()), kernels(self.times())
        new["benchmarks"] += kernels(self.times(), "dot/AVX2")["benchmarks"]
        self.assertIn("not in all runs: dot/AVX2", self.compare_runs(old, new)[1])

    def test_refuses_bad_input(self):
        good = self.write("good.json", REQUESTS)
        other = copy.deepcopy(REQUESTS)
        other["data"]["digest"] = "cd"
        bad = {"empty": "", "text": "no", "list": "[]", "object": "{}", "number": "1",
               "norows": json.dumps({**REQUESTS, "rows": []}), "other": json.dumps(other),
               "kernels": json.dumps(kernels(self.times())),
               "zero": json.dumps(kernels([0.0])), "nan": json.dumps(kernels([float("nan")])),
               "unit": json.dumps(kernels([1.0])).replace('"us"', '"h"'),
               "string": json.dumps(kernels(["x"]))}
        for name, content in bad.items():
            with self.assertRaises(BadInput, msg=name):
                self.call(good, self.write(f"{name}.json", content))
        for arguments in (["--threshold", "0"], ["--threshold", "x"], ["--filter", "("],
                          ["--nonsense"]):
            with self.assertRaises(BadInput, msg=str(arguments)):
                self.call(good, good, *arguments)
        with self.assertRaisesRegex(BadInput, "cannot be read"):
            self.call(good, self.folder / "none.json")
        (self.folder / "hollow").mkdir()
        with self.assertRaisesRegex(BadInput, "no .json files"):
            self.call(self.folder / "hollow", self.folder / "hollow")
        with self.assertRaisesRegex(BadInput, "expected as many"):
            old, _ = self.rounds(1, 0.1)
            self.call(old, good)


if __name__ == "__main__":
    unittest.main()
