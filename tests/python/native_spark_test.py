#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.spark on two executors, which are processes of their own. Exit code 77:
PySpark, PyArrow or Java is missing."""
import arrow_support
import doctest
import importlib.util
import os
import shutil
import sys
import tempfile
import unittest
from fractions import Fraction
from pathlib import Path

FOLDERS = [path for path in sys.argv[1:2] if not path.startswith("-")]
import native_support as support
import numpy as np
import pyarrow as pa

for missing in [name for name in ("pyspark",) if importlib.util.find_spec(name) is None] + [
        name for name in ("java",) if shutil.which(name) is None]:
    print(f"skipped: {missing} is missing (scripts/setup.sh spark)")
    sys.exit(arrow_support.SKIPPED)

import eta_simd
from eta_simd import arrow, spark
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[2]
USERS = 60


def requests():
    """Users with histories of many lengths, one empty, and some candidates each."""
    random = np.random.default_rng(1)
    ids = pa.list_(pa.int32())
    return pa.record_batch({
        "user": pa.array(range(USERS)),
        "history": pa.array([random.integers(0, 300, u * 3) for u in range(USERS)], ids),
        "candidates": pa.array([random.integers(0, 300, u % 5) for u in range(USERS)], ids)})


class Spark(unittest.TestCase):
    items: Path
    session: SparkSession

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.items = Path(folder.name) / "items.npy"
        np.save(cls.items, support.table())
        path = os.pathsep.join([*FOLDERS, str(ROOT / "python")])
        os.environ["PYSPARK_PYTHON"] = sys.executable
        cls.session = (
            SparkSession.builder.master("local-cluster[2,1,1024]")
            .config("spark.executor.memory", "512m").config("spark.ui.enabled", "false")
            .config("spark.executorEnv.PYTHONPATH", path)
            .config("spark.task.maxFailures", "1").getOrCreate())
        cls.addClassCleanup(cls.session.stop)

    def frame(self, batch, partitions):
        table = pa.Table.from_batches([batch])
        return self.session.createDataFrame(table).repartition(partitions)

    def test_partitions_give_the_bytes_of_one_machine(self):
        for method in ("exact", "eta:64"):
            retriever = eta_simd.Retriever(method, support.table())
            expected = arrow.retrieve(requests(), retriever, 7, measured_by=support.table())
            rows = sorted(map(repr, expected.to_pylist()))
            measured = expected.filter(expected.column("recall").is_valid())
            for partitions in (1, 2, 7):
                with self.subTest(method, partitions=partitions):
                    frame = self.frame(requests(), partitions)
                    found = spark.retrieve(frame, self.items, method, 7, is_measured=True)
                    self.assertEqual(
                        sorted(map(repr, found.toArrow().to_pylist())), rows)
                    result = spark.evaluate(frame, self.items, method, 7)
                    self.assertEqual((result["candidates"], result["measured"]),
                                     (len(rows), measured.num_rows))
                    for name in arrow.MEASURES:
                        values = measured.column(name).to_numpy()
                        exact = spark.exact_sum(values) / (len(values) << 1074)
                        self.assertEqual(result[name], exact, name)

    def test_nothing_to_measure(self):
        result = spark.evaluate(self.frame(requests().slice(0, 1), 2), self.items, "exact", 7)
        self.assertEqual((result["candidates"], result["measured"], result["recall"]), (0, 0, None))

    def test_refuses_before_a_job_starts(self):
        frame = self.frame(requests(), 1)
        with self.assertRaisesRegex(ValueError, "column 'history': there is none in requests"):
            spark.retrieve(frame.drop("history"), self.items, "exact", 2)
        path = self.items.with_name("double.npy")
        np.save(path, np.ones((2, 2)))
        with self.assertRaisesRegex(ValueError, "double.npy: float64 of shape"):
            spark.retrieve(frame, path, "exact", 2)

    def test_codes_of_items(self):
        planes = eta_simd.Hyperplanes(16, 64)
        table = support.table()
        items = pa.record_batch({"item": pa.array(range(300)), "embedding": pa.array(
            list(table), pa.list_(pa.float32()))})
        expected = list(map(bytes, planes.encode(table)))
        for partitions in (1, 2, 7):
            found = spark.encode_items(self.frame(items, partitions), planes.matrix).collect()
            codes = {row["item"]: bytes(row["code"]) for row in found}
            self.assertEqual([codes[i] for i in range(300)], expected)

    def test_a_bad_row_fails_the_job_by_name(self):
        batch = pa.record_batch({
            "user": pa.array([1]), "history": pa.array([[1, 300]], pa.list_(pa.int32())),
            "candidates": pa.array([[0]], pa.list_(pa.int32()))})
        with self.assertRaisesRegex(Exception, "row 0, column 'history', element 1: item id 300"):
            spark.retrieve(self.frame(batch, 1), self.items, "exact", 2).collect()


class Sums(unittest.TestCase):
    def test_are_exact(self):
        random = np.random.default_rng(1)
        values = np.concatenate([random.random(5000), np.ldexp(random.random(99), -1060), [0, 1]])
        expected = sum(map(Fraction, values.tolist())) * 2**1074
        self.assertEqual(spark.exact_sum(values), expected)
        self.assertEqual(spark.exact_sum(values[:0]), 0)


class Docstrings(unittest.TestCase):
    def test_examples(self):
        self.assertEqual(doctest.testmod(spark).failed, 0)


if __name__ == "__main__":
    unittest.main()
