#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of how scripts/regress.sh judges benchmark results. The benchmarks, CMake and setup.sh are
stand-ins; git, compare.py and the shell are real."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import support
from support import ROOT, SCRIPTS

support.need_programs("git", purpose="format")

# Builds nothing: puts the stand-ins into a build folder, and notes which side it is.
CMAKE = """#!/bin/bash
[[ $1 == --build ]] || exit 0
build=$2 side=new
[[ $build != */source/build/release ]] || side=base
mkdir -p "$build/bench"
cp "$STANDINS"/kernel_bench "$STANDINS"/retrieval_bench "$build/bench/"
echo $side >"$build/bench/side"
"""

# Rows hamming and dot; on the new side as $MODE says.
KERNEL_BENCH = """#!/usr/bin/python3
import json, os, pathlib, re, sys
side = pathlib.Path(__file__).with_name("side").read_text().strip()
mode = os.environ["MODE"].split("+") if side == "new" else []
pattern = next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--benchmark_filter="))
names = [n for n in ("limit_fma/AVX2", "hamming/AVX2", "dot/AVX2") if re.search(pattern, n)]
if not names:
    sys.exit("Failed to match any benchmarks against regex: " + pattern)
if "--benchmark_list_tests" in sys.argv:
    sys.exit(print("\\n".join(names)))
with open(os.environ["CALLS"], "a") as calls:
    print(side, pattern, file=calls)
def row(name, i):
    # "slow" always is, "once" only beside other rows, that is until it is confirmed.
    is_slow = name == "dot/AVX2" and ("slow" in mode or "once" in mode and len(names) > 1)
    fails = {"error_occurred": True, "error_message": "differs"} if (
        "wrong" in mode and name == "hamming/AVX2") else {}
    return {"name": name, "run_name": name, "run_type": "iteration", "time_unit": "ns",
            "cpu_time": (130 if is_slow else 100) + 0.01 * i, **fails}
print(json.dumps({"context": {}, "benchmarks": [row(n, i) for n in names for i in range(9)]}))
"""

RETRIEVAL_BENCH = """#!/usr/bin/python3
import json, os, pathlib, sys
side = pathlib.Path(__file__).with_name("side").read_text().strip()
if "--list-methods" in sys.argv:
    newer = "" if side == "base" else "pq4:BITS  product codes\\n"
    sys.exit(print("eta:BITS  ETA\\neta_norm:BITS  norm\\n" + newer))
with open(os.environ["CALLS"] + ".methods", "a") as calls:
    print(side, sys.argv[sys.argv.index("--methods") + 1], file=calls)
digest = "other" if side == "new" and "returned" in os.environ["MODE"].split("+") else "same"
row = {"method": "eta:64", "l_mean": 9, "b": 1, "k": 1, "threads": 1, "cache": "warm", "p50_us": 1,
       "positions_digest": digest}
run = {"data": {"digest": "d"}, "settings": {}, "rows": [row]}
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(run))
"""


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


class RegressTest(unittest.TestCase):
    folder: tempfile.TemporaryDirectory
    repo: pathlib.Path
    calls: pathlib.Path
    environment: dict[str, str]

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="eta-regress-")
        root = pathlib.Path(cls.folder.name)
        cls.repo, cls.calls = root / "repo", root / "calls"
        standins = root / "standins"
        for folder in (cls.repo / "scripts", cls.repo / "build" / "release", standins):
            folder.mkdir(parents=True)
        for name in ("common.sh", "regress.sh", "common.py", "compare.py"):
            shutil.copy(SCRIPTS / name, cls.repo / "scripts")
        shutil.copytree(ROOT / "python", cls.repo / "python")
        shutil.copy(ROOT / "CMakeLists.txt", cls.repo)  # states the version
        write_program(cls.repo / "scripts" / "setup.sh", "#!/bin/sh\n")
        (cls.repo / ".gitignore").write_text("build\n__pycache__\n")
        (cls.repo / "build" / "release" / "CMakeCache.txt").touch()
        write_program(standins / "cmake", CMAKE)
        write_program(standins / "kernel_bench", KERNEL_BENCH)
        write_program(standins / "retrieval_bench", RETRIEVAL_BENCH)
        cls.environment = {
            **os.environ, "PATH": f"{standins}:{os.environ['PATH']}", "STANDINS": str(standins),
            "CALLS": str(cls.calls), "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
        for arguments in (["init", "-q"], ["add", "."],
                          ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
            subprocess.run(["git", *arguments], cwd=cls.repo, env=cls.environment, check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def regress(self, mode, *arguments):
        self.calls.unlink(missing_ok=True)
        return subprocess.run(
            ["bash", self.repo / "scripts" / "regress.sh", "HEAD", "--rounds", "8", "--filter", ".",
             *arguments], env={**self.environment, "MODE": mode}, text=True, capture_output=True,
            check=False)

    def expect(self, code, mode, *arguments):
        done = self.regress(mode, *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertIn("No regression." if code == 0 else "A regression.", done.stdout)
        series = len(self.calls.read_text().splitlines()) / 16
        return done.stdout, series

    def test_the_same_passes(self):
        methods = self.calls.with_name("calls.methods")
        methods.unlink(missing_ok=True)
        _, series = self.expect(0, "")
        self.assertEqual(series, 1)
        # Of the newer methods those that the base has as well.
        wanted = "exact,eta:64,eta:100,eta:256,eta:64+rerank:4,scan_i8,eta_norm:64"
        self.assertEqual(methods.read_text(), f"base {wanted}\nnew {wanted}\n")

    def test_a_slowdown_fails_once_it_is_confirmed_twice(self):
        text, series = self.expect(1, "slow")
        self.assertEqual(series, 3)
        self.assertEqual(text.count("Run again, to confirm"), 2)
        self.assertIn("base ^dot/AVX2$", self.calls.read_text())

    def test_a_slowdown_that_is_not_confirmed_passes(self):
        _, series = self.expect(0, "once")
        self.assertEqual(series, 2)

    def test_a_kernel_that_differs_from_its_scalar_twin_fails(self):
        text, series = self.expect(1, "wrong")
        self.assertEqual(series, 1)
        self.assertIn("hamming/AVX2: error None -> differs", text)
        self.expect(1, "wrong+once")

    def test_what_is_returned_must_not_change_unless_that_is_meant(self):
        text, _ = self.expect(1, "returned")
        self.assertIn("positions_digest same -> other", text)
        self.expect(0, "returned", "--allow-changed")
        self.expect(1, "returned+slow", "--allow-changed")

    def test_local_changes_are_named(self):
        changed = self.repo / "scripts" / "setup.sh"
        before = changed.read_text()
        self.assertNotIn("local changes", self.expect(0, "")[0])
        changed.write_text(before + "\n")
        self.assertIn("and local changes against", self.expect(0, "")[0])
        changed.write_text(before)

    def test_bad_input_ends_with_exit_code_2(self):
        for arguments in (["--rounds", "3"], ["--threshold", "x"], ["--filter", "nothing/matches"],
                          ["HEAD~1"], ["--what"]):
            done = self.regress("", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("regress.sh: ", done.stderr.splitlines()[-1])
            self.assertFalse(self.calls.exists(), arguments)
        worktrees = subprocess.run(["git", "worktree", "list"], cwd=self.repo, text=True,
                                   env=self.environment, capture_output=True, check=True).stdout
        self.assertEqual(len(worktrees.splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
