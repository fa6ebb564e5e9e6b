#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The examples of the C interface in C, Python and Rust find the same.

examples_test.py LIBRARY C_PROGRAM SCRATCH_FOLDER [RUSTC]
"""
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Examples(unittest.TestCase):
    """Each runs as its readers would run it."""
    library = program = scratch = rustc = ""

    def found(self, *command):
        """Candidate and positions, which come in no order, of each line."""
        environment = {**os.environ, "LD_LIBRARY_PATH": str(Path(self.library).parent)}
        text = subprocess.run(command, check=True, capture_output=True, text=True,
                              env=environment).stdout
        return [(int(candidate), sorted(int(p) for p in positions.split()))
                for candidate, positions in re.findall(r"candidate (\d+):(.*)", text)]

    def test_c_finds_what_was_appended(self):
        found = self.found(self.program)
        self.assertEqual([candidate for candidate, _ in found], [5, 14, 700] * 2)
        self.assertTrue(all(len(positions) == 4 for _, positions in found))
        self.assertNotIn(300, found[0][1])
        self.assertIn(300, found[3][1])
        self.assertIn(2, found[1][1])  # item 14 itself

    def test_python_finds_what_c_does(self):
        self.assertEqual(self.found(sys.executable, str(EXAMPLES / "retrieve.py"), self.library),
                         self.found(self.program))

    def test_rust_finds_what_c_does(self):
        if not self.rustc:
            self.skipTest("there is no rustc (Debian: rustc)")
        program = os.path.join(self.scratch, "retrieve_rs")
        subprocess.run([self.rustc, "--edition", "2018", "-L", str(Path(self.library).parent),
                        "-o", program, str(EXAMPLES / "retrieve.rs")], check=True)
        self.assertEqual(self.found(program), self.found(self.program))


if __name__ == "__main__":
    Examples.library, Examples.program, Examples.scratch = sys.argv[1:4]
    Examples.rustc = sys.argv[4] if len(sys.argv) > 4 else ""
    unittest.main(argv=sys.argv[:1])
