#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of simd/README.md lists the files that each kernel needs, and every file of simd/."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import copy_files

ROOT = copy_files.ROOT
README = (ROOT / "simd" / "README.md").read_text(encoding="utf-8")
ROWS = [row for _, row in copy_files.rows(README)]


class Readme(unittest.TestCase):
    def test_the_lists_are_what_the_sources_include(self):
        self.assertEqual(README, copy_files.updated(ROOT, README),
                         "tests/copy/copy_files.py --update puts this right")

    def test_a_kernel_is_at_most_ten_files_besides_the_export_macro(self):
        for row in ROWS:
            with self.subTest(functions=row.functions):
                self.assertLessEqual(len(set(row.files) - {"simd/export.h"}), 10)

    def test_every_source_has_a_row(self):
        listed = {path for row in ROWS for path in row.files}
        present = {str(path.relative_to(ROOT)) for pattern in ("*.cc", "*.h", "internal/*")
                   for path in (ROOT / "simd").glob(pattern)}
        self.assertEqual(present - listed, {"simd/version.h"})  # which no kernel needs

    def test_every_function_of_a_row_is_declared_in_its_files(self):
        for row in ROWS:
            text = "".join((ROOT / path).read_text(encoding="utf-8") for path in row.files
                           if path.endswith(".h") and "internal" not in path)
            for function in row.functions:
                with self.subTest(function=function):
                    self.assertRegex(text, rf"\b{function}\(")


class Lists(unittest.TestCase):
    def test_includes_of_includes_are_found(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "simd" / "internal").mkdir(parents=True)
            (root / "simd/a.cc").write_text('#include "simd/internal/c-inl.h"\n#include <vector>\n')
            (root / "simd/internal/c-inl.h").write_text('#include "simd/b.h"  // why\n')
            (root / "simd/b.h").write_text("#pragma once\n")
            table = ("| kernel | files to copy |\n|---|---|\n| `A` | `a.cc` `gone.h` |\n\n"
                     "| x | y |\n")
            self.assertEqual(copy_files.updated(root, table),
                             table.replace("`gone.h`", "`b.h` `internal/c-inl.h`"))


if __name__ == "__main__":
    unittest.main()
