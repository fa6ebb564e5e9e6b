#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of what report.py makes of loads, of files of equal_recall.sh, and of results that must not
be mixed."""
import csv
import io
import os
import tempfile
import unittest

import support

support.need("matplotlib", purpose="plot")
import report_support
from eta_simd.command import BadInput
from eta_simd.report import inputs, selection, words
from eta_simd.report.panels import lines, load
from eta_simd.report.panels.style import NoData
from report_support import ROWS, row, run, sweep

HEAD = "method,bits,k,l_mean,b,threads,limit_ms,kept,rate,unserved,p50_us,p99_us"
LOAD = f"""{HEAD}
exact,0,64,1000.0,256.0,2,,,100.0,0,50.0,90.0
exact,0,64,1000.0,256.0,2,,,400.0,7,5000.0,9000.0
eta:64,64,64,1000.0,256.0,2,,,100.0,0,5.0,9.0
eta:64,64,64,1000.0,256.0,2,5,1,800.0,0,9.0,4000.0
eta:64,64,64,1000.0,256.0,2,5,1,700.0,0,9.0,3000.0
eta:64,64,64,1000.0,256.0,2,5,0,900.0,0,9.0,5100.0
exact,0,64,1000.0,256.0,2,5,0,50.0,0,9.0,5100.0
"""


def ragged(rows, least=1, most=2000, name="made"):
    made = run(rows, name)
    made["requests"].update(behaviours_min=least, behaviours_max=most)
    return made


class Load(report_support.ReportTest):
    def test_draws_rates_of_a_file_of_load_alone(self):
        page, err = self.call(self.write("load.csv", LOAD))
        names = {path.stem for path in (self.folder / "pictures").glob("*.svg")}
        self.assertEqual(names, {"latency_load", "rate_limit"})
        self.assertNotIn("under load", err)
        self.assertIn("With 2 workers and p99 within 5 ms eta:64 serves the most: 800 requests",
                      page.read_text())

    def test_lines_are_of_the_rates_and_bars_of_what_kept_the_limit(self):
        results = inputs.read([self.write("load.csv", LOAD)])
        drawn = {line.get_label(): list(line.get_ydata())
                 for line in load.latency_by_rate(results).figure.axes[0].lines}
        self.assertEqual((drawn["exact"], drawn["eta:64"]), ([90, 9000], [9]))
        (panel,) = load.rate_within_limit(results)
        axes = panel.figure.axes[0]
        self.assertEqual([bar.get_width() for bar in axes.patches], [800, 0])
        self.assertEqual([label.get_text() for label in axes.get_yticklabels()],
                         ["eta:64", "exact"])
        self.assertIn("2 workers", panel.caption)

    def test_says_that_nothing_kept_the_limit(self):
        text = LOAD.replace(",5,1,", ",5,0,")
        results = inputs.read([self.write("load.csv", text)])
        self.assertIn("no method keeps p99 within 5 ms", words.summary(results)[0])
        load.rate_within_limit(results)

    def test_reads_rates_once(self):
        rates = [{"method": "eta:64", "bits": 64, "rate": 100.0, "unserved": 0, "p50_us": 5.0,
                  "p99_us": 9.0}]
        self.write("load.csv", LOAD)
        self.write("results.json", {**run(ROWS), "load": {"workers": 2, "slo_ms": None,
                                                          "rows": rates, "slo": []}})
        results = inputs.read([self.folder])
        self.assertEqual([(r["data"], r["rate"], r["limit_ms"]) for r in results.loads],
                         [("made <up>", 100.0, None)])
        with self.assertRaises(NoData):
            load.rate_within_limit(results)

    def test_refuses_bad_loads(self):
        wrong = {"word": ("400.0", "many"), "zero": ("400.0", "0"), "limit": (",5,1,", ",-5,1,"),
                 "short": (",9000.0", ","), "nan": ("9000.0", "nan"),
                 "method": ("\nexact,0", "\n,0")}
        for name, (old, new) in wrong.items():
            with self.assertRaises(BadInput, msg=name):
                inputs.read([self.write("load.csv", LOAD.replace(old, new))])
        for entry in ({"workers": 1, "rows": [{}], "slo": []}, {"rows": [{}]}, ["x"]):
            with self.assertRaises(BadInput, msg=str(entry)):
                inputs.read([self.write("run.json", {**run(ROWS), "load": entry})])


class EqualRecall(report_support.ReportTest):
    CHOICES = [{"data": "made", "cache": "warm", "l": 256, "target": target, "family": family,
                "method": f"{family}:64" if target < 0.9 else None, "is_winner": family == "eta" and
                target < 0.9, "ns_per_candidate": 12.0 if target < 0.9 else None}
               for target in (0.8, 0.9) for family in ("eta", "scan_i8")]

    def test_reads_the_table_of_equal_recall_as_its_json(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.CHOICES[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.CHOICES)
        of_csv = inputs.read([self.write("equal_recall.csv", text.getvalue())])
        self.assertEqual(of_csv.choices, self.CHOICES)
        self.write("equal_recall.json", {"format": "eta-simd equal_recall 1",
                                         "choices": self.CHOICES})
        self.assertEqual(len(inputs.read([self.folder]).choices), len(self.CHOICES))
        for wrong in (text.getvalue().replace("True", "yes"),
                      text.getvalue().replace("256", "long")):
            with self.assertRaises(BadInput):
                inputs.read([self.write("equal_recall.csv", wrong)])


class Mixing(report_support.ReportTest):
    def results(self, **runs):
        for name, content in runs.items():
            self.write(f"{name}.json", content)
        return inputs.read([self.folder])

    def test_lines_do_not_join_fixed_and_ragged_lengths(self):
        def of(length):
            return [row("exact", 1.0, 9.0, l_mean=float(length))]
        results = self.results(a=ragged(of(500)), b=run(of(1024), "made"), c=run(of(2048), "made"))
        for part in ({1024, 2048}, {500, 700}):
            rows = lines.rows_along(lines.LENGTH, results.rows, "latency")
            self.assertEqual({r["l_mean"] for r in rows}, part)
            # With more ragged ones these are the line.
            results = self.results(a=ragged(of(500)), b=ragged(of(700)), c=run(of(2048), "made"))

    def test_a_sweep_over_bits_does_not_replace_the_main_setting(self):
        bits = run([row(f"eta:{bits}", 0.3, 9.0) for bits in (32, 64, 128)] +
                   [row(name, 1.0, 9.0) for name in ("a", "b", "c", "d", "e", "f", "g")])
        bits = {**bits, "sweep": {"bits": [32, 64, 128]}, "settings": {"data": "x"},
                "cells": [{"data_digest": "d", "rows": len(bits["rows"])}]}
        results = self.results(sweep=bits, results=ragged(ROWS))
        self.assertEqual({r["file"] for r in selection.main_group(results.rows)},
                         {str(self.folder / "results.json")})
        # It still has its own picture.
        drawn = lines.recall_bits(results).figure.axes[0].lines
        self.assertEqual([list(line.get_xdata()) for line in drawn], [[32, 64, 128]])

    def test_cells_of_other_lengths_are_settings_of_their_own(self):
        cells = [({"L": length}, [row("exact", 1.0, 9.0)]) for length in (4096, 8192)]
        results = self.results(sweep=sweep(cells), a=run(ROWS[:1]), b=ragged(ROWS[:1]))
        self.assertEqual([len(part) for part in selection.groups(results.rows).values()], [1] * 4)

    def test_draws_oversampling_of_every_method_that_is_rescored(self):
        rows = [row("exact", 1.0, 9.0), row("eta_asym:64", 0.5, 9.0), row("pq4:64", 0.6, 9.0)]
        rows += [row(f"eta_asym:64+rerank_i8:{c}", 0.5 + c / 20, 9.0) for c in (2, 4)]
        rows += [row(f"faiss_pq4:64+refine:{c}", 0.5 + c / 20, 9.0) for c in (2, 4)]
        rows += [row(f"eta:{bits}+rerank:{c}", 0.3 + c / 20, 9.0) for c in (2, 4)
                 for bits in (64, 128, 256, 512, 1024)]
        drawn = lines.oversampling(self.results(a=run(rows))).figure.axes[0].lines
        found = {line.get_label(): list(line.get_xdata()) for line in drawn}
        self.assertEqual(found["eta_asym:64, int8"], [1, 2, 4])
        self.assertEqual(found["eta:64"], [2, 4])
        self.assertEqual(len(found), 6)
        self.assertNotIn("pq4:64", found)


class Fonts(report_support.ReportTest):
    def test_leaves_no_folder_where_the_home_folder_cannot_be_written(self):
        scratch = self.folder / "scratch"
        scratch.mkdir()
        path = self.write("run.json", run(ROWS))
        environment = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
        done = support.call("report.py", path, env={
            **environment, "HOME": "/nonexistent", "TMPDIR": str(scratch)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "report.html").exists())
        self.assertEqual(os.listdir(scratch), [])
        # Nor where it fails.
        (self.folder / "pictures").rename(self.folder / "old")
        self.write("pictures", "in the way")
        done = support.call("report.py", path, env={
            **environment, "HOME": "/nonexistent", "TMPDIR": str(scratch)})
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(os.listdir(scratch), [])


if __name__ == "__main__":
    os.environ["MPLCONFIGDIR"] = tempfile.gettempdir()
    unittest.main()
