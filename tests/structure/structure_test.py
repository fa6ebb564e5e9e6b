#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of structure.py hold for this tree, and a violation planted in a small one is found."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import structure

ROOT = Path(__file__).resolve().parents[2]


class ThisTree(unittest.TestCase):
    def check(self, problems):
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    def test_includes_point_to_the_left(self):
        self.check(structure.include_problems(ROOT))

    def test_cmake_names_its_files(self):
        self.check(structure.glob_problems(ROOT) + structure.unlisted_problems(ROOT))

    def test_no_file_is_long(self):
        self.check(structure.length_problems(ROOT))

    def test_public_headers_are_exported_and_installed(self):
        self.check(structure.export_problems(ROOT) + structure.version_problems(ROOT))


class PlantedViolations(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for header in ("simd/dot.h", "simd/views.h", "simd/internal/exp-inl.h", "core/base/check.h",
                       "core/data/items.h", "core/retrieval/eta.h", "core/ctr/model.h",
                       "core/ctr/export.h", "core/ctr/internal/layer.h", "core/reference/dot.h",
                       "baselines/methods.h",
                       "baselines/faiss_common.h",
                       "bench/common/text.h", "bench/kernel/limits.h", "bench/ctr/options.h",
                       "tests/support/temp_folder.h"):
            self.write(header, "#pragma once\n")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def problems(self, path, include):
        """What include_problems says of a file with one #include."""
        self.write(path, f"#include {include}\n")
        problems = structure.include_problems(self.root)
        (self.root / path).unlink()
        return problems

    def test_a_clean_tree_has_no_problem(self):
        self.assertEqual(structure.include_problems(self.root), [])

    def test_an_include_to_the_right_is_found(self):
        for path, include in (
                ("simd/x.cc", '"core/base/check.h"'), ("core/base/x.cc", '"core/data/items.h"'),
                ("core/data/x.cc", '"core/retrieval/eta.h"'),
                ("core/retrieval/x.cc", '"core/ctr/model.h"'),
                ("core/ctr/x.cc", '"baselines/methods.h"'),
                ("baselines/x.cc", '"bench/common/text.h"'),
                ("bench/kernel/x.cc", '"tests/support/temp_folder.h"'),
                ("bench/common/x.cc", '"bench/ctr/options.h"'),
                ("bench/kernel/x.cc", '"bench/ctr/options.h"'),
                ("core/retrieval/x.cc", '"core/reference/dot.h"'),
                ("core/reference/dot.cc", '"core/ctr/export.h"'),
                ("core/reference/x.cc", '"simd/dot.h"'),
                ("core/reference/x.cc", '"core/base/check.h"'),
                ("simd/x.h", '"simd/internal/exp-inl.h"'), ("simd/x.h", '"hwy/highway.h"'),
                ("core/ctr/x.h", '"core/ctr/internal/layer.h"'),
                ("core/ctr/x.cc", '"simd/internal/exp-inl.h"'),
                ("bench/ctr/x.cc", '"core/ctr/internal/layer.h"'),
                ("simd/x.cc", "<omp.h>"), ("simd/x.cc", "<immintrin.h>"),
                ("core/base/x.cc", "<faiss/IndexFlat.h>"),
                ("baselines/x.h", "<faiss/IndexFlat.h>"),
                ("tests/simd/x.cc", "<faiss/IndexFlat.h>"),
                ("bench/kernel/x.cc", '"baselines/faiss_common.h"'),
                ("core/base/x.cc", '"check.h"'), ("core/base/x.cc", '"core/base/gone.h"'),
                ("attic/x.cc", "<vector>")):
            with self.subTest(path=path, include=include):
                self.assertEqual(len(self.problems(path, include)), 1)

    def test_an_include_to_the_left_is_not(self):
        for path, include in (
                ("simd/x.cc", '"simd/internal/exp-inl.h"'), ("simd/x.cc", '"hwy/highway.h"'),
                ("simd/internal/x.h", '"simd/internal/exp-inl.h"'),
                ("core/ctr/x.cc", '"core/ctr/internal/layer.h"'),
                ("tests/simd/x.cc", '"simd/internal/exp-inl.h"'),
                ("simd/x.h", "<cstdint>"), ("core/base/x.h", '"simd/dot.h"'),
                ("core/ctr/x.cc", '"core/retrieval/eta.h"'),
                ("core/reference/ctr.h", '"core/ctr/export.h"'),
                ("core/reference/x.h", '"simd/views.h"'),
                ("baselines/x.cc", "<faiss/IndexFlat.h>"),
                ("tests/baselines/x.cc", '"baselines/faiss_common.h"'),
                ("tests/baselines/x.cc", "<faiss/IndexFlat.h>"),
                ("bench/kernel/x.cc", '"core/reference/dot.h"'),
                ("bench/kernel/x.cc", '"bench/common/text.h"'),
                ("tests/bench/x.cc", '"bench/kernel/limits.h"'),
                ("bench/common/x.cc", '"bench/common/build_info.h"')):
            with self.subTest(path=path, include=include):
                self.assertEqual(self.problems(path, include), [])

    def test_a_glob_is_found(self):
        self.write("simd/CMakeLists.txt", "# no file(GLOB) here\nfile( GLOB sources *.cc)\n")
        self.assertEqual(structure.glob_problems(self.root), ["simd/CMakeLists.txt: file(GLOB)"])

    def test_a_source_that_is_not_built_is_found(self):
        self.write("simd/dot.cc", "")
        self.write("simd/dot_i8.cc", "")
        self.write("simd/CMakeLists.txt", "add_library(eta_simd dot_i8.cc)\n")
        self.assertEqual(structure.unlisted_problems(self.root),
                         ["simd/dot.cc: no CMakeLists.txt names it"])

    def test_a_declaration_that_is_not_exported_is_found(self):
        self.write("simd/dot.h", "void Scan(\n    int n);\nETA_SIMD_API void Pack();\n"
                   "inline int Rows() { return 1; }\nstruct View {\n  int n;\n};\n")
        self.write("core/data/items.h", "struct Items {\n};\nclass ETA_CORE_API Table {\n};\n"
                   "class Forward;\ntemplate <class T>\nstruct Matrix {\n};\n")
        self.assertEqual(structure.export_problems(self.root),
                         ["core/data/items.h: Items lacks ETA_CORE_API",
                          "simd/dot.h: Scan lacks ETA_SIMD_API"])

    def test_a_header_that_is_not_installed_is_found(self):
        self.write("simd/CMakeLists.txt", "eta_public_headers(eta_simd simd dot.h)\n")
        self.assertEqual(structure.export_problems(self.root),
                         ["simd/views.h: simd/CMakeLists.txt does not name it"])

    def test_two_versions_are_found(self):
        self.write("CMakeLists.txt", "project(eta-simd VERSION 1.2.4 LANGUAGES CXX)\n")
        self.write("simd/version.h", "".join(f"#define ETA_SIMD_VERSION_{part} {number}\n"
                                             for part, number in
                                             (("MAJOR", 1), ("MINOR", 2), ("PATCH", 3))))
        self.assertEqual(structure.version_problems(self.root),
                         ["simd/version.h: 1.2.3, not 1.2.4"])

    def test_a_long_file_is_found(self):
        self.write("simd/dot.cc", "\n" * 401)
        self.write("core/base/x.py", "\n" * 400)
        self.assertEqual(structure.length_problems(self.root),
                         ["simd/dot.cc: 401 lines, more than 400"])


if __name__ == "__main__":
    unittest.main()
