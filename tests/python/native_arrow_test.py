#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.arrow. Exit code 77: PyArrow is missing."""
import arrow_support
arrow_support.need()
import doctest
import unittest
from pathlib import Path

import native_support as support
import numpy as np
import pyarrow as pa

import eta_simd
from eta_simd import arrow, columns, packed

METHODS = ("exact", "recent", "eta:64", "scan_i8", "pq4:32+rerank_i8:2", "sim_hard")
HISTORIES: tuple = ([5, 5, 7, 1, 9, 5], [], [3], list(range(40)), [299, 0] * 30)
CANDIDATES: tuple = ([5, 200], [4], [], [0, 39, 100], [299])
CATEGORIES = np.arange(300, dtype=np.int32) % 3


def lists(rows, kind=pa.int32(), is_large=False):
    return pa.array(rows, (pa.large_list if is_large else pa.list_)(kind))


def batch(histories=HISTORIES, candidates=CANDIDATES, kind=pa.int32(), is_large=False, **more):
    columns = {"user": pa.array([f"u{i}" for i in range(len(histories))]),
               "history": lists(histories, kind, is_large),
               "candidates": lists(candidates, kind, is_large), **more}
    return pa.record_batch({name: column for name, column in columns.items()
                            if column is not None})


def make(method, table):
    return eta_simd.Retriever(method, table, categories=CATEGORIES)


def repeated(values, counts):
    return [value for value, count in zip(values, counts) for _ in range(count)]


