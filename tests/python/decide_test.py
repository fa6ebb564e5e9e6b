#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/decide.sh: its answers on made-up rows, and all of it on a tiny bundle with the
real programs, whose folder is the argument. Exit code 77: NumPy is missing."""
import json
import math
import os
import subprocess
import sys
import unittest

import support

support.need("numpy", purpose="data")
import numpy as np

from eta_simd.command import BadInput
from eta_simd.experiments.decide import answers, command, runs


def row(method, recall, p50, bits=0, **more):
    return {"method": method, "recall_ties": recall, "p50_us": p50, "bits": bits, "k": 64,
            "b": 256, "l_mean": 1000.0, "bytes_per_behaviour": 8.0, "build_us": 5.0, **more}


def masses(**by_method):
    return [{"method": name, "k": k, "attention_mass": mass}
            for name, values in by_method.items() for k, mass in zip((16, 64, 256), values)]


class Answers(unittest.TestCase):
    ROWS = [row("exact", 1.0, 400), row("scan_i8", 0.99, 200), row("eta:64", 0.4, 50, 64),
            row("pq4:64", 0.85, 100, 64), row("recent", 1.0, 1), row("cosine", 0.95, 1),
            row("random", 0.99, 1)]

    def test_k_is_the_least_with_enough_attention(self):
        k, text = answers.choose_k(masses(exact=(0.7, 0.91, 0.99), random=(0.1, 0.2, 0.3)), 8)
        self.assertEqual(k, 64)
        self.assertIn("16: 0.70, 64: 0.91, 256: 0.99", text)
        k, text = answers.choose_k(masses(exact=(0.3, 0.4, 0.5), random=(0.1, 0.2, 0.3)), 8)
        self.assertEqual((k, text[:11]), (256, "256 or more"))

    def test_k_that_was_not_measured_is_not_ruled_out(self):
        """A sweep that ran out of time after K = 16 gave "16 or more"."""
        rows = masses(exact=(0.5,), random=(0.1,))
        k, text = answers.choose_k(rows, 64, (16, 32, 128))
        self.assertEqual(k, 64)
        self.assertIn("up to 16 the exact top K lack attention (by K: 16: 0.50), and for 32, 128 "
                      "the time did not suffice. 64 until then", text)
        self.assertEqual(answers.choose_k(rows, 64, (16,))[0], 16)
        self.assertEqual(answers.choose_k(masses(exact=(0.9,), random=(0.1,)), 64, (16, 32))[0], 16)

    def test_flat_attention_does_not_choose_k(self):
        k, _ = answers.choose_k(masses(exact=(0.95, 0.99, 1.0), random=(0.03, 0.12, 1.0)), 8)
        self.assertEqual(k, 16)  # whatever random ones get at another K
        k, text = answers.choose_k(masses(exact=(0.24, 0.93, 0.99), random=(0.23, 0.929, 0.9)), 32)
        self.assertEqual(k, 32)
        self.assertIn("exact top 64 get 0.93 of it, random behaviours 0.93", text)
        k, text = answers.choose_k(masses(exact=(0.05, 0.1, 0.31), random=(0.03, 0.1, 0.3)), 32)
        self.assertEqual(k, 32)
        self.assertIn("exact top 256 get 0.31", text)
        self.assertEqual(answers.choose_k(masses(exact=(None,) * 3), 32)[0], 32)

    def test_the_fastest_that_reaches_the_recall(self):
        # Neither what others are judged by nor what looks at no candidate takes part.
        for target, method in ((0.3, "eta:64"), (0.8, "pq4:64"), (0.9, "scan_i8"), (1, "exact")):
            self.assertEqual(answers.choose_method(self.ROWS, target)["method"], method)
        text = answers.bits_text(self.ROWS, 0.8)
        self.assertIn("the fastest at a recall of 0.8 is pq4:64", text)
        self.assertIn("Codes alone: eta:64 0.40; pq4:64 0.85", text)
        self.assertNotIn("Rescored", text)
        more = [*self.ROWS, row("eta:64+rerank_i8:4", 0.7, 80, 64),
                row("eta_gather:64", 0.4, 90, 64)]
        text = answers.bits_text(more, 0.8)
        self.assertIn("pq4:64 0.85. Rescored: eta:64+rerank_i8:4 0.70", text)
        self.assertNotIn("eta_gather", text)
        self.assertNotIn("Norms decide", text)
        low = [row("cosine", 0.58, 1) if r["method"] == "cosine" else r for r in self.ROWS]
        self.assertIn("signs alone, however many bits, cannot pass 0.58",
                      answers.bits_text(low, 0.8))
        self.assertIn("nothing can be said", answers.bits_text([row("exact", None, 1)], 0.8))

    def test_when_to_stay_with_a_scan(self):
        text = answers.scan_text(self.ROWS, 0.9)
        self.assertTrue(text.startswith("stay with scan_i8: nothing that reaches 0.9 is faster"))
        self.assertIn("it takes 10 ms at 50,000 behaviours", text)  # 200 us for 1,000
        self.assertEqual(answers.two_digits(62471.3), "62,000")
        self.assertIn("pq4:64 is 2.0 times as fast; stay with scan_i8 where",
                      answers.scan_text(self.ROWS, 0.8))

    def test_centring(self):
        self.assertIn("before hashing", answers.centring_text(0.5, (0.3, 0.6)))
        self.assertIn("0.60 centred: leave it", answers.centring_text(0.5, (0.6, 0.6)))
        self.assertIn("not tried on codes: subtract", answers.centring_text(0.5, None))
        self.assertIn("norm: leave it", answers.centring_text(0.02, None))
        self.assertEqual(runs.mean_share(np.zeros((3, 2))), 0)
        self.assertAlmostEqual(runs.mean_share(np.ones((5, 3))), 1)
        self.assertAlmostEqual(runs.mean_share(np.array([[1.0, 0], [-1.0, 0]])), 0)

    def test_notes_are_told_once(self):
        text = answers.notes_text([("k", ["k = 16: load average 8.2 on 2 CPUs", "k = 32: cut"]),
                                   ("methods", ["load average 9.25 on 2 CPUs", "flat", "cut"])])
        self.assertEqual(text, "  k: load average 8.2 on 2 CPUs\n  k: cut\n  methods: flat")
        notes = ["eta_norm:64 left out: too few", "eta_norm:128 left out: too few"]
        self.assertEqual(answers.notes_text([("k", notes), ("methods", notes)]),
                         "\n".join(f"  k: {note}" for note in notes))

    def test_training(self):
        self.assertIn("more than 4 minutes", answers.training_text(math.inf))
        self.assertIn("12 s an epoch", answers.training_text(12.3))
        self.assertIn("not measured", answers.training_text(None))


class EndToEnd(support.FolderTest):
    def bundle(self, mean=0.0):
        """40 users of 200 behaviours; `mean` is added to every embedding."""
        folder, random = self.folder / "bundle", np.random.default_rng(1)
        folder.mkdir()
        np.save(folder / "candidates_items.npy", random.integers(0, 500, 4000).astype(np.int32))
        np.save(folder / "candidates_offsets.npy", np.arange(0, 4001, 100))
        np.save(folder / "item_embeddings.npy",
                (mean + random.standard_normal((500, 16))).astype(np.float32))
        np.save(folder / "history_offsets.npy", np.arange(0, 8001, 200))
        np.save(folder / "history_items.npy", random.integers(0, 500, 8000).astype(np.int32))
        (folder / "bundle.json").write_text("{}")
        return folder

    def test_attention_is_flat_where_the_program_says_so(self):
        """One rule: decide judges rows as the note of retrieval_bench does."""
        bundle, path, verdicts = self.bundle(), self.folder / "run.json", set()
        table = np.load(bundle / "item_embeddings.npy")
        for scale in (0.1, 0.2, 0.3, 0.4, 0.6, 1.0):
            np.save(bundle / "item_embeddings.npy", np.float32(scale) * table)
            subprocess.run([f"{PROGRAMS}/retrieval_bench", "--data", bundle, "--methods",
                            "exact,random", "--requests", "5", "--repeats", "1", "--quiet",
                            "--k", "16", "--json", path], check=True, capture_output=True)
            run = json.loads(path.read_text())
            exact, random = (row["attention_mass"] for row in run["rows"])
            is_noted = any("does not tell methods apart" in note for note in run["notes"])
            self.assertEqual(answers.is_flat(exact, random), is_noted, (scale, exact, random))
            verdicts.add(is_noted)
        self.assertEqual(verdicts, {False, True})
        source = (support.ROOT / "bench" / "retrieval" / "run.cc").read_text()
        self.assertIn(f"kLittleToGain = {answers.LITTLE_TO_GAIN};", source)

    def call(self, *arguments):
        return subprocess.run([str(support.SCRIPTS / "decide.sh"), *map(str, arguments), "--bench",
                               PROGRAMS, "--output", str(self.folder / "out"), "--quick"],
                              text=True, capture_output=True, check=False)

    def test_answers_every_question_with_its_command(self):
        done = self.call(self.bundle(mean=2.0), "--users", "1e6")
        self.assertEqual(done.returncode, 0, done.stderr)
        parts = dict(part.split(": ", 1) for part in done.stdout.strip().split("\n\n"))
        self.assertEqual(list(parts), ["data", "K", "bits", "memory", "scan", "hourly", "centring",
                                       "training", "notes"])
        for name, text in parts.items():
            commands = [line for line in text.splitlines()[1:] if line.startswith("    ")]
            self.assertEqual(bool(commands), name not in ("data", "notes"), name)
        self.assertRegex(parts["data"], "500 items of 16 dimensions, norms .* / .* / .*; not an "
                                        "exported model's")
        # 100 candidates were given and 256 asked for.
        self.assertIn("candidates per request on average instead of", parts["notes"])
        self.assertIn("1,000,000 users of 200 behaviours", parts["memory"])
        self.assertIn("methods.json --users 1000000", parts["memory"])
        self.assertIn("--epochs 1 --max-history 256", parts["training"])
        self.assertNotIn("cosine", parts["memory"].split("    scripts")[0])
        # Items on one side of 0 share most bits, until the mean is taken away.
        self.assertRegex(parts["centring"], "0.8. of the mean squared norm.*before hashing")
        self.assertRegex(parts["hourly"], r"all 500 items take \d")
        self.assertEqual((self.folder / "out" / "decide.txt").read_text().strip(),
                         done.stdout.strip())
        self.assertEqual({path.name for path in (self.folder / "out").iterdir()},
                         {"k.json", "methods.json", "centred.json", "decide.txt"})

    def test_a_bundle_without_histories(self):
        bundle = self.bundle()
        np.save(bundle / "history_offsets.npy", np.zeros(41, np.int64))
        np.save(bundle / "history_items.npy", np.zeros(0, np.int32))
        done = self.call(bundle)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no request has a history", done.stdout)

    def test_refusals(self):
        bundle = self.bundle()
        for arguments, word in (((self.folder / "none",), "not a folder"),
                                ((bundle, "--recall", "2"), "--recall is 2"),
                                ((bundle, "--k", "0"), "--k is 0"), ((), "BUNDLE")):
            self.refused(self.call(*arguments), word)
        self.assertFalse((self.folder / "out").exists())
        np.save(bundle / "history_items.npy", np.full(8000, 500, np.int32))
        self.assertEqual(self.call(bundle).returncode, 2)
        options = command.parse_options([str(bundle), "--bench", str(self.folder), "--output", "x"])
        with self.assertRaisesRegex(BadInput, "retrieval_bench: there is no such program"):
            runs.Runs(options)


if __name__ == "__main__":
    PROGRAMS = os.path.abspath(sys.argv.pop(1))
    unittest.main()
