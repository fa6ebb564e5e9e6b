#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd's functions on arrays, against NumPy and against one another."""
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import native_support as support
import numpy as np

import eta_simd
from eta_simd import Hyperplanes, Retriever, overhead
from eta_simd.native import native

METHODS = ["exact", "scan_f32", "scan_i8", "eta:64", "eta:20", "eta:64+rerank:4",
           "eta:64+rerank_i8:4", "eta_gather:64", "eta_norm:64", "eta_norm:64+rerank:2",
           "eta_norm:64+rerank_i8:2", "eta_asym:64", "eta_asym:64+rerank:2",
           "eta_asym:64+rerank_i8:2", "eta_asym_plain:64", "pq4:32", "pq4:32+rerank:2",
           "pq4:32+rerank_i8:2", "sim_hard", "recent"]
FAISS_METHODS = ["faiss_exact", "faiss_binary:64", "faiss_binary:64:heap", "faiss_pq4:32",
                 "faiss_pq4:32+refine:2", "faiss_sq8", "sim_soft:hnsw"]


def unpacked(codes, bits):
    return np.unpackbits(codes, axis=1, bitorder="little")[:, :bits]


def as_sets(rows):
    return [set(row[row >= 0].tolist()) for row in rows]


class Codes(unittest.TestCase):
    def test_bits_are_signs_of_projections(self):
        x = support.table(70, 24)
        x[3] = 0
        x[4] = np.nan
        for kind in ("gaussian", "signs", "orthogonal", "hadamard"):
            for bits in (1, 13, 64, 100):
                planes = Hyperplanes(24, bits, kind, seed=7)
                codes = planes.encode(x)
                self.assertEqual((codes.shape, codes.dtype), ((70, -(-bits // 8)), np.uint8))
                projections = x.astype(np.float64) @ planes.matrix.astype(np.float64)
                sure = np.abs(projections) > 1e-4
                self.assertGreater(sure.mean(), 0.95)
                np.testing.assert_array_equal(unpacked(codes, bits)[sure], projections[sure] > 0)
                self.assertFalse(codes[3:5].any())

    def test_threads_change_nothing(self):
        x = support.table(5000, 16)
        planes = Hyperplanes(16, 64)
        np.testing.assert_array_equal(planes.encode(x), planes.encode(x, threads=3))

    def test_from_array_is_the_same_matrix(self):
        planes = Hyperplanes(16, 40, "orthogonal", seed=3)
        loaded = Hyperplanes.from_array(planes.matrix)
        self.assertEqual((loaded.dim, loaded.bits, loaded.code_bytes, loaded.kind),
                         (16, 40, 5, "loaded"))
        np.testing.assert_array_equal(loaded.matrix, planes.matrix)
        x = support.table(9, 16)
        np.testing.assert_array_equal(loaded.encode(x), planes.encode(x))

    def test_distances_and_nearest(self):
        random = np.random.default_rng(5)
        for code_bytes in (1, 8, 31, 32, 512):
            for n in (0, 1, 63, 64, 65, 200):
                codes = random.integers(0, 256, (n, code_bytes)).astype(np.uint8)
                queries = random.integers(0, 256, (3, code_bytes)).astype(np.uint8)
                blocks = eta_simd.pack_codes(codes)
                self.assertEqual((len(blocks), blocks.code_bytes), (n, code_bytes))
                want = np.unpackbits(queries[:, None] ^ codes[None], axis=2).sum(axis=2)
                distances = eta_simd.hamming_distances(blocks, queries)
                self.assertEqual(distances.dtype, np.uint16)
                np.testing.assert_array_equal(distances, want)
                for ties in ("newest", "oldest"):
                    positions, values = eta_simd.hamming_topk(blocks, queries, 70, ties)
                    np.testing.assert_array_equal(
                        positions, support.best(-want.astype(int), 70, ties == "newest"))
                    np.testing.assert_array_equal(
                        values, np.take_along_axis(want, positions.astype(int), axis=1))
                    some, _ = eta_simd.hamming_topk(blocks, queries, 70, ties, is_sorted=False)
                    self.assertEqual(as_sets(some), as_sets(positions))


class Scans(unittest.TestCase):
    def test_float(self):
        rows = np.random.default_rng(2).integers(-3, 4, (150, 10)).astype(np.float32)
        queries = rows[:4].copy()
        scores = queries @ rows.T  # small whole numbers: exact, with many ties
        for k in (1, 20, 150, 1000):
            for ties in ("newest", "oldest"):
                positions, values = eta_simd.dot_topk(rows, queries, k, ties)
                np.testing.assert_array_equal(positions,
                                              support.best(scores, k, ties == "newest"))
                np.testing.assert_array_equal(
                    values, np.take_along_axis(scores, positions.astype(int), axis=1))

    def test_int8(self):
        x = support.table(130, 12)
        rows, queries = eta_simd.quantize_i8(x), eta_simd.quantize_i8(x[:5])
        self.assertEqual((rows.values.dtype, rows.scales.dtype), (np.int8, np.float32))
        np.testing.assert_array_equal(rows.scales, np.abs(x).max(axis=1) / np.float32(127))
        self.assertLessEqual(np.abs(rows.values * rows.scales[:, None] - x).max(),
                             rows.scales.max() * 0.5001)
        scores = ((queries.values.astype(np.int32) @ rows.values.T.astype(np.int32))
                  .astype(np.float32) * rows.scales) * queries.scales[:, None]
        positions, values = eta_simd.dot_i8_topk(rows, queries, 17)
        np.testing.assert_array_equal(positions, support.best(scores, 17))
        np.testing.assert_array_equal(values, np.take_along_axis(scores, positions.astype(int), 1))


class Retrieval(unittest.TestCase):
    def setUp(self):
        self.items = support.table()
        self.history = support.ids(200, seed=3)
        self.candidates = support.ids(9, seed=4)
        self.categories = support.ids(len(self.items), 5, seed=5)

    def retriever(self, method):
        return Retriever(method, self.items, categories=self.categories)

    def test_exact_is_exact(self):
        scores = self.items[self.candidates] @ self.items[self.history].T
        found = self.retriever("exact").retrieve(self.history, self.candidates, 10)
        np.testing.assert_allclose(
            np.sort(np.take_along_axis(scores, found.astype(int), axis=1), axis=1),
            np.sort(scores, axis=1)[:, -10:], rtol=1e-4)

    def test_eta_is_hamming_topk_of_its_hyperplanes(self):
        planes = Hyperplanes(16, 48, "orthogonal", seed=9)
        codes = planes.encode(self.items)
        want, _ = eta_simd.hamming_topk(eta_simd.pack_codes(codes[self.history]),
                                        codes[self.candidates], 20)
        found = Retriever("eta:48", self.items, planes).retrieve(self.history, self.candidates, 20)
        self.assertEqual(as_sets(found), as_sets(want))

    def test_every_method_every_way(self):
        for method in METHODS + ([] if support.NO_FAISS else FAISS_METHODS):
            with self.subTest(method):
                retriever = self.retriever(method)
                self.assertEqual((retriever.name, retriever.items, retriever.dim),
                                 (method, 300, 16))
                prepared = retriever.prepare(self.history)
                self.assertEqual(len(prepared), 200)
                found = retriever.retrieve(prepared, self.candidates, 8)
                self.assertEqual((found.shape, found.dtype), ((9, 8), np.int32))
                sets = as_sets(found)
                for row in found:
                    self.assertEqual(len(set(row[row >= 0].tolist())), int((row >= 0).sum()))
                    self.assertLess(row.max(), 200)
                self.assertEqual(as_sets(retriever.retrieve(self.history, self.candidates, 8)),
                                 sets)
                offsets = support.int64([0, 200, 200, 230])
                lists = np.concatenate([self.history, self.history[:30]])
                batch = [retriever.retrieve_batch(
                    offsets, lists, support.int64([0, 9, 10, 11]),
                    np.concatenate([self.candidates, self.candidates[:2]]), 8, threads=threads)
                    for threads in (1, 2)]
                self.assertEqual(as_sets(batch[0][:9]), sets)
                self.assertTrue((batch[0][9] == -1).all())
                self.assertEqual(as_sets(batch[0]), as_sets(batch[1]))

    def test_candidates_of_two_towers_have_embeddings_of_their_own(self):
        # Item i as a candidate is what item i + 7 is as a behaviour.
        turned = np.roll(self.items, -7, axis=0)
        others = (self.candidates + 7) % len(self.items)
        for method in METHODS:
            with self.subTest(method):
                one = self.retriever(method)
                two = Retriever(method, self.items, categories=self.categories,
                                candidate_embeddings=turned)
                sees = method not in ("recent", "sim_hard")
                found = as_sets(two.retrieve(self.history, self.candidates, 8))
                self.assertEqual(found, as_sets(one.retrieve(
                    self.history, others if sees else self.candidates, 8)))
                self.assertEqual(found == as_sets(one.retrieve(self.history, self.candidates, 8)),
                                 not sees)
        planes = Hyperplanes(16, 48, "signs", seed=9)
        two = Retriever("eta:48", self.items, planes, candidate_embeddings=turned)
        want, _ = eta_simd.hamming_topk(
            eta_simd.pack_codes(planes.encode(self.items)[self.history]),
            planes.encode(turned)[self.candidates], 20)
        self.assertEqual(as_sets(two.retrieve(self.history, self.candidates, 20)), as_sets(want))

    def test_bytes_of_a_user_count_the_item_ids_once(self):
        sizes = {"recent": 0, "exact": 64, "scan_f32": 64, "eta:64": 8, "eta_gather:64": 0,
                 "eta:64+rerank_i8:4": 8}
        history = support.ids(640)
        for method, held in sizes.items():
            with self.subTest(method):
                prepared = self.retriever(method).prepare(history)
                self.assertEqual(prepared.user_bytes, 640 * (held + 4))

    def test_k_beyond_the_history(self):
        for method in METHODS:
            with self.subTest(method):
                retriever = self.retriever(method)
                found = retriever.retrieve(self.history[:3], self.candidates[:2], 1000)
                self.assertEqual(found.shape, (2, 1000))
                self.assertLessEqual(set(found.ravel().tolist()), {-1, 0, 1, 2})
                self.assertTrue((found[:, 3:] == -1).all())
                if method != "sim_hard":
                    self.assertEqual(as_sets(found), [{0, 1, 2}] * 2)

    def test_the_table_is_a_copy(self):
        retriever = self.retriever("exact")
        before = retriever.retrieve(self.history, self.candidates, 5)
        self.items[:] = 0
        np.testing.assert_array_equal(before,
                                      retriever.retrieve(self.history, self.candidates, 5))

    def test_same_positions_on_every_target(self):
        first = None
        try:
            for target in eta_simd.targets():
                eta_simd.set_target(target)
                self.assertEqual(eta_simd.target(), target)
                found = as_sets(self.retriever("eta_asym:64").retrieve(self.history,
                                                                       self.candidates, 20))
                first = first or found
                self.assertEqual(found, first)
        finally:
            eta_simd.set_target(None)

    def test_threads_of_python_get_the_same(self):
        retriever = self.retriever("eta:64+rerank_i8:2")
        want = as_sets(retriever.retrieve(self.history, self.candidates, 8))
        found = []

        def work():
            for _ in range(50):
                found.append(as_sets(retriever.retrieve(self.history, self.candidates, 8)))
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 200)
        self.assertTrue(all(one == want for one in found))


class Measures(unittest.TestCase):
    def test_by_definition(self):
        scores = support.float32([[3, 1, 2, 2], [0, 0, 0, 1]])
        returned = support.int32([[0, 3], [1, -1]])
        np.testing.assert_array_equal(
            eta_simd.recall(returned, support.int32([[0, 2], [3, 2]]), 4), [0.5, 0])
        np.testing.assert_array_equal(eta_simd.recall_ties(returned, scores, 2), [1, 0.5])
        weights = np.exp(scores / 2.0)
        weights /= weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(eta_simd.attention_mass(returned, scores, 4),
                                   [weights[0, [0, 3]].sum(), weights[1, 1]])
        weights = np.exp(scores / (2.0 * 0.5))
        weights /= weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(eta_simd.attention_mass(returned, scores, 4, temperature=0.5),
                                   [weights[0, [0, 3]].sum(), weights[1, 1]])
        self.assertTrue(np.isnan(eta_simd.recall(np.zeros((1, 0), np.int32),
                                                 np.zeros((1, 0), np.int32), 0))[0])

    def test_refuses_what_does_not_fit(self):
        rows, found = support.table(), np.zeros((300, 1), np.int32)
        mass, scores = eta_simd.attention_mass, rows[:, :2].copy()
        for error, message, measure, *arguments in (
                (TypeError, "^temperature: expected a number, got str$", mass, found, scores, 4,
                 "warm"),
                (ValueError, "^temperature: a number of", mass, found, scores, 4, 10 ** 400),
                *((ValueError, "^temperature = .* must be a positive number", mass, found, scores,
                   4, number) for number in (0, -1, float("nan"), float("inf"))),
                (ValueError, "position 7", eta_simd.recall, support.int32([[7]]),
                 support.int32([[0]]), 3),
                (ValueError, "^queries: 2 columns, rows has 16", native.measures, found, rows,
                 scores, 4),
                (ValueError, "^queries: 2 rows, returned has 300", native.measures, found, rows,
                 rows[:2], 4),
                (ValueError, "^rows: of shape 9 x 0", native.measures, found, np.zeros(
                    (9, 0), np.float32), rows, 4),
                (ValueError, "^k: ", native.measures, found, rows, rows, 0),
                (ValueError, "position 300", native.measures, found + 300, rows, rows, 4)):
            with self.assertRaisesRegex(error, message):
                measure(*arguments)

    def test_all_of_a_history_are_those_one_by_one(self):
        # Small whole numbers: scores are exact, and many are equal.
        rows, queries = np.round(support.table(50)), np.round(support.table(7, seed=2))
        rows[3], queries[2] = np.nan, 0
        retrieved = eta_simd.dot_topk(rows, queries, 9, ties="oldest", is_sorted=False)[0]
        retrieved[4, 5:] = -1
        scores = (queries.astype(float) @ rows.astype(float).T).astype(np.float32)
        exact = eta_simd.dot_topk(rows, queries, 9)[0]
        recall, ties, mass = native.measures(retrieved, rows, queries, 9)
        np.testing.assert_array_equal(recall, eta_simd.recall(retrieved, exact, 50))
        np.testing.assert_array_equal(ties, eta_simd.recall_ties(retrieved, scores, 9))
        np.testing.assert_array_equal(mass, eta_simd.attention_mass(retrieved, scores, 16))
        self.assertLess(recall[2], 1)  # the one of equal scores is not the other
        self.assertEqual((ties[2], ties[4]), (1, 5 / 9))
        for values in native.measures(np.full((7, 1), -1, np.int32), rows[:0], queries, 9):
            self.assertTrue(np.isnan(values).all() and len(values) == 7)


class Bundles(unittest.TestCase):
    def test_what_is_written_is_read(self):
        made = eta_simd.generate_bundle(seed=2, users=4, items=100, dim=8, length=20)
        made.candidates_offsets = support.int64([0, 1, 1, 1, 2])
        made.candidates_items = support.int32([5, 6])
        made.hyperplanes = Hyperplanes(8, 16).matrix
        made.candidate_embeddings = made.item_embeddings[::-1].copy()
        made.check()
        with tempfile.TemporaryDirectory() as folder:
            eta_simd.write_bundle(made, Path(folder) / "bundle")
            read = eta_simd.read_bundle(Path(folder) / "bundle")
            with self.assertRaisesRegex(eta_simd.DataError, "exists"):
                eta_simd.write_bundle(made, Path(folder) / "bundle")
        for name, value in vars(made).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(read, name), value)
                self.assertEqual(getattr(read, name).dtype, value.dtype)
            else:
                self.assertEqual(getattr(read, name), value)

    def test_what_is_wrong_is_said(self):
        bundle = eta_simd.generate_bundle(users=2, items=10, dim=4, length=3)
        bundle.history_items[1] = 10
        with self.assertRaisesRegex(ValueError, "10"):
            bundle.check()
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(ValueError):
                eta_simd.write_bundle(bundle, folder + "/bundle")
            self.assertFalse((Path(folder) / "bundle").exists())
            with self.assertRaisesRegex(eta_simd.DataError, "item_embeddings"):
                eta_simd.read_bundle(folder)


class Package(unittest.TestCase):
    def test_names(self):
        self.assertEqual(eta_simd.__version__, eta_simd.build_info()["version"])
        for name in eta_simd.__all__:
            self.assertTrue(callable(getattr(eta_simd, name)), name)
            self.assertIn(name, dir(eta_simd))
        with self.assertRaisesRegex(AttributeError, "no attribute 'nonsense'"):
            eta_simd.nonsense

    def test_overhead_prints_every_target(self):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            overhead.main(["--length", "200", "--calls", "3", "--imports", "1"])
        self.assertEqual([re.sub(r"-?\d+(\.\d+)? (us|ms)|\d+\.\d+ times", "N", line) for line in
                          printed.getvalue().splitlines()],
                         [f"{method}: {text}" for method in ("eta:64", "exact") for text in (
                             "N from Python, N in C++: N over it (at most 3)",
                             "two Python threads answer N as many requests as one (at least 1.8)")]
                         + ["import eta_simd: N over NumPy (at most 60)"])

    def test_needs_numpy_alone(self):
        code = ("import sys, numpy; before = set(sys.modules); import eta_simd; "
                "eta_simd.Retriever, eta_simd.CtrModel, eta_simd.read_bundle; "
                "print({m.split('.')[0] for m in set(sys.modules) - before} "
                "- set(sys.stdlib_module_names) - {'eta_simd', 'numpy'})")
        done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True,
                              check=False, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
        self.assertEqual((done.stdout, done.stderr), ("set()\n", ""))


if __name__ == "__main__":
    unittest.main()