class Retrieve(unittest.TestCase):
    def setUp(self):
        self.table = support.table()

    def test_positions_are_those_of_single_requests(self):
        for method in METHODS:
            retriever = make(method, self.table)
            for k in (1, 3, 10**9):
                result = arrow.retrieve(batch(), retriever, k)
                result.validate(full=True)
                expected = []
                for history, candidates in zip(HISTORIES, CANDIDATES):
                    found = retriever.retrieve(support.int32(history), support.int32(candidates),
                                               min(k, 100))
                    expected += [sorted(row[row >= 0].tolist()) for row in found]
                with self.subTest(method, k=k):
                    self.assertEqual(result.column("positions").to_pylist(), expected)
                    self.assertEqual(result.column("count").to_pylist(), list(map(len, expected)))
                    self.assertEqual(result.column("candidate").to_pylist(), sum(CANDIDATES, []))
                    self.assertEqual(
                        result.column("user").to_pylist(),
                        repeated(batch().column("user").to_pylist(), map(len, CANDIDATES)))
                    self.assertEqual(result.schema, arrow.result_schema(pa.string()))

    def test_positions_are_of_a_type_that_spark_takes(self):
        self.assertEqual(arrow.result_schema(pa.string()).field("positions").type,
                         pa.list_(pa.int32()))

    def test_measures_are_those_of_single_requests(self):
        retriever, exact = (make(method, self.table) for method in ("eta:64", "exact"))
        result = arrow.retrieve(batch(), retriever, 3, measured_by=self.table)
        self.assertEqual(result.schema, arrow.result_schema(pa.string(), is_measured=True))
        expected: dict = {name: [] for name in arrow.MEASURES}
        for history, candidates in zip(map(support.int32, HISTORIES),
                                       map(support.int32, CANDIDATES)):
            found = retriever.retrieve(history, candidates, 3)
            scores = self.table[candidates] @ self.table[history].T
            expected["recall"] += eta_simd.recall(
                found, exact.retrieve(history, candidates, 3), len(history)).tolist()
            expected["recall_ties"] += eta_simd.recall_ties(found, scores, 3).tolist()
            expected["attention_mass"] += eta_simd.attention_mass(found, scores, 16).tolist()
        for name, values in expected.items():
            got = np.array(result.column(name).to_pylist(), float)  # None becomes NaN
            np.testing.assert_allclose(got, values, rtol=1e-5, err_msg=name)
        self.assertEqual(result.column("recall").null_count, 1)
        self.assertLess(np.nanmin(expected["recall"]), 1)

    def test_the_exact_method_misses_nothing_among_ties(self):
        table = np.round(self.table)
        result = arrow.retrieve(batch(), make("exact", table), 4, measured_by=table)
        self.assertEqual(set(result.column("recall").to_pylist()), {1, None})

    def test_no_partition_changes_a_byte(self):
        retriever, whole = make("eta:64", self.table), batch()

        def bytes_of(parts, **options):
            results = [arrow.retrieve(part, retriever, 3, measured_by=self.table, **options)
                       for part in parts]
            return pa.Table.from_batches(results).combine_chunks().to_pydict()
        expected = repr(bytes_of([whole]))
        for length in (1, 2, 3):
            parts = [whole.slice(begin, length) for begin in range(0, len(HISTORIES), length)]
            self.assertEqual(repr(bytes_of(parts)), expected)
        self.assertEqual(repr(bytes_of([whole], threads=2)), expected)
        split = batch([history for history, wanted in zip(HISTORIES, CANDIDATES) for _ in wanted],
                      [[one] for wanted in CANDIDATES for one in wanted])
        self.assertEqual(repr({**bytes_of([split]), "user": 0}),
                         repr({**bytes_of([whole]), "user": 0}))

    def test_other_types_of_ids_and_empty_batches(self):
        retriever = make("exact", self.table)
        expected = arrow.retrieve(batch(), retriever, 2)
        for kind, is_large in ((pa.int64(), True), (pa.uint64(), False), (pa.int32(), True),
                               (pa.int16(), False)):
            self.assertEqual(arrow.retrieve(batch(kind=kind, is_large=is_large), retriever, 2),
                             expected)
        for empty in (batch().slice(2, 0), batch([], [])):
            result = arrow.retrieve(empty, retriever, 2, measured_by=self.table)
            self.assertEqual(result.num_rows, 0)

    def test_lists_of_int32_are_read_in_place(self):
        column = batch().slice(3).column("history")
        _, items = columns.ids(batch().slice(3), "history", 300)
        self.assertEqual(items.tolist(), column.flatten().to_pylist())
        sliced = batch().slice(3)
        _, items = columns.ids(sliced, "history", 300)
        buffer = sliced.column("history").values.buffers()[1]
        self.assertTrue(buffer.address <= items.ctypes.data < buffer.address + buffer.size)

    def test_behaviours_from_the_time_on_are_not_used(self):
        times = lists([[1, 2, 2, 3, 9, 9], [], [0], list(range(40)), list(range(60))], pa.int64())
        ends = [3, 5, 0, 2, 100]
        result = arrow.retrieve(batch(times=times, time=pa.array(ends, pa.int64())),
                                make("recent", self.table), 2)
        kept = (3, 0, 0, 2, 60)
        expected = [list(range(n))[-2:] for n in kept]
        self.assertEqual(result.column("positions").to_pylist(),
                         repeated(expected, map(len, CANDIDATES)))

    def test_refuses_and_names_row_and_column(self):
        retriever = make("exact", self.table)
        good_times = lists([[0] * len(history) for history in HISTORIES], pa.int64())
        ends = pa.array([1] * 5, pa.int64())
        cases = (
            (batch(HISTORIES[:3] + ([1, 300], [])),
             "row 3, column 'history', element 1: item id 300 lies outside [0, 300)"),
            (batch(candidates=([], [], [-1], [], [])),
             "row 2, column 'candidates', element 0: item id -1"),
            (batch(HISTORIES[:4] + ([1, 2**40],), kind=pa.int64()), "element 1: item id 1099511"),
            (batch(HISTORIES[:4] + (None,)), "row 4, column 'history': null"),
            (batch(HISTORIES[:4] + ([7, None],)), "row 4, column 'history', element 1: null"),
            (batch(kind=pa.float64()), "column 'history': list<item: double> (expected list"),
            (batch(history=pa.array([1] * 5)), "column 'history': int64 (expected list"),
            (batch(user=None), "column 'user': there is none"),
            (pa.RecordBatch.from_arrays([good_times] * 3, ["user", "history", "history"]),
             "column 'history': there are two"),
            (batch(times=good_times), "column 'time': there is none"),
            (batch(time=ends), "column 'times': there is none"),
            (batch(times=good_times, time=pa.array([1, 1, None, 1, 1], pa.int64())),
             "row 2, column 'time': null"),
            (batch(times=good_times, time=pa.array([1.5] * 5)), "column 'time': of double"),
            (batch(times=lists([[]] * 5, pa.int64()), time=ends),
             "row 0, column 'times': 0 times for 6 behaviours"),
            (batch(times=lists([[0] * 6, [], [0], [*range(39), 5], [0] * 60], pa.int64()),
                   time=ends), "row 3, column 'times', element 39: earlier than the one before"))
        for given, message in cases:
            with self.subTest(message), self.assertRaises((TypeError, ValueError)) as caught:
                arrow.retrieve(given, retriever, 2)
            self.assertIn(message, str(caught.exception))
        for given, error in (({"k": 0}, ValueError), ({"k": 1.5}, TypeError),
                             ({"threads": 0}, ValueError),
                             ({"measured_by": self.table[1:]}, ValueError),
                             ({"measured_by": self.table.astype(float)}, TypeError)):
            with self.subTest(given), self.assertRaises(error):
                arrow.retrieve(batch(), retriever, **{"k": 2, **given})
        with self.assertRaisesRegex(TypeError, "batch: expected pyarrow.RecordBatch, got Table"):
            arrow.retrieve(pa.Table.from_batches([batch()]), retriever, 2)

    def test_refuses_offsets_that_fall(self):
        column = pa.Array.from_buffers(pa.list_(pa.int32()), 3, [
            None, pa.py_buffer(support.int32([0, 2, 1, 3]).tobytes())],
            children=[pa.array([1, 2, 3], pa.int32())])
        with self.assertRaisesRegex(ValueError, "row 1, column 'history': a list that ends before"):
            arrow.retrieve(batch([[]] * 3, [[]] * 3, history=column), make("exact", self.table), 2)


