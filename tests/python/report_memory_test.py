#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/memory.py, and of the memory in a report."""
import contextlib
import io
import os
import tempfile
import unittest

import support

support.need("matplotlib", purpose="plot")
import report_support
from eta_simd.command import BadInput
from eta_simd.report import memory
from report_support import row, run

ROWS = [row("exact", 1.0, 400.0, bytes_per_behaviour=256.0, table_bytes=256 * 1000),
        row("eta:64", 0.3, 35.0, bytes_per_behaviour=8.0, table_bytes=8 * 1000),
        row("recent", 0.2, 1.0, bytes_per_behaviour=0.0, table_bytes=0)]


def made(rows=ROWS, items=1000):
    run_of = run(rows)
    run_of["data"]["items"] = items
    return run_of


class Memory(report_support.ReportTest):
    def print(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            memory.main([str(a) for a in arguments])
        return out.getvalue()

    def test_scales_to_users_behaviours_and_items(self):
        path = self.write("run.json", made())
        self.assertEqual(self.print(path, "--users", "1e6", "--length", 2000, "--items", "1e7"),
                         "1,000,000 users of 2,000 behaviours and 10,000,000 items\n"
                         "method  a user  all users   shared  together\n"
                         "recent     0 B        0 B      0 B       0 B\n"
                         "eta:64   16 kB      16 GB    80 MB   16.1 GB\n"
                         "exact   512 kB     512 GB  2.56 GB    515 GB\n")

    def test_takes_what_was_measured_where_nothing_else_is_asked_for(self):
        text = self.print(self.write("run.json", made()))
        self.assertIn("100,000,000 users of 1,024 behaviours and 1,000 items\n", text)
        self.assertRegex(text, r"eta:64 +8.19 kB +819 GB +8 kB +819 GB\n")

    def test_prefers_what_is_counted_alike(self):
        text = self.print(self.write("run.json", made([{**r, "shared_bytes": 264_000}
                                                       for r in ROWS])))
        self.assertRegex(text, r"eta:64 +8.19 kB +819 GB +264 kB +819 GB\n")
        with self.assertRaisesRegex(BadInput, "table_bytes is below 0"):
            self.print(self.write("run.json", made([{**r, "shared_bytes": -1} for r in ROWS])))

    def test_says_where_the_file_does_not(self):
        text = self.print(self.write("run.json", made(items=None)), "--items", 5)
        self.assertRegex(text, r"eta:64 +8.19 kB +819 GB +- +-\n")
        text = self.print(self.write("run.json", made([{**r, "table_bytes": None} for r in ROWS])))
        self.assertRegex(text, r"eta:64 +8.19 kB +819 GB +- +-\n")
        with self.assertRaisesRegex(BadInput, "bytes_per_behaviour"):
            self.print(self.write("run.json", run([row("exact", 1.0, 9.0)])))

    def test_refuses_what_is_no_count(self):
        path = self.write("run.json", made())
        for text in ("-1", "1.5", "many", "1e16", "nan", ""):
            with self.assertRaises(BadInput, msg=text):
                self.print(path, "--users", text)
        for key, value in (("table_bytes", -1), ("bytes_per_behaviour", "x")):
            with self.assertRaises(BadInput):
                self.print(self.write("bad.json", made([{**ROWS[0], key: value}])))
        self.refused(support.call("memory.py", self.folder / "none"), "no such file")

    def test_is_on_the_page(self):
        page, _ = self.call(self.write("run.json", made()), "--length", 2000)
        text = page.read_text()
        self.assertIn("Memory of 100,000,000 users of 2,000 behaviours and 1,000 items", text)
        self.assertIn("<td>eta:64</td><td>16 kB</td><td>1.6 TB</td><td>8 kB</td>", text)
        page, _ = self.call(self.write("run.json", run([row("exact", 1.0, 9.0)])))
        self.assertNotIn("Memory", page.read_text())

    def test_sizes_have_three_digits(self):
        for value, text in ((0, "0 B"), (999, "999 B"), (999.6, "1 kB"), (1234, "1.23 kB"),
                            (99950, "100 kB"), (123456, "123 kB"), (1e18, "1000 PB")):
            self.assertEqual(memory.size_text(value), text)


if __name__ == "__main__":
    os.environ["MPLCONFIGDIR"] = tempfile.gettempdir()
    unittest.main()
