#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/report.py on results made up here. Exit code 77: Matplotlib is missing."""
import os
import re
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import support

support.need("matplotlib", purpose="plot")
import report_support
from eta_simd.command import BadInput
from eta_simd.report import inputs, page, selection, words
from eta_simd.report.panels import lines, machine, style
from report_support import ROWS, row, run, sweep


KERNELS: dict[str, Any] = {
    "context": {"num_cpus": 2, "mhz_per_cpu": 2000, "date": "2026-01-02T03:04:05"},
    "benchmarks": [{"name": f"hamming_distances/bits:64/L:1024/{target}", "cpu_time": 1.0,
                    "run_type": "iteration", "of_limit": share}
                   for target, share in (("AVX2", 0.9), ("SSE4", 0.95))]}
CHOICES: dict[str, Any] = {"format": "eta-simd equal_recall 1", "choices": [
    {"data": "made", "cache": "warm", "l": length, "target": target, "family": family,
     "method": f"{family}:64", "is_winner": family == "eta", "ns_per_candidate": 12.0}
    for length in (256, 1024) for target in (0.8, 0.9) for family in ("eta", "scan_i8")]}
LOAD = {"workers": 1, "slo_ms": 5, "rows": [
    {"method": method, "bits": 0, "rate": rate, "unserved": 0, "p50_us": rate, "p99_us": 2 * rate}
    for method in ("exact", "eta:64") for rate in (100.0, 200.0)], "slo": [
    {"method": "eta:64", "probes": [{"rate": 900.0, "unserved": 0, "p50_us": 9.0, "p99_us": 99.0,
                                     "kept": True}]}]}
THREADS = 'case,method,threads,median,least,largest\n"(a) users, B = 256",exact,2,1.9,1.8,2.0\n'
ALL = {"recall_latency", "recall_histogram", "recall_bits", "recall_widths", "latency_widths",
       "oversampling", "recall_length", "recall_candidates", "latency_length",
       "latency_candidates", "winners_made_warm", "hardware_limits", "threads", "latency_load",
       "rate_limit"}


