#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of codebooks in data bundles: those that bundle_tool trains, those that Python writes. Exit
code 77: NumPy is missing, or no bundle_tool is named."""
import json
import subprocess
import sys
import unittest

import support
from data_support import DataTest

import numpy as np

from eta_simd.command import BadInput
from eta_simd.data.bundle import check_codebooks, write_bundle

DIM, SUBSPACES = 9, 4  # subspaces of 2, 2, 2 and 3 dimensions


class Codebooks(DataTest):
    def arrays(self):
        random = np.random.RandomState(1)
        codebooks = random.standard_normal((16 * SUBSPACES, 3)).astype(np.float32)
        codebooks[:48, 2] = 0
        rotation = np.linalg.qr(random.standard_normal((DIM, DIM)))[0].astype(np.float32)
        return {"item_embeddings": random.standard_normal((60, DIM)).astype(np.float32),
                "history_offsets": np.array([0, 3], np.int64),
                "history_items": np.array([5, 9, 5], np.int32),
                "pq_codebooks": codebooks, "pq_rotation": rotation}

    def tool(self, *arguments):
        return subprocess.run([BUNDLE_TOOL, *map(str, arguments)], capture_output=True, text=True,
                              check=False, timeout=60)

    def test_bundle_tool_reads_what_python_writes(self):
        write_bundle(self.output, self.arrays(), {"name": "x"})
        done = self.tool("check", self.output)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("product codebooks: 16 bits, rotated\n", done.stdout)

    def test_candidate_embeddings(self):
        towers = np.random.RandomState(3).standard_normal((60, DIM)).astype(np.float32)
        write_bundle(self.output, {**self.arrays(), "candidate_embeddings": towers}, {"name": "x"})
        done = self.tool("check", self.output)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("candidate embeddings: yes\n", done.stdout)
        for bad in (towers[:59], towers[:, 1:], towers.astype(np.float64), towers[0]):
            with self.assertRaisesRegex(BadInput, "candidate_embeddings is "):
                arrays = {**self.arrays(), "candidate_embeddings": bad}
                write_bundle(self.folder / "bad", arrays, {})
        path = self.folder / "codes.npy"
        done = self.tool("codes", "--input", self.output, "--output", path, "--bits", 8,
                         "--candidates")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(np.load(path).shape, (60, 1))
        write_bundle(self.folder / "one", self.arrays(), {"name": "x"})
        done = self.tool("codes", "--input", self.folder / "one", "--output", path, "--candidates")
        self.assertEqual(done.returncode, 2)

    def test_codes_are_signs_of_projections(self):
        arrays = self.arrays()
        planes = np.random.RandomState(2).standard_normal((DIM, 20)).astype(np.float32)
        write_bundle(self.output, {**arrays, "hyperplanes": planes}, {"name": "x"})

        def codes(*options):
            path = self.folder / f"codes{len(options)}.npy"
            done = self.tool("codes", "--input", self.output, "--output", path, *options)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return np.load(path)
        found = codes("--bits", 20)
        self.assertEqual((found.dtype, found.shape), (np.uint8, (60, 3)))
        bits = arrays["item_embeddings"].astype(float) @ planes.astype(float) > 0
        expected = np.packbits(bits, axis=1, bitorder="little")
        self.assertTrue((found == expected).all())
        self.assertEqual(codes("--bits", 8, "--seed", 3, "--hyperplanes", "signs").shape, (60, 1))
        drawn = codes("--bits", 20, "--hyperplanes", "gaussian")
        self.assertFalse((drawn == expected).all())
        refused = self.tool("codes", "--input", self.output, "--output", self.folder / "codes2.npy")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("exists already", refused.stderr)

    def test_python_and_bundle_tool_refuse_the_same(self):
        def alone(arrays):
            del arrays["pq_codebooks"]

        def change(name, change):
            def spoil(arrays):
                arrays[name] = change(arrays[name])
            return spoil

        def put(name, row, column, value):
            def spoil(arrays):
                arrays[name][row, column] = value
            return spoil

        for number, (spoil, message) in enumerate((
                (alone, "without pq_codebooks"),
                (change("pq_codebooks", lambda a: a[:16]), "of shape"),
                (change("pq_codebooks", lambda a: a[:0]), "of shape"),
                (change("pq_codebooks", lambda a: a[:, :2]), "of shape"),
                (change("pq_codebooks", lambda a: np.repeat(a, 4, 0)[:, :1]), "of shape"),
                (change("pq_codebooks", np.float64), "float32"),
                (put("pq_codebooks", 3, 1, np.nan), "finite"),
                (put("pq_codebooks", 3, 2, 1), "not 0 in columns"),
                (put("pq_rotation", 3, 2, np.inf), "finite"),
                (put("pq_rotation", 3, 2, 2), "orthogonal"),
                (change("pq_rotation", lambda a: a[:, :8]), "orthogonal"))):
            with self.subTest(number=number):
                arrays = self.arrays()
                spoil(arrays)
                with self.assertRaisesRegex(BadInput, message):
                    write_bundle(self.output, arrays, {})
                self.assertFalse(self.output.exists())
                folder = self.folder / str(number)
                folder.mkdir()
                for name, array in arrays.items():
                    np.save(folder / f"{name}.npy", array)
                (folder / "bundle.json").write_text("{}")
                self.refused(self.tool("check", folder), "pq")

    def test_training_copies_the_bundle(self):
        arrays = self.arrays()
        write_bundle(self.output, arrays, {"name": "x", "metric": "of another program"})
        np.save(self.output / "ctr_samples.npy", np.zeros((1, 5), np.int32))
        copy = self.folder / "copy"
        train = ("train-pq4", "--input", self.output, "--bits", 8, "--seed", 5, "--output")
        done = self.tool(*train, copy)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        codebooks = np.load(copy / "pq_codebooks.npy")
        rotation = np.load(copy / "pq_rotation.npy") if (
            copy / "pq_rotation.npy").exists() else None
        check_codebooks(codebooks, rotation, DIM)
        self.assertEqual(codebooks.shape, (32, 5))  # those of the copied bundle are replaced
        for path in self.output.iterdir():
            if not path.name.startswith("pq_"):
                self.assertEqual((copy / path.name).read_bytes(), path.read_bytes(), path.name)
        self.assertEqual(json.loads((copy / "bundle.json").read_text())["metric"],
                         "of another program")
        again = self.folder / "again"
        self.assertEqual(self.tool(*train, again).returncode, 0)
        self.assertEqual((again / "pq_codebooks.npy").read_bytes(),
                         (copy / "pq_codebooks.npy").read_bytes())
        self.assertIn("product codebooks: 8 bits", self.tool("check", copy).stdout)

    def test_training_refuses_and_leaves_nothing(self):
        write_bundle(self.output, self.arrays(), {})
        new = self.folder / "new"

        def train(bits, output):
            return self.tool("train-pq4", "--input", self.output, "--output", output, "--bits",
                             bits)

        for bits, output, message in ((12, new, "bits = 12"), (40, new, "10 subspaces of 9"),
                                      (4, new, "--bits"), (8, self.output, "exists")):
            self.refused(train(bits, output), message)
        (self.output / "folder").mkdir()
        self.refused(train(8, new), "folder: not a regular file")
        self.assertEqual(sorted(self.folder.iterdir()), [self.output])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(print("skipped: no bundle_tool is named") or support.SKIPPED)
    BUNDLE_TOOL = sys.argv.pop(1)
    unittest.main()
