#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.peers without a library of others: its rows, and that wrong answers are found.
"""
import contextlib
import csv
import io
import re
import tempfile
import unittest
from pathlib import Path

import native_support as support
import numpy as np

import eta_simd
from eta_simd.command import BadInput
from eta_simd.peers import command, rivals

ROOT = Path(__file__).resolve().parents[2]


class Peers(unittest.TestCase):
    def test_rows_of_our_methods(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                command.main(["--libraries", "", "--methods", "exact,eta:64", "--requests", "2",
                              "--repeats", "2", "--length", "200", "--candidates", "5", "--k", "9",
                              "--csv", str(path)])
            with path.open(newline="", encoding="utf-8") as file:
                rows = {row["method"]: row for row in csv.DictReader(file)}
        self.assertEqual(list(rows), ["exact", "eta:64"])
        self.assertEqual(float(rows["exact"]["recall"]), 1)
        self.assertLess(float(rows["eta:64"]["recall"]), 1)
        for row in rows.values():
            self.assertGreater(float(row["p50_us"]), 0)
            self.assertLessEqual(float(row["p50_us"]), float(row["p999_us"]))
            self.assertIn(row["method"], printed.getvalue())

    def test_item_ids_are_counted_once(self):
        tables = rivals.Tables.make(support.table(), 64)
        methods = ["recent", "eta:64", "eta_gather:64", "eta:64+rerank_i8:2", "scan_i8_gather"]
        self.assertEqual([rival.row_bytes for rival in rivals.ours(tables, methods)],
                         [0, 8, 0, 8, 0])

    def test_two_towers_are_refused(self):
        bundle = eta_simd.generate_bundle(users=2, items=50, length=20)
        bundle.candidate_embeddings = bundle.item_embeddings
        with tempfile.TemporaryDirectory() as folder:
            eta_simd.write_bundle(bundle, folder + "/bundle")
            with self.assertRaisesRegex(BadInput, "candidate_embeddings.npy"):
                command.main(["--libraries", "", "--k", "5", "--data", folder + "/bundle"])

    def test_the_extra_has_what_setup_installs(self):
        setup = (ROOT / "scripts/setup.sh").read_text(encoding="utf-8")
        extra = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        peers = re.findall(r"^peers = \[(.*?)\]", extra, re.M | re.S)[0]
        listed = re.findall(r"^PEERS=\((.*?)\)", setup, re.M | re.S)[0]
        self.assertEqual(["numpy", *re.findall(r'"([^"]+)"', peers)],
                         listed.replace('"', "").split())

    def test_wrong_answers_are_not_timed(self):
        tables = rivals.Tables.make(support.table(), 64)
        requests = [(support.ids(length), support.ids(6, seed=length)) for length in (100, 90)]

        def rival(kind, search):
            return rivals.Rival("theirs", kind, 0, 0, "", lambda ids: ids, search)
        right = rivals.ours(tables, ["exact"])[0]
        shifted = rival("exact", lambda history, ids, k: (
            right.search(right.prepare(history), ids, k) + 1) % 100)
        oldest = rival("hamming", lambda history, ids, k: np.tile(np.arange(k), (len(ids), 1)))
        twice = rival("approximate", lambda history, ids, k: np.zeros((len(ids), k), int))
        broken = rival("int8", lambda history, ids, k: 1 // 0)
        later = rival("exact", lambda history, ids, k: (  # wrong for the second request alone
            right.search(right.prepare(history), ids, k) + (len(history) == 90)) % len(history))
        sound, problems = command.verify([right, shifted, oldest, twice, broken, later], tables,
                                         requests, 8)
        self.assertEqual(sound, [right])
        self.assertEqual(len(problems), 5)
        for problem, text in zip(problems, ("recall with ties", "other distances", "repetitions",
                                            "ZeroDivisionError", "recall with ties")):
            self.assertIn(text, problem)

    def test_refuses(self):
        for arguments, message in ((["--libraries", "nonsense"], "'nonsense' is none of"),
                                   (["--methods", "nonsense"], "^method 'nonsense'"),
                                   (["--data", "/nonexistent"], "/nonexistent"),
                                   (["--bits", "12"], "--bits is 12"),
                                   (["--k", "0"], "--k is 0")):
            with self.assertRaisesRegex(BadInput, message):
                command.main(arguments)


if __name__ == "__main__":
    unittest.main()