class Report(report_support.ReportTest):
    def write_all(self):
        self.write("main.json", {**run(ROWS), "load": LOAD})
        self.write("long.json", run([{**r, "l_mean": 4096.0, "p50_us": 4 * r["p50_us"]}
                                     for r in ROWS[:5]]))
        self.write("few.json", run([{**r, "b": 16} for r in ROWS[:5]]))
        self.write("kernels.json", KERNELS)
        self.write("equal_recall.json", CHOICES)
        self.write("threads.csv", THREADS)

    def test_draws_all_there_is_data_for_on_a_page_that_needs_nothing_else(self):
        self.write_all()
        page, err = self.call(self.folder)
        self.assertEqual(page, self.folder / "report.html")
        self.assertEqual(err, "")
        names = {path.name for path in (self.folder / "pictures").iterdir()}
        self.assertEqual(names, {f"{name}.{suffix}" for name in ALL for suffix in ("svg", "png")})
        for path in (self.folder / "pictures").glob("*.svg"):
            xml.etree.ElementTree.parse(path)
        text = page.read_text()
        self.assertEqual(text.count("<svg"), len(ALL))
        self.assertNotIn("Not drawn", text)
        self.check_page(text)

    def test_prints_what_a_screen_folds(self):
        self.write_all()
        text = self.call(self.folder)[0].read_text()
        paper = "".join(re.findall(r"@media print \{(.*?\}) \}", text, re.S))
        self.assertIn(".printed { display: block; }", paper)
        folded = re.findall(r"<details>.*?(<table>.*?</table>)", text, re.S)[0]
        printed = re.findall(r"<section class=printed>.*?(<table>.*?</table>)", text, re.S)[0]
        self.assertEqual(folded, printed)
        self.assertEqual(printed.count("<tr>"), 1 + len(ROWS))
        self.assertEqual(re.findall(r"<figure class=dense><h2>(\w+)", text), ["Winners", "How"])

    def check_page(self, text):
        self.assertIsNone(re.search(r'(src|href)="(?!#)(?!http://www.w3.org)', text))
        self.assertNotRegex(text, r"<(script|link|img|iframe)|@import|url\((?!#)")
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertIn("@media print", text)
        self.assertIn("made &lt;up&gt;", text)
        self.assertNotIn("made <up>", text)
        ids = re.findall(r'\bid="([^"]+)"', text)
        self.assertEqual(len(ids), len(set(ids)))
        # Every colour of the pictures has a darker and a lighter form.
        for svg in re.findall(r"<svg.*?</svg>", text, re.S):
            self.assertEqual(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg), [])
        for axis in ("latency of a request (us)", "width of a code (bits)", "limit (%)",
                     "history length L (behaviours)"):
            self.assertIn(axis, text)

    def test_draws_sweeps(self):
        cells = [({"L": length, "b": b, "dim": 64},
                  [{**r, "l_mean": float(length), "b": b, "p50_us": r["p50_us"] * length / 1024}
                   for r in ROWS[:5]]) for length in (1024, 4096) for b in (16, 256)]
        page, err = self.call(self.write("sweep.json", sweep(cells)))
        names = {path.stem for path in (self.folder / "pictures").glob("*.svg")}
        self.assertLessEqual({"latency_length", "latency_candidates", "recall_latency"}, names)
        self.assertNotIn("latency against", err)
        self.assertIn("On synthetic-7: dim = 64, L = 1,024, B = 16, ", page.read_text())
        self.write("sweep.json", sweep(cells, "0123456789abcdef"))
        self.assertEqual(inputs.read([self.folder / "sweep.json"]).rows[0]["data"], "sweep")

    def test_a_page_of_a_run_with_a_short_sweep_lacks_only_other_programs(self):
        made = run(ROWS)
        made["data"]["digest"] = "0123456789abcdef"
        self.write("results.json", made)
        recalls = (("eta:64", 0.4), ("eta:64+rerank:2", 0.6))
        cells = [({"L": length}, [row(method, recall * 512 / length, 10.0, l_mean=float(length))
                                  for method, recall in recalls]) for length in (512, 2048)]
        cells += [({"b": b}, [row("eta:64", 0.3, 9.0, b=b), row("exact", 1.0, 90.0, b=b)])
                  for b in (16, 256)]  # of ragged histories, L = 1,024 on average
        swept = sweep(cells, "0123456789abcdef")
        for cell in swept["cells"]:
            cell["data_digest"] = "0123456789abcdef"
        self.write("sweep.json", swept)
        page, err = self.call(self.folder)
        self.assertEqual(re.findall(r"(?:: |; )([a-z ]+) \(", err),
                         ["latency under load", "highest rate within a limit",
                          "winners at equal recall", "share of the hardware limit", "threads"])
        self.assertIn("On made &lt;up&gt;: L = 1,024", page.read_text())
        results = inputs.read([self.folder])
        self.assertEqual({r["data"] for r in results.rows}, {"made <up>"})  # known by its digest
        # The histories of the run, which differ in length, are no point of a line of the sweep.
        panel = lines.recall_along(lines.LENGTH, results)
        drawn = {line.get_label(): line for line in panel.figure.axes[0].lines}
        self.assertEqual(list(drawn["eta:64"].get_xdata()), [512, 2048])
        panel = lines.recall_along(lines.CANDIDATES, results)
        self.assertEqual([line.get_label() for line in panel.figure.axes[0].lines], ["eta:64"])

    def test_keeps_cells_of_a_sweep_apart(self):
        # Of dimensions, and of lengths beyond those of the histories.
        rows = sweep([({"dim": dim}, [{**r, "dim": dim} for r in ROWS[:2]]) for dim in (16, 64)] +
                     [({"L": length}, ROWS[:2]) for length in (4096, 8192)])["rows"]
        rows = [{**r, "data": "made", "file": "f"} for r in rows]
        self.assertEqual([len(part) for part in selection.groups(rows).values()], [2] * 4)
        self.assertEqual(selection.widest(rows[:4], "p50_us", ("data", "dim")), rows[:2])

    def test_names_what_is_missing(self):
        page, err = self.call(self.write("main.json", run(ROWS[:1])))
        for text in (err, page.read_text()):
            for name in ("latency against L", "latency against B", "recall against bits",
                         "oversampling", "winners", "hardware limit", "threads", "recall against L",
                         "recall against B"):
                self.assertIn(name, text)
        self.assertEqual(page.read_text().count("<svg"), 1)

    def test_goes_without_requests(self):
        page, _ = self.call(self.write("kernels.json", KERNELS))
        self.assertIn("no method can be named", page.read_text())
        self.assertEqual(page.read_text().count("<svg"), 1)

    def test_reads_a_csv_unless_its_json_is_there(self):
        header = [k for k in ROWS[0] if k != "recall_histogram"]
        lines = [",".join(header)] + [",".join(str(r[k]) for k in header) for r in ROWS]
        path = self.write("results.csv", "\n".join(lines) + "\n")
        self.assertEqual([r["method"] for r in inputs.read([path]).rows],
                         [r["method"] for r in ROWS])
        self.write("results.json", run(ROWS))
        self.assertEqual(len(inputs.read([self.folder]).rows), len(ROWS))

    def test_says_in_words_what_wins(self):
        (text,) = words.summary(inputs.Results(
            rows=[{**r, "data": "made", "file": "f"} for r in ROWS]))
        self.assertIn("for a recall of 0.8 to 0.9 eta:64+rerank:4 is the fastest (200 us", text)
        self.assertIn("for a recall of 0.95 to 0.99 scan_i8 is the fastest (300 us", text)
        self.assertIn("within 50 us eta:64 has the highest recall (0.340)", text)
        self.assertIn("within 200 us eta:64+rerank:4 has the highest recall (0.910)", text)
        (text,) = words.summary(inputs.Results(
            rows=[{**ROWS[2], "data": "made", "file": "f"}]))
        self.assertIn("no method reaches a recall of 0.8", text)

    def test_words_are_of_the_run_with_most_rivals_in_warm_caches(self):
        def of(file, cache="warm", rows=ROWS):
            return [{**r, "data": "made", "file": file, "cache": cache} for r in rows]
        for rows in (of("a/cells/x.json", "cold", ROWS * 2) + of("a/results.json"),
                     of("a/cold.json", "cold") + of("a/warm.json")):
            group = selection.main_group(rows)
            self.assertEqual({(r["cache"], "cells" in r["file"]) for r in group}, {("warm", False)})
        many = [row(f"eta:64+rerank:{c}", 0.5, 9.0) for c in range(1, 20)]
        group = selection.main_group(of("a/oversampling.json", rows=many) + of("a/results.json"))
        self.assertEqual({r["file"] for r in group}, {"a/results.json"})

    def test_lines_do_not_mix_data_of_one_name(self):
        def of(digest, bits, recall):
            return {**run([row(f"eta:{bits}", recall, 9.0)]),
                    "data": {"name": "synthetic-1", "digest": digest}}
        made = inputs.Results()
        for digest, bits, recall in (("a", 64, 0.3), ("a", 128, 0.4), ("b", 256, 0.9)):
            inputs.add_json(made, of(digest, bits, recall), Path("x"))
        drawn = lines.recall_bits(made).figure.axes[0].lines
        self.assertEqual([list(line.get_ydata()) for line in drawn], [[0.3, 0.4]])

    def test_draws_a_line_for_each_k(self):
        made = inputs.Results()
        for digest, ks in (("a", (64,)), ("b", (16, 64))):
            rows = [row(f"eta:{bits}", 0.3, 9.0, k=k) for bits in (64, 128) for k in ks]
            inputs.add_json(made, {**run(rows), "data": {"name": "x", "digest": digest}},
                            Path(digest))
        drawn = lines.recall_bits(made).figure.axes[0].lines
        self.assertEqual([line.get_label() for line in drawn], ["K = 16", "K = 64"])

    def test_draws_a_line_for_each_kind_of_code(self):
        made = inputs.Results()
        rows = [row(f"{kind}:{bits}", recall, 9.0, bits=bits) for bits, recall in
                ((64, 0.3), (128, 0.4)) for kind in ("eta", "eta_norm", "faiss_pq4")]
        rows += [row("pq4:64", 0.5, 9.0, bits=64),  # of one width
                 row("eta:64+rerank:4", 0.9, 9.0, bits=64), row("faiss_hnsw:32", 0.8, 9.0),
                 row("faiss_hnsw:64", 0.9, 9.0), row("exact", 1.0, 9.0)]
        inputs.add_json(made, run(rows), Path("x"))
        for make, points in ((lines.recall_along, [0.3, 0.4]), (lines.latency_along, [9.0, 9.0])):
            axes = make(lines.WIDTHS, made).figure.axes[0]
            drawn = {line.get_label(): line for line in axes.lines
                     if not line.get_label().startswith("_")}
            self.assertEqual(list(drawn), ["eta", "eta_norm", "faiss_pq4"])
            self.assertEqual(list(drawn["eta_norm"].get_xdata()), [64, 128])
            self.assertEqual(list(drawn["eta_norm"].get_ydata()), points)

    def test_draws_both_kinds_of_rescoring(self):
        made = inputs.Results()
        rows = [row("eta:64", 0.3, 9.0), row("eta:64+rerank:2", 0.5, 9.0),
                row("eta:64+rerank_i8:4", 0.6, 9.0), row("eta:128", 0.4, 9.0)]
        inputs.add_json(made, run(rows), Path("x"))
        drawn = lines.oversampling(made).figure.axes[0].lines
        self.assertEqual({line.get_label(): list(line.get_ydata()) for line in drawn},
                         {"eta:64": [0.3, 0.5], "eta:64, int8": [0.3, 0.6]})

    def test_draws_some_shapes_of_each_kernel(self):
        rows = [{"name": f"{kernel}/x:{i}/AVX2", "run_type": "iteration", "of_limit": 0.9}
                for kernel in ("hamming", "dot", "linear") for i in range(30)]
        axes = machine.limits(inputs.Results(kernels=rows)).figure.axes[0]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        self.assertEqual([sum(label.startswith(f"{kernel}, x ") for label in labels)
                          for kernel in ("hamming", "dot", "linear")], [8, 8, 8])

    def test_passes_over_what_a_sweep_goes_on_from(self):
        self.write("cells.json", {"format": "eta-simd retrieval_bench cells 1", "cells": []})
        self.write("results.json", run(ROWS))
        self.assertIn("made", self.call(self.folder)[0].read_text())

    def test_writes_nothing_where_a_picture_fails(self):
        panel = style.Panel("a/b", "A", "c", style.new_figure()[0])
        panel.figure.savefig = lambda *_, **__: 1 / 0
        with self.assertRaises(ZeroDivisionError):
            page.write(inputs.Results(), [panel], [], "title", self.folder / "out")
        self.assertFalse((self.folder / "out").exists())

    def test_front_has_what_nothing_beats(self):
        front = [r["method"] for r in selection.pareto(ROWS)]
        self.assertEqual(front, ["eta:64", "eta:256", "eta:64+rerank:4", "scan_i8", "exact"])

    def test_refuses_bad_input(self):
        for name, content in {"cut.json": "{",
                              "rows.json": {"format": "eta-simd retrieval_bench 1"},
                              "other.json": {"a": 1}, "list.json": [],
                              "nan.json": run([row("exact", 1.0, float("nan"))]),
                              "word.json": run([{**ROWS[0], "p50_us": "fast"}]),
                              "none.json": run([{**ROWS[0], "p99_us": None}]),
                              "zero.json": run([{**ROWS[0], "p50_us": 0}]),
                              "method.json": run([{**ROWS[0], "method": 3}]),
                              "bins.json": run([{**ROWS[0], "recall_histogram": "many"}]),
                              "deep.json": "[" * 100000,
                              "choice.json": {**CHOICES, "choices": [{"data": "made"}]},
                              "kernel.json": {**KERNELS, "benchmarks": [{"name": "x"}]},
                              "t.csv": THREADS.replace("1.9", "x"),
                              "nan.csv": THREADS.replace("1.9", "nan"),
                              "order.csv": THREADS.replace("1.8", "2.8"), "other.csv": "a,b\n1,2\n"
                              }.items():
            with self.assertRaises(BadInput, msg=name):
                self.call(self.write(name, content))
        unusable: tuple[list, ...] = ([self.folder / "none"], [], ["--nonsense"])
        for arguments in unusable:
            with self.assertRaises(BadInput):
                self.call(*arguments)
        self.assertFalse((self.folder / "report.html").exists())


if __name__ == "__main__":
    os.environ["MPLCONFIGDIR"] = tempfile.gettempdir()
    unittest.main()
