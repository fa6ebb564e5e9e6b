#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.peers.longctr and mirrn on a tiny export. Skipped without FuxiCTR, which only
`build/peers/bin/python` has (docs/peers.md)."""
import contextlib
import io
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import native_support as support

try:
    import fuxictr  # noqa: F401
    import torch  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing} (pip install fuxictr, after scripts/setup.sh peers)")
    sys.exit(support.SKIPPED)

from eta_simd.command import BadInput
from eta_simd.ctr import command, planted
from eta_simd.peers import longctr, mirrn

PLANTED = ("--users", "20", "--topics", "8", "--side", "3", "--categories", "3", "--length", "60",
           "--recent", "6", "--interests", "3", "--repeats", "3", "--dim", "8")
TINY = ("--epochs", "1", "--dim", "16", "--heads", "1", "--max-history", "40", "--short", "4",
        "--k", "8", "--bits", "24")


class LongCtr(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data, self.model = Path(folder.name) / "data", Path(folder.name) / "model"
        planted.main(["--out", str(self.data), *PLANTED])

    def printed(self, call, *arguments):
        with contextlib.redirect_stdout(io.StringIO()) as text:
            call([*map(str, arguments)])
        return text.getvalue()

    def test_definitions_agree(self):
        command.main(["--bundle", str(self.data), "--model", "eta", "--out", str(self.model),
                      *TINY])
        text = self.printed(longctr.main, self.model, "--users", 4, "--candidates", 6, "--steps", 1)
        found = re.findall(r"^(\w+): of 24 candidates (\d+) get", text, re.M)
        self.assertEqual(found, [(name, "24") for name, _ in longctr.PAIRS], text)
        rows = re.findall(r"^(\w+) +[\d.]+ +[\d.-]+ +[\d.-]+ +[\d.]+", text, re.M)
        self.assertEqual(rows, [name for name, _ in longctr.PAIRS], text)
        with self.assertRaisesRegex(BadInput, "no folder|manifest"):
            longctr.main([str(self.data)])

    def test_mirrn_trains(self):
        text = self.printed(mirrn.main, "--bundle", self.data, *TINY, "--seeds", "1,3")
        self.assertEqual(re.findall(r"seed (\d), (\w+): test AUC 0\.\d{4}", text),
                         [("1", "eta"), ("1", "mirrn"), ("3", "eta"), ("3", "mirrn")])
        for seeds in (["--seeds"], ["--seeds", "x"]):
            with self.assertRaisesRegex(BadInput, "--seeds expects"):
                mirrn.main(["--bundle", str(self.data), *seeds])


if __name__ == "__main__":
    unittest.main()