class Packed(unittest.TestCase):
    def setUp(self):
        self.retriever = make("eta:64", support.table())

    def given(self):
        times = [[7] * len(history) for history in HISTORIES]
        return batch(times=lists(times, pa.int64()), time=pa.array([8, 8, 8, 8, 5], pa.int64()))

    def test_packed_requests_are_answered_as_lists_are(self):
        given = self.given()
        taken = packed.pack(given)
        self.assertEqual([str(kind) for kind in taken.schema.types],
                         ["string", "binary", "binary", "binary", "int64"])
        self.assertEqual(packed.pack(taken), taken)
        table = support.table()
        for begin, length in ((0, 5), (1, 3), (3, 2), (2, 0)):
            part = slice(begin, begin + length)
            expected = arrow.retrieve(given.slice(begin, length), self.retriever, 3,
                                      measured_by=table)
            found = arrow.retrieve(taken.slice(begin, length), self.retriever, 3,
                                   measured_by=table)
            self.assertEqual(found, expected, part)
        large = taken.set_column(1, "history", taken.column("history").cast(pa.large_binary()))
        self.assertEqual(arrow.retrieve(large, self.retriever, 3),
                         arrow.retrieve(given, self.retriever, 3))

    def test_packed_ids_are_read_in_place_or_aligned(self):
        data = support.int32([5, 7, 9]).tobytes()
        for start in (0, 1):  # one byte further no int32 is aligned
            held = np.zeros(16, np.uint8)
            held[start:start + 12] = np.frombuffer(data, np.uint8)
            column = pa.Array.from_buffers(pa.binary(), 2, [None, pa.py_buffer(
                support.int32([start, start + 8, start + 12]).tobytes()), pa.py_buffer(held)])
            offsets, values = columns.packed(pa.record_batch({"ids": column}), "ids", np.int32)
            self.assertEqual((offsets.tolist(), values.tolist()), ([0, 2, 3], [5, 7, 9]))
            self.assertTrue(values.flags.aligned)
            self.assertEqual(np.shares_memory(values, held), start == 0)

    def test_packed_results_unpack_to_those_of_lists(self):
        for given in (self.given(), batch()):
            for begin, length in ((0, 5), (1, 3), (2, 1), (2, 0)):
                part = given.slice(begin, length)
                for k in (1, 3, 50):
                    found = packed.retrieve(part, self.retriever, k)
                    found.validate(full=True)
                    self.assertEqual(found.schema, packed.result_schema(pa.string()))
                    self.assertEqual(found.num_rows, length)
                    self.assertEqual(packed.unpack(found), arrow.retrieve(part, self.retriever, k))
        self.assertEqual(packed.unpack(packed.retrieve(batch(), self.retriever, 3).slice(2)),
                         arrow.retrieve(batch().slice(2), self.retriever, 3))

    def test_refuses_and_names_row_and_column(self):
        taken, found = packed.pack(batch()), packed.retrieve(batch(), self.retriever, 3)

        def answer(given):
            return arrow.retrieve(given, self.retriever, 2)

        def with_bytes(rows, name, row, value):
            column = rows.column(name).to_pylist()
            column[row] = value
            return rows.set_column(rows.schema.get_field_index(name), name,
                                   pa.array(column, pa.binary()))
        cases: tuple = (
            (packed.pack, batch(HISTORIES[:4] + ([1, 2**40],), kind=pa.int64()),
             "row 4, column 'history', element 1: 1099511627776 does not fit int32"),
            (packed.pack, batch(kind=pa.float64()), "column 'history': list<item: double>"),
            (packed.pack, batch(HISTORIES[:4] + (None,)), "row 4, column 'history': null"),
            (answer, with_bytes(taken, "history", 3, b"12345"),
             "row 3, column 'history': 5 bytes (expected a multiple of 4)"),
            (answer, with_bytes(taken, "candidates", 1, None),
             "row 1, column 'candidates': null"),
            (answer, with_bytes(taken, "history", 4, b"\xff" * 8),
             "row 4, column 'history', element 0: item id -1 lies outside [0, 300)"),
            (packed.unpack, batch(), "column 'candidates': list<item: int32> (expected binary"),
            (packed.unpack, with_bytes(found, "counts", 3, b"1234"),
             "row 3, column 'counts': 1 counts for 3 candidates"),
            (packed.unpack, with_bytes(found, "counts", 1, b"\xff" * 4),
             "row 1, column 'counts', element 0: -1 (expected 0 or more)"),
            (packed.unpack, with_bytes(found, "positions", 0, b"1234"),
             "row 0, column 'positions': 1 positions for 6 in counts"))
        for work, given, message in cases:
            with self.subTest(message), self.assertRaises((TypeError, ValueError)) as caught:
                work(given)
            self.assertIn(message, str(caught.exception))


