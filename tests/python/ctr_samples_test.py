#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the labelled samples of a bundle and of the quality measures. Exit code 77: NumPy is
missing."""
import tempfile
import unittest
from pathlib import Path

import support

support.need("numpy", purpose="data")
import numpy as np

from eta_simd.command import BadInput
from eta_simd.ctr import data, metrics


class Samples(unittest.TestCase):
    def bundle(self, times):
        items = np.arange(40) % 20
        bundle = data.Bundle(np.zeros((60, 4), np.float32), np.zeros(60, np.int64), False,
                             np.array([0, 20, 40]), items, times, np.empty((0, 5), np.int32), {})
        bundle.samples = data.derive_samples(bundle, 3, 2)
        return bundle

    def test_history_is_strictly_earlier(self):
        times = np.tile(np.repeat(np.arange(10), 2), 2)
        bundle = self.bundle(times)
        positives = bundle.samples[bundle.samples[:, data.LABEL] == 1]
        self.assertEqual(len(positives), 36)  # the first two of each user have no history
        for user, end, item, _, split in positives:
            own = times[20 * user:20 * user + 20]
            at = own[item]
            self.assertEqual(end, (own < at).sum())
            self.assertEqual(split, 0 if at < 8 else at - 7)

    def test_splits_follow_time(self):
        samples = self.bundle(None).samples
        for user in (0, 1):
            own = samples[samples[:, data.USER] == user]
            ends = [own[own[:, data.SPLIT] == split, data.END] for split in range(3)]
            self.assertLess(ends[0].max(), ends[1].min())
            self.assertLess(ends[1].max(), ends[2].min())

    def test_negatives_are_seeded_and_not_met_so_far(self):
        bundle = self.bundle(None)
        samples = data.derive_samples(bundle, 3, 20)
        negatives = samples[samples[:, data.LABEL] == 0]
        self.assertEqual(len(negatives), 20 * 38)
        for split, known in ((data.TRAIN, 16), (data.VALIDATION, 18), (data.TEST, 20)):
            drawn = negatives[negatives[:, data.SPLIT] == split, data.ITEM]
            self.assertGreaterEqual(drawn.min(), known)
        training = negatives[negatives[:, data.SPLIT] == data.TRAIN, data.ITEM]
        self.assertTrue((training < 20).any())  # what is met later is no taboo
        np.testing.assert_array_equal(bundle.samples, data.derive_samples(bundle, 3, 2))
        self.assertTrue((bundle.samples != data.derive_samples(bundle, 4, 2)).any())

    def test_training_samples_do_not_depend_on_the_future(self):
        bundle = self.bundle(None)
        splits = bundle.samples[bundle.samples[:, data.LABEL] == 1][:, [data.USER, data.END,
                                                                        data.SPLIT]]
        for split, first in ((data.TRAIN, 16), (data.VALIDATION, 18)):
            self.assertEqual(splits[splits[:, 2] == split, 1].max() + 1, first)
            changed = self.bundle(None)
            changed.items = changed.items.copy()
            for user in (0, 1):
                changed.items[20 * user + first:20 * user + 20] = 40 + user
            rows = [s[s[:, data.SPLIT] <= split] for s in
                    (data.derive_samples(bundle, 3, 20), data.derive_samples(changed, 3, 20))]
            np.testing.assert_array_equal(*rows)

    def test_negatives_follow_the_popularity_of_training(self):
        items = np.arange(2000) % 100 + 10          # 50 users of 40, evenly popular ...
        items[np.arange(2000) % 40 < 8] = 1         # ... but item 1 often in training,
        items[np.arange(2000) % 40 >= 36] = 2       # and item 2 in the test part alone
        items[:40] = np.arange(40) + 10             # user 0 meets neither
        bundle = data.Bundle(np.zeros((120, 4), np.float32), np.zeros(120, np.int64), False,
                             np.arange(0, 2001, 40), items, None, np.empty((0, 5), np.int32), {})
        samples = data.derive_samples(bundle, 3, 20)
        drawn = samples[(samples[:, data.USER] == 0) & (samples[:, data.LABEL] == 0), data.ITEM]
        self.assertGreater((drawn == 1).mean(), 0.15)  # 393 of about 1,700
        self.assertLess((drawn == 2).mean(), 0.02)

    def test_refuses_histories_that_are_not_in_order_of_time(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "item_embeddings.npy", np.zeros((60, 4), np.float32))
            np.save(folder / "history_offsets.npy", np.array([0, 20, 40]))
            np.save(folder / "history_items.npy", (np.arange(40) % 20).astype(np.int32))
            (folder / "bundle.json").write_text("{}")
            times = np.tile(np.arange(20), 2)
            np.save(folder / "history_times.npy", times)
            self.assertEqual(len(data.load_bundle(folder, 1).samples), 2 * 38)
            times[5] = 19
            np.save(folder / "history_times.npy", times)
            with self.assertRaisesRegex(BadInput, "not in order of time"):
                data.load_bundle(folder, 1)

    def test_categories_may_have_any_numbers(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "item_embeddings.npy", np.zeros((60, 4), np.float32))
            np.save(folder / "item_categories.npy",
                    np.where(np.arange(60) < 9, 7, 2**31 - 2).astype(np.int32))
            np.save(folder / "history_offsets.npy", np.array([0, 20, 40]))
            np.save(folder / "history_items.npy", (np.arange(40) % 20).astype(np.int32))
            (folder / "bundle.json").write_text("{}")
            bundle = data.load_bundle(folder, 1)
            self.assertEqual(bundle.categories.max(), 1)
            self.assertEqual(bundle.category_ids.tolist(), [7, 2**31 - 2])

    def test_groups_hold_every_sample_once(self):
        bundle = self.bundle(None)
        rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TRAIN)
        for groups in (data.exact_groups(bundle.samples, rows, 7, 4),
                       data.training_groups(bundle.samples, rows, 9, 4,
                                            np.random.RandomState(1))):
            found = np.concatenate([g.rows for part in data.batches(groups, 100) for g in part])
            np.testing.assert_array_equal(np.sort(found), rows)
            for group in groups:
                ends = bundle.samples[group.rows, data.END]
                self.assertEqual(group.begin + group.length, ends.max())
                self.assertTrue((ends > group.begin).all())


class Measures(unittest.TestCase):
    def test_auc_counts_ties_half(self):
        labels = np.array([1, 0, 1, 0])
        self.assertEqual(metrics.auc(labels, np.array([2., 1., 1., 0.])), 3.5 / 4)
        self.assertTrue(np.isnan(metrics.auc(np.ones(3), np.arange(3.))))

    def test_gauc_weighs_users_and_skips_those_of_one_label(self):
        users = np.array([7, 7, 3, 3, 3, 3, 5])
        labels = np.array([1, 0, 1, 0, 0, 0, 1])
        logits = np.array([1., 0., 0., 1., -1., -2., 9.])
        self.assertAlmostEqual(metrics.gauc(users, labels, logits), (2 * 1 + 4 * (2 / 3)) / 6)

    def test_log_loss(self):
        self.assertAlmostEqual(metrics.log_loss(np.array([1, 0]), np.zeros(2, np.float32)),
                               np.log(2))
        self.assertTrue(np.isfinite(metrics.log_loss(np.array([1]), np.array([-500], np.float32))))


if __name__ == "__main__":
    unittest.main()
