#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/equal_recall.py on results made up here. Exit code 77: NumPy is missing."""
import contextlib
import io
import re
import unittest

import support

support.need("numpy", purpose="data")
import numpy as np

from eta_simd.command import BadInput
from eta_simd.experiments.equal_recall import cells, choices, command, families, tables

try:
    from eta_simd.experiments.equal_recall import picture
    has_pictures = True
except ImportError:
    has_pictures = False

HEADER = (
    "method,bits,dim,k,l_mean,b,threads,target,cache,recall,recall_p5,recall_ties,attention_mass,"
    "p50_us,p95_us,p99_us,p999_us,candidates_per_s,bytes_per_behaviour,build_us"
)


def line(method, recall_ties, p50_us):
    return (f'{method},64,64,64,256.000,200,1,"a, b",warm,0.1,0.1,{recall_ties},0.5,'
            f"{p50_us},9,9,9,1,1,1")


ROWS = [
    line("eta:64", 0.70, 10),
    line("eta:256", 0.85, 30),
    line("eta:512", 0.96, 25),  # better and faster than 256
    line("eta:64+rerank:4", 0.91, 15),
    line("eta:64+rerank_i8:4", 0.905, 18),
    line("eta_asym:128", 0.75, 12),
    line("exact", 1, 40),
    line("faiss_exact", 0.9999, 100),
    line("recent", 0.99, 1),  # of no family
    line("eta_asym:64", "", 1),  # judged on nothing
]

# What --list-methods may print, now and later.
LISTING = """exact    all
eta:BITS                 ETA
faiss_exact              all with eta_asym:BITS-like words but +rerank too
sim_soft:hnsw[:EFSEARCH] index
"""
LATER = LISTING + """eta:BITS+rerank:C  more
eta:BITS+rerank_i8:C  more
eta_norm:BITS n
eta_norm:BITS+rerank_i8:C n
eta_asym:BITS x
eta_asym:BITS+rerank_i8:C m
pq4:BITS p
pq4:BITS+rerank_i8:C q
scan_f32 y
scan_i8 z
eta_gather:BITS w
faiss_pq4:BITS v
faiss_pq4:BITS+refine:C u
faiss_opq4:BITS v
faiss_opq4:BITS+refine:C u
faiss_sq8 t
faiss_rabitq r
sim_soft:ivfpq[:NPROBE] s
"""


