#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of exported CTR models, on tiny data. Exit code 77: PyTorch or NumPy is missing."""
import shutil
import unittest
import warnings

import support
from ctr_support import TINY, TrainedTest

import numpy as np
import torch

import ctr_reference
from eta_simd.command import BadInput
from eta_simd.ctr import MODELS, RETRIEVALS, data, export, latency, train


class Export(TrainedTest):
    def test_every_model_matches_the_numpy_forward_pass(self):
        by_retrieval = {name: ("eta", "--retrieval", name if name == "exact" else f"{name}:24")
                        for name in RETRIEVALS[1:]}
        for name in (*MODELS, *by_retrieval):
            with self.subTest(name):
                out = self.folder / f"export-{name}"
                done = support.call("train_ctr.py", "--bundle", self.bundle, "--out", out,
                                    "--epochs", 1, *TINY, "--model",
                                    *by_retrieval.get(name, (name,)))
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.check_logits(out, name)
                self.check_restored(out)

    def check_restored(self, out):
        """The model that is read back, as it is and compiled, has the exported logits."""
        model, _ = export.restore(out)
        _, arrays = export.load(out)
        bundle = data.load_bundle(out / "bundle", 1)
        with warnings.catch_warnings():  # TorchScript is deprecated, and used where it works
            warnings.simplefilter("ignore")
            forms = [latency.in_form(model, form) for form in ("eager", "torchscript")
                     if form == "eager" or hasattr(torch.jit, "script")]
        for row in range(0, len(arrays["samples"]), 11):
            user, begin, end, item, _ = (int(value) for value in arrays["samples"][row])
            history = bundle.items[bundle.offsets[user]:bundle.offsets[user + 1]][begin:end]
            window = torch.from_numpy(history.astype(np.int64)).unsqueeze(0)
            # Not optimised: TorchScript of PyTorch 2.6 and later takes minutes for all models.
            for form in forms:
                with torch.inference_mode(), torch.jit.optimized_execution(False):
                    logits, _ = form(torch.tensor([user]), window, torch.tensor([[end - begin]]),
                                     torch.tensor([[item]]))
                self.assertAlmostEqual(float(logits), float(arrays["logits"][row]), delta=1e-5)

    def reexport(self, model, bundle, out, *more):
        return support.call("reexport.py", "--model", model, "--bundle", bundle, "--out", out,
                            *more)

    def test_reexport_of_the_same_bundle_changes_nothing(self):
        for name in ("eta", "sim_soft", "mimn"):
            with self.subTest(name):
                first, second = self.folder / f"first-{name}", self.folder / f"second-{name}"
                done = support.call("train_ctr.py", "--bundle", self.bundle, "--model", name,
                                    "--out", first, "--epochs", 1, *TINY)
                self.assertEqual(done.returncode, 0, done.stderr)
                length = export.load(first)[0]["settings"]["max_history"]
                done = self.reexport(first, self.bundle, second, "--max-history", length)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                before, after = export.load(first), export.load(second)
                for part in ("settings", "weights", "test", "model", "seed"):
                    self.assertEqual(before[0][part], after[0][part])
                for array, values in before[1].items():
                    if array == "logits":
                        np.testing.assert_allclose(values, after[1][array], atol=1e-6)
                    else:
                        np.testing.assert_array_equal(values, after[1][array], array)

    def test_reexport_reads_longer_histories_and_refuses_other_items(self):
        first, longer = self.folder / "short", self.folder / "longer"
        done = support.call("train_ctr.py", "--bundle", self.bundle, "--model", "eta", "--out",
                            first, "--epochs", 1, *TINY)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.reexport(first, self.bundle, longer, "--max-history", 4096)
        self.assertEqual(done.returncode, 0, done.stderr)
        manifest, arrays = export.load(longer)
        self.assertEqual(manifest["settings"]["max_history"], 4096)
        self.assertFalse((arrays["samples"][:, 1] > 0).any())
        self.check_logits(longer, "eta", is_cut=False)

        other = self.folder / "other"
        shutil.copytree(self.bundle, other)
        categories = np.load(other / "item_categories.npy")
        categories[0] += 1
        np.save(other / "item_categories.npy", categories)
        for bundle, fault in ((other, "items are of other categories"),
                              (self.folder / "absent", "not a folder")):
            done = self.reexport(first, bundle, self.folder / "never")
            self.assertEqual(done.returncode, 2)
            self.assertIn(fault, done.stderr)
            self.assertFalse((self.folder / "never").exists())

    def check_logits(self, out, name, is_cut=True):
        manifest, arrays = export.load(out)
        self.assertEqual(manifest["model"], name)
        bundle = data.load_bundle(out / "bundle", 1)
        samples = arrays["samples"]
        self.assertEqual((samples[:, 1] > 0).any(), is_cut)  # some histories, or none
        for row in range(0, len(samples), 7):
            user, begin, end, item, _ = samples[row]
            history = bundle.items[bundle.offsets[user]:bundle.offsets[user + 1]][begin:end]
            self.assertLessEqual(len(history), manifest["settings"]["max_history"])
            expected = ctr_reference.logit(name, bundle.embeddings, bundle.categories, arrays,
                                           manifest["settings"], user, history, item)
            self.assertAlmostEqual(float(arrays["logits"][row]), expected, delta=1e-5)

    def test_empty_history(self):
        for name in ("none", "avg_pool", "full_attention", "eta", "sdim", "mimn"):
            with self.subTest(name):
                bundle, options, model = self.fitted(name)
                rows = np.array([3, 30])
                bundle.samples[rows, data.END] = 0
                logits = train.predict(model, bundle, rows, options)
                weights = export.weights_of(model)
                for row, logit in zip(bundle.samples[rows], logits):
                    expected = ctr_reference.logit(
                        name, model.table.numpy(), bundle.categories, weights,
                        export.settings_of(model, options), row[data.USER],
                        np.zeros(0, int), row[data.ITEM])
                    self.assertAlmostEqual(float(logit), expected, delta=1e-5)

    def test_exported_tables_follow_from_the_item_table(self):
        _, _, model = self.fitted("twin")
        weights, table = export.weights_of(model), model.table.numpy().astype(float)
        for side, matrix in (("twin_queries", "long_query"), ("twin_keys", "long_key")):
            exact = table @ weights[matrix].astype(float)
            exact *= 127 / np.abs(exact).max()
            self.assertEqual(np.abs(weights[side].astype(int)).max(), 127)
            self.assertLess(np.abs(weights[side] - exact).max(), 0.501)
        _, _, model = self.fitted("reformer_lsh")
        weights, table = export.weights_of(model), model.table.numpy().astype(float)
        for r in range(3):
            turned = table @ weights["rotations"][r].astype(float)
            scores = np.concatenate([turned, -turned], axis=1)
            chosen = np.take_along_axis(scores, weights["item_buckets"][:, r:r + 1], axis=1)[:, 0]
            self.assertLess((scores.max(axis=1) - chosen).max(), 1e-5)
        self.assertGreater(len(np.unique(weights["item_buckets"])), 3)

    def test_exported_codes_are_those_of_the_exported_table(self):
        bundle, options, model = self.fitted("eta")
        rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)
        (self.folder / "eta").mkdir()
        export.write_model(self.folder / "eta", model, bundle, options, rows, {})
        _, arrays = export.load(self.folder / "eta")
        table = np.load(self.folder / "eta" / "bundle" / "item_embeddings.npy").astype(float)
        planes = np.load(self.folder / "eta" / "bundle" / "hyperplanes.npy").astype(float)
        projections = table @ planes
        bits = np.unpackbits(arrays["item_codes"], axis=1, bitorder="little")
        self.assertEqual(bits.shape, (len(table), 24))
        self.assertFalse(bits[:, 20:].any())
        clear = np.abs(projections) > 1e-5
        self.assertGreater(clear.mean(), 0.99)
        np.testing.assert_array_equal(bits[:, :20][clear], (projections > 0)[clear])

    def test_loader_refuses_a_wrong_shape_or_type(self):
        bundle, options, model = self.fitted("none")
        out = self.folder / "damaged"
        out.mkdir()
        export.write_model(out, model, bundle, options, np.arange(8), {})
        wide = out / "weights" / "wide.npy"
        for dtype, length in ((np.float32, 2), (np.float64, 1)):
            np.save(wide, np.ones(length, dtype))
            with self.assertRaisesRegex(BadInput, "wide.npy"):
                export.load(out)
        (out / "manifest.json").write_text('{"format": "eta-ctr", "version": 1}')
        with self.assertRaisesRegex(BadInput, "manifest.json"):
            export.load(out)

    def test_snapshots(self):
        out = self.folder / "snapshots"
        done = support.call("train_ctr.py", "--bundle", self.bundle, "--model", "eta", "--out",
                            out, "--epochs", 1, "--export-every", 2, *TINY)
        self.assertEqual(done.returncode, 0, done.stderr)
        first, second = (export.load(out / "snapshots" / f"step_{step:06}")[1]["item_codes"]
                         for step in (0, 2))
        self.assertTrue((first != second).any())


if __name__ == "__main__":
    unittest.main()
