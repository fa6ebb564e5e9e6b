#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the importers on rows made up here. Exit code 77: NumPy or SciPy is missing."""
import unittest

from data_support import DataTest

import numpy as np

# The published file has 38 rows of a time before 1970, this the earliest.
TAOBAO_BEFORE_1970 = "3,2333346,2520772,pv,-2134949234"
TAOBAO = ["1,2268318,2520377,pv,1511544070", "1,2333346,2520771,pv,1511561733",
          "1,2576651,149192,cart,1511572885", "2,2333346,2520772,pv,1511561700",
          "2,2268318,2520377,buy,1511572000", "2,2576651,149192,pv,1511561700"]
KUAIRAND = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,"
            "is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,"
            "comment_stay_time,is_profile_enter,is_rand,tab")
KUAIRAND_ROWS = ["0,3784,20220410,700,1649545620867,1,0,0,0,0,0,1,11130,10867,0,0,0,0,1",
                 "0,4201,20220410,700,1649545610050,1,0,0,0,0,0,1,10000,10867,0,0,0,0,1",
                 "7,3784,20220411,0,1649649000111,0,0,0,0,0,0,0,0,16333,0,0,0,0,1",
                 "9,4201,20220411,0,1649649000222,1,1,0,0,0,0,0,900,16333,0,0,0,0,0"]
AMAZON = ["A3SGXH7AUHU8GW,0001042335,5.0,1294185600", "A1D2C0WDCSHUWZ,000104233X,4.0,1294185500",
          "A3SGXH7AUHU8GW,000104233X,1.0,1294185500"]
AMAZON_2018 = ["0001042335,A3SGXH7AUHU8GW,5.0,1294185600"]
AMAZON_2023 = ["user_id,parent_asin,rating,timestamp",
               "AGKHLEW2SOWHNMFQIJGBECAF7INQ,B081TJ8YS3,4.0,1588687728923"]


class Imports(DataTest):
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


if __name__ == "__main__":
    unittest.main()
