#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.spark on two executors, which are processes of their own. Exit code 77:
PySpark, PyArrow or Java is missing."""
import arrow_support
arrow_support.need()
import doctest
import functools
import importlib.util
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest
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
from eta_simd import arrow, packed, spark, spark_daemon
from eta_simd.summary import Summary, parts_of
from pyspark.sql import SparkSession
from pyspark.sql.functions import lit

ROOT = Path(__file__).resolve().parents[2]
USERS = 60
K = 7
CATEGORIES = np.arange(300, dtype=np.int32) % 3
IDS = pa.list_(pa.int32())


def method_names():
    """A name of each form that methods() lists, without and with what may be left out."""
    names = []
    for line in eta_simd.methods().splitlines():
        form = line.split(" ")[0]
        if not line.strip() or form.startswith("("):
            continue
        form = form.replace("BITS", "32").replace("+rerank:C", "+rerank:2").replace(
            "+rerank_i8:C", "+rerank_i8:2").replace("+refine:C", "+refine:2")
        full = form.replace("[:MODE]", ":heap").replace("[:NPROBE]", ":2").replace(
            "[:EFSEARCH]", ":8")
        names += sorted({re.sub(r"\[.*\]", "", form), full})
    return names


def requests():
    """Users with histories of many lengths, one empty, and some candidates each."""
    random = np.random.default_rng(1)
    return pa.record_batch({
        "user": pa.array(range(USERS)),
        "history": pa.array([random.integers(0, 300, u * 3) for u in range(USERS)], IDS),
        "candidates": pa.array([random.integers(0, 300, u % 5) for u in range(USERS)], IDS)})


def rows_of(batch):
    return sorted(map(repr, batch.to_pylist()))


def session(master, items_folder, **settings):
    path = os.pathsep.join([*FOLDERS, str(ROOT / "python")])
    os.environ["PYSPARK_PYTHON"] = sys.executable
    return (SparkSession.builder.master(master)
            .config(map={"spark.executor.memory": "1g", "spark.ui.enabled": "false",
                         "spark.executorEnv.PYTHONPATH": path,
                         "spark.sql.warehouse.dir": str(items_folder / "warehouse"),
                         "spark.sql.adaptive.enabled": "false",
                         "spark.sql.shuffle.partitions": "2", **settings}).getOrCreate())


def executors(application):
    """Process ids of the executors of an application."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if application.encode() in words and any(b"CoarseGrainedExecutor" in w for w in words):
            found.append(int(folder.name))
    return found


def slowly(seconds, batches):
    for batch in batches:
        time.sleep(seconds)
        yield batch


