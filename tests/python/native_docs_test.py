#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The examples of the docstrings run, every public function has one, and the stub of the native
module has what the module has."""
import ast
import doctest
import importlib
import inspect
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import native_support  # noqa: F401 puts the package in sys.path

import eta_simd

# Without an example: they need files that only a training writes, or print what differs.
NO_EXAMPLE = {"DataError", "read_bundle", "generate_bundle", "targets", "target", "CodeBlocks",
              "PreparedHistory", "Quantized"}


class Docstrings(unittest.TestCase):
    def test_examples(self):
        for name in eta_simd._MODULES:
            module = importlib.import_module(f"eta_simd.{name}")
            result = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
            self.assertEqual(result.failed, 0, name)

    def test_all_is_documented(self):
        for name in eta_simd.__all__:
            thing = getattr(eta_simd, name)
            with self.subTest(name):
                self.assertTrue(thing.__doc__)
                if name not in NO_EXAMPLE:
                    self.assertIn(">>>", thing.__doc__)
                if inspect.isclass(thing) and thing.__module__.startswith("eta_simd."):
                    for method, value in vars(thing).items():
                        if not method.startswith("_") and callable(value):
                            self.assertTrue(value.__doc__, method)


class Stub(unittest.TestCase):
    def test_has_the_names_of_the_module(self):
        from eta_simd import _native
        text = (Path(eta_simd.__file__).parent / "_native.pyi").read_text(encoding="utf-8")
        tree = ast.parse(text)
        stub = {node.name: node for node in tree.body
                if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        public = {name for name in vars(_native) if not name.startswith("__")}
        self.assertEqual(set(stub), public)
        for name, node in stub.items():
            if isinstance(node, ast.ClassDef) and name != "DataError":
                members = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                have = {key for key in vars(getattr(_native, name))
                        if not key.startswith("_") or key == "__len__"}
                self.assertEqual(members, have, name)

    def test_stubtest(self):
        try:
            import mypy.stubtest  # noqa: F401
        except ImportError:
            self.skipTest("mypy is missing (scripts/setup.sh lint)")
        with tempfile.NamedTemporaryFile("w") as allowed:
            # pybind11 gives classes a metaclass and an __init__ for any arguments, which raises.
            allowed.write(r"eta_simd\._native\.[A-Z]\w+(\.__init__)?" + "\n")
            allowed.flush()
            done = subprocess.run(
                [sys.executable, "-m", "mypy.stubtest", "--allowlist", allowed.name,
                 "eta_simd._native"], text=True, capture_output=True, check=False,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
                     "MYPYPATH": str(Path(eta_simd.__file__).parents[1])})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
