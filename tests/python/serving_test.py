#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/serving.py on reports made up here. Exit code 77: matplotlib is missing."""
import json
import unittest

import support

support.need("matplotlib", purpose="plot")
import matplotlib

matplotlib.use("Agg")
from eta_simd.experiments import serving
from matplotlib import pyplot


def phase(name, swaps=()):
    slices = [{"begin_s": i / 10, "requests": 5, "p50_us": 40 + i, "max_us": 100 + i}
              for i in range(8)]
    return {"name": name, "p99_of_quiet": 1.25, "requests": {"p99_us": 90.5}, "slices": slices,
            "swaps": [{"begin_s": b, "end_s": e, "version": 2} for b, e in swaps]}


def changed(key, value, of=None):
    """The phases of a report with one value changed, in a slice or swap where `of` says so."""
    made = phase("swaps", [(0.2, 0.3)])
    (made if of is None else made[of][0] if isinstance(made[of], list) else made[of])[key] = value
    return [made]


class Serving(support.FolderTest):
    def draw(self, phases, name="out.svg"):
        report = self.folder / "serving.json"
        report.write_text(json.dumps({"phases": phases}), encoding="utf-8")
        return support.call("serving.py", "--json", report, "--out", self.folder / name)

    def test_draws_a_panel_for_each_phase(self):
        done = self.draw([phase("quiet"), phase("appends, flushed, and swaps", [(0.2, 0.3)])])
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        text = (self.folder / "out.svg").read_text(encoding="utf-8")
        self.assertIn("<svg", text)
        self.assertIn('id="axes_2"', text)
        self.assertNotIn('id="axes_3"', text)
        self.assertEqual(self.draw([phase("quiet")], "out.png").returncode, 0)
        self.assertEqual(self.draw([{**phase("idle"), "slices": []}]).returncode, 0)

    def test_marks_each_swap_where_it_was(self):
        _, axis = pyplot.subplots()
        serving.draw_phase(axis, phase("swaps", [(0.25, 0.375), (0.5, 0.625)]))
        bands = [(patch.get_extents().transformed(axis.transData.inverted())) for patch
                 in axis.patches]
        self.assertEqual([(round(b.x0, 3), round(b.x1, 3)) for b in bands],
                         [(0.25, 0.375), (0.5, 0.625)])
        lines = {line.get_label(): line for line in axis.lines}
        self.assertEqual(list(lines["p50"].get_ydata()), [40 + i for i in range(8)])
        self.assertEqual(list(lines["slowest"].get_xdata()), [i / 10 for i in range(8)])
        self.assertIn("1.25 of quiet", axis.get_title(loc="left"))
        pyplot.close("all")

    def test_refuses_what_is_no_report(self):
        nan = float("nan")
        for phases in ([], {}, 3, [{}], ["x"], changed("name", 5), changed("name", "\x1b[31m"),
                       changed("p99_of_quiet", None), changed("p99_us", nan, "requests"),
                       changed("requests", None), changed("slices", 4),
                       changed("begin_s", -1, "slices"), changed("max_us", 10**400, "slices"),
                       changed("p50_us", "1", "slices"), changed("end_s", True, "swaps"),
                       changed("begin_s", nan, "swaps"), changed("swaps", None)):
            with self.subTest(str(phases)[:60]):
                self.refused(self.draw(phases), r"serving\.json: ")
                self.assertFalse((self.folder / "out.svg").exists())

    def test_refuses_formats_that_are_none_and_the_report_itself(self):
        self.refused(self.draw([phase("quiet")], "out.nothing"), "out.nothing")
        self.refused(self.draw([phase("quiet")], "serving.json"),
                     "would be written over what is read")


if __name__ == "__main__":
    unittest.main()
