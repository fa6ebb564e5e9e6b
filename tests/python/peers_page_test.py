#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.peers.page, and that the pages show the results that are committed."""
import unittest

import support
from eta_simd.command import BadInput
from eta_simd.files import write_csv
from eta_simd.peers import page
from eta_simd.results import COLUMNS

PAGES = [support.ROOT / "docs/peers.md", support.ROOT / "README.md"]
RESULTS = sorted((support.ROOT / "docs/results").glob("peers_*.csv"))


def row(method, ties, us, length=1024, bits=64):
    return {**dict.fromkeys(COLUMNS, ""), "method": method, "bits": bits, "recall": ties,
            "recall_ties": ties, "p50_us": us, "l_mean": length, "b": 100, "target": "T"}


class Committed(unittest.TestCase):
    def test_pages_show_the_results(self):
        results = {path.stem: page.read_rows(path) for path in RESULTS}
        self.assertEqual(len(results), 3)
        for path in PAGES:
            text = path.read_text(encoding="utf-8")
            self.assertEqual(page.filled(text, results, path), text, path)

    def test_every_library_has_a_row(self):
        for path in RESULTS:
            found = {page.library(row) for row in page.read_rows(path)}
            self.assertEqual(found, {"", *page.LIBRARIES}, path)


class Page(support.FolderTest):
    def filled(self, rows, text="a\n<!-- peers: summary -->\nold\n<!-- end -->\nb\n"):
        results, target = self.folder / "peers_made_1024.csv", self.folder / "page.md"
        write_csv(results, rows, COLUMNS)
        target.write_text(text, encoding="utf-8")
        page.main([str(target), "--results", str(results)])
        return target.read_text(encoding="utf-8").splitlines()

    def test_summary_compares_at_the_same_quality(self):
        lines = self.filled([
            row("exact", 1, 40), row("scan_i8", 0.99, 20), row("eta:64", 0.5, 2),
            row("faiss:IndexFlatIP", 1, 300), row("faiss:SQ8", 0.95, 50),
            row("faiss:IndexBinaryFlat:heap", 0.5, 9), row("usearch:f32", 0.89, 1),
            row("torch:eager", 1, 70)])
        self.assertEqual(lines[0], "a")
        self.assertEqual(lines[4:7], [
            "| made, 1,024 | recall 0.9 | `scan_i8` 20 | **50 (2.5x)** | - | - | - | - "
            "| 70 (3.5x) |",
            "| made, 1,024 | exact | `exact` 40 | 300 (7.5x) | - | - | - | - | 70 (1.8x) |",
            "| made, 1,024 | Hamming | `eta:64` 2 | 9 (4.5x) | - | - | - | - | - |"])
        self.assertEqual(lines[7:], ["<!-- end -->", "b"])
        # The goal is another one where histories are long.
        lines = self.filled([row("scan_i8", 0.99, 20, 16384), row("faiss:SQ8", 0.95, 50, 16384)])
        self.assertIn("| 50 (2.5x) |", lines[4])

    def test_all_rows_are_shown_in_order(self):
        lines = self.filled([row("hnswlib:BFIndex", 1, 300), row("exact", 1, 40)],
                            "<!-- peers: peers_made_1024 -->\n<!-- end -->\n")
        self.assertEqual([line.split()[0] for line in lines[2:5]],
                         ["method", "exact", "hnswlib:BFIndex"])
        self.assertEqual(lines[3].split()[1:], ["1.0000", "1.0000", "40.0", "400", "T"])

    def test_refuses(self):
        for rows, text, message in (
                ([row("exact", 1, 4)], "no block\n", "has no line '<!-- peers"),
                ([row("exact", 1, 4)], "<!-- peers: other -->\n<!-- end -->\n", "asks for other"),
                ([row("faiss:SQ8", 1, 4)], "<!-- peers: summary -->\n<!-- end -->\n", "no row of"),
                ([row("exact", 1, "x")], "<!-- peers: summary -->\n<!-- end -->\n", "p50_us")):
            with self.assertRaisesRegex(BadInput, message):
                self.filled(rows, text)
            self.assertEqual((self.folder / "page.md").read_text(encoding="utf-8"), text)
        other = self.folder / "other.csv"
        other.write_text("method\nexact\n", encoding="utf-8")
        with self.assertRaisesRegex(BadInput, "columns"):
            page.main([str(self.folder / "page.md"), "--results", str(other)])


if __name__ == "__main__":
    unittest.main()
