#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of training CTR models, on tiny data. Exit code 77: PyTorch or NumPy is missing."""
import unittest

import support
from ctr_support import PLANTED, TrainedTest, options_of

import numpy as np
import torch

from eta_simd.ctr import MODELS, attention, data, metrics, train, units


class Training(TrainedTest):
    def test_same_seed_same_logits(self):
        rows = np.arange(200)
        logits = []
        for seed in (1, 1, 2):
            bundle, options, model = self.fitted("eta", "--seed", seed)
            logits.append(train.predict(model, bundle, rows, options))
        np.testing.assert_array_equal(logits[0], logits[1])
        self.assertTrue((logits[0] != logits[2]).any())

    def test_neither_padding_nor_the_future_reaches_a_logit(self):
        for name in MODELS:
            for training in (False, True):
                with self.subTest(name, training=training):
                    bundle, _, model = self.fitted(name)
                    model.train(training)
                    rows = np.flatnonzero(bundle.samples[:, data.END] < 45)[:60]
                    groups = data.exact_groups(bundle.samples, rows, 64, 4)
                    batch = data.make_batch(bundle, groups)
                    batch.window = np.pad(batch.window, ((0, 0), (0, 3)))
                    with torch.no_grad():
                        before = train.run(model, batch)[0].numpy()
                        outside = np.arange(batch.window.shape[1]) >= batch.ends.max(1)[:, None]
                        self.assertTrue(outside.any(axis=1).all())
                        batch.window[outside] = np.arange(outside.sum()) % bundle.num_items
                        after = train.run(model, batch)[0].numpy()
                        # Sample 0 of each group also knows nothing of what its group's last sees.
                        future = np.arange(batch.window.shape[1]) >= batch.ends[:, :1]
                        batch.window[future] = (batch.window[future] + 1) % bundle.num_items
                        changed = train.run(model, batch)[0].numpy()
                    np.testing.assert_array_equal(before[batch.real], after[batch.real])
                    np.testing.assert_array_equal(before[:, 0], changed[:, 0])
                    self.assertTrue((before != changed).any())

    def test_masked_and_gathered_attention_agree(self):
        torch.manual_seed(1)
        unit = attention.TargetAttention(8, 2)
        for parameter in unit.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        rows, targets = torch.randn(3, 11, 8), torch.randn(3, 4, 8)
        valid = torch.rand(3, 4, 11) < 0.6
        valid[0, 0] = False
        positions, found = attention.top_k(torch.zeros(3, 4, 11).double(), valid, 11)
        ours = unit.masked(targets, rows, valid)
        theirs = unit.gathered(targets, rows, positions, found)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
        self.assertTrue((ours[0, 0] == 0).all())
        ours.sum().backward()
        self.assertTrue(all(p.grad.isfinite().all() for p in unit.parameters()))

    def test_ties_go_to_the_newest(self):
        scores = torch.tensor([[[1., 3., 3., 0., 3.]]]).double()
        valid = torch.tensor([[[True, True, True, True, False]]])
        positions, found = attention.top_k(scores, valid, 4)
        self.assertEqual(positions[0, 0].tolist(), [2, 1, 0, 3])
        self.assertEqual(attention.top_k(scores, valid, 5)[1][0, 0].tolist(), [True] * 4 + [False])

    def test_full_attention_learns_and_none_is_blind(self):
        found = {}
        for name in ("none", "full_attention"):
            bundle, options, _ = self.fitted("none")
            options = options_of(self.big(), name, "--epochs", 4, "--max-history", 64, "--cost",
                                 8000)
            bundle = data.load_bundle(self.big(), 1)
            rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)
            model, _ = train.fit(bundle, options)
            found[name] = metrics.quality(bundle.samples[rows], train.predict(
                model, bundle, rows, options))["auc"]
        self.assertLess(abs(found["none"] - 0.5), 0.06, found)
        self.assertGreater(found["full_attention"], 0.65, found)

    def big(self):
        path = self.folder / "big"
        if not path.exists():
            done = support.call("make_planted.py", "--out", path, *PLANTED, "--users", 1500)
            self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def test_test_samples_never_reach_the_weights(self):
        for name in ("none", "sim_soft"):
            states = []
            for is_changed in (False, True):
                bundle = data.load_bundle(self.bundle, 1)
                test = bundle.samples[:, data.SPLIT] == data.TEST
                if is_changed:
                    bundle.samples[test, data.LABEL] ^= 1
                    bundle.samples[test, data.ITEM] = (
                        bundle.samples[test, data.ITEM] + 1) % bundle.num_items
                options = options_of(self.bundle, name, "--epochs", 4, "--patience", 4)
                states.append(train.fit(bundle, options)[0].state_dict())
            for key, value in states[0].items():
                self.assertTrue(torch.equal(value, states[1][key]), f"{name}: {key}")

    def test_codes_are_of_the_embeddings_before_each_step(self):
        tables: list = []

        def on_step(step, model):
            if step:
                self.assertTrue(torch.equal(model.long.signs, units.signs_of(
                    tables[-1], model.long.hyperplanes)), step)
            tables.append(model.item_table().detach().clone())

        bundle = data.load_bundle(self.bundle, 1)
        train.fit(bundle, options_of(self.bundle, "eta", "--epochs", 1), on_step)
        self.assertGreater(len(tables), 2)

    def test_sim_soft_keeps_the_auxiliary_index(self):
        bundle, options, model = self.fitted("sim_soft")
        table = train.auxiliary_table(bundle, options)
        self.assertTrue(torch.equal(model.long.index, units.to_int8(torch.from_numpy(table))))


if __name__ == "__main__":
    unittest.main()
