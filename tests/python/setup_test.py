#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/setup.sh, with stand-ins for apt and dpkg, and of what matrix.sh refuses."""
import os
import subprocess
import unittest

import support

# Each runs in place of the real one; $ABSENT are packages that the distribution does not have.
STANDINS = {
    "dpkg": "echo amd64",
    "dpkg-query": "true",
    "apt-get": 'echo "$*" >>"$NOTES"',
    "apt-cache": 'echo "$2:"; case " $ABSENT " in *" $2 "*) echo "  Candidate: (none)" ;; '
                 '*) echo "  Candidate: 1.0" ;; esac',
    "sudo": 'case $1 in -n) shift ;; esac; exec "$@"',
}


class Setup(support.FolderTest):
    def setUp(self):
        super().setUp()
        for name, text in STANDINS.items():
            path = self.folder / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    def installed(self, absent, *purposes):
        """Packages that setup.sh installs where some are absent, and what it says."""
        notes = self.folder / "notes"
        notes.unlink(missing_ok=True)
        done = subprocess.run(
            [support.SCRIPTS / "setup.sh", *purposes], text=True, capture_output=True, check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}", "NOTES": str(notes),
                 "ABSENT": absent})
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in notes.read_text().splitlines():
            if " install " in line:
                return line.split("--no-install-recommends ")[1].split(), done.stderr
        return [], done.stderr

    def test_installs_what_a_purpose_needs(self):
        self.assertEqual(self.installed("", "cache")[0], ["ccache"])
        self.assertIn("libhwy-dev", self.installed("")[0])

    def test_names_a_package_that_the_distribution_lacks_and_installs_the_others(self):
        packages, said = self.installed("clang-format-14", "format")
        self.assertEqual(packages, ["git", "python3"])
        self.assertIn("Not in this distribution: clang-format-14\n", said)
        self.assertIn("clang-format==14.0.6", said)
        packages, said = self.installed("ccache", "cache")
        self.assertEqual(packages, [])
        self.assertIn("Not in this distribution: ccache\n", said)


class Matrix(support.FolderTest):
    def test_refuses(self):
        for arguments, message in ((("debian99",), "unknown distribution 'debian99'"),
                                   (("--compiler", "icc"), "--compiler icc: gcc or clang"),
                                   (("--keep", self.folder), "it exists already")):
            done = subprocess.run([support.SCRIPTS / "matrix.sh", "--output",
                                   self.folder / "results", *map(str, arguments)], text=True,
                                  capture_output=True, check=False, stdin=subprocess.DEVNULL)
            self.refused(done, message)
            self.assertFalse((self.folder / "results").exists())

    def test_one_refuses(self):
        (self.folder / "file").touch()
        for arguments, message in (((), "--output is missing"),
                                   (("--output", self.folder), "it is not empty"),
                                   (("--output", self.folder / "new", "--compiler", "icc"),
                                    "--compiler icc: gcc or clang")):
            done = subprocess.run([support.SCRIPTS / "matrix_one.sh", *map(str, arguments)],
                                  text=True, capture_output=True, check=False,
                                  stdin=subprocess.DEVNULL)
            self.refused(done, message)
            self.assertFalse((self.folder / "new").exists())


if __name__ == "__main__":
    unittest.main()
