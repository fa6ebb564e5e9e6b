#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the bootstrap over users, and of scripts/compare.py on ctr_bench's files and with
--other-data. Exit code 77: a Python package is missing."""
import contextlib
import copy
import io
import json
import re
import unittest
from typing import Any

import support

support.need("numpy", "scipy.stats", purpose="plot")
import numpy as np

from eta_simd.command import BadInput
from eta_simd.ctr.metrics import auc
from eta_simd.experiments import compare, intervals

USERS, PER_USER = 200, 10


class Intervals(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(5)

    def samples(self, shift=1.0, users=USERS):
        """Users, labels and logits; a user's logits share an offset, which makes users differ."""
        ids = np.repeat(np.arange(users), PER_USER)
        labels = self.random.integers(0, 2, len(ids))
        logits = shift * labels + self.random.standard_normal(len(ids))
        return ids, labels, logits + self.random.standard_normal(users)[ids]

    def test_a_draw_of_each_user_once_is_the_auc(self):
        ids, labels, logits = self.samples(users=40)
        for scores in (logits, np.round(logits), np.zeros(len(ids))):  # without, with ties, all
            draws = intervals.auc_draws(ids, labels, scores, 20)
            for counts, found in zip(intervals.user_draws(40, 20), draws):
                repeated = np.repeat(np.arange(len(ids)), counts[ids])
                self.assertAlmostEqual(found, auc(labels[repeated], scores[repeated]))

    def test_means_are_of_the_drawn_users(self):
        ids = np.array([7, 7, 9])
        draws = intervals.mean_draws(ids, np.array([1.0, 2.0, 6.0]), 50)
        self.assertEqual({round(float(d), 9) for d in draws}, {1.5, 6.0, 3.0})

    def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says(self):
        values = self.random.standard_normal(500)
        low, high = intervals.interval(intervals.mean_draws(np.arange(500), values))
        error = values.std(ddof=1) / 500**0.5
        self.assertAlmostEqual(high - low, 2 * 1.96 * error, delta=0.12 * error)

    def test_pairing_narrows_the_interval(self):
        ids, labels, logits = self.samples()
        a = intervals.auc_draws(ids, labels, logits)
        b = intervals.auc_draws(ids, labels, logits + 0.02 * labels)
        low, high = intervals.interval(b - a)
        self.assertLess(0, low)
        loose_low, loose_high = intervals.interval(np.roll(b, 1) - a)
        self.assertLess(5 * (high - low), loose_high - loose_low)
        self.assertLess(loose_low, 0)

    def test_lacks_what_is_not_defined(self):
        draws = intervals.auc_draws(np.array([0, 1]), np.array([0, 1]), np.array([0.0, 1.0]), 50)
        self.assertTrue(np.isnan(draws).any() and (draws[~np.isnan(draws)] == 1).all())
        self.assertTrue(np.isnan(intervals.interval([np.nan, np.nan])).all())


def ctr_run(shift, noise=0.0, seed=1, **more):
    """A JSON of ctr_bench with logits: labels move them by `shift`."""
    random = np.random.default_rng(2)
    users = np.repeat(np.arange(USERS), PER_USER)
    labels = random.integers(0, 2, len(users))
    logits = shift * labels + random.standard_normal(len(users))
    logits += noise * np.random.default_rng(seed).standard_normal(len(users))
    row = {"model": "eta", "retrieval": "own", "k": 64, "item_tables": "yes",
           "auc": auc(labels, logits), "gauc": 0.7, "log_loss": 0.5, "request_p50_us": 100.0,
           "samples": 0, "logits": logits.tolist()}
    return {"program": "ctr_bench", "target": "AVX2", "candidates": 256, "length": 512,
            "requests": 200, "seed": 1, "rows": [row], "samples": [
                {"users": users.tolist(), "items": users.tolist(), "ends": users.tolist(),
                 "labels": labels.tolist()}], **more}


HEAD = "user,length,candidates,method,recall,recall_ties,attention_mass,p50_us\n"


def requests(loss=0.0, factor=1.0, first=0, length=100):
    """A file of --per-request: users differ more than versions do."""
    random = np.random.default_rng(3)
    lines = []
    for user in range(first, first + 100):
        recall = 0.3 + 0.5 * random.random() - loss * random.random()
        time = factor * 10 * np.exp(0.3 * random.standard_normal())
        for method in ("eta:64", "exact"):
            value = "" if user == 5 else f"{recall if method == 'eta:64' else 1.0:.6f}"
            lines.append(f"{user},{length},9,{method},{value},{value},{value},{time:.3f}\n")
    return HEAD + "".join(lines)


