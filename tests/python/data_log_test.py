#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of how logs are read and item embeddings made of them. Exit code 77: NumPy or SciPy is
missing."""
import pathlib
import tempfile
import unittest
from unittest import mock

from data_support import DataTest

import numpy as np

from eta_simd.command import BadInput
from eta_simd.data import embeddings, log as eta_log, user_items


class Reading(DataTest):
    COLUMNS = [eta_log.Integer("a"), eta_log.Skipped("b"), eta_log.Text("c", "[a-z]*", "letters")]

    def read(self, bundle):
        chunks = list(eta_log.read_chunks(bundle, self.COLUMNS))
        rows = []
        for chunk in chunks:
            texts, codes = chunk["c"]
            rows += [(int(a), texts[code].decode()) for a, code in zip(chunk["a"], codes)]
        return len(chunks), rows

    def test_cuts_chunks_anywhere(self):
        rows = [(n**3, "xyz"[:n % 4]) for n in range(300)]
        path = self.write("rows.csv", [f"{a},?{a}?,{c}" for a, c in rows])
        path.write_bytes(path.read_bytes()[:-1])  # no newline at the end
        whole = eta_log.CHUNK_BYTES
        self.addCleanup(setattr, eta_log, "CHUNK_BYTES", whole)
        for size in (whole, 20, 64, 1000):
            eta_log.CHUNK_BYTES = size
            count, found = self.read(path)
            self.assertEqual(found, rows)
            self.assertEqual(count > 2, size != whole)
        path.write_text("1," + "2" * (eta_log.MAX_LINE_BYTES + 1))
        with self.assertRaisesRegex(BadInput, "a line is longer than 65536 bytes"):
            self.read(path)
        path.write_text("1,2,a\n" * 50 + "1,2,A\n")
        with self.assertRaisesRegex(BadInput, "rows.csv:51: malformed c"):
            self.read(path)

    def test_numbers_ids_far_apart(self):
        for ids in ([5, 3, 5, 9], [5, 3, 5, 10**17]):
            distinct, places = eta_log.number_ids(np.array(ids))
            self.assertEqual(distinct.tolist(), sorted(set(ids)))
            self.assertEqual(distinct[places].tolist(), ids)


class Embeddings(unittest.TestCase):
    def log(self, users, items, seed):
        random = np.random.default_rng(seed)
        lists = [np.flatnonzero(random.random(items) < 0.3) for _ in range(users)]
        offsets = np.cumsum([0] + [len(part) for part in lists])
        return eta_log.Log(offsets, np.concatenate(lists).astype(np.int32), None, items)

    def dense(self, log):
        matrix = np.zeros((len(log.offsets) - 1, log.num_items))
        for user, row in enumerate(matrix):
            row[log.items[log.offsets[user]:log.offsets[user + 1]]] = 1
        users, items = matrix.sum(1), matrix.sum(0)
        return matrix / np.sqrt(np.outer(users + users.mean(), items + items.mean()))

    def test_products_are_those_of_the_matrix(self):
        for users, items in ((60, 40), (40, 60)):
            log = self.log(users, items, 5)
            dense = self.dense(log)
            table = embeddings.item_embeddings(log, min(users, items), 1).astype(float)
            expected = dense.T @ dense
            expected *= np.mean(table**2) * table.size / np.trace(expected)
            np.testing.assert_allclose(table @ table.T, expected, atol=5e-3)

    def quick(self, log, *more, pairs=1 << 20):
        """Embeddings of a search that is cut short, by blocks of so many pairs."""
        with mock.patch.object(embeddings, "LARGE", 0), \
                mock.patch.object(user_items, "PAIRS", pairs):
            return embeddings.item_embeddings(log, 5, 1, *more)

    def test_both_solvers_agree(self):
        for users, items in ((90, 70), (70, 90)):
            log = self.log(users, items, 6)
            exact, quick = embeddings.item_embeddings(log, 5, 1), self.quick(log)
            self.assertLess(np.abs(exact[:, 0] - quick[:, 0]).max(), 5e-2)
            kept = [np.square(t.astype(float) @ t.T.astype(float)).sum() for t in (exact, quick)]
            self.assertAlmostEqual(kept[1] / kept[0], 1, delta=0.03)

    def test_blocks_and_repeated_behaviours_change_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            for users, items in ((90, 70), (70, 90)):
                log = self.log(users, items, 6)
                expected = self.quick(log)
                owner = np.repeat(np.arange(users), np.diff(log.offsets))
                order = np.argsort(np.tile(owner, 3), kind="stable")  # each three times
                twice = eta_log.Log(3 * log.offsets, np.tile(log.items, 3)[order], None, items)
                for pairs in (1, 100, 2000):
                    path = pathlib.Path(folder) / "pairs"
                    found = self.quick(twice, path, pairs=pairs)
                    np.testing.assert_allclose(found, expected, atol=2**-11)
                    self.assertFalse(path.exists())

    def test_pieces_are_of_whole_users(self):
        offsets = np.array([0, 0, 3, 5, 5, 14, 15, 15])
        for most, expected in ((1, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7)]),
                               (5, [(0, 4), (4, 5), (5, 7)]), (100, [(0, 7)])):
            self.assertEqual(list(eta_log.pieces(offsets, most)), expected)


if __name__ == "__main__":
    unittest.main()