class Spark(unittest.TestCase):
    items: Path
    categories: Path
    session: SparkSession

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.items = Path(folder.name) / "items.npy"
        cls.categories = Path(folder.name) / "categories.npy"
        np.save(cls.items, support.table())
        np.save(cls.categories, CATEGORIES)
        cls.session = session("local-cluster[2,1,2048]", Path(folder.name))
        cls.addClassCleanup(cls.session.stop)

    def frame(self, batch, partitions):
        table = pa.Table.from_batches([batch])
        return self.session.createDataFrame(table).repartition(partitions)

    def test_partitions_give_the_bytes_of_one_machine(self):
        names, expected = method_names(), {}
        self.assertGreater(len(names), 25)
        for name in names:
            retriever = eta_simd.Retriever(name, support.table(), categories=CATEGORIES)
            expected[name] = rows_of(arrow.retrieve(requests(), retriever, K))
        for partitions in (1, 2, 7):
            frame = self.frame(requests(), partitions)
            found = functools.reduce(lambda a, b: a.union(b), [
                spark.retrieve(frame, self.items, name, K, categories=self.categories,
                               work=None).withColumn("method", lit(name)) for name in names])
            table = found.toArrow()
            for name in names:
                rows = table.filter(pa.compute.equal(table["method"], name)).drop(["method"])
                with self.subTest(name, partitions=partitions):
                    self.assertEqual(rows_of(rows), expected[name])

    def test_measures_and_figures_are_those_of_one_machine(self):
        for method, partitions, work in (("eta:64", 1, None), ("eta:64", 2, 200),
                                         ("eta:64", 7, 1), ("exact", 7, 200)):
            retriever = eta_simd.Retriever(method, support.table())
            expected = arrow.retrieve(requests(), retriever, K, measured_by=support.table())
            figures = Summary.of(retriever, K)
            for part in parts_of(requests(), retriever, K, support.table()):
                figures.add(part)
            frame = self.frame(requests(), partitions)
            with self.subTest(method, partitions=partitions, work=work):
                found = spark.retrieve(frame, self.items, method, K, is_measured=True, work=work)
                self.assertEqual(rows_of(found.toArrow()), rows_of(expected))
                self.assertEqual(spark.evaluate(frame, self.items, method, K, work=work),
                                 figures.row())
                # Measures of 1 for all methods would agree too.
                recall = figures.row()["recall"]
                self.assertTrue(recall == 1 if method == "exact" else 0 < recall < 1, recall)

    def test_packed_rows_and_results_are_those_of_lists(self):
        retriever = eta_simd.Retriever("eta:64", support.table())
        expected = rows_of(arrow.retrieve(requests(), retriever, K))
        figures = Summary.of(retriever, K)
        for part in parts_of(requests(), retriever, K, support.table()):
            figures.add(part)
        for partitions, work in ((1, None), (7, None), (2, 200)):
            frame = self.frame(requests(), partitions)
            for rows in (frame, spark.pack(frame).cache()):
                with self.subTest(rows.schema, partitions=partitions, work=work):
                    found = spark.retrieve(rows, self.items, "eta:64", K, is_packed=True,
                                           work=work).toArrow()
                    unpacked = pa.Table.from_batches(map(packed.unpack, found.to_batches()))
                    self.assertEqual(rows_of(unpacked), expected)
            flat = spark.retrieve(rows, self.items, "eta:64", K, work=work)
            self.assertEqual(rows_of(flat.toArrow()), expected)
            self.assertEqual(spark.evaluate(rows, self.items, "eta:64", K, work=work),
                             figures.row())

    def test_candidates_of_a_long_history_go_to_several_tasks(self):
        batch = pa.record_batch({"user": pa.array(["ann"]),
                                 "history": pa.array([support.ids(1000)], IDS),
                                 "candidates": pa.array([support.ids(40)], IDS)})
        frame = self.frame(batch, 1)
        for rows, size in ((spark.pack(frame), 4), (frame, 1)):
            _, pieces = spark._cut(rows, 4000)
            assert pieces is not None
            sizes = [len(row["candidates"]) for row in pieces.collect()]
            self.assertEqual(sizes, [4 * size] * 10)
        assert pieces is not None
        spread = pieces.rdd.mapPartitions(lambda rows: [sum(1 for _ in rows)]).collect()
        self.assertGreater(sum(count > 0 for count in spread), 1)

    def test_a_killed_executor_changes_nothing(self):
        partitions = 12
        frame = self.frame(requests(), partitions)
        slow = frame.mapInArrow(functools.partial(slowly, 0.5), frame.schema)
        retriever = eta_simd.Retriever("eta:64", support.table())
        killed: list = []
        tracker = self.session.sparkContext.statusTracker()

        def kill_in_the_middle():
            while not killed:
                for stage in tracker.getActiveStageIds():
                    about = tracker.getStageInfo(stage)
                    if about and about.numTasks == partitions and about.numCompletedTasks >= 3:
                        killed.append((min(executors(self.session.sparkContext.applicationId)),
                                       about.numCompletedTasks))
                        os.kill(killed[0][0], signal.SIGKILL)
                        return
                time.sleep(0.02)
        thread = threading.Thread(target=kill_in_the_middle, daemon=True)
        thread.start()
        found = spark.retrieve(slow, self.items, "eta:64", K, work=None).toArrow()
        thread.join(60)
        self.assertTrue(killed)
        self.assertLess(killed[0][1], partitions)
        self.assertEqual(rows_of(found), rows_of(arrow.retrieve(requests(), retriever, K)))

    def test_a_bad_row_fails_the_job_by_name_and_leaves_nothing(self):
        good = requests()
        histories = good.column("history").to_pylist()
        histories[41][5] = 300
        bad = good.set_column(1, "history", pa.array(histories, IDS))
        output = self.items.with_name("retrieved")
        message = r"user 41: row \d+, column 'history', element 5: item id 300 lies outside"
        frame = self.frame(bad, 7)
        for work in (None, 100):
            found = spark.retrieve(frame, self.items, "exact", 2, work=work)
            with self.assertRaisesRegex(Exception, message):
                found.write.parquet(str(output))
            # What other tasks had written is neither there nor left in a folder of Spark's.
            left = [path for path in output.rglob("*") if path.is_file()]
            self.assertEqual(left, [])
            shutil.rmtree(output, ignore_errors=True)
        with self.assertRaisesRegex(Exception, message):
            spark.evaluate(frame, self.items, "exact", 2)
        spark.retrieve(self.frame(good, 7), self.items, "exact", 2).write.parquet(str(output))
        self.assertTrue((output / "_SUCCESS").exists())
        self.assertEqual(self.session.read.parquet(str(output)).count(),
                         sum(map(len, good.column("candidates").to_pylist())))

    def test_a_row_that_cannot_be_packed_fails_by_name(self):
        bad = pa.record_batch({"user": pa.array(["ann", "bob"]),
                               "history": pa.array([[1], [2**40]], pa.list_(pa.int64()))})
        with self.assertRaisesRegex(Exception, "user 'bob': row .*, column 'history', element 0: "
                                    "1099511627776 does not fit int32"):
            spark.pack(self.frame(bad, 1)).collect()

    def test_a_bad_embedding_fails_by_name(self):
        table = support.table()
        table[217, 3] = np.nan
        path = self.items.with_name("nan.npy")
        np.save(path, table)
        with self.assertRaisesRegex(ValueError, "nan.npy: row 217, element 3: nan"):
            spark.retrieve(self.frame(requests(), 1), path, "exact", 2)
        items = pa.record_batch({"item": pa.array(range(300)),
                                 "embedding": pa.array(list(table), pa.list_(pa.float32()))})
        with self.assertRaisesRegex(Exception, "item 217: row .*, element 3: nan"):
            spark.encode_items(self.frame(items, 7), eta_simd.Hyperplanes(16, 64).matrix).collect()

    def test_nothing_to_measure(self):
        result = spark.evaluate(self.frame(requests().slice(0, 1), 2), self.items, "exact", 7)
        self.assertEqual((result["requests"], result["recall"]), (0, None))

    def test_refuses_before_a_job_starts(self):
        frame = self.frame(requests(), 1)
        with self.assertRaisesRegex(ValueError, "column 'history': there is none in requests"):
            spark.retrieve(frame.drop("history"), self.items, "exact", 2)
        for name in ("user", "history", "candidates"):
            for work in (None, 100):
                with self.assertRaisesRegex(ValueError, f"column '{name}': there is none in req"):
                    spark.evaluate(frame.drop(name), self.items, "exact", 2, work=work)
        with self.assertRaisesRegex(ValueError, "is_packed: packed results have no measures"):
            spark.retrieve(frame, self.items, "exact", 2, is_packed=True, is_measured=True)
        with self.assertRaisesRegex(ValueError, "column 'user': there is none in requests"):
            spark.pack(frame.drop("user"))
        path = self.items.with_name("double.npy")
        np.save(path, np.ones((2, 2)))
        with self.assertRaisesRegex(ValueError, "double.npy: float64 of shape"):
            spark.retrieve(frame, path, "exact", 2)
        with self.assertRaisesRegex(ValueError, "work: 0"):
            spark.retrieve(frame, self.items, "exact", 2, work=0)
        other = self.items.parent / "other" / self.items.name
        other.parent.mkdir()
        np.save(other, support.table(200))
        spark.retrieve(frame, self.items, "exact", 2)
        with self.assertRaisesRegex(ValueError, "other/items.npy: this session has another file"):
            spark.retrieve(frame, other, "exact", 2)

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


