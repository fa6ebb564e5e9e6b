#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of torch_latency.py: the forms of the forward pass, and which is timed. Exit code 77:
PyTorch or NumPy is missing."""
import json
import math
import pathlib
import sys
import time
import types
import unittest
import warnings
from typing import Any, Tuple
from unittest import mock

import support
from ctr_support import TINY, TrainedTest

import torch

from eta_simd.command import BadInput
from eta_simd.ctr import forms, latency

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
        self.assertEqual(list(row["logit_differences"]), list(row["forms_us"]))
        for form, found in row["logit_differences"].items():
            self.assertLessEqual(found, forms.TOLERANCES[forms.FORMS[form][1]], form)
        self.assertGreater(row["min_us"], 0)
        self.assertGreaterEqual(row["p50_us"], row["min_us"])
        self.assertGreater(row["processor_min_us"], 0)
        self.assertGreaterEqual(row["processor_p50_us"], row["processor_min_us"])

    def test_the_fastest_form_is_timed(self):
        clock = [0]

        def in_form(model, form, _):
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
        def in_form(model, form, _):
            if form == "torchscript":
                raise RuntimeError("gone\nfor good")
            if form == "compiled":
                time.sleep(60)
            return model

        with mock.patch.object(latency, "in_form", in_form):
            row = self.measured("--limit", "1", "--forms", "eager,torchscript,compiled")
            self.assertEqual(row["form"], "eager")
            self.assertEqual(row["missing_forms"],
                             {"torchscript": "gone", "compiled": "not ready after 1 s"})
            with self.assertRaisesRegex(BadInput, "torchscript: gone"):
                self.measured("--forms", "torchscript")

    def test_a_form_of_other_logits_is_left_out(self):
        def in_form(model, form, _):
            off = {"eager": 0, "torchscript": 0.002, "eager_bfloat16": 0.2, "eager_int8": 0.3,
                   "torchscript_int8": math.nan}[form]
            return lambda *arguments: (model(*arguments)[0] + off, None)

        with mock.patch.object(latency, "in_form", in_form):
            row = self.measured("--forms", "eager,torchscript,eager_bfloat16,eager_int8,"
                                "torchscript_int8")
        self.assertEqual(list(row["forms_us"]), ["eager", "eager_bfloat16"])
        self.assertAlmostEqual(row["logit_differences"]["eager_bfloat16"], 0.2, places=3)
        self.assertEqual(row["missing_forms"], {
            "torchscript": "logits differ by 0.002 from float32 (up to 0.001)",
            "eager_int8": "logits differ by 0.3 from float32 (up to 0.25)",
            "torchscript_int8": "logits differ by nan from float32 (up to 0.25)"})

    def test_refuses(self):
        done = support.call("torch_latency.py", "--model", self.model, "--forms", "eager,jit")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("--forms: jit is not one of eager, torchscript, compiled, eager_bfloat16",
                      done.stderr)


class Forms(unittest.TestCase):
    """Of a small stand-in for a model."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))
            self.mlp = torch.nn.Linear(8, 1)

        def forward(self, users: torch.Tensor, window: torch.Tensor, ends: torch.Tensor,
                    candidates: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
            rows = torch.nn.functional.one_hot(candidates % 8, 8).to(self.scale.dtype)
            return self.mlp(rows * self.scale + window.sum()).squeeze(2), torch.zeros(())

    def setUp(self):
        torch.manual_seed(1)
        self.model = self.Model()
        self.example = (torch.zeros(1, dtype=torch.int64), torch.arange(5).unsqueeze(0),
                        torch.full((1, 3), 5), torch.arange(3).unsqueeze(0))

    def test_have_the_precision_of_their_name(self):
        exact = forms.logits_of(self.model(*self.example))
        for form in ("eager_bfloat16", "torchscript_bfloat16", "eager_int8", "torchscript_int8"):
            if "int8" in form and "none" == torch.backends.quantized.engine:
                continue
            narrow = forms.in_form(self.model, form, self.example)
            with torch.inference_mode():
                found = forms.difference(narrow, self.model, [self.example])
            self.assertGreater(found, 0, form)
            self.assertLess(found, 0.1 * float(exact.abs().max()), form)
            self.assertEqual(self.model.mlp.weight.dtype, torch.float32)  # left as it was

    def test_onnx_runtime_gets_the_threads_and_the_inputs_that_the_graph_has(self):
        runtime: Any = types.ModuleType("onnxruntime")
        quantization: Any = types.ModuleType("quantization")
        runtime.SessionOptions = types.SimpleNamespace
        made = []

        class Session:
            def __init__(self, path, settings, providers):
                self.text = pathlib.Path(path).read_text(encoding="utf-8")
                made.append((self.text, settings.intra_op_num_threads, providers))

            def get_inputs(self):
                return [types.SimpleNamespace(name=name) for name in ("candidates", "window")]

            def run(self, _, inputs):
                return [inputs["candidates"] + inputs["window"].sum() + len(inputs)]

        def quantize(exact, narrow, **_):
            pathlib.Path(narrow).write_text(pathlib.Path(exact).read_text(encoding="utf-8") + "8",
                                            encoding="utf-8")

        def export(model, example, path, **_):
            pathlib.Path(path).write_text("graph", encoding="utf-8")

        runtime.InferenceSession = Session
        quantization.QuantType = types.SimpleNamespace(QInt8=1)
        quantization.quantize_dynamic = quantize
        with mock.patch.dict(sys.modules, {"onnxruntime": runtime,
                                           "onnxruntime.quantization": quantization}), \
                mock.patch("torch.onnx.export", export), \
                mock.patch("torch.get_num_threads", lambda: 3):
            for form, text in (("onnx", "graph"), ("onnx_int8", "graph8")):
                call = forms.in_form(self.model, form, self.example)
                self.assertEqual(made.pop(), (text, 3, ["CPUExecutionProvider"]))
                self.assertEqual(forms.logits_of(call(*self.example)).tolist(),
                                 [[12.0, 13.0, 14.0]])


if __name__ == "__main__":
    unittest.main()
