#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the forms in which importers and convert.py take files, and of those they refuse. Exit
code 77: NumPy or SciPy is missing."""
import gzip
import os
import subprocess
import time
import unittest
from unittest import mock

import support
from data_support import DataTest

import numpy as np

from eta_simd.data import times

TAOBAO = ["1,2268318,2520377,pv,1511544070", "1,2333346,2520771,pv,1511561733"]
KUAIRAND = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,"
            "is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,"
            "comment_stay_time,is_profile_enter,is_rand,tab")
KUAIRAND_ROW = "0,3784,20220410,700,1649545620867,1,0,0,0,0,0,1,11130,10867,0,0,0,0,1"
AMAZON = ["A3SGXH7AUHU8GW,0001042335,5.0,1294185600", "A1D2C0WDCSHUWZ,000104233X,4.0,1294185500"]
HEADER_2023 = "user_id,parent_asin,rating,timestamp"
AMAZON_2023 = [HEADER_2023, "AGKHLEW2SOWHNMFQIJGBECAF7INQ,B081TJ8YS3,4.0,1588687728923"]
LOGS = {"import_taobao.py": TAOBAO, "import_kuairand.py": [KUAIRAND, KUAIRAND_ROW],
        "import_amazon.py": AMAZON}


class Files(DataTest):
    def test_pipes_are_refused_at_once(self):
        pipe = self.folder / "pipe.csv"
        os.mkfifo(pipe)
        vectors = [self.folder / f"pipe.{ending}" for ending in ("fvecs", "fbin", "hdf5", "ivecs")]
        for path in vectors:
            os.mkfifo(path)
        good = self.folder / "good.fvecs"
        good.write_bytes(np.int32(1).tobytes() + np.float32(1).tobytes())
        calls: list[tuple] = [(script, "--input", pipe) for script in LOGS]
        calls += [("convert.py", "--input", path) for path in vectors]
        calls += [("convert.py", "--input", good, "--queries", vectors[0]),
                  ("convert.py", "--input", good, "--histories", vectors[3])]
        for script, *arguments in calls:
            with self.subTest(script=script, arguments=arguments):
                done = support.call(script, *arguments, "--output", self.output, timeout=60)
                if "scripts/setup.sh" not in done.stderr:
                    self.refused(done, "not a regular file")

    def test_standard_input_is_read_from_its_start_or_refused(self):
        path = self.write("log.csv", TAOBAO * 1000)
        command = ["/usr/bin/python3", str(support.SCRIPTS / "import_taobao.py"), "--dim", "1",
                   "--input", "/dev/stdin", "--output", str(self.output)]
        done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"/dev/stdin: not a regular file", done.stderr)
        with open(path, "rb") as file:
            file.read(4096)
            done = subprocess.run(command, stdin=file, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(self.read(self.output)["counts"]["behaviours"], 2000)

    def test_a_bundle_of_pipes_is_refused(self):
        bundle = self.folder / "pipes"
        bundle.mkdir()
        os.mkfifo(bundle / "item_embeddings.npy")
        self.output = self.folder / "out.fvecs"
        self.refuse("convert.py", "not a regular file", "--input", bundle)

    def test_packed_logs_give_the_same_bundle(self):
        for script, lines in LOGS.items():
            with self.subTest(script):
                plain = self.write("log.csv", lines)
                packed = self.folder / "log.csv.gz"
                packed.write_bytes(gzip.compress(plain.read_bytes()))
                made = []
                for path in (plain, packed):
                    self.output = self.folder / f"{script}-{path.name}"
                    self.make(script, "--input", path, "--dim", 1)
                    made.append({file.name: file.read_bytes() for file in self.output.iterdir()})
                self.assertEqual(*made)
                packed.write_bytes(packed.read_bytes()[:-12])
                self.output = self.folder / "damaged"
                self.refuse(script, "not a sound gzip file", "--input", packed)

    def test_a_byte_order_mark_is_skipped_or_refused(self):
        for script, lines in LOGS.items():
            with self.subTest(script):
                self.output = self.folder / f"{script}-mark"
                path = self.folder / "log.csv"
                path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
                self.make(script, "--input", path, "--dim", 1)
                self.output = self.folder / "none"
                path.write_text("\n".join(lines) + "\n", encoding="utf-16")
                self.refuse(script, "UTF-16", "--input", path)

    def test_a_missing_file_is_called_missing(self):
        for name in ("none.txt", "none.fvecs", "none.hdf5"):
            done = support.call("convert.py", "--input", self.folder / name, "--output",
                                self.output)
            if "scripts/setup.sh" not in done.stderr:
                self.refused(done, f"{name}: cannot be read: No such file or directory")


class Amazon(DataTest):
    def test_the_set_of_2023_is_known_with_a_mark_and_windows_lines(self):
        path = self.folder / "Books.csv"
        path.write_bytes("\ufeff".encode() + "\r\n".join(AMAZON_2023).encode() + b"\r\n")
        bundle = self.make("import_amazon.py", "--input", path, "--dim", 1)
        self.assertEqual(bundle["history_times"].tolist(), [1588687728])

    def test_forms_near_the_published_ones_are_refused_by_name(self):
        quoted = [",".join(f'"{field}"' for field in line.split(",")) for line in AMAZON_2023]
        for lines, message in (
                (quoted, ":1: quoted fields"), ([f'"{AMAZON[0]}"'], ":1: quoted fields"),
                ([HEADER_2023 + ",history", AMAZON_2023[1] + ",B081TJ8YS3 B081TJ8YS4"],
                 ":1: a split with a column of histories"),
                (["user_id,asin,rating,timestamp", AMAZON_2023[1]], ":1: unknown header"),
                (["user,item,rating,timestamp", AMAZON[0]], ":1: unknown header"),
                (['{"rating": 5.0, "title": "Such a lovely scent"}'], ":1: reviews as JSON lines")):
            path = self.write("Books.csv", lines)
            for more in ((), ("--set", "2014"), ("--set", "2023")):
                self.refuse("import_amazon.py", message, "--input", path, *more)


class Times(DataTest):
    def test_units_are_told_apart(self):
        for first, last, unit in ((788918400, 1788918400, 1), (788918400000, 1788918400000, 1000)):
            with mock.patch.object(time, "time", return_value=1788918400):
                right = times.are_right(np.array([first - 1, first, last, last + 86401 * unit]),
                                        unit)
            self.assertEqual(right.tolist(), [False, True, True, False])
        self.assertEqual(times.fault("time", 1294185600000),
                         "time 1294185600000 is after now (expected seconds since 1970; it looks "
                         "like milliseconds)")
        self.assertEqual(times.fault("time", 1294185600, 1000),
                         "time 1294185600 is before 1995 (expected milliseconds since 1970; it "
                         "looks like seconds)")
        self.assertEqual(times.fault("time", 5),
                         "time 5 is before 1995 (expected seconds since 1970)")

    def test_importers_refuse_other_units_and_years(self):
        future = int(time.time()) + 10 * 86400
        cases = [("import_amazon.py", [*AMAZON, AMAZON[0] + "000"],
                  ":3: timestamp 1294185600000 is after now"),
                 ("import_amazon.py", [*AMAZON, AMAZON[0].replace("1294185600", str(future))],
                  f":3: timestamp {future} is after now"),
                 ("import_amazon.py", [AMAZON[0].replace("1294185600", "700000000")],
                  ":1: timestamp 700000000 is before 1995"),
                 ("import_amazon.py", [HEADER_2023, AMAZON_2023[1].replace("728923", "728")],
                  ":2: timestamp 1588687728 is before 1995"),
                 ("import_kuairand.py", [KUAIRAND, KUAIRAND_ROW, KUAIRAND_ROW.replace(
                     "1649545620867", "1649545620")], ":3: time_ms 1649545620 is before 1995"),
                 ("import_taobao.py", [*TAOBAO, TAOBAO[0] + "000"],
                  ":3: timestamp 1511544070000 is after now"),
                 ("import_taobao.py", [TAOBAO[0], TAOBAO[1].replace("1511561733", "1511561")],
                  "1 of 2 times are not from 1995 to now: timestamp 1511561 is before 1995")]
        for script, lines, message in cases:
            with self.subTest(message):
                self.refuse(script, message, "--input", self.write("log.csv", lines))

    def test_histories_are_sorted(self):
        first = AMAZON[0].replace("1294185600", "1294185700")
        path = self.write("log.csv", [first, AMAZON[0].replace("0001042335", "000104233X")])
        bundle = self.make("import_amazon.py", "--input", path, "--dim", 1)
        self.assertEqual(bundle["history_times"].tolist(), [1294185600, 1294185700])
        self.assertEqual(bundle["history_items"].tolist(), [1, 0])


if __name__ == "__main__":
    unittest.main()