class Versions(support.FolderTest):
    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def compare(self, old, new, *arguments, suffix="json"):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = compare.main([str(self.write(f"old.{suffix}", old)),
                                 str(self.write(f"new.{suffix}", new)), *arguments])
        return code, out.getvalue()

    def verdicts(self, old, new, suffix="csv"):
        """Verdicts by (row, measure), and the whole text."""
        _, text = self.compare(old, new, "--other-data", suffix=suffix)
        return {tuple(re.split(" {2,}", line)[:2]): re.split(" {2,}", line)[-1]
                for line in text.splitlines()[1:] if not line.startswith("-")}, text

    def test_compares_files_of_ctr_bench(self):
        run = ctr_run(1.0)
        code, text = self.compare(run, run)
        self.assertEqual(code, 0, text)
        self.assertIn("eta/K:64/B:256/L:512 ", text)
        other = copy.deepcopy(run)
        other["rows"][0]["auc"] += 1e-9
        code, text = self.compare(run, other)
        self.assertEqual(code, 1)
        self.assertIn("eta/K:64/B:256/L:512: auc 0.", text)
        with self.assertRaisesRegex(BadInput, "not comparable"):
            self.compare(run, {**run, "seed": 2})
        for key in ("rows", "candidates"):
            with self.assertRaises(BadInput):
                self.compare(run, {k: v for k, v in run.items() if k != key})

    def test_auc_of_two_versions(self):
        base, noisy = ctr_run(1.0), ctr_run(1.0, 0.02)
        name = ("eta/K:64/B:256/L:512", "auc")
        found, text = self.verdicts(base, ctr_run(1.1), "json")
        self.assertEqual((found[name], found[name[0], "time"]), ("higher", "-"), text)
        self.assertEqual(self.verdicts(ctr_run(1.1), base, "json")[0][name], "lower")
        self.assertEqual(self.verdicts(base, noisy, "json")[0][name], "not shown")
        # Without the pairing of other samples it is not shown, and there are no times.
        other = ctr_run(1.1)
        other["samples"][0]["items"][0] += 1
        found, text = self.verdicts(base, other, "json")
        self.assertEqual(found, {name: "not shown"})
        self.assertIn("no times: the requests are not the same", text)
        for run in (base, noisy):
            del run["rows"][0]["logits"]
        found, text = self.verdicts(base, noisy, "json")
        self.assertEqual(found[name], "-")
        self.assertIn("no intervals: use ctr_bench --logits", text)

    def test_recall_and_times_of_two_versions(self):
        found, text = self.verdicts(requests(), requests(loss=0.02, factor=1.2))
        self.assertEqual({key[1]: value for key, value in found.items() if key[0] == "eta:64"},
                         {"recall": "lower", "recall_ties": "lower", "attention_mass": "lower",
                          "time": "slower"}, text)
        self.assertEqual(found["exact", "recall"], "not shown")
        self.assertRegex(text, r"eta:64 +time .* x 1\.200 +x 1\.200 to 1\.200 +slower")
        # Other users: no pairing shows so small a loss; their times do not compare.
        found, text = self.verdicts(requests(), requests(loss=0.02, first=6))
        self.assertEqual(found["eta:64", "recall"], "not shown")
        self.assertNotIn(("eta:64", "time"), found)
        self.assertNotIn(("eta:64", "time"), self.verdicts(requests(), requests(length=99))[0])

    def test_files_without_requests_have_no_intervals(self):
        row = {"method": "eta:64", "b": 256, "k": 64, "threads": 1, "cache": "warm", "l_mean": 9,
               "recall": 0.4, "recall_ties": 0.4, "attention_mass": 0.9, "p50_us": 9.0}
        run: dict[str, Any] = {"format": "eta-simd retrieval_bench 1", "rows": [row],
                               "data": {"digest": "a"}, "settings": {"seed": 1},
                               "requests": {"users": 3}}
        other = copy.deepcopy(run)
        other["rows"][0]["recall"], other["data"]["digest"] = 0.5, "b"
        _, text = self.verdicts(run, other, "json")
        self.assertRegex(text, r"eta:64\S* +recall +0\.4000 +0\.5000 +\+0\.1000 +- +-\n")
        self.assertIn("no intervals: compare files of --per-request", text)
        self.assertIn(" time ", text)
        self.assertNotIn(" time ", self.verdicts(run, {**other, "settings": {"seed": 2}},
                                                 "json")[1])

    def test_refuses_bad_input(self):
        good = ctr_run(1.0)
        bad = [{**good, "samples": []}, {**good, "rows": []},
               {**good, "rows": [{**good["rows"][0], "logits": [1.0]}]},
               {**good, "rows": [{**good["rows"][0], "request_p50_us": 0}]}, {"rows": [1]}, []]
        for run in bad:
            with self.assertRaises(BadInput, msg=str(run)[:80]):
                self.compare(good, run, "--other-data")
        for text in (HEAD, "a,b\n1,2\n", requests().replace("0.", "x.")):
            with self.assertRaises(BadInput):
                self.compare(requests(), text, "--other-data", suffix="csv")
        with self.assertRaisesRegex(BadInput, "finds no row"):
            self.compare(good, good, "--other-data", "--filter", "none")


if __name__ == "__main__":
    unittest.main()
