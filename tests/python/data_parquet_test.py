#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of convert.py to and from Parquet. Exit code 77: PyArrow is missing."""
import arrow_support
arrow_support.need()
import json
import re
import subprocess
import sys
import unittest

import support

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eta_simd.command import BadInput
from eta_simd.data import parquet

DIM, ITEMS = 4, 30
HISTORIES: list = [[3, 3, 29], [], [0], list(range(20)), [5]]
CANDIDATES: list = [[1], [2, 2], [], [29, 0], [7]]


def offsets(rows):
    return np.cumsum([0, *map(len, rows)], dtype=np.int64)


def flat(rows, dtype=np.int32):
    return np.array(sum(rows, []), dtype)


def whole_bundle():
    """All that a bundle may hold, by file name."""
    random = np.random.default_rng(1)
    return {"item_embeddings": random.standard_normal((ITEMS, DIM), np.float32),
            "candidate_embeddings": random.standard_normal((ITEMS, DIM), np.float32),
            "item_categories": np.arange(ITEMS, dtype=np.int32),
            "history_offsets": offsets(HISTORIES), "history_items": flat(HISTORIES),
            "history_times": flat([sorted(row) for row in HISTORIES], np.int64),
            "candidates_offsets": offsets(CANDIDATES), "candidates_items": flat(CANDIDATES),
            "hyperplanes": random.standard_normal((DIM, 64), np.float32),
            "pq_codebooks": random.standard_normal((32, 2), np.float32),
            "pq_rotation": np.eye(DIM, dtype=np.float32),
            "ctr_samples": np.ones((3, 5), np.int32)}


