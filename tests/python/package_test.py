#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the package eta_simd as a whole, and that every command of scripts/ starts."""
import os
import signal
import subprocess
import unittest

import support


class Package(support.FolderTest):
    def test_loads_nothing_but_the_standard_library(self):
        code = ("import sys; before = set(sys.modules); import eta_simd, eta_simd.data, "
                "eta_simd.report, eta_simd.ctr, eta_simd.experiments, eta_simd.command; "
                "print(eta_simd.__version__, *(m for m in ('numpy', 'torch', 'matplotlib') "
                "if m in sys.modules))")
        done = subprocess.run(["/usr/bin/python3", "-c", code], cwd=support.ROOT / "python",
                              text=True, capture_output=True, check=False)
        self.assertEqual(done.stderr, "")
        self.assertRegex(done.stdout, r"^\d+\.\d+\.\d+\n$")
        self.assertIn(f"VERSION {done.stdout.strip()}",
                      (support.ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))

    def test_a_signal_keeps_its_exit_code_where_its_exception_is_lost(self):
        """NumPy's C code may turn it into another: ndarray.tofile does."""
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for then in ("raise TypeError('not a path')", "raise OSError(1, 'no')", "return 0"):
                (self.folder / "swallows.py").write_text(
                    "import os\ndef main(_):\n    try:\n"
                    f"        os.kill(os.getpid(), {int(number)})\n        os.pipe()\n"
                    f"    except BaseException:\n        {then}\n", encoding="utf-8")
                with self.subTest(number=number, then=then):
                    done = subprocess.run(
                        ["/usr/bin/python3", "-c",
                         "from eta_simd import command; command.run('swallows', needs='data')"],
                        env={"PYTHONPATH": f"{support.ROOT / 'python'}:{self.folder}"}, text=True,
                        capture_output=True, check=False)
                    self.assertEqual(done.returncode, code, done.stderr)
                    self.assertNotIn("Traceback", done.stderr)

    def test_an_ignored_interrupt_stays_ignored(self):
        (self.folder / "goes_on.py").write_text(
            "import os\ndef main(_):\n    os.kill(os.getpid(), 2)\n    os.pipe()\n",
            encoding="utf-8")
        done = subprocess.run(
            ["/usr/bin/python3", "-c",
             "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
             "from eta_simd import command; command.run('goes_on', needs='data')"],
            env={"PYTHONPATH": f"{support.ROOT / 'python'}:{self.folder}"}, text=True,
            capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_commands_are_found_from_any_folder(self):
        names = sorted(path.name for path in support.SCRIPTS.glob("*.py"))
        names.remove("common.py")
        self.assertIn("report.py", names)
        for name in names:
            with self.subTest(name):
                done = support.call(name, "--help", cwd=self.folder)
                if "scripts/setup.sh" in done.stderr:
                    continue  # a module is missing
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f"usage: {name}", done.stdout)

    def test_commands_refuse_unknown_options_in_one_line(self):
        for path in support.SCRIPTS.glob("*.py"):
            if path.name != "common.py":
                with self.subTest(path.name):
                    self.refused(support.call(path.name, "--nonsense"), rf"^{path.name}: ")

    def test_warnings_of_newer_libraries_are_not_in_the_way(self):
        (self.folder / "sitecustomize.py").write_text(
            "import warnings\nwarnings.warn('will go', FutureWarning)\nprint('loaded')\n")
        done = support.call("compare.py", "--nonsense",
                            env={**os.environ, "PYTHONPATH": str(self.folder)})
        self.assertIn("loaded", done.stdout)
        self.refused(done, "^compare.py: ")


if __name__ == "__main__":
    unittest.main()
