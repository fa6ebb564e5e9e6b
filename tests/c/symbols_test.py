#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""libeta_c exports the functions of core/c/eta_simd.h, under their ABI version, and nothing else.

symbols_test.py LIBRARY
"""
import re
import subprocess
import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "core" / "c"
HEADER = (FOLDER / "eta_simd.h").read_text(encoding="utf-8")
MAP = (FOLDER / "symbols.map").read_text(encoding="utf-8")


class Symbols(unittest.TestCase):
    """The header, the map and the library agree."""
    library = ""

    def setUp(self):
        code = re.sub(r"//.*|^#.*", "", HEADER, flags=re.MULTILINE)
        self.declared = set(re.findall(r"ETA_C_API\s[^;(]*?\b(\w+)\(", code))
        (self.version,) = re.findall(r"#define ETA_ABI_VERSION (\d+)", HEADER)

    def test_the_map_names_each_function(self):
        self.assertGreater(len(self.declared), 20)
        self.assertEqual(set(re.findall(r"^\s+(eta_\w+);", MAP, re.MULTILINE)), self.declared)

    def test_the_library_exports_these_alone(self):
        lines = subprocess.run(["nm", "--dynamic", "--defined-only", "--with-symbol-versions",
                                self.library], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        names = {line.split()[2] for line in lines if line.split()[1] != "A"}
        self.assertEqual(names, {f"{name}@@ETA_{self.version}" for name in self.declared})

    def test_the_soname_has_the_abi_version(self):
        text = subprocess.run(["readelf", "--dynamic", self.library], check=True,
                              capture_output=True, text=True).stdout
        self.assertIn(f"[libeta_c.so.{self.version}]", text)


if __name__ == "__main__":
    Symbols.library = sys.argv.pop()
    unittest.main()
