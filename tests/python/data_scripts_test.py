#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the importers and of convert.py on rows made up here. Exit code 77: NumPy or SciPy is
missing."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy as np
    import scipy.sparse  # pylint: disable=unused-import
except ImportError as missing:
    print(f"skipped: {missing} (scripts/setup.sh data)")
    sys.exit(77)
try:
    import h5py
except ImportError:
    h5py = None

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPTS))
from eta_data import log as eta_log  # pylint: disable=wrong-import-position
from eta_data import embeddings  # pylint: disable=wrong-import-position

# The published file has 38 rows of a time before 1970, this the earliest.
TAOBAO_BEFORE_1970 = "3,2333346,2520772,pv,-2134949234"
TAOBAO = ["1,2268318,2520377,pv,1511544070", "1,2333346,2520771,pv,1511561733",
          "1,2576651,149192,cart,1511572885", "2,2333346,2520772,pv,1511561700",
          "2,2268318,2520377,buy,1511572000", "2,2576651,149192,pv,1511561700"]
KUAIRAND = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
            "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
            "is_profile_enter,is_rand,tab")
KUAIRAND_ROWS = ["0,3784,20220410,700,1649545620867,1,0,0,0,0,0,1,11130,10867,0,0,0,0,1",
                 "0,4201,20220410,700,1649545610050,1,0,0,0,0,0,1,10000,10867,0,0,0,0,1",
                 "7,3784,20220411,0,1649649000111,0,0,0,0,0,0,0,0,16333,0,0,0,0,1",
                 "9,4201,20220411,0,1649649000222,1,1,0,0,0,0,0,900,16333,0,0,0,0,0"]
AMAZON = ["A3SGXH7AUHU8GW,0001042335,5.0,1294185600", "A1D2C0WDCSHUWZ,000104233X,4.0,1294185500",
          "A3SGXH7AUHU8GW,000104233X,1.0,1294185500"]
AMAZON_2018 = ["0001042335,A3SGXH7AUHU8GW,5.0,1294185600"]
AMAZON_2023 = ["user_id,parent_asin,rating,timestamp",
               "AGKHLEW2SOWHNMFQIJGBECAF7INQ,B081TJ8YS3,4.0,1588687728923"]