class Parquet(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.bundle, self.made, self.back = (self.folder / name for name in
                                             ("bundle", "made.parquet", "back"))

    def write(self, arrays, description=None):
        self.bundle.mkdir()
        for name, array in arrays.items():
            np.save(self.bundle / f"{name}.npy", array)
        if description is not None:
            (self.bundle / "bundle.json").write_text(json.dumps(description))

    def call(self, *arguments):
        command = [sys.executable, support.SCRIPTS / "convert.py", *arguments]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)

    def convert(self, source, output):
        done = self.call("--input", source, "--output", output)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def refuse(self, message, source=None, *options):
        """Checks that Parquet is refused with this message and nothing is left behind."""
        before = sorted(self.folder.rglob("*"))
        done = self.call("--input", source or self.made, "--output", self.back, *options)
        self.refused(done, re.escape(message))
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def same_files(self, names):
        self.assertEqual({path.name for path in self.back.iterdir()},
                         {"bundle.json", *(f"{name}.npy" for name in names)})
        for name in names:
            self.assertEqual((self.back / f"{name}.npy").read_bytes(),
                             (self.bundle / f"{name}.npy").read_bytes(), name)

    def parquet(self, items=None, histories=None, **more):
        """Writes self.made from columns, of which some are as given."""
        self.made.mkdir()
        table = pa.array(np.zeros(ITEMS * DIM, np.float32))
        parts = {"items": {"embedding": pa.FixedSizeListArray.from_arrays(table, DIM),
                           **(items or {})},
                 "histories": {"history": pa.array(HISTORIES, pa.list_(pa.int32())),
                               **(histories or {})}, **more}
        for name, columns in parts.items():
            pq.write_table(pa.table(columns), self.made / f"{name}.parquet", row_group_size=3)

    def test_a_whole_bundle_survives_a_round_trip(self):
        arrays = whole_bundle()
        self.write(arrays, {"name": "n", "licence": "l", "more": [1]})
        self.convert(self.bundle, self.made)
        self.convert(self.made, self.back)
        self.same_files(arrays)
        self.assertEqual(json.loads((self.back / "bundle.json").read_text()), {
            "name": "n", "source": "made.parquet", "licence": "l", "more": [1],
            "made_by": "scripts/convert.py",
            "counts": {"items": ITEMS, "dim": DIM, "users": 5, "behaviours": 25}})
        self.assertEqual(pq.read_table(self.made / "histories.parquet").to_pydict(), {
            "user": list(range(5)), "history": HISTORIES,
            "times": [sorted(row) for row in HISTORIES]})

    def test_what_is_optional_may_be_missing(self):
        names = ("item_embeddings", "history_offsets", "history_items")
        self.write({name: whole_bundle()[name] for name in names})
        self.convert(self.bundle, self.made)
        self.convert(self.made, self.back)
        self.same_files(names)

    def test_users_without_behaviours_and_no_users(self):
        for name, rows in (("a", [[], []]), ("b", [])):
            with self.subTest(rows):
                self.bundle, self.made, self.back = (self.folder / f"{name}{i}" for i in range(3))
                self.made = self.made.with_suffix(".parquet")
                self.write({"item_embeddings": np.ones((1, 1), np.float32),
                            "history_offsets": offsets(rows), "history_items": flat(rows)})
                self.convert(self.bundle, self.made)
                self.convert(self.made, self.back)
                self.same_files(("item_embeddings", "history_offsets", "history_items"))

    def test_row_groups_and_batches_are_small(self):
        arrays = whole_bundle()
        self.write(arrays)
        self.addCleanup(setattr, parquet, "PIECE", parquet.PIECE)
        parquet.PIECE = 8
        parquet.write_parquet(self.bundle, self.made)
        groups = [pq.ParquetFile(self.made / f"{name}.parquet").num_row_groups
                  for name in ("items", "histories", "candidates")]
        self.assertEqual(groups, [15, 3, 1])  # 2 items; 4, 20 and 1 behaviours; 6 candidates
        parquet.PIECE = 1 << 20
        whole = self.folder / "whole.parquet"
        parquet.write_parquet(self.bundle, whole)
        parquet.PIECE = 8
        sizes = [batch.num_rows for batch, *_ in parquet.pieces(
            whole / "items.parquet", "embedding", (), "item")]
        self.assertEqual(sizes, [2] * 15)
        parquet.read_parquet(whole, self.back)
        self.same_files(arrays)
        self.made = self.folder / "bad.parquet"
        rows = [[1.0] * DIM] * 17 + [[float("inf")] * DIM]
        self.parquet(items={"embedding": pa.array(rows, pa.list_(pa.float32()))})
        pq.write_table(pq.read_table(self.made / "items.parquet"), self.made / "items.parquet")
        with self.assertRaisesRegex(BadInput, "row group 0, row 17, column 'embedding', element 0"):
            parquet.read_parquet(self.made, self.folder / "new")

    def test_a_row_group_is_not_held_as_a_whole(self):
        values = np.random.default_rng(1).integers(0, ITEMS, 1 << 22, dtype=np.int32)
        lengths = np.arange(0, len(values) + 1, 1 << 10, dtype=np.int32)
        self.parquet()
        path = self.made / "histories.parquet"
        pq.write_table(pa.table({"history": pa.ListArray.from_arrays(lengths, values)}), path,
                       compression="none", use_dictionary=False)
        self.assertEqual(pq.ParquetFile(path).num_row_groups, 1)
        code = ("import pathlib, sys; sys.path.insert(0, sys.argv[1])\n"
                "import pyarrow\n"
                "from eta_simd.data import parquet\n"
                "parquet.PIECE = 1 << 16\n"
                "parquet.read_parquet(*map(pathlib.Path, sys.argv[2:]))\n"
                "print(pyarrow.default_memory_pool().max_memory())")
        done = subprocess.run([sys.executable, "-c", code, support.ROOT / "python", self.made,
                               self.back], capture_output=True, text=True, check=True)
        np.testing.assert_array_equal(np.load(self.back / "history_items.npy"), values)
        self.assertLess(int(done.stdout), values.nbytes // 2)

    def test_reads_what_engines_write(self):
        """Folders of files in order of name with notes beside them, and their types."""
        self.parquet(items={"embedding": pa.array([[1.0, 2.0]] * ITEMS, pa.list_(pa.float32())),
                            "category": pa.array(range(ITEMS), pa.int64())})
        (self.made / "histories.parquet").unlink()
        folder = self.made / "histories.parquet"
        folder.mkdir()
        for number, rows in enumerate((HISTORIES[:2], HISTORIES[2:])):
            pq.write_table(pa.table({"history": pa.array(rows, pa.large_list(pa.int64()))}),
                           folder / f"part-0000{number}.snappy.parquet")
        (folder / "_SUCCESS").touch()
        (folder / "_metadata.parquet").write_text("no Parquet")
        self.convert(self.made, self.back)
        self.assertEqual(np.load(self.back / "history_items.npy").tolist(), sum(HISTORIES, []))
        self.assertEqual(np.load(self.back / "history_offsets.npy").tolist(),
                         offsets(HISTORIES).tolist())
        self.assertEqual(np.load(self.back / "item_categories.npy").tolist(), list(range(ITEMS)))
        self.assertEqual(np.load(self.back / "item_embeddings.npy").tolist(), [[1, 2]] * ITEMS)

    def test_refuses_with_file_row_group_and_row(self):
        def history(rows, kind=pa.int32()):
            return {"histories": {"history": pa.array(rows, pa.list_(kind))}}

        def vectors(rows, kind=pa.float32()):
            return {"items": {"embedding": pa.array(rows, pa.list_(kind))}}
        good = [[1.0] * DIM] * ITEMS
        times = [[0] * len(row) for row in HISTORIES]
        cases = (
            (history(HISTORIES[:4] + [[1, ITEMS]]), "histories.parquet: row group 1, row 1, column "
             f"'history', element 1: item id {ITEMS} lies outside [0, {ITEMS})"),
            (history(HISTORIES[:3] + [[-1], []]),
             "row group 1, row 0, column 'history', element 0: item id -1"),
            (history(HISTORIES[:3] + [None, []]), "row group 1, row 0, column 'history': null"),
            (history([[0], [1, None]] + HISTORIES[:3]),
             "row group 0, row 1, column 'history', element 1: null"),
            (history(HISTORIES, pa.float64()), "column 'history': list<"),
            ({"histories": {"times": pa.array(times[:4] + [[]], pa.list_(pa.int64()))}},
             "row group 1, row 1, column 'times': 0 times for 1 behaviours"),
            ({"histories": {"times": pa.array(times, pa.list_(pa.int32()))}},
             "row group 0, column 'times': of int32 (expected int64)"),
            ({"histories": {"user": pa.array([0, 1, 2, 4, 3])}},
             "row group 1, row 0, column 'user': 4 (expected 3, the number of rows before)"),
            (vectors(good[:7] + [[1, 1, float("nan"), 1]]),
             "items.parquet: row group 2, row 1, column 'embedding', element 2: nan"),
            (vectors(good[:4] + [[1.0] * (DIM - 1)]), "row group 1, row 1, column 'embedding': 3"),
            (vectors(good[:3] + [[1.0] * 2]), "row group 1, row 0, column 'embedding': 2 values"),
            (vectors([[]] * 3), "row group 0, row 0, column 'embedding': 0 values"),
            (vectors([]), "items.parquet: no items"),
            (vectors(good, pa.float64()), "row group 0, column 'embedding': list<"),
            ({"items": {"category": pa.array([0] * 29 + [-1])}},
             "row group 9, row 2, column 'category': -1"),
            ({"items": {"category": pa.array(["x"] * 30)}}, "column 'category': of string"),
            ({"candidates": {"candidates": pa.array([[0]] * 4, pa.list_(pa.int32()))}},
             "candidates.parquet: 4 rows (expected 5"),
            ({"candidates": {"other": [1]}},
             "candidates.parquet: columns other (expected candidates)"))
        for given, message in cases:
            with self.subTest(message):
                self.made = self.folder / f"made{len(list(self.folder.iterdir()))}"
                self.parquet(**given)
                self.refuse(message)

    def test_refuses_what_is_not_sound(self):
        self.parquet()
        path = self.made / "histories.parquet"
        sound = path.read_bytes()
        for content in (b"", b"PAR1", sound[:-1], sound[:len(sound) // 2], b"\0" * 100):
            path.write_bytes(content)
            self.refuse("histories.parquet: ")
        path.unlink()
        self.refuse("histories.parquet: cannot be read: No such file")
        path.mkdir()
        self.refuse("histories.parquet: no files in it")
        pq.write_table(pa.table({"history": pa.array([[0]], pa.list_(pa.int32()))}),
                       path / "a.parquet")
        pq.write_table(pa.table({"history": pa.array([[0]], pa.list_(pa.int32())),
                                 "times": pa.array([[0]], pa.list_(pa.int64()))}),
                       path / "b.parquet")
        self.refuse("b.parquet: columns history, times (expected history)")
        (path / "b.parquet").unlink()
        (self.made / "bundle.json").write_text("[]")
        self.refuse("bundle.json: not an object")
        (self.made / "bundle.json").unlink()
        np.save(self.made / "hyperplanes.npy", np.ones((DIM + 1, 64), np.float32))
        self.refuse("hyperplanes.npy: shape [5, 64]")
        self.refuse("are not for Parquet", None, "--length", "3")
        self.back.mkdir()
        self.refuse("exists already")

    def test_refuses_a_bad_bundle(self):
        self.write({"item_embeddings": np.ones((2, 2), np.float32),
                    "history_offsets": offsets([[2]]), "history_items": flat([[2]])})
        self.back = self.folder / "new.parquet"
        self.refuse("item outside 0 to 1", self.bundle)
        (self.bundle / "item_embeddings.npy").unlink()
        self.refuse("not a data bundle", self.bundle)


class WithoutArrow(support.FolderTest):
    def test_says_how_to_get_it(self):
        (self.folder / "pyarrow.py").write_text("raise ImportError('No module named pyarrow')")
        (self.folder / "log" / "items.parquet").mkdir(parents=True)
        code = ("import sys; sys.path[:0] = sys.argv[1:3]\n"
                "from eta_simd.data import convert\n"
                "convert.main(['--input', sys.argv[1] + '/log', '--output', sys.argv[1] + '/b'])")
        done = subprocess.run(
            [sys.executable, "-c", code, str(self.folder), str(support.ROOT / "python")],
            capture_output=True, text=True, check=False)
        self.assertIn("BadInput: No module named pyarrow (scripts/setup.sh arrow installs it",
                      done.stderr)


if __name__ == "__main__":
    unittest.main()
