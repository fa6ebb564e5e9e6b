#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of planted data and of what train_ctr.py, make_planted.py and torch_latency.py refuse. Exit
code 77: PyTorch or NumPy is missing."""
import hashlib
import json
import os
import shutil
import unittest

import support
from ctr_support import PLANTED, TrainedTest

import numpy as np

from eta_simd.ctr import data

# Of the arrays that make_planted.py writes with ctr_support.PLANTED.
HASH = "5a171e6db6ebb4839c24829064295a546ead91f9ce3e9410552d5443c99a8a2f"


class Refusals(TrainedTest):
    def refused(self, pattern, *arguments, name="train_ctr.py"):
        done = support.call(name, *arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, pattern)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_bad_arguments(self):
        good = ["--bundle", self.bundle, "--out", self.folder / "new"]
        self.refused("invalid choice", *good, "--model", "din")
        self.refused("--heads", *good, "--model", "eta", "--dim", 16, "--heads", 3)
        self.refused("--buckets", *good, "--model", "eta", "--buckets", 7)
        self.refused("--bits is 0", *good, "--model", "eta", "--bits", 0)
        for retrieval in ("pq4", "itq:64", "eta", "eta:", "eta:x", "eta:-8", "exact:8", "recent",
                          "", "eta:99999999999999999999"):
            self.refused("expected eta:BITS, eta_norm:BITS, eta_asym:BITS, pq4:BITS, exact",
                         *good, "--model", "eta", "--retrieval", retrieval)
        self.refused("--bits is 0", *good, "--model", "eta", "--retrieval", "eta_asym:0")
        self.refused("--bits is 4097", *good, "--model", "eta", "--retrieval", "eta_norm:4097")
        for bits in (20, 72):  # of 16 dimensions
            self.refused(f"BITS is {bits}", *good, "--model", "eta", "--dim", 16, "--retrieval",
                         f"pq4:{bits}")
        self.refused("expected --model eta", *good, "--model", "twin", "--retrieval", "exact")
        self.refused("--checkpoint with --export-every", *good, "--model", "eta", "--checkpoint",
                     self.folder / "checkpoint", "--export-every", 1)
        self.refused("not a folder", "--bundle", self.folder / "no", "--out", self.folder / "new",
                     "--model", "eta")
        self.refused("exists already", "--bundle", self.bundle, "--out", self.bundle, "--model",
                     "eta")
        self.refused("--recent", "--out", self.folder / "new", "--recent", 1,
                     name="make_planted.py")
        for word, *knobs in (("--near is 24", "--near", 24), ("--near is -1", "--near", -1),
                             ("--weak is 1001", "--weak", 1001), ("--length", "--near", 20),
                             ("--length", "--weak", 9), ("--side", "--weak", 1, "--side", 3),
                             ("no weak items", "--weak-norm", 2), ("--popularity is -0.1",
                             "--popularity", -0.1), ("--popularity is nan", "--popularity", "nan"),
                             ("--weak-norm is 0.0", "--weak", 1, "--weak-norm", 0)):
            self.refused(word, "--out", self.folder / "new", *knobs, name="make_planted.py")
        self.refused("manifest.json", "--model", self.bundle, name="torch_latency.py")
        self.assertFalse((self.folder / "new").exists())

    def test_bad_bundles_leave_nothing(self):
        bad: list[tuple[str, np.ndarray]] = [
            ("ctr_samples.npy", np.full((3, 5), 99, np.int32)),
            ("ctr_samples.npy", np.zeros((3, 4), np.int32)),
            ("history_items.npy", np.full(60 * 48, 10**6, np.int32)),
            ("history_offsets.npy", np.zeros(61, np.int64))]
        for file, array in bad:
            with self.subTest(file):
                kept = (self.bundle / file).read_bytes()
                np.save(self.bundle / file, array)
                self.refused(file, "--bundle", self.bundle, "--model", "none", "--out",
                             self.folder / "new")
                (self.bundle / file).write_bytes(kept)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["planted"])

    def test_pipes_are_refused_at_once(self):
        for folder, pipe, name, arguments in (
                ("model", "manifest.json", "torch_latency.py", ("--model",)),
                ("bundle", "item_embeddings.npy", "train_ctr.py",
                 ("--model", "none", "--out", self.folder / "new", "--bundle"))):
            (self.folder / folder).mkdir()
            os.mkfifo(self.folder / folder / pipe)
            self.refused(f"{pipe}: not a regular file", *arguments, self.folder / folder, name=name)
            shutil.rmtree(self.folder / folder)


class Planted(TrainedTest):
    def test_what_it_promises(self):
        bundle = data.load_bundle(self.bundle, 1)
        facts = json.loads((self.bundle / "planted.json").read_text())
        self.assertAlmostEqual(facts["bayes_auc_expected"], 0.85, delta=0.02)
        self.assertGreater(facts["bayes_auc"], facts["same_category_auc"])
        topics = np.arange(bundle.num_items) // 6
        present, same = [], []
        seen: set = set()
        for user, end, item, _, _ in bundle.samples:
            history = bundle.items[bundle.offsets[user]:bundle.offsets[user] + end]
            matches = history[topics[history] == topics[item]]
            self.assertFalse((history == item).any())
            self.assertNotIn((user, topics[item]), seen)
            seen.add((user, topics[item]))
            self.assertFalse((topics[bundle.items[48 * user + 38:48 * user + 48]]
                              == topics[item]).any())
            present.append(len(matches) > 0)
            if len(matches):
                self.assertEqual(len(matches), 4)
                same.append(bundle.categories[matches[0]] == bundle.categories[item])
        self.assertEqual(np.mean(present), 0.5)
        self.assertAlmostEqual(np.mean(same), 0.5, delta=0.1)

    def test_without_knobs_the_data_are_what_they_were(self):
        digest = hashlib.sha256()
        for path in sorted(self.bundle.glob("*.npy")):
            digest.update(path.read_bytes())
        self.assertEqual(digest.hexdigest(), HASH)

    def knobs(self, *arguments):
        """A bundle made with knobs: how many strong and weak behaviours of its topic each sample
        has, and whether it is of an interest, by its label; then the bundle."""
        path = self.folder / "knobs"
        done = support.call("make_planted.py", "--out", path, *PLANTED, "--side", 4, "--high", 1,
                            *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        bundle = data.load_bundle(path, 1)
        shutil.rmtree(path)
        counts = []
        for user, end, item, label, _ in bundle.samples:
            history = bundle.items[bundle.offsets[user]:bundle.offsets[user] + end]
            self.assertFalse((history == item).any())
            own = history[history // 8 == item // 8]
            counts.append((label, (own % 4 < 2).sum(), (own % 4 >= 2).sum()))
        return np.array(counts), bundle

    def test_near_candidates_have_fewer_behaviours(self):
        counts, _ = self.knobs("--near", 3)
        total = counts[:, 1] + counts[:, 2]
        self.assertEqual(set(total[counts[:, 0] == 1]), {4})
        self.assertEqual(set(total[counts[:, 0] == 0]), {3})

    def test_weak_items_tell_nothing(self):
        counts, _ = self.knobs("--weak", 1)
        self.assertEqual(set(counts[:, 2]), {1})
        self.assertEqual(set(counts[counts[:, 0] == 1, 1]), {4})
        self.assertEqual(set(counts[counts[:, 0] == 0, 1]), {0})

    def test_weak_norm_scales_the_embeddings_of_weak_items_only(self):
        plain, scaled = (self.knobs("--weak", 1, "--weak-norm", factor)[1].embeddings
                         for factor in (1, 0.5))
        factors = np.where(np.arange(len(plain)) % 4 < 2, 1, 0.5)[:, None]
        np.testing.assert_array_equal(scaled, plain * factors.astype(np.float32))

    def test_popularity_is_that_of_topics_and_items(self):
        def share_of_most(*arguments):
            _, bundle = self.knobs(*arguments)
            noise = bundle.items.reshape(60, 48)[:, 38:]  # the recent ones
            of_first = (noise // 8 == 0).mean(axis=1)  # of the two noise topics of a user
            return of_first[of_first > 0].mean(), (noise % 4 == 0).mean()

        alike, skewed = share_of_most(), share_of_most("--popularity", 2)
        np.testing.assert_allclose(alike, (1 / 2, 1 / 4), atol=0.1)
        np.testing.assert_allclose(skewed, (4 / 5, 1 / (1 + 1 / 4 + 1 / 9 + 1 / 16)), atol=0.1)


if __name__ == "__main__":
    unittest.main()