class Embeddings(unittest.TestCase):
    def column(self, table):
        return pa.FixedSizeListArray.from_arrays(pa.array(table.reshape(-1)), table.shape[1])

    def test_is_the_memory_of_one_chunk(self):
        table = support.table(10, 4)
        column = self.column(table)
        for given in (column.slice(2), pa.chunked_array([column.slice(2)])):
            found = arrow.embeddings(given)
            np.testing.assert_array_equal(found, table[2:])
            self.assertEqual(found.ctypes.data, column.values.buffers()[1].address + 2 * 4 * 4)
            self.assertEqual(eta_simd.Retriever("exact", found).items, 8)
        np.testing.assert_array_equal(
            arrow.embeddings(pa.chunked_array([column, column.slice(3)])),
            np.concatenate([table, table[3:]]))

    def test_refuses_and_names_the_row(self):
        table = support.table(70000, 2)
        table[69000, 1] = np.nan
        kind = pa.list_(pa.float32(), 2)
        for column, message in (
                (self.column(table), "row 69000, column 'x', element 1: nan"),
                (pa.array([[1, 2], None], kind), "row 1, column 'x': null"),
                (pa.array([[1, 2], [1, None]], kind), "row 1, column 'x', element 1: null"),
                (self.column(table.astype(float)), "column 'x': fixed_size_list<"),
                (pa.array([[1.5]]), "column 'x': list<")):
            with self.assertRaises((TypeError, ValueError)) as caught:
                arrow.embeddings(column, "x")
            self.assertIn(message, str(caught.exception))


class Setup(unittest.TestCase):
    def test_the_extra_has_what_setup_installs(self):
        root = Path(__file__).resolve().parents[2]
        setup = (root / "scripts/setup.sh").read_text(encoding="utf-8")
        self.assertIn("\nARROW=(numpy scipy pyarrow) ", setup)
        self.assertIn("\nSPARK=('pyspark>=4,<5' 'pandas<3') ", setup)
        extra = (root / "pyproject.toml").read_text(encoding="utf-8")
        self.assertIn('\narrow = ["pyarrow"]\n', extra)
        self.assertIn('\nspark = ["pyarrow", "pyspark>=4,<5", "pandas<3"]\n', extra)


class Docstrings(unittest.TestCase):
    def test_examples(self):
        for module in (arrow, packed):
            result = doctest.testmod(module)
            self.assertEqual(result.failed, 0)
            self.assertGreater(result.attempted, 5)


if __name__ == "__main__":
    unittest.main()
