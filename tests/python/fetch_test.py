#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/fetch_movielens.sh on archives made up here, with stand-ins for setup.sh and
bundle_tool's importer. Exit code 77: a program is missing."""
import os
import shutil
import subprocess
import unittest
import zipfile

import support

support.need_programs("curl", "unzip", purpose="fetch")

IMPORTER = """#!/usr/bin/python3
import pathlib, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
output = pathlib.Path(options["--output"])
output.mkdir()
for file in pathlib.Path(options["--input"]).iterdir():
    (output / file.name).write_bytes(file.read_bytes())
"""
# As the files of each set begin and end.
TEXT = {"100k": "SUMMARY & USAGE LICENSE\n=====\n\nAsk before {}.\n\nDETAILS\n=====\n\nmore\n",
        "1m": "SUMMARY\n====\n\nnone\n\nUSAGE LICENSE\n====\n\nAsk before {}.\n\nUSERS\n====\n\n"
              "more\n",
        "10m": "<html>\n <h1>\n  Summary\n </h1>\n <h1>\n   Usage License\n </h1>\n <p>Ask before "
               "{}.</p>\n <h1>\n  Users\n </h1>\n<p>more</p>\n"}
SETS = {"small": ("ml-latest-small", "ml-latest-small", "ratings.csv", "movies.csv", "README.txt"),
        "100k": ("ml-100k", "ml-100k", "u.data", "u.item", "README"),
        "1m": ("ml-1m", "ml-1m", "ratings.dat", "movies.dat", "README"),
        "10m": ("ml-10m", "ml-10M100K", "ratings.dat", "movies.dat", "README.html"),
        "25m": ("ml-25m", "ml-25m", "ratings.csv", "movies.csv", "README.txt")}


class Fetch(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.repo, self.server = self.folder / "repo", self.folder / "server"
        (self.repo / "scripts").mkdir(parents=True)
        self.server.mkdir()
        for name in ("common.sh", "fetch_movielens.sh"):
            shutil.copy(support.SCRIPTS / name, self.repo / "scripts")
        for name, text in (("setup.sh", "#!/bin/sh\n"), ("import_movielens.py", IMPORTER)):
            (self.repo / "scripts" / name).write_text(text)
            (self.repo / "scripts" / name).chmod(0o755)

    def fetch(self, name):
        return subprocess.run(
            [self.repo / "scripts" / "fetch_movielens.sh", name, "--bundle-tool", "/bin/true"],
            env={**os.environ, "ETA_MOVIELENS_URL": self.server.as_uri()}, text=True,
            capture_output=True, check=False, stdin=subprocess.DEVNULL)

    def test_every_size_is_found_in_its_archive(self):
        for name, (archive, folder, ratings, movies, readme) in SETS.items():
            with self.subTest(name):
                with zipfile.ZipFile(self.server / f"{archive}.zip", "w") as file:
                    file.writestr(f"{folder}/{ratings}", f"ratings of {name}")
                    file.writestr(f"{folder}/{movies}", "movies")
                    file.writestr(f"{folder}/more", "not needed")
                    file.writestr(f"{folder}/{readme}",
                                  TEXT.get(name, TEXT["1m"]).format(f"use of {name}"))
                done = self.fetch(name)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"Ask before use of {name}.", done.stderr)
                self.assertNotIn("more", done.stderr)
                bundle = self.repo / "data" / f"movielens-{name}"
                self.assertEqual((bundle / ratings).read_text(), f"ratings of {name}")
                self.assertEqual({path.name for path in bundle.iterdir()},
                                 {ratings, movies, readme})

    def test_a_failure_leaves_nothing(self):
        for content in (b"no archive", None):
            if content:
                (self.server / "ml-100k.zip").write_bytes(content)
            else:
                (self.server / "ml-100k.zip").unlink()
            done = self.fetch("100k")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse((self.repo / "data").exists())
        self.assertEqual(self.fetch("2m").returncode, 2)


if __name__ == "__main__":
    unittest.main()