class EqualRecall(support.FolderTest):
    def choices(self, rows, targets):
        path = self.folder / "rows.csv"
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        where = {"data": "made", "cache": "warm", "l": 256}
        return choices.select(where, choices.read_rows(path), targets)

    def test_takes_the_cheapest_setting_that_reaches_the_target(self):
        chosen = {(c["target"], c["family"]): c for c in self.choices(ROWS, [0.7, 0.8, 0.9, 0.99])}
        self.assertEqual(chosen[0.7, "eta"]["method"], "eta:64")  # equal counts as reached
        self.assertEqual(chosen[0.8, "eta"]["method"], "eta:512")
        self.assertEqual(chosen[0.9, "eta+rerank"]["method"], "eta:64+rerank:4")
        self.assertIsNone(chosen[0.99, "eta"]["method"])
        self.assertEqual(chosen[0.99, "eta"]["best_recall"], 0.96)
        self.assertEqual(chosen[0.99, "scan_f32"]["method"], "exact")
        self.assertEqual({family for _, family in chosen},
                         {"eta", "eta+rerank", "eta+rerank_i8", "eta_asym", "scan_f32",
                          "faiss_exact"})
        self.assertEqual(chosen[0.9, "eta+rerank_i8"]["method"], "eta:64+rerank_i8:4")
        self.assertEqual(chosen[0.7, "eta_asym"]["method"], "eta_asym:128")
        self.assertIsNone(chosen[0.8, "eta_asym"]["method"])

    def test_counts_nanoseconds_per_candidate_and_names_one_winner(self):
        chosen = {(c["target"], c["family"]): c for c in self.choices(ROWS, [0.8, 0.99])}
        self.assertAlmostEqual(chosen[0.8, "eta"]["ns_per_candidate"], 125)
        self.assertAlmostEqual(chosen[0.8, "eta"]["speedup_vs_faiss_exact"], 4)
        winners = {key for key, c in chosen.items() if c["is_winner"]}
        self.assertEqual(winners, {(0.8, "eta+rerank"), (0.99, "scan_f32")})

    def test_finds_the_best_recall_in_so_many_bytes(self):
        path = self.folder / "rows.csv"
        rows = [*ROWS, line("pq4:64", 0.745, 11), line("eta_asym:128", 0.744, 13)]
        path.write_text("\n".join([HEADER, *rows]) + "\n")
        where = {"data": "made", "cache": "warm", "l": 256}
        chosen = choices.select_by_bytes(where, choices.read_rows(path), 64, [4, 8, 16, 256])
        found = {(c["code_bytes_at_most"], c["is_rescored"]): c["method"] for c in chosen}
        self.assertEqual(found, {(8, False): "pq4:64", (8, True): "eta:64+rerank:4",
                                 (16, False): "pq4:64", (16, True): "eta:64+rerank:4",
                                 (256, False): "exact", (256, True): "eta:64+rerank:4"})
        text = tables.markdown(self.choices(ROWS, [0.8]), chosen, [])
        self.assertIn("| data | cache | L | rescored | 8 bytes | 16 bytes | 256 bytes |", text)
        self.assertIn("| made | warm | 256 | no | `pq4:64` 0.74 in 55 ns (1) |", text)

    def test_knows_what_fits_the_dimensions(self):
        for method, dim, fits in (("pq4:128", 32, True), ("pq4:256", 32, False),
                                  ("pq4:256+rerank_i8:2", 64, True), ("faiss_pq4:64", 24, False),
                                  ("faiss_opq4:64", 32, True), ("eta:1024", 1, True)):
            self.assertEqual(families.fits(method, dim), fits, (method, dim))
        for method, size in (("eta:60", 8), ("eta_asym:128+rerank_i8:2", 16), ("pq4:64", 8),
                             ("scan_i8", 68), ("exact", 256), ("sim_soft:hnsw:64", None)):
            self.assertEqual(families.code_bytes(method, 64), size, method)

    def test_goes_without_faiss(self):
        chosen = self.choices([line("eta:64", 0.9, 10)], [0.8])
        self.assertIsNone(chosen[0]["speedup_vs_faiss_exact"])
        self.assertTrue(chosen[0]["is_winner"])

    def test_prints_a_table(self):
        text = tables.markdown(self.choices(ROWS, [0.8, 0.99]), [], ["a note"])
        self.assertIn("| L | recall | winner | eta | eta+rerank | eta+rerank_i8 | eta_asym |", text)
        self.assertIn("| 0.8 | eta+rerank | 125 `eta:512` 4x | **75** `eta:64+rerank:4` 6.67x |",
                      text)
        self.assertIn("| - (at most 0.96) |", text)
        self.assertIn("- a note", text)
        self.assertIn("| data | cache | L | recall 0.8 | recall 0.99 |", text)
        self.assertIn("| made | warm | 256 | `eta:64+rerank:4` | `exact` |", text)
        rows = [*ROWS, line("scan_i8", 0.999, 30)]
        text = tables.markdown(self.choices(rows, [0.8, 0.99]), [], [])
        self.assertIn("| made | warm | 256 | `eta:64+rerank:4` 2.00x | `scan_i8` |", text)

    def test_leaves_out_what_the_binary_lacks(self):
        methods, unknown = families.choose_methods(LISTING, [64], False)
        self.assertEqual(methods, ["eta:64", "exact", "faiss_exact"])
        self.assertIn("eta:64+rerank:2", unknown)
        self.assertIn("eta:64+rerank_i8:2", unknown)
        self.assertIn("eta_asym:64", unknown)
        self.assertIn("scan_i8", unknown)
        methods, unknown = families.choose_methods(LATER, [64], True)
        self.assertEqual(unknown, [])
        self.assertIn("eta:64+rerank:8", methods)
        self.assertIn("eta:64+rerank_i8:8", methods)
        self.assertIn("eta_asym:64", methods)
        self.assertIn("scan_f32", methods)
        self.assertNotIn("exact", methods)
        self.assertIn("sim_soft:hnsw:64", methods)
        self.assertFalse([m for m in methods if m.startswith("faiss_pq4")])
        for method in ("eta_norm:64", "eta_asym:64+rerank_i8:2", "pq4:64", "pq4:64+rerank_i8:4"):
            self.assertIn(method, methods)
        self.assertNotIn("pq4:128", methods)
        self.assertIn("eta_norm:64+rerank_i8:2", methods)

    def test_every_method_of_the_grid_has_a_family_and_every_family_a_style(self):
        methods, _ = families.choose_methods(LATER, [64, 1024], True, True)
        self.assertEqual({families.family_of(m) for m in methods} | {"scan_f32"},
                         set(families.FAMILIES))
        if has_pictures:
            self.assertEqual(list(picture.STYLES), list(families.FAMILIES))

    def test_asks_for_faiss_codes_of_widths_that_divide_dimensions(self):
        old = LATER.replace("faiss_rabitq r", "(no faiss_rabitq: too old)")
        methods, unknown = families.choose_methods(old, [32, 64, 128, 256], False, True)
        self.assertEqual(unknown, ["faiss_rabitq"])
        codes = [m for m in methods if re.fullmatch(r"faiss_o?pq4:\d+", m)]
        self.assertEqual(codes, ["faiss_pq4:64", "faiss_pq4:128", "faiss_pq4:256",
                                 "faiss_opq4:64", "faiss_opq4:128", "faiss_opq4:256"])
        for method, family in (("faiss_opq4:64", "faiss_pq4"), ("faiss_sq8", "faiss_sq8"),
                               ("faiss_opq4:128+refine:8", "faiss_pq4+refine"),
                               ("faiss_pq4:64+refine:2", "faiss_pq4+refine"),
                               ("sim_soft:ivfpq:8", "sim_soft")):
            self.assertIn(method, methods)
            self.assertEqual(families.family_of(method), family)
        self.assertIn("faiss_rabitq", families.choose_methods(LATER, [64], False, True)[0])

    def test_does_not_take_one_step_of_reranking_for_the_other(self):
        without = LATER.replace("\neta:BITS+rerank_i8:C  more\n", "\n")
        methods, unknown = families.choose_methods(without, [64], False)
        self.assertIn("eta:64+rerank:2", methods)
        self.assertIn("eta:64+rerank_i8:2", unknown)

    @unittest.skipUnless(has_pictures, "Matplotlib is missing")
    def test_draws_every_family_in_its_own_way(self):
        self.assertEqual(list(picture.STYLES), list(families.FAMILIES))
        self.assertEqual(len(set(picture.STYLES.values())), len(families.FAMILIES))

    def test_asks_a_bundle_for_users_that_are_long_enough(self):
        np.save(self.folder / "history_offsets.npy", np.array([0, 300, 500, 765], np.int64))
        np.save(self.folder / "item_embeddings.npy", np.zeros((3, 24), np.float32))
        data = cells.DataSet("made", str(self.folder))
        self.assertEqual(data.dim, 24)
        self.assertEqual([data.users_with(n) for n in (192, 256, 292, 293)], [3, 2, 1, 0])
        with self.assertRaises(BadInput):
            cells.DataSet("none", str(self.folder / "none"))

    def test_keeps_every_cell_in_a_file_of_its_own(self):
        options = command.parse_options(["--bench", "b", "--output", str(self.folder),
                                         "--dims", "32,64,256", "--lengths", "256,1024"])
        data = [cells.DataSet(command.generated(dim), dim=dim) for dim in options.dims]
        made = cells.make_cells(data, ["eta:64", "pq4:256"], options, [])
        self.assertEqual(len({cell.csv for cell in made}), 12)
        self.assertEqual(len({cell.json for cell in made}), 12)
        self.assertIn("generated.32-warm-256.csv", {cell.csv.name for cell in made})
        of_32 = [cell.arguments for cell in made if cell.dim == 32]
        self.assertFalse([a for a in of_32 if "eta:64,pq4:256" in a])

    def test_rejects_bad_arguments(self):
        good = ["--bench", "b", "--output", "o"]
        command.parse_options(good)
        for bad in (["--lengths", "x"], ["--lengths", "0"], ["--lengths", "256,256"],
                    ["--caches", "tepid"], ["--targets", "1.5"], ["--targets", "0"],
                    ["--bits", "4097"], ["--budget", "-1"], ["--data", "bundle"],
                    ["--data", "generated=x"], ["--nonsense"], ["--requests", "0"],
                    ["--dims", "0"], ["--dims", "64,64"], ["--bytes", "x"],
                    ["--dims", "32", "--data", "generated.32=x"]):
            with self.assertRaises(BadInput, msg=str(bad)):
                with contextlib.redirect_stderr(io.StringIO()):
                    command.parse_options(good + bad)


if __name__ == "__main__":
    unittest.main()
