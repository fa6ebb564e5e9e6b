# SPDX-License-Identifier: Apache-2.0
"""What the tests of importers and convert.py share. Skips without NumPy or SciPy."""
import json
import re

import support

support.need("numpy", "scipy.sparse", purpose="data")
import numpy as np


class DataTest(support.FolderTest):
    """Calls commands that write data bundles, into self.output."""

    def setUp(self):
        super().setUp()
        self.output = self.folder / "bundle"

    def write(self, name, lines, end="\n"):
        path = self.folder / name
        path.write_bytes("".join(line + end for line in lines).encode())
        return path

    def make(self, script, *arguments):
        done = support.call(script, *arguments, "--output", self.output)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return self.read(self.output)

    def read(self, bundle):
        arrays = {path.stem: np.load(path) for path in bundle.glob("*.npy")}
        arrays["counts"] = json.loads((bundle / "bundle.json").read_text())["counts"]
        return arrays

    def refuse(self, script, message, *arguments):
        before = sorted(self.folder.iterdir())
        done = support.call(script, *arguments, "--output", self.output)
        self.refused(done, re.escape(message))
        self.assertEqual(sorted(self.folder.iterdir()), before)
