#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of torch_latency.py: which form of the forward pass is timed. Exit code 77: PyTorch or
NumPy is missing."""
import json
import pathlib
import time
import unittest
import warnings
from unittest import mock

import support
from ctr_support import TINY, TrainedTest

from eta_simd.command import BadInput
from eta_simd.ctr import latency

SHORT = ("--candidates", "5", "--length", "12", "--requests", "3", "--warm-up", "3")


class Latency(TrainedTest):
    model: pathlib.Path

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.folder / "eta"
        done = support.call("train_ctr.py", "--bundle", cls.bundle, "--model", "eta", "--out",
                            cls.model, "--epochs", 0, *TINY)
        if done.returncode:
            raise AssertionError(done.stderr)

    def measured(self, *extra):
        options = latency.parse_options(["--model", str(self.model), *SHORT, *extra])
        return latency.measure(options)

    def test_command(self):
        done = support.call("torch_latency.py", "--model", self.model, *SHORT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        row = json.loads(done.stdout)
        self.assertEqual(row["model"], "eta")
        self.assertEqual(row["form"], min(row["forms_us"], key=row["forms_us"].get))
        self.assertEqual(sorted([*row["forms_us"], *row["missing_forms"]]), sorted(latency.FORMS))
        self.assertGreater(row["p50_us"], 0)

    def test_the_fastest_form_is_timed(self):
        clock = [0]

        def in_form(model, form):
            def call(*arguments):
                clock[0] += 20000 if form == "eager" else 10000
                warnings.warn("deprecated")
                return model(*arguments)
            return call

        with mock.patch.object(latency, "in_form", in_form), \
                mock.patch("time.perf_counter_ns", lambda: clock[0]), \
                warnings.catch_warnings(record=True) as caught:
            row = self.measured("--forms", "eager,compiled")
        self.assertEqual(caught, [])
        self.assertEqual((row["form"], row["missing_forms"]), ("compiled", {}))
        self.assertEqual(row["forms_us"], {"eager": 20, "compiled": 10})
        self.assertEqual(row["p50_us"], 10)

    def test_a_form_that_fails_or_takes_too_long_is_left_out(self):
        def in_form(model, form):
            if form == "torchscript":
                raise RuntimeError("gone\nfor good")
            if form == "compiled":
                time.sleep(60)
            return model

        with mock.patch.object(latency, "in_form", in_form):
            row = self.measured("--limit", "1")
            self.assertEqual(row["form"], "eager")
            self.assertEqual(row["missing_forms"],
                             {"torchscript": "gone", "compiled": "not ready after 1 s"})
            with self.assertRaisesRegex(BadInput, "torchscript: gone"):
                self.measured("--forms", "torchscript")

    def test_refuses(self):
        done = support.call("torch_latency.py", "--model", self.model, "--forms", "eager,jit")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("--forms: jit is not one of eager, torchscript, compiled", done.stderr)


if __name__ == "__main__":
    unittest.main()
