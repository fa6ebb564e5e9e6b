#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of train_ctr.py --item-embeddings and of the progress it shows. Exit code 77: PyTorch or
NumPy is missing."""
import json
import os
import pty
import re
import shutil
import subprocess
import unittest

import support
from ctr_support import TINY, TrainedTest, options_of

import numpy as np
import torch

from eta_simd.ctr import data, items, train


class Items(TrainedTest):
    def model(self, how, epochs=1):
        bundle = data.load_bundle(self.bundle, 1)
        options = options_of(self.bundle, "eta", "--epochs", epochs, "--item-embeddings", how)
        return bundle, options, train.fit(bundle, options)[0]

    def test_frozen_embeddings_stay_and_the_rest_learns(self):
        for how, stays in (("frozen", True), ("init", False)):
            with self.subTest(how):
                bundle, options, before = self.model(how, epochs=0)
                after = self.model(how)[2]
                own = before.item_ids.detach().numpy()
                # One factor for all: the order of inner products is that of the bundle.
                factor = own[0, 0] / bundle.embeddings[0, 0]
                np.testing.assert_allclose(own[:, :8], bundle.embeddings * factor, rtol=1e-5)
                self.assertFalse(own[:, 8:].any())
                self.assertAlmostEqual(float(np.mean(np.square(own[:, :8]))) ** 0.5, options.init,
                                       places=5)
                self.assertEqual(torch.equal(before.item_ids, after.item_ids), stays)
                self.assertFalse(torch.equal(before.category_ids, after.category_ids))
                np.testing.assert_array_equal(after.table.numpy()[:, :12],
                                              after.item_ids.detach().numpy())

    def test_learned_embeddings_are_what_they_were_without_the_option(self):
        bundle = data.load_bundle(self.bundle, 1)
        plain = train.fit(bundle, options_of(self.bundle, "eta", "--epochs", 1))[0]
        self.assertTrue(torch.equal(plain.item_ids, self.model("learned")[2].item_ids))

    def test_the_auxiliary_index_of_sim_soft_is_of_them_too(self):
        bundle = data.load_bundle(self.bundle, 1)
        options = options_of(self.bundle, "sim_soft", "--epochs", 0, "--item-embeddings", "frozen")
        table = train.auxiliary_table(bundle, options)
        np.testing.assert_array_equal(table[:, :12], items.given(bundle, options))

    def refused(self, pattern, bundle, *arguments):
        done = support.call("train_ctr.py", "--bundle", bundle, "--model", "none", "--out",
                            self.folder / "new", *arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, pattern)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertFalse((self.folder / "new").exists())

    def test_refusals(self):
        self.refused("invalid choice", self.bundle, "--item-embeddings", "mine")
        self.refused(r"--dim is 8 \(with --item-embeddings init expected 12 or more: .* 8 dim",
                     self.bundle, "--item-embeddings", "init", "--dim", 8)
        for name, change in (("zero", lambda e: 0 * e), ("nan", lambda e: e + np.float32("nan"))):
            bad = self.folder / name
            shutil.copytree(self.bundle, bad)
            path = bad / "item_embeddings.npy"
            np.save(path, change(np.load(path)))
            self.refused("all 0, or some are not finite", bad, "--item-embeddings", "frozen")
        for width, heads, dim in ((96, 4, 128), (64, 4, 88), (3, 4, 4), (4, 3, 12), (1, 1, 4)):
            self.assertEqual(items.needed_dim(width, heads), dim)
            self.assertLessEqual(width, dim - dim // 4)


class Shown(TrainedTest):
    COMMAND = ("--model", "full_attention", *TINY, "--epochs", "2")

    def test_the_choice_is_described(self):
        bundle = data.load_bundle(self.bundle, 1)
        for how, text in (("learned", "learned anew; the bundle's embeddings of 8 dimensions are "
                           "not used"), ("frozen", "kept as they are"),
                          ("init", "trained further")):
            options = options_of(self.bundle, "eta", "--item-embeddings", how)
            self.assertIn(text, items.description(bundle, options))
        self.assertNotIn("candidate_embeddings", items.description(bundle, options))
        towers = self.folder / "towers"
        shutil.copytree(self.bundle, towers)
        shutil.copyfile(towers / "item_embeddings.npy", towers / "candidate_embeddings.npy")
        options = options_of(towers, "eta", "--item-embeddings", "init")
        self.assertIn("candidate_embeddings.npy is not used", items.description(bundle, options))

    def test_a_pipe_gets_nothing_and_the_report_has_the_choice(self):
        for how in ("learned", "frozen"):
            done = support.call("train_ctr.py", "--bundle", self.bundle, "--out",
                                self.folder / how, *self.COMMAND, "--item-embeddings", how)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            report = json.loads((self.folder / how / "report.json").read_text())
            self.assertEqual(report["options"]["item_embeddings"], how)

    def test_a_terminal_gets_time_left_and_auc(self):
        ours, theirs = pty.openpty()
        command = ["/usr/bin/python3", str(support.SCRIPTS / "train_ctr.py"), "--bundle",
                   str(self.bundle), "--out", str(self.folder / "seen"), *self.COMMAND]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs,
                              stderr=theirs) as process:
            os.close(theirs)
            text = b""
            try:
                while part := os.read(ours, 65536):
                    text += part
            except OSError:  # what Linux says when the other end is closed
                pass
            self.assertEqual(process.wait(), 0, text)
        os.close(ours)
        shown = text.decode()
        self.assertRegex(shown, r"epoch 1/2, step 1/\d+, loss 0\.\d+, about \d+ s left")
        self.assertRegex(shown, r"epoch 2/2, step 1/\d+, loss 0\.\d+, validation AUC 0\.\d{4}, "
                         r"about \d+ s left")
        kept = re.findall(r"epoch (\d)/2, loss 0\.\d+, validation AUC 0\.\d{4}, \d+ s\r\n", shown)
        self.assertEqual(kept, ["1", "2"])
        self.assertIn("items: learned anew", shown)

    def test_durations(self):
        for seconds, text in ((0.4, "0 s"), (59.6, "60 s"), (119, "119 s"), (120, "2 min"),
                              (3600, "60 min")):
            self.assertEqual(train.duration(seconds), text)


if __name__ == "__main__":
    unittest.main()
