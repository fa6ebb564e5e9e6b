#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of import_movielens.py on small files of every form that GroupLens publishes.

    data_movielens_test.py BUNDLE_TOOL

Exit code 77: NumPy or SciPy is missing."""
import gzip
import json
import os
import sys
import unittest

import support
from data_support import DataTest

# Ratings as (user, movie, stars, time), of which user 2 gave his in another order.
RATINGS = [(1, 31, 2.5, 1260759144), (1, 10, 3, 1260759179), (2, 31, 4, 1260759200),
           (2, 17, 5, 1260759100)]
GENRES = {10: ["Action", "Comedy"], 17: ["unknown"], 31: ["War"]}
FLAGS = ("unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
         "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western").split("|")


def csv_form():
    return {"ratings.csv": ["userId,movieId,rating,timestamp",
                            *(f"{u},{m},{s:.1f},{t}" for u, m, s, t in RATINGS)],
            "movies.csv": ["movieId,title,genres", *(
                f'{m},"A, B (1995)",{"|".join(g)}' for m, g in GENRES.items())]}


def dat_form():
    """As 1M, and with half stars as 10M."""
    return {"ratings.dat": [f"{u}::{m}::{s:g}::{t}" for u, m, s, t in RATINGS],
            "movies.dat": [f"{m}::Caf\u00e9 (1995)::{'|'.join(g)}" for m, g in GENRES.items()]}


def data_form():
    return {"u.data": [f"{u}\t{m}\t{s:.0f}\t{t}" for u, m, s, t in RATINGS],
            "u.item": [f"{m}|Caf\u00e9 (1995)|01-Jan-1995||http://x.example/?a%20b|" + "|".join(
                "1" if name in g else "0" for name in FLAGS) for m, g in GENRES.items()]}


class MovieLens(DataTest):
    def folder_of(self, form, name="ml", pack=()):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for file, lines in form.items():
            content = "".join(line + "\n" for line in lines).encode("latin-1")
            if file in pack:
                file, content = f"{file}.gz", gzip.compress(content)
            (folder / file).write_bytes(content)
        return folder

    def options(self, folder):
        return ["--input", folder, "--bundle-tool", BUNDLE_TOOL, "--dim", 2]

    def test_every_form_gives_the_same_bundle(self):
        for number, (form, pack) in enumerate((
                (csv_form(), ()), (dat_form(), ()), (data_form(), ()),
                (csv_form(), ("ratings.csv", "movies.csv")), (csv_form(), ("movies.csv",)),
                (dat_form(), ("ratings.dat",)), (data_form(), ("u.data", "u.item")))):
            with self.subTest(form=list(form), pack=pack):
                self.output = self.folder / f"bundle-{number}"
                bundle = self.make("import_movielens.py", *self.options(
                    self.folder_of(form, f"ml-{number}", pack)))
                self.assertEqual(bundle["history_offsets"].tolist(), [0, 2, 4])
                self.assertEqual(bundle["history_items"].tolist(), [2, 0, 1, 2])
                self.assertEqual(bundle["history_times"].tolist(),
                                 [1260759144, 1260759179, 1260759100, 1260759200])
                self.assertEqual(bundle["item_categories"].tolist(), [0, 2, 1])
                about = json.loads((self.output / "bundle.json").read_text())
                self.assertEqual(about["name"], f"ml-{number}")

    def test_messages_name_the_lines_of_the_originals(self):
        for form, file, line, message in (
                (data_form, "u.data", "1\t2\t3", "u.data:5: wrong number of fields (expected 4"),
                (data_form, "u.data", "1\t31\t3\tx", "u.data:5: malformed timestamp"),
                (data_form, "u.item", "9|T|", "u.item:4: wrong number of fields (expected 24"),
                *((data_form, "u.item", "9|T|D||U|" + "|".join(digit * 19),
                   "u.item:4: malformed genres") for digit in "02"),
                (dat_form, "ratings.dat", "1::2", "ratings.dat:5: too few fields"),
                (csv_form, "ratings.csv", "1,31,9,1260759144", "ratings.csv:6: malformed rating")):
            for pack in ((), (file,)):
                with self.subTest(message=message, pack=pack):
                    made = form()
                    made[file].append(line)
                    name, rest = message.split(":", 1)
                    name += ".gz" if pack else ""
                    folder = self.folder_of(made, pack=pack)
                    self.refuse("import_movielens.py", f"{folder / name}:{rest}",
                                *self.options(folder))

    def test_times_in_milliseconds_are_refused(self):
        for form, number in ((csv_form, 3), (dat_form, 2), (data_form, 2)):
            made = form()
            ratings = next(iter(made))
            made[ratings][number - 1] += "000"
            self.refuse("import_movielens.py",
                        f"{ratings}:{number}: timestamp 1260759179000 is after now",
                        *self.options(self.folder_of(made)))

    def test_what_is_no_data_set_is_refused(self):
        empty = self.folder_of({})
        self.refuse("import_movielens.py", "not a MovieLens folder (expected ratings.csv, "
                    "ratings.dat, u.data", *self.options(empty))
        self.refuse("import_movielens.py", "u.item: cannot be read: No such file",
                    *self.options(self.folder_of({"u.data": data_form()["u.data"]})))
        folder = self.folder_of({"movies.csv": csv_form()["movies.csv"]})
        os.mkfifo(folder / "ratings.csv")
        self.refuse("import_movielens.py", "ratings.csv: not a regular file",
                    *self.options(folder))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(print("skipped: no bundle_tool is named") or support.SKIPPED)
    BUNDLE_TOOL = sys.argv.pop(1)
    unittest.main()
