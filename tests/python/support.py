# SPDX-License-Identifier: Apache-2.0
"""What the Python tests share: where the sources are, skipping, temporary folders, commands.

Import this first: it puts the package eta_simd into sys.path, and no __pycache__ into the sources.
"""
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
SKIPPED = 77  # what CTest takes for a skipped test

sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
# A newer library than ours may warn of what it will drop. Tests compare stderr with what our
# commands write.
os.environ["PYTHONWARNINGS"] = "ignore"
sys.path.insert(0, str(ROOT / "python"))


def need(*modules, purpose):
    """Ends the test as skipped where a module is missing that scripts/setup.sh PURPOSE installs."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as missing:
            print(f"skipped: {missing} (scripts/setup.sh {purpose})")
            sys.exit(SKIPPED)


def need_programs(*names, purpose):
    """The same for programs in PATH."""
    for name in names:
        if shutil.which(name) is None:
            print(f"skipped: {name} is missing (scripts/setup.sh {purpose})")
            sys.exit(SKIPPED)


def call(script, *arguments, **options):
    """Runs a Python command of scripts/; returns the subprocess.CompletedProcess."""
    command = ["/usr/bin/python3", str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, **options)


class FolderTest(unittest.TestCase):
    """With a temporary folder for each test, self.folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def refused(self, done, message):
        """Checks that a command ended with exit code 2 and one line, which matches `message`."""
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, message)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
