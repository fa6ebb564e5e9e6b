#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of convert.py on vectors made up here. Exit code 77: NumPy or SciPy is missing."""
import unittest

import support
from data_support import DataTest

import numpy as np

try:
    import h5py
except ImportError:
    h5py = None


class Convert(DataTest):
    BASE = np.arange(12, dtype=np.float32).reshape(4, 3)
    QUERIES = np.array([[1, 0, 0], [0, 0, 1], [5, 5, 5]], np.float32)

    def vecs(self, name, matrix, dtype="<f4"):
        path = self.folder / name
        path.write_bytes(b"".join(np.int32(len(row)).tobytes() + np.asarray(row, dtype).tobytes()
                                  for row in matrix))
        return path

    def fbin(self, name, matrix, dtype="<f4"):
        path = self.folder / name
        path.write_bytes(np.array(matrix.shape, "<u4").tobytes() + matrix.astype(dtype).tobytes())
        return path

    def test_vectors_become_items_and_queries_candidates(self):
        base, queries = self.vecs("base.fvecs", self.BASE), self.fbin("q.fbin", self.QUERIES)
        bundle = self.make("convert.py", "--input", base, "--queries", queries, "--length", 2)
        np.testing.assert_array_equal(bundle["item_embeddings"],
                                      np.concatenate([self.BASE, self.QUERIES]))
        self.assertEqual(bundle["history_offsets"].tolist(), [0, 2, 4])
        self.assertEqual(bundle["history_items"].tolist(), [0, 1, 2, 3])
        self.assertEqual(bundle["candidates_offsets"].tolist(), [0, 2, 3])
        self.assertEqual(bundle["candidates_items"].tolist(), [4, 6, 5])

    def test_every_format_survives_a_round_trip(self):
        for suffix in ("fvecs", "ivecs", "bvecs", "fbin", "ibin", "u8bin", "i8bin"):
            with self.subTest(suffix):
                self.output = self.folder / f"bundle-{suffix}"
                dtype = {"f": "<f4", "i": "<i4", "b": "u1"}[suffix[0]] if suffix.endswith("vecs") \
                    else {"fbin": "<f4", "ibin": "<i4", "u8bin": "u1", "i8bin": "i1"}[suffix]
                write = self.vecs if suffix.endswith("vecs") else self.fbin
                path = write(f"base.{suffix}", self.BASE, dtype)
                bundle = self.make("convert.py", "--input", path)
                np.testing.assert_array_equal(bundle["item_embeddings"], self.BASE)
                made = self.folder / f"made.{suffix}"
                done = support.call("convert.py", "--input", self.output, "--output", made)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(made.read_bytes(), path.read_bytes())

    def test_histories_survive_a_round_trip(self):
        base = self.vecs("base.fvecs", self.BASE)
        lists = self.vecs("h.ivecs", [[3, 1, 3], [], [0]], "<i4")
        bundle = self.make("convert.py", "--input", base, "--histories", lists)
        self.assertEqual(bundle["history_offsets"].tolist(), [0, 3, 3, 4])
        self.assertEqual(bundle["history_items"].tolist(), [3, 1, 3, 0])
        made = self.folder / "made.ivecs"
        support.call("convert.py", "--input", self.output, "--output", made, "--part", "histories")
        self.assertEqual(made.read_bytes(), lists.read_bytes())

    @unittest.skipIf(h5py is None, "h5py is missing")
    def test_hdf5_survives_a_round_trip(self):
        path = self.folder / "a.hdf5"
        with h5py.File(path, "w") as file:
            file["train"], file["test"] = self.BASE, self.QUERIES
        bundle = self.make("convert.py", "--input", path)
        self.assertEqual(bundle["candidates_items"].tolist(), [4, 5, 6])
        made = self.folder / "made.hdf5"
        support.call("convert.py", "--input", self.output, "--output", made, "--metric",
                     "euclidean")
        with h5py.File(made) as file:
            np.testing.assert_array_equal(file["train"], self.BASE)
            np.testing.assert_array_equal(file["test"], self.QUERIES)
            far = np.linalg.norm(self.BASE[None] - self.QUERIES[:, None], axis=2)
            np.testing.assert_array_equal(file["neighbors"], np.argsort(far, kind="stable"))
            np.testing.assert_allclose(file["distances"], np.sort(far), rtol=1e-6)
            self.assertEqual(file.attrs["distance"], "euclidean")

    @unittest.skipIf(h5py is None, "h5py is missing")
    def test_the_metric_of_hdf5_is_kept(self):
        path, bundle = self.folder / "a.hdf5", self.output
        for stated, given, written in (("euclidean", (), "euclidean"), ("angular", (), "angular"),
                                       ("euclidean", ("--metric", "angular"), "angular"),
                                       (None, (), "angular"), ("jaccard", (), None),
                                       ("hamming", ("--metric", "euclidean"), "euclidean")):
            with self.subTest(stated=stated, given=given):
                with h5py.File(path, "w") as file:
                    file["train"], file["test"] = self.BASE, self.QUERIES
                    if stated:
                        file.attrs["distance"] = stated
                self.output = bundle.with_name(f"bundle-{stated}-{len(given)}")
                self.make("convert.py", "--input", path)
                made, self.output = self.output, self.folder / "made.hdf5"
                if written is None:
                    self.refuse("convert.py", f"of the metric '{stated}'", "--input", made)
                    continue
                done = support.call("convert.py", "--input", made, "--output", self.output, *given)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                with h5py.File(self.output) as file:
                    self.assertEqual(file.attrs["distance"], written)
                self.output.unlink()

    @unittest.skipIf(h5py is None, "h5py is missing")
    def test_bits_of_hdf5_become_signs(self):
        path = self.folder / "bits.hdf5"
        with h5py.File(path, "w") as file:
            file["train"] = np.array([[True, False], [False, False]])
        bundle = self.make("convert.py", "--input", path)
        self.assertEqual(bundle["item_embeddings"].tolist(), [[1, -1], [-1, -1]])
        self.assertNotIn("candidates_items", bundle)

    def test_refuses_what_does_not_fit(self):
        base = self.vecs("base.fvecs", self.BASE)
        good = base.read_bytes()
        cases = {"cut.fvecs": (good[:-1], "row 3: cut off"),
                 "ragged.fvecs": (good[:16] + b"\2\0\0\0" + good[20:], "row 1: wrong length"),
                 "long.fvecs": (b"\xff\xff\xff\x7f" + good, "row 0: wrong length"),
                 "none.fvecs": (b"\0\0\0\0", "row 0: no values"),
                 "short.fvecs": (b"\0", "row 0: wrong length"),
                 "empty.fvecs": (b"", "empty"),
                 "cut.fbin": (b"\2\0\0\0\2\0\0\0aaaa", "wrong size (expected 2 x 2 values"),
                 "huge.fbin": (b"\xff" * 8, "wrong size"),
                 "head.fbin": (b"\1", "cut off"),
                 "text.txt": (b"1", "unknown format")}
        for name, (content, message) in cases.items():
            path = self.folder / name
            path.write_bytes(content)
            self.refuse("convert.py", message, "--input", path)
        lists = self.vecs("h.ivecs", [[3], [4]], "<i4")
        self.refuse("convert.py", "row 1: item 4 (expected 0 to 3)", "--input", base, "--histories",
                    lists)
        self.refuse("convert.py", "queries of 4 columns (expected 3)", "--input", base, "--queries",
                    self.vecs("q.fvecs", np.ones((1, 4))))
        if h5py:
            path = self.folder / "x.hdf5"
            path.write_bytes(b"no")
            self.refuse("convert.py", "not an HDF5 file", "--input", path)

    @unittest.skipIf(h5py is None, "h5py is missing")
    def test_refuses_damaged_hdf5(self):
        def group(file):
            file.create_group("train")

        def no_test(file):
            file["train"] = self.BASE
            file["test"] = h5py.SoftLink("/nowhere")

        def nothing(file):
            file["train"] = h5py.Empty("f")

        def large(file):
            file["train"] = np.array([[1e300]])

        def endless(file):
            file.create_dataset("train", (2**62, 2**40), "f4", chunks=(1, 1))

        for fill in (group, no_test, nothing, large, endless):
            with self.subTest(fill.__name__):
                path = self.folder / "x.hdf5"
                with h5py.File(path, "w") as file:
                    fill(file)
                self.refuse("convert.py", "x.hdf5: ", "--input", path)

    def test_refuses_what_a_format_cannot_hold(self):
        self.make("convert.py", "--input", self.vecs("base.fvecs", self.BASE + 0.5))
        bundle, self.output = self.output, self.folder / "out.bvecs"
        self.refuse("convert.py", "cannot hold 0.5 of row 0, column 0", "--input", bundle)
        self.output = self.folder / "out.txt"
        self.refuse("convert.py", "unknown format", "--input", bundle)
        self.output = self.folder / "out.fvecs"
        self.refuse("convert.py", "there are no candidates", "--input", bundle, "--part",
                    "candidates")
        self.refuse("convert.py", "cannot hold histories", "--input", bundle, "--part", "histories")
        self.output = bundle
        self.refuse("convert.py", "exists already", "--input", bundle)


if __name__ == "__main__":
    unittest.main()