def look_at_shared(arguments, seconds, batches):
    """The process, its parent, and whether the parent made the retriever; slow enough that another
    worker takes the next task."""
    for _ in batches:
        time.sleep(seconds)
    try:
        found = str(spark_daemon.shared(*arguments))
    except ValueError as error:
        found = str(error)
    yield pa.record_batch({"pid": [os.getpid()], "parent": [os.getppid()], "found": [found]})


class Shared(unittest.TestCase):
    """Run after the others: a process has one session at a time."""

    def test_workers_use_what_their_parent_made(self):
        with tempfile.TemporaryDirectory() as folder:
            items = Path(folder) / "items.npy"
            np.save(items, support.table())
            settings = spark.shared(items, ["eta:64", "no such method"])
            one = session("local-cluster[1,2,2048]", Path(folder), **settings)
            self.addCleanup(one.stop)
            frame = one.createDataFrame(pa.Table.from_batches([requests()])).repartition(4)
            retriever = eta_simd.Retriever("eta:64", support.table())
            found = spark.retrieve(frame, items, "eta:64", K)
            self.assertEqual(rows_of(found.toArrow()),
                             rows_of(arrow.retrieve(requests(), retriever, K)))

            def look():
                return frame.mapInArrow(
                    functools.partial(look_at_shared, (str(items), "eta:64", 1, None), 0.5),
                    "pid long, parent long, found string").collect()
            seen = look()
            self.assertEqual({row["found"] for row in seen}, {str(retriever)})
            self.assertEqual(len({row["parent"] for row in seen}), 1)
            self.assertGreater(len({row["pid"] for row in seen}), 1)
            with self.assertRaisesRegex(Exception, "no such method"):
                spark.retrieve(frame, items, "no such method", K).collect()
            np.save(items, support.table(seed=2))
            self.assertIn("has changed since this executor started", look()[0]["found"])


class Docstrings(unittest.TestCase):
    def test_examples(self):
        self.assertEqual(doctest.testmod(spark).failed, 0)


if __name__ == "__main__":
    unittest.main()
