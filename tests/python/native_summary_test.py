#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.summary, and that its figures are those of retrieval_bench. Exit code 77:
PyArrow is missing."""
import arrow_support
arrow_support.need()
import csv
import doctest
import subprocess
import sys
import tempfile
import unittest
from fractions import Fraction
from pathlib import Path
from typing import Any

FOLDERS = [path for path in sys.argv[1:2] if not path.startswith("-")]
import native_support as support
import numpy as np
import pyarrow as pa

import eta_simd
from eta_simd import arrow, summary
from eta_simd.summary import Summary

METHODS = ("exact", "recent", "random", "eta:64", "pq4:32+rerank_i8:2", "sim_hard", "scan_i8")
K = 7
# What the CSV rounds to.
DIGITS = {"l_mean": 3, "recall": 6, "recall_p5": 6, "recall_ties": 6, "attention_mass": 6,
          "bytes_per_behaviour": 3, "user_bytes": 1}


def make_bundle():
    """Histories of many lengths, one empty, and 1 to 6 distinct candidates each."""
    random = np.random.default_rng(1)
    lengths = [0, *random.integers(1, 200, 59)]
    counts = random.integers(1, 7, 60)
    return eta_simd.Bundle(
        support.table(), support.int64(np.append(0, np.cumsum(lengths))),
        support.int32(random.integers(0, 300, sum(lengths))),
        item_categories=np.arange(300, dtype=np.int32) % 3,
        candidates_offsets=support.int64(np.append(0, np.cumsum(counts))),
        candidates_items=support.int32(
            np.concatenate([random.permutation(300)[:count] for count in counts])))


def batch_of(bundle):
    def lists(offsets, items):
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(items))
    return pa.record_batch({
        "user": pa.array(range(len(bundle.history_offsets) - 1)),
        "history": lists(bundle.history_offsets, bundle.history_items),
        "candidates": lists(bundle.candidates_offsets, bundle.candidates_items)})


def summary_of(batch, retriever, table):
    found = Summary.of(retriever, K)
    for part in summary.parts_of(batch, retriever, K, table):
        found.add(part)
    return found


class Figures(unittest.TestCase):
    bundle: Any
    batch: pa.RecordBatch

    @classmethod
    def setUpClass(cls):
        cls.bundle = make_bundle()
        cls.batch = batch_of(cls.bundle)

    def retriever(self, method):
        return eta_simd.Retriever(method, self.bundle.item_embeddings,
                                  categories=self.bundle.item_categories)

    def test_are_those_of_retrieval_bench(self):
        program = Path(*FOLDERS[:1]).parent / "bench/retrieval_bench"
        if not FOLDERS or not program.exists():
            self.skipTest(f"{program} was not built")
        with tempfile.TemporaryDirectory() as folder:
            eta_simd.write_bundle(self.bundle, f"{folder}/bundle")
            subprocess.run([program, "--data", f"{folder}/bundle", "--requests", "60",
                            "--min-history", "0", "--b", "6", "--k", str(K), "--repeats", "1",
                            "--methods", ",".join(METHODS), "--csv", f"{folder}/rows.csv",
                            "--quiet"], check=True, capture_output=True)
            with open(f"{folder}/rows.csv", encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        self.assertEqual([row["method"] for row in rows], list(METHODS))
        for row in rows:
            found = summary_of(self.batch, self.retriever(row["method"]),
                               self.bundle.item_embeddings).row()
            self.assertEqual((found.pop("requests"), found.pop("requests_with_recall")), (60, 59))
            for name, value in found.items():
                text = f"{value:.{DIGITS[name]}f}" if name in DIGITS else str(value)
                with self.subTest(row["method"], column=name):
                    self.assertEqual(text, row[name])
            timed = {"threads", "cache", "candidates_per_s"}
            self.assertEqual({name for name in row if not name.endswith("_us")} - timed,
                             set(found))

    def test_parts_in_any_order_give_the_same_bits(self):
        retriever, table = self.retriever("eta:64"), self.bundle.item_embeddings
        expected = summary_of(self.batch, retriever, table).row()
        self.assertLess(expected["recall"], 1)
        for length in (1, 7, 60):
            merged = Summary.of(retriever, K)
            for begin in reversed(range(0, 60, length)):
                part = summary_of(self.batch.slice(begin, length), retriever, table)
                merged.merge(Summary.from_json(part.to_json()))
            self.assertEqual(merged.row(), expected)

    def test_candidates_of_a_request_may_be_cut(self):
        retriever, table = self.retriever("eta:64"), self.bundle.item_embeddings
        whole = list(summary.parts_of(self.batch, retriever, K, table))
        for row in (0, 5):
            offsets = self.bundle.candidates_offsets[row:row + 2]
            items = self.bundle.candidates_items[slice(*offsets)].tolist()
            cut = [next(summary.parts_of(
                self.batch.slice(row, 1).set_column(2, "candidates", pa.array(
                    [[item]], pa.list_(pa.int32()))), retriever, K, table)) for item in items]
            total = cut[0]
            for part in cut[1:]:
                total += part
            self.assertEqual(total, whole[row])

    def test_percentiles_and_intervals(self):
        found = Summary({})
        self.assertEqual((found.recall_percentile(5), found.recall_interval()), (None, None))
        values = np.random.default_rng(1).integers(0, 50, 999) / 50
        for value in values:
            found.recalls[float(value)] += 1
        for percent in (0, 5, 50, 99.9, 100):
            self.assertEqual(found.recall_percentile(percent), np.percentile(
                values, percent, method="inverted_cdf"))
        self.assertAlmostEqual(found.recall_interval(),
                               1.96 * values.std(ddof=1) / np.sqrt(len(values)), places=12)

    def test_nothing_at_all(self):
        found = Summary.of(self.retriever("exact"), K).row()
        self.assertEqual((found["requests"], found["recall"], found["user_bytes"]), (0, None, None))

    def test_what_differs_is_not_merged(self):
        with self.assertRaisesRegex(ValueError, "cannot be merged"):
            Summary.of(self.retriever("exact"), K).merge(Summary.of(self.retriever("exact"), 8))


class Sums(unittest.TestCase):
    def test_are_exact(self):
        random = np.random.default_rng(1)
        values = np.concatenate([random.random(5000), np.ldexp(random.random(99), -1060), [0, 1]])
        expected = sum(map(Fraction, values.tolist())) * 2**1074
        self.assertEqual(summary.exact_sum(values), expected)
        self.assertEqual(summary.exact_sum(values[:0]), 0)


class Docstrings(unittest.TestCase):
    def test_examples(self):
        for module in (arrow, summary):
            self.assertEqual(doctest.testmod(module).failed, 0)


if __name__ == "__main__":
    unittest.main()
