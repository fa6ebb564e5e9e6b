#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of how files are read as a whole or refused, and how texts from files are printed."""
import contextlib
import gzip
import io
import os
import unittest

import support
from eta_simd import command, reading, text
from eta_simd.command import BadInput

ESCAPE = "\x1b]0;title\x07\x9b31m"
# The commands that read results, with the arguments before the file.
READERS = (("report.py",), ("compare.py", "b.json"), ("check_results.py",),
           ("freshness.py", "--out", "out.png", "--json"),
           ("serving.py", "--out", "out.svg", "--json"),
           ("targets.py", "--threads", "x", "--recall", "x", "--codes", "x", "--scans", "1=x",
            "2=x", "--hyperplanes", "gaussian=x", "hadamard=x", "--turns", "x", "--kernels"))


class Text(unittest.TestCase):
    def test_control_characters_become_escapes(self):
        self.assertEqual(text.printable(f"a{ESCAPE}\n\udc80"),
                         r"a\x1b]0;title\x07\x9b31m\n\udc80")
        self.assertEqual(text.printable("a\tb\n\x00", kept="\n\t"), "a\tb\n\\x00")
        self.assertEqual(text.printable("caf\u00e9"), "caf\u00e9")

    def test_quoted_text_is_short(self):
        self.assertEqual(text.shown("a" * 80), "a" * 80)
        for long in ("a" * 81, "\x1b" * 40, "\n" * 10**6, {"key": "a" * 1000}):
            self.assertEqual(len(text.shown(long)), 80)
            self.assertTrue(text.shown(long).endswith("..."))

    def test_streams_print_no_control_characters(self):
        for encoding, shown in (("utf-8", "\u00e9"), ("ascii", "\\xe9")):
            data = io.BytesIO()
            stream = io.TextIOWrapper(data, encoding=encoding, write_through=True)
            with contextlib.redirect_stdout(text.printable_stream(stream)):
                print(f"a{ESCAPE}\tb\u00e9")
            self.assertEqual(data.getvalue().decode(encoding),
                             f"a\\x1b]0;title\\x07\\x9b31m\tb{shown}\n")

    def test_progress_still_moves_the_cursor(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        shown = Terminal()
        with contextlib.redirect_stderr(text.printable_stream(shown)):
            command.progress(f"reading {ESCAPE}")
        self.assertEqual(shown.getvalue(), "\r\x1b[Kreading " + text.printable(ESCAPE))


class Reading(support.FolderTest):
    def file(self, content):
        path = self.folder / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def refuse(self, read, pattern):
        with self.assertRaisesRegex(BadInput, pattern) as caught:
            read()
        self.assertLess(len(str(caught.exception)), 300)

    def test_what_is_no_file_is_refused(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        for path, pattern in ((pipe, "not a regular file"), ("/dev/null", "not a regular file"),
                              (self.folder, "found a folder"),
                              (self.folder / "none", "No such file")):
            for name in ("read_text", "read_json", "read_csv"):
                self.refuse(lambda: getattr(reading, name)(path), pattern)

    def test_what_is_no_text_is_refused(self):
        for content, pattern in (("{}".encode("utf-16"), "UTF-16"), (b"\xff", r"at byte 0\)"),
                                 (b"{\x80}", r"at byte 1\)")):
            self.refuse(lambda: reading.read_text(self.file(content)), pattern)
        path = self.file("{}")
        os.truncate(path, 1 << 40)  # sparse
        self.refuse(lambda: reading.read_text(path), "too large")

    def test_json(self):
        self.assertEqual(reading.read_json(self.file(b"\xef\xbb\xbf{\"a\": 1}"), "a"), {"a": 1})
        for content, pattern in (("{}", "no 'a' in it"), ("[]", "no 'a' in it"), ("", "no JSON"),
                                 ("[" * 10**5, "nested too deeply"), ("9" * 10**4, "no JSON")):
            self.refuse(lambda: reading.read_json(self.file(content), "a"), pattern)

    def test_csv_rows_have_the_fields_of_the_heading(self):
        def rows(content):
            return list(reading.read_csv(self.file(content))[1])

        self.assertEqual(rows("a,b\r\n1,\"2,5\"\r\n\r\n"), [{"a": "1", "b": "2,5"}])
        self.assertEqual(reading.read_csv(self.file(""))[0], [])
        for content, pattern in (("a,b\n1,2\n1,93,2\n", ":3: wrong number of fields"),
                                 ("a,b\n1\n", ":2: wrong number of fields"),
                                 ("a,a\n1,2\n", "named twice"), ("a,b\n1,\"2\"x\n", "no CSV"),
                                 ("a,b\n1," + "2" * 200000 + "\n", "no CSV")):
            self.refuse(lambda: rows(content), pattern)

    def test_numbers(self):
        for value, expected in (("1.5", 1.5), ("-2", -2), (".5e1", 5), (3, 3), (0.25, 0.25)):
            self.assertEqual(reading.number(value), expected)
        for value in ("0,23", "1.5x", "", " 1", "1_000", "nan", "inf", "0x1", "\u0661", None, True,
                      [1]):
            with self.assertRaises(ValueError):
                reading.number(value)

    def test_gzip_is_unpacked_or_refused(self):
        packed = gzip.compress(b"some text" * 100)
        with reading.opened(self.file(packed)) as (stream, _):
            self.assertEqual(stream.read(), b"some text" * 100)
        for damaged in (packed[:-9], packed[:20] + bytes([packed[20] ^ 255]) + packed[21:],
                        packed[:9]):
            with self.assertRaisesRegex(BadInput, "not a sound gzip file"):
                with reading.opened(self.file(damaged)) as (stream, _):
                    stream.read()


class Commands(support.FolderTest):
    def test_readers_of_results_give_one_short_line(self):
        good = '{"format": "eta-simd retrieval_bench 1", "rows": []}'
        bad = {"utf16": (good * 2000).encode("utf-16"), "binary": bytes(range(256)) * 200,
               "long_number": b"9" * 50000, "deep": b"[" * 50000,
               "one_key": b'{"' + b"\x1b[31m" * 9000 + b'": 1}',
               "a_name": b'{"rows": [{"method": "' + b"x" * 50000 + b'"}], "costs": {}}'}
        (self.folder / "b.json").write_text("{}")
        for name, content in bad.items():
            path = self.folder / f"{name}.json"
            path.write_bytes(content)
            for script, *arguments in READERS:
                with self.subTest(name=name, script=script):
                    done = support.call(script, *arguments, path, cwd=self.folder, timeout=60)
                    if "scripts/setup.sh" in done.stderr:
                        continue  # a module is missing
                    self.assertEqual(done.stderr.count("\n"), 1, done.stderr[:500])
                    self.assertLess(len(done.stderr), 400 + len(str(path)))
                    self.assertTrue(text.printable(done.stderr, "\n") == done.stderr)
                    self.assertIn(done.returncode, (1, 2))

    def test_a_picture_does_not_replace_what_it_shows(self):
        report = self.folder / "report.json"
        report.write_text("{}", encoding="utf-8")
        os.link(report, self.folder / "hard.png")
        os.symlink(report, self.folder / "soft.png")
        for name in ("report.json", "hard.png", "soft.png", "../" + self.folder.name + "/hard.png"):
            done = support.call("freshness.py", "--json", report, "--out", self.folder / name)
            self.refused(done, "would be written over what is read")
        self.assertEqual(report.read_text(encoding="utf-8"), "{}")

    def test_readers_do_not_wait_for_a_pipe(self):
        os.mkfifo(self.folder / "pipe.json")
        for script, *arguments in READERS:
            with self.subTest(script):
                done = support.call(script, *arguments, "pipe.json", cwd=self.folder, timeout=60)
                if "scripts/setup.sh" not in done.stderr:
                    self.refused(done, "not a regular file|b.json")

    def test_a_name_cannot_steer_the_terminal(self):
        done = support.call("check_results.py", ESCAPE)
        self.refused(done, r"\\x1b]0;title\\x07\\x9b31m: cannot be read")

    def test_a_file_cannot_steer_the_terminal(self):
        support.need("numpy", "scipy.stats", purpose="data")
        rows = ",".join(f'{{"name": "{ESCAPE}", "cpu_time": {i + 1}, "time_unit": "ns"}}'
                        for i in range(9)).replace("\x1b", "\\u001b").replace("\x07", "\\u0007")
        for name in "ab":
            (self.folder / f"{name}.json").write_text(f'{{"benchmarks": [{rows}]}}')
        done = support.call("compare.py", self.folder / "a.json", self.folder / "b.json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(r"\x1b]0;title\x07\x9b31m", done.stdout)
        self.assertNotIn("\x1b", done.stdout)


if __name__ == "__main__":
    unittest.main()
