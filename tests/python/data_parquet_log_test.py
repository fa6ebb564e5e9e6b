#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the importers of logs in Parquet, on rows made up here. Exit code 77: PyArrow or
SciPy is missing."""
import arrow_support
arrow_support.need()
import json
import re
import subprocess
import sys
import tracemalloc
import unittest
from unittest import mock

import support

support.need("scipy.sparse", purpose="arrow")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eta_simd.command import BadInput
from eta_simd.data import embeddings, histories, kuairand, log, parquet_log, user_items

LISTENS = {  # in no order; track 7 has no embedding
    "uid": pa.array([3, 1, 3, 1, 1, 9], pa.uint32()),
    "timestamp": pa.array([50, 20, 40, 10, 20, 5], pa.uint32()),
    "item_id": pa.array([11, 40, 40, 12, 11, 7], pa.uint32()),
    "is_organic": pa.array([1, 0, 1, 1, 0, 1], pa.uint8()),
    "played_ratio_pct": pa.array([100, 40, None, 70, 55, 3], pa.uint16()),
    "track_length_seconds": pa.array([200] * 6, pa.uint32())}
EMBEDDED = [40, 11, 12]  # items 0, 1 and 2
KUAIRAND = {
    "user_id": pa.array([0, 0, 7, 9], pa.int64()), "video_id": pa.array([3784, 4201, 3784, 4201]),
    "time_ms": pa.array([1649545620867, 1649545610050, 1649649000111, 1649649000222]),
    "is_click": pa.array([1, 1, 0, 1], pa.int8()), "tab": pa.array(["1", "1", "1", "0"])}


class ParquetLog(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.output = self.folder / "bundle"
        self.embeddings = self.folder / "embeddings.parquet"
        vectors = pa.array([[float(i), 1] for i in range(3)], pa.list_(pa.float64()))
        pq.write_table(pa.table({"item_id": pa.array(EMBEDDED, pa.uint32()), "embed": vectors,
                                 "normalized_embed": vectors}), self.embeddings)

    def write(self, columns, name="log.parquet", rows=2):
        path = self.folder / name
        pq.write_table(pa.table(columns), path, row_group_size=rows)
        return path

    def write_csv(self, columns):
        """A file of KuaiRand."""
        path = self.folder / "log.csv"
        values = zip(*(columns[name].to_pylist()
                       for name in ("user_id", "video_id", "time_ms", "is_click")))
        path.write_text(kuairand.HEADER + "\n" + "".join(
            f"{user},{video},0,0,{time},{click}" + ",0" * 13 + "\n"
            for user, video, time, click in values))
        return path

    def call(self, script, *arguments, **options):
        command = [sys.executable, support.SCRIPTS / script, *arguments, "--output", self.output]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, **options)

    def make(self, script, *arguments, **options):
        done = self.call(script, *arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        arrays = {path.stem: np.load(path) for path in self.output.glob("*.npy")}
        return arrays, json.loads((self.output / "bundle.json").read_text())

    def yambda(self, path, *arguments, **options):
        return self.make("import_yambda.py", "--input", path, "--embeddings", self.embeddings,
                         *arguments, **options)

    def refuse(self, script, message, *arguments):
        before = sorted(self.folder.rglob("*"))
        self.refused(self.call(script, *arguments), re.escape(message))
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def refuse_yambda(self, message, columns):
        self.refuse("import_yambda.py", message, "--input", self.write(columns), "--embeddings",
                    self.embeddings)

    def test_yambda_flat(self):
        arrays, about = self.yambda(self.write(LISTENS))
        self.assertEqual(arrays["history_offsets"].tolist(), [0, 3, 5])  # users 1 and 3
        self.assertEqual(arrays["history_items"].tolist(), [2, 0, 1, 0, 1])  # ties as in the file
        self.assertEqual(arrays["history_times"].tolist(), [10, 20, 20, 40, 50])
        self.assertEqual(arrays["item_embeddings"].tolist(), [[0, 1], [1, 1], [2, 1]])
        self.assertEqual({name: array.dtype.str for name, array in arrays.items()},
                         {"history_offsets": "<i8", "history_items": "<i4",
                          "history_times": "<i8", "item_embeddings": "<f4"})
        self.assertEqual(about["counts"], {"items": 3, "dim": 2, "users": 2, "behaviours": 5})
        self.assertEqual((about["left_out"], about["licence"]), (1, "Apache-2.0"))

    def test_yambda_takes_what_is_asked_for(self):
        kinds = pa.array(["listen", "like", "listen", "unlike", "listen", "listen"])
        for events in (kinds, kinds.dictionary_encode()):
            arrays, _ = self.yambda(self.write({**LISTENS, "event_type": events}))
            self.assertEqual(arrays["history_times"].tolist(), [20, 40, 50])
            self.output = self.folder / "second"
        self.output = self.folder / "third"
        arrays, _ = self.yambda(self.write(LISTENS), "--min-played", 50)
        self.assertEqual(arrays["history_times"].tolist(), [10, 20, 50])

    def test_yambda_sequential_is_what_flat_is(self):
        random = np.random.default_rng(1)
        lengths = random.integers(0, 50, 40)
        users, items = np.repeat(np.arange(40), lengths), random.choice([11, 12, 40, 7],
                                                                        lengths.sum())
        times = np.sort(random.integers(0, 1000, lengths.sum()))
        events = random.choice(["listen", "like"], lengths.sum())
        offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)

        def rows(values):
            return pa.ListArray.from_arrays(offsets, pa.array(values))
        order = random.permutation(len(users))
        flat = {"uid": users[order], "item_id": items[order], "timestamp": times[order],
                "event_type": events[order]}
        # Ties would stay in the order of the file, which is another.
        times += np.arange(len(times)) * 1000
        flat["timestamp"] = times[order]
        kept = np.bincount(users[(events == "listen") & (items != 7)], minlength=40) > 0
        sequential = {"uid": np.arange(40), "item_id": rows(items), "timestamp": rows(times),
                      "event_type": rows(events)}
        first, _ = self.yambda(self.write(flat, rows=100))
        self.output = self.folder / "second"
        second, _ = self.yambda(self.write(sequential, "rows.parquet", rows=7))
        for name in ("history_items", "history_times", "item_embeddings"):
            np.testing.assert_array_equal(first[name], second[name])
        self.assertEqual(np.diff(first["history_offsets"]).tolist(),
                         np.diff(second["history_offsets"])[kept].tolist())

    def test_yambda_refuses_what_does_not_fit(self):
        def changed(name, values, kind=pa.int64()):
            return {**LISTENS, name: pa.array(values, kind)}
        rows = {"uid": pa.array([1, 2, 3]), "item_id": pa.array([[11, 12], [], [40, 40]]),
                "timestamp": pa.array([[1, 2], [], [4, 4]])}
        cases = (
            ({"uid": LISTENS["uid"], "item_id": LISTENS["item_id"]},
             "log.parquet: column 'timestamp': there is none (expected integer; there are uid"),
            (changed("uid", ["a"] * 6, pa.string()), "column 'uid': of string (expected integer)"),
            (changed("item_id", [1.5] * 6, pa.float64()), "column 'item_id': of double"),
            (changed("timestamp", [1, 2, 3, None, 5, 6]),
             "log.parquet: row group 1, row 1, column 'timestamp': null"),
            (changed("timestamp", [1, 2, 3, 4, 5, 2**31]),
             "row group 2, row 1, column 'timestamp': 2147483648 (expected 0 to 2147483647)"),
            (changed("uid", [1, 2, 3, 4, -5, 6]),
             "row group 2, row 0, column 'uid': -5 (expected 0 or more)"),
            (changed("event_type", [1] * 6), "column 'event_type': of int64 (expected string)"),
            (changed("item_id", [7] * 6), "no behaviours of items that have embeddings"),
            ({**rows, "timestamp": pa.array([[1, 2], [], [4, 3]])},
             "row group 1, row 0, column 'timestamp', element 1: earlier than the one before"),
            ({**rows, "timestamp": pa.array([[1, 2], [], [4]])},
             "row group 1, row 0, column 'timestamp': 1 values for 2 behaviours"),
            ({**rows, "timestamp": pa.array([[1], [2], [4, 4]])},  # as many in the row group
             "row group 0, row 0, column 'timestamp': 1 values for 2 behaviours"),
            ({**rows, "event_type": pa.array([["listen"], ["like"], ["like"] * 2])},
             "row group 0, row 0, column 'event_type': 1 values for 2 behaviours"),
            ({**rows, "event_type": pa.array([["listen"] * 2, None, ["like"] * 2])},
             "row group 0, row 1, column 'event_type': null"),
            ({**rows, "event_type": pa.array(["listen"] * 3)},
             "column 'event_type': of string (expected list of strings)"),
            ({**rows, "item_id": pa.array([[11, 12], [], [40, -1]])},
             "row group 1, row 0, column 'item_id', element 1: -1 (expected 0 or more)"),
            ({**rows, "item_id": pa.array([[11, 12], [], [2**63, 4]], pa.list_(pa.uint64()))},
             "row group 1, row 0, column 'item_id', element 0: 9223372036854775808 (expected 0"),
            ({**rows, "timestamp": pa.array([[-1, 2], [], [4, 4]])},
             "row group 0, row 0, column 'timestamp', element 0: -1 (expected 0 to 2147483647)"),
            ({**rows, "timestamp": pa.array([[1, 2**31], [], [4, 4]])},
             "row group 0, row 0, column 'timestamp', element 1: 2147483648 (expected 0 to"),
            ({**rows, "item_id": pa.array([[11, 12], None, [40, 40]])},
             "row group 0, row 1, column 'item_id': null"),
            ({**rows, "uid": pa.array([1, 2, 1])}, "user 1 has two rows (expected one)"))
        for columns, message in cases:
            with self.subTest(message):
                self.refuse_yambda(message, columns)
        played = {**rows, "played_ratio_pct": pa.array([[9], [9], [9, 9]])}
        self.refuse("import_yambda.py", "row 0, column 'played_ratio_pct': 1 values for 2",
                    "--input", self.write(played), "--embeddings", self.embeddings, "--min-played",
                    5)
        vectors = pa.array([[1.0, 2], [1, float("nan")], [1, 2]])
        for ids, column, message in (
                ([1, 2, 3], vectors, "row group 1, row 0, column 'embed', element 1: nan"),
                ([1, 2, 1], pa.array([[1.0]] * 3), "column 'item_id': 1 is there twice"),
                ([1, 2, 3], pa.array([[1.0], [1.0], [1.0, 2.0]]), "2 values (expected 1)"),
                ([1, 2, 3], pa.array([1.0] * 3), "column 'embed': of double (expected list of")):
            path = self.write({"item_id": pa.array(ids), "embed": column}, "bad.parquet", 1)
            self.refuse("import_yambda.py", message, "--input", self.write(LISTENS),
                        "--embeddings", path, "--column", "embed")
        (self.folder / "text.parquet").write_text("no Parquet")
        self.refuse("import_yambda.py", "text.parquet: ", "--input", self.folder / "text.parquet",
                    "--embeddings", self.embeddings)

    def test_yambda_looks_at_every_file(self):
        folder = self.folder / "log"
        folder.mkdir()
        kinds = pa.array(["like"] * 6)
        self.write(LISTENS, "log/a.parquet")
        self.write({**LISTENS, "event_type": kinds}, "log/b.parquet")
        self.refuse("import_yambda.py", "a.parquet: column 'event_type': there is none", "--input",
                    folder, "--embeddings", self.embeddings)

    def test_kuairand_is_what_its_csv_is(self):
        path = self.write({"video_id": pa.array([3784, 4201]),
                           "embedding": pa.array([[1.0, 2.0], [3.0, 4.0]])}, "videos.parquet")
        log = self.write(KUAIRAND)
        for more, expected in (((), [1, 0, 1]), (("--all",), [1, 0, 0, 1])):
            self.output = self.folder / f"bundle{len(more)}"
            arrays, about = self.make("import_kuairand.py", "--input", log, "--embeddings", path,
                                      *more)
            self.assertEqual(arrays["history_items"].tolist(), expected)
        self.assertEqual(arrays["history_offsets"].tolist(), [0, 2, 3, 4])
        self.assertEqual(arrays["history_times"].tolist(),
                         [1649545610, 1649545620, 1649649000, 1649649000])
        self.assertEqual(about["licence"], "CC BY-SA 4.0 by its README")

    def test_kuairand_without_embeddings_is_what_its_csv_is(self):
        path = self.write_csv(KUAIRAND)
        first, _ = self.make("import_kuairand.py", "--input", path, "--dim", 2)
        self.output = self.folder / "second"
        second, about = self.make("import_kuairand.py", "--input", self.write(KUAIRAND), "--dim", 2)
        self.assertEqual(about["counts"], {"items": 2, "dim": 2, "users": 2, "behaviours": 3})
        self.assertEqual(sorted(path.name for path in self.output.iterdir()), [
            "bundle.json", "history_items.npy", "history_offsets.npy", "history_times.npy",
            "item_embeddings.npy"])
        self.assertEqual(sorted(first), sorted(second))
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name])

    def test_kuairand_takes_files_of_both_kinds(self):
        path = self.write({"video_id": pa.array([3784, 4201]),
                           "embedding": pa.array([[1.0, 2.0], [3.0, 4.0]])}, "videos.parquet")
        early = {name: column[:1] for name, column in KUAIRAND.items()}
        late = {name: column[1:] for name, column in KUAIRAND.items()}
        arrays, _ = self.make("import_kuairand.py", "--input", self.write_csv(late),
                              self.write(early), "--embeddings", path)
        self.assertEqual(arrays["history_items"].tolist(), [1, 0, 1])
        self.assertEqual(arrays["item_embeddings"].tolist(), [[1, 2], [3, 4]])

    def test_kuairand_refuses_what_does_not_fit(self):
        path = self.write({"video_id": pa.array([1]), "embedding": pa.array([[1.0]])},
                          "videos.parquet")
        for name, values, message in (
                ("time_ms", [1649545620867, 1649545610050, 1649649000, 1649649000222],
                 "row group 1, row 0, column time_ms 1649649000 is before 1995 (expected "
                 "milliseconds since 1970; it looks like seconds)"),
                ("is_click", [1, 1, 0, 2],
                 "row group 1, row 1, column 'is_click': 2 (expected 0 to 1)"),
                ("is_click", [0] * 4, "log.parquet: no clicks (--all takes videos that were not"),
                ("video_id", [2] * 4, "no behaviours of items that have embeddings"),
                ("user_id", [1.0] * 4, "column 'user_id': of double (expected integer)")):
            log = self.write({**KUAIRAND, name: pa.array(values)})
            self.refuse("import_kuairand.py", message, "--input", log, "--embeddings", path)

    def test_memory_does_not_grow_with_the_log(self):
        random = np.random.default_rng(1)
        rows, users = 2_000_000, 1000
        # In one row group. Three columns of int64 have 46 MiB, and sorting would double that.
        path = self.write({"uid": random.integers(0, users, rows, np.uint32),
                           "item_id": np.full(rows, 11, np.uint32),
                           "timestamp": np.arange(rows, dtype=np.uint32)}, rows=rows)
        least = self.private_memory(self.write(LISTENS, "small.parquet"))
        self.output = self.folder / "second"
        most = self.private_memory(path)
        self.assertLess(most - least, 30 << 20)
        offsets = np.load(self.output / "history_offsets.npy")
        self.assertEqual((len(offsets) - 1, offsets[-1]), (users, rows))

    def test_memory_of_an_svd_does_not_grow_with_the_log(self):
        random, pieces = np.random.default_rng(1), 1 << 12
        for is_csv in (False, True):
            peaks = []
            for rows in (50_000, 400_000):
                columns = {"user_id": pa.array(random.integers(0, 1000, rows)),
                           "video_id": pa.array(random.integers(0, 5000, rows)),
                           "time_ms": pa.array(np.arange(rows) + 1649545620867),
                           "is_click": pa.array(np.ones(rows, np.uint8))}
                path = self.write_csv(columns) if is_csv else self.write(columns, rows=rows)
                options = ("--input", path, "--dim", 4, "--output",
                           self.folder / f"{path.suffix}{rows}")
                with mock.patch.object(parquet_log, "PIECE", pieces), \
                        mock.patch.object(histories, "PIECE", pieces), \
                        mock.patch.object(log, "CHUNK_BYTES", 64 * pieces), \
                        mock.patch.object(user_items, "PAIRS", pieces), \
                        mock.patch.object(embeddings, "LARGE", pieces), \
                        mock.patch("sys.stdout"):
                    tracemalloc.start()  # counts NumPy's arrays, and no mapped files
                    kuairand.main([str(option) for option in options])
                    peaks.append(tracemalloc.get_traced_memory()[1])
                    tracemalloc.stop()
            # The log would have 8.0 MiB more, the pairs of user and item 1.3, and their matrix.
            self.assertLess(peaks[1] - peaks[0], 1 << 19, path)

    def private_memory(self, path):
        """The largest RssAnon of an import by small pieces, in bytes. Mapped files, which the
        system takes back, do not count."""
        code = ("import re, sys, threading, time\n"
                "from eta_simd.data import histories, parquet, parquet_log, yambda\n"
                "histories.PIECE = parquet.PIECE = parquet_log.PIECE = 1 << 16\n"
                "peak = 0\n"
                "def watch():\n"
                "    global peak\n"
                "    while True:\n"
                "        text = open('/proc/self/status').read()\n"
                "        peak = max(peak, int(re.search(r'RssAnon:\\s+(\\d+)', text)[1]))\n"
                "        time.sleep(0.005)\n"
                "threading.Thread(target=watch, daemon=True).start()\n"
                "yambda.main(sys.argv[1:])\n"
                "print(peak)\n")
        done = subprocess.run([sys.executable, "-c", code, "--input", path, "--embeddings",
                               self.embeddings, "--output", self.output], check=True,
                              capture_output=True, text=True, cwd=support.ROOT / "python",
                              env={"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"})
        return int(done.stdout) << 10


class Pieces(unittest.TestCase):
    def test_counts_in_any_parts(self):
        random = np.random.default_rng(1)
        values = random.integers(0, 500, 20000)
        expected = np.unique(values, return_counts=True)
        self.addCleanup(setattr, histories, "PIECE", histories.PIECE)
        for histories.PIECE in (1, 700, 1 << 20):
            counts = histories.Counts()
            for part in np.array_split(values, 37):
                counts.add(part)
            counts.merge()
            np.testing.assert_array_equal(counts.ids, expected[0])
            np.testing.assert_array_equal(counts.counts, expected[1])

    def test_histories_are_sorted_in_any_pieces(self):
        random = np.random.default_rng(1)
        lengths = random.integers(0, 9, 50)
        offsets = np.append(0, np.cumsum(lengths))
        owner = np.repeat(np.arange(50), lengths)
        times, items = random.integers(0, 5, len(owner)), np.arange(len(owner))
        order = np.lexsort((times, owner))
        self.addCleanup(setattr, histories, "PIECE", histories.PIECE)
        for histories.PIECE in (1, 20, 1000):
            found = items.copy(), times.copy()
            histories.sort_histories(offsets, *found)
            np.testing.assert_array_equal(found[0], items[order])
            np.testing.assert_array_equal(found[1], times[order])

    def test_order_is_stable_however_far_times_lie_apart(self):
        random = np.random.default_rng(1)
        owner = np.sort(random.integers(0, 9, 300))
        for times in (random.integers(0, 5, 300), random.integers(0, 2**61, 300) // 2**59 * 2**59):
            np.testing.assert_array_equal(histories.stable_order(owner, times),
                                          np.lexsort((times, owner)))

    def test_ids_are_numbered_however_far_they_lie_apart(self):
        self.assertEqual(histories.Numbers(np.zeros(0, int)).of(np.array([1])).tolist(), [-1])
        for most in (9, 2**63 - 1):
            numbers = histories.Numbers(np.array([most, 3, 5]))
            self.assertEqual(numbers.table is None, most > 9)
            asked = np.array([0, 3, 4, most, 10, 5, 2, 6, 2**63 - 2])
            self.assertEqual(numbers.of(asked).tolist(), [-1, 1, -1, 0, -1, 2, -1, -1, -1])


class ChangedLog(support.FolderTest):
    def test_a_log_that_changes_between_its_readings_is_refused(self):
        first = np.array([[1, 1, 2], [5, 6, 5], [1, 2, 3]])
        changed = {"a behaviour more": np.array([[1, 1, 1, 2], [5, 6, 6, 5], [1, 2, 2, 3]]),
                   "one less": first[:, 1:], "another user": first + [[1], [0], [0]],
                   "another item": first + [[0], [1], [0]]}
        for name, second in changed.items():
            readings = iter([[first], [second]])
            with self.subTest(name), self.assertRaisesRegex(BadInput, "was changed while it was"):
                histories.write_flat(lambda: next(readings), self.folder)
        log_of, report = histories.write_flat(lambda: [first], self.folder)
        self.assertEqual((log_of.items.tolist(), report.behaviours), ([0, 1, 0], 3))


if __name__ == "__main__":
    unittest.main()