class DataScript(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "bundle"

    def write(self, name, lines, end="\n"):
        path = self.folder / name
        path.write_bytes("".join(line + end for line in lines).encode())
        return path

    def call(self, script, *arguments):
        command = ["/usr/bin/python3", "-B", str(SCRIPTS / script), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def make(self, script, *arguments):
        done = self.call(script, *arguments, "--output", self.output)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return self.read(self.output)

    def read(self, bundle):
        arrays = {path.stem: np.load(path) for path in bundle.glob("*.npy")}
        arrays["counts"] = json.loads((bundle / "bundle.json").read_text())["counts"]
        return arrays

    def refuse(self, script, message, *arguments):
        before = sorted(self.folder.iterdir())
        done = self.call(script, *arguments, "--output", self.output)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual(sorted(self.folder.iterdir()), before)


class Imports(DataScript):
    def test_taobao_takes_clicks_in_order_of_time(self):
        path = self.write("UserBehavior.csv", TAOBAO)
        bundle = self.make("import_taobao.py", "--input", path, "--dim", 2)
        # Items by id: 2268318, 2333346, 2576651. User 2 has two of one time, in file order.
        self.assertEqual(bundle["history_offsets"].tolist(), [0, 2, 4])
        self.assertEqual(bundle["history_items"].tolist(), [0, 1, 1, 2])
        self.assertEqual(bundle["history_times"].tolist(),
                         [1511544070, 1511561733, 1511561700, 1511561700])
        self.assertEqual(bundle["item_categories"].tolist(), [2520377, 2520772, 149192])
        self.assertEqual(bundle["item_embeddings"].shape, (3, 2))
        self.assertAlmostEqual(float(np.mean(bundle["item_embeddings"]**2)), 1, places=2)
        self.assertEqual(bundle["counts"], {"items": 3, "dim": 2, "users": 2, "behaviours": 4})
        types = {name: bundle[name].dtype.str for name in bundle if name != "counts"}
        self.assertEqual(types, {"history_offsets": "<i8", "history_items": "<i4",
                                 "history_times": "<i8", "item_categories": "<i4",
                                 "item_embeddings": "<f4"})

    def test_taobao_takes_other_types_when_asked(self):
        path = self.write("UserBehavior.csv", TAOBAO, "\r\n")
        bundle = self.make("import_taobao.py", "--input", path, "--dim", 2, "--behaviours",
                           "buy,cart")
        self.assertEqual(bundle["history_items"].tolist(), [1, 0])

    def test_taobao_refuses_what_does_not_fit(self):
        cases = {"2,3,4,pv": ":7: wrong number of fields (expected 5, found 4)",
                 "": ":7: wrong number of fields (expected 5, found 1)",
                 "2,3,4,pv,1,1": ":7: wrong number of fields",
                 "2,3,4,like,1": ':7: malformed behaviour type (expected one of pv, buy, cart, fav',
                 "2,3,4,pvpvpvpvpv,1": ":7: malformed behaviour type",
                 "2,x,4,pv,1": ':7: malformed item (expected a whole number from 0 to '
                               '999999999999999999, found "x")',
                 "2,,4,pv,1": ":7: malformed item",
                 "-2,3,4,pv,1": ":7: malformed user",
                 "2,3,4,pv, 1": ":7: malformed timestamp",
                 "2,3,2147483648,pv,1": ":7: malformed category",
                 "2,3,4,pv,1234567890123456789": ":7: malformed timestamp",
                 '2,"3",4,pv,1': ":7: malformed item",
                 "2,3,4,pv\0,1": ":7: malformed behaviour type",
                 "2,3,4,pv,-": ":7: malformed timestamp",
                 "2,3,4,pv,--5": ":7: malformed timestamp",
                 "2,3,4,pv,-2147483649": ":7: malformed timestamp",
                 "2,3,4,pv,-99999999999999999999": ":7: malformed timestamp"}
        for line, message in cases.items():
            # Later lines must not hide the first that is wrong.
            path = self.write("UserBehavior.csv", TAOBAO + [line] + TAOBAO + ["?", "1,2,3,4,5"])
            self.refuse("import_taobao.py", message, "--input", path)
        path = self.write("UserBehavior.csv", [])
        self.refuse("import_taobao.py", ":1: no rows", "--input", path)
        self.refuse("import_taobao.py", "cannot be read", "--input", self.folder)
        self.refuse("import_taobao.py", "No such file", "--input", self.folder / "none")
        path = self.write("UserBehavior.csv", TAOBAO)
        self.refuse("import_taobao.py", "--dim is 0", "--input", path, "--dim", 0)
        self.refuse("import_taobao.py", "is not a list of", "--input", path, "--behaviours", "like")
        self.refuse("import_taobao.py", "no behaviours of type fav", "--input", path,
                    "--behaviours", "fav")

    def test_taobao_takes_times_before_1970(self):
        path = self.write("UserBehavior.csv", TAOBAO + ["3,2268318,2520377,pv,1511572000",
                                                        TAOBAO_BEFORE_1970])
        bundle = self.make("import_taobao.py", "--input", path, "--dim", 2)
        self.assertEqual(bundle["history_times"].tolist()[-2:], [-2134949234, 1511572000])

    def test_refuses_an_output_that_cannot_be_written_before_it_reads(self):
        path = self.write("UserBehavior.csv", ["nonsense"])
        self.output = self.folder / "none" / "bundle"
        self.refuse("import_taobao.py", "not a folder that can be written to", "--input", path)

    def test_kuairand_joins_files_and_takes_clicks(self):
        first = self.write("log_standard_4_08_to_4_21_1k.csv", [KUAIRAND, *KUAIRAND_ROWS[:2]])
        second = self.write("log_standard_4_22_to_5_08_1k.csv", [KUAIRAND, *KUAIRAND_ROWS[2:]])
        bundle = self.make("import_kuairand.py", "--input", first, second, "--dim", 2)
        self.assertEqual(bundle["history_offsets"].tolist(), [0, 2, 3])
        self.assertEqual(bundle["history_items"].tolist(), [1, 0, 1])
        self.assertEqual(bundle["history_times"].tolist(), [1649545610, 1649545620, 1649649000])
        self.output = self.folder / "all"
        bundle = self.make("import_kuairand.py", "--input", first, second, "--dim", 2, "--all")
        self.assertEqual(bundle["history_items"].tolist(), [1, 0, 0, 1])

    def test_kuairand_refuses_what_does_not_fit(self):
        path = self.write("log.csv", KUAIRAND_ROWS)
        self.refuse("import_kuairand.py", ":1: wrong header line", "--input", path)
        path = self.write("log.csv", [KUAIRAND, *KUAIRAND_ROWS])
        self.refuse("import_kuairand.py", "--input names a file twice", "--input", path,
                    self.folder / "." / "log.csv")
        path = self.write("log.csv", [KUAIRAND, *KUAIRAND_ROWS, KUAIRAND_ROWS[0] + ",1"])
        self.refuse("import_kuairand.py", ":6: wrong number of fields (expected 19, found 20)",
                    "--input", path)
        path = self.write("log.csv", [KUAIRAND, KUAIRAND_ROWS[0].replace(",1,0,", ",2,0,", 1)])
        self.refuse("import_kuairand.py", ":2: malformed is_click (expected a whole number from 0 "
                    "to 1", "--input", path)

    def test_amazon_knows_its_three_sets(self):
        path = self.write("ratings_Books.csv", AMAZON)
        bundle = self.make("import_amazon.py", "--input", path, "--dim", 2)
        # Users and items by their texts: A1D2.., A3SG..; 0001042335, 000104233X.
        self.assertEqual(bundle["history_offsets"].tolist(), [0, 1, 3])
        self.assertEqual(bundle["history_items"].tolist(), [1, 1, 0])
        self.assertEqual(bundle["history_times"].tolist(), [1294185500, 1294185500, 1294185600])
        self.output = self.folder / "2018"
        path = self.write("Books.csv", AMAZON_2018)
        bundle = self.make("import_amazon.py", "--input", path, "--set", "2018", "--dim", 2)
        self.assertEqual(bundle["counts"]["users"], 1)
        self.output = self.folder / "2023"
        path = self.write("Books.csv", AMAZON_2023)
        bundle = self.make("import_amazon.py", "--input", path, "--dim", 2)
        self.assertEqual(bundle["history_times"].tolist(), [1588687728])
        # Ids as short and as long as the published ones.
        for folder, rows, more in (("short", ["A1YJEY40YU,0001042335,5.0,1294185600"], ()),
                                   ("long", [AMAZON_2023[0], "AGKHLEW2SOWHNMFQIJGBECAF7INQ23456789,"
                                             "B081TJ8YS3,4.0,1588687728923"], ())):
            self.output = self.folder / folder
            bundle = self.make("import_amazon.py", "--input", self.write("B.csv", rows), *more,
                               "--dim", 1)
            self.assertEqual(bundle["counts"]["users"], 1)

    def test_amazon_refuses_what_does_not_fit(self):
        path = self.write("Books.csv", AMAZON_2018)
        self.refuse("import_amazon.py", ":1: malformed item (expected ten digits and capitals",
                    "--input", path)
        path = self.write("Books.csv", AMAZON + [AMAZON[0].replace("5.0", "5.5.5")])
        self.refuse("import_amazon.py", ":4: malformed rating", "--input", path)
        self.refuse("import_amazon.py", ":1: wrong header line", "--input", path, "--set", "2023")


class Reading(DataScript):
    COLUMNS = [eta_log.Integer("a"), eta_log.Skipped("b"), eta_log.Text("c", "[a-z]*", "letters")]

    def read(self, bundle):
        chunks = list(eta_log.read_chunks(bundle, self.COLUMNS))
        return len(chunks), [(int(a), texts[code].decode()) for chunk in chunks for a, texts, code in
                             zip(chunk["a"], [chunk["c"][0]] * len(chunk["a"]), chunk["c"][1])]

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
        with self.assertRaisesRegex(eta_log.BadInput, "a line is longer than 65536 bytes"):
            self.read(path)
        path.write_text("1,2,a\n" * 50 + "1,2,A\n")
        with self.assertRaisesRegex(eta_log.BadInput, "rows.csv:51: malformed c"):
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

    def test_both_solvers_agree(self):
        for users, items in ((90, 70), (70, 90)):
            log = self.log(users, items, 6)
            exact = embeddings.item_embeddings(log, 5, 1)
            large = embeddings.LARGE
            try:
                embeddings.LARGE = 0
                quick = embeddings.item_embeddings(log, 5, 1)
            finally:
                embeddings.LARGE = large
            self.assertLess(np.abs(exact[:, 0] - quick[:, 0]).max(), 5e-2)
            kept = [np.square(t.astype(float) @ t.T.astype(float)).sum() for t in (exact, quick)]
            self.assertAlmostEqual(kept[1] / kept[0], 1, delta=0.03)


class Convert(DataScript):
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
                done = self.call("convert.py", "--input", self.output, "--output", made)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(made.read_bytes(), path.read_bytes())

    def test_histories_survive_a_round_trip(self):
        base = self.vecs("base.fvecs", self.BASE)
        lists = self.vecs("h.ivecs", [[3, 1, 3], [], [0]], "<i4")
        bundle = self.make("convert.py", "--input", base, "--histories", lists)
        self.assertEqual(bundle["history_offsets"].tolist(), [0, 3, 3, 4])
        self.assertEqual(bundle["history_items"].tolist(), [3, 1, 3, 0])
        made = self.folder / "made.ivecs"
        self.call("convert.py", "--input", self.output, "--output", made, "--part", "histories")
        self.assertEqual(made.read_bytes(), lists.read_bytes())

    @unittest.skipIf(h5py is None, "h5py is missing")
    def test_hdf5_survives_a_round_trip(self):
        path = self.folder / "a.hdf5"
        with h5py.File(path, "w") as file:
            file["train"], file["test"] = self.BASE, self.QUERIES
        bundle = self.make("convert.py", "--input", path)
        self.assertEqual(bundle["candidates_items"].tolist(), [4, 5, 6])
        made = self.folder / "made.hdf5"
        self.call("convert.py", "--input", self.output, "--output", made, "--metric", "euclidean")
        with h5py.File(made) as file:
            np.testing.assert_array_equal(file["train"], self.BASE)
            np.testing.assert_array_equal(file["test"], self.QUERIES)
            far = np.linalg.norm(self.BASE[None] - self.QUERIES[:, None], axis=2)
            np.testing.assert_array_equal(file["neighbors"], np.argsort(far, kind="stable"))
            np.testing.assert_allclose(file["distances"], np.sort(far), rtol=1e-6)
            self.assertEqual(file.attrs["distance"], "euclidean")

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
