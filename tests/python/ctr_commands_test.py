#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of planted data and of what train_ctr.py, make_planted.py and torch_latency.py refuse. Exit
code 77: PyTorch or NumPy is missing."""
import json
import os
import shutil
import unittest

import support
from ctr_support import TrainedTest

import numpy as np

from eta_simd.ctr import data


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
        self.refused("not a folder", "--bundle", self.folder / "no", "--out", self.folder / "new",
                     "--model", "eta")
        self.refused("exists already", "--bundle", self.bundle, "--out", self.bundle, "--model",
                     "eta")
        self.refused("--recent", "--out", self.folder / "new", "--recent", 1,
                     name="make_planted.py")
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


if __name__ == "__main__":
    unittest.main()
