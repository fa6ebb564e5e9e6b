#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests that the shell scripts work whatever the environment holds and wherever the source tree
lies. The benchmarks, CMake, CTest and setup.sh are stand-ins; scripts and shell are real."""
import os
import shutil
import stat
import subprocess
import unittest

import support
from eta_simd import reading

NOBODY = 65534

# Puts the stand-ins into the build folder; notes its environment, and fails if told to.
CMAKE = """#!/bin/bash
env >"$NOTES/environment"
printf '%s\\n' "$*" >>"$NOTES/calls"
if [[ $1 == --build ]]; then
  mkdir -p "$2/bench"
  cp "$STANDINS/retrieval_bench" "$STANDINS/bundle_tool" "$2/bench/"
else
  echo "output of this run"
  [[ ! -e $NOTES/fail ]]
fi
"""
CTEST = """#!/bin/bash
env >"$NOTES/environment"
printf '%s\\n' "$*" >"$NOTES/ctest"
"""
# Writes what it is asked for; a row per thread count, in the locale that it finds.
RETRIEVAL_BENCH = """#!/bin/bash
while [[ $# -gt 0 ]]; do
  case $1 in
    --csv) csv=$2 ;;
    --json) [[ -e $2 ]] || echo '{}' >"$2" ;;
  esac
  shift
done
[[ -z ${csv:-} ]] || printf '%s\\n' method,x,candidates_per_s,y,z,w \\
  "eta:64,1,1000,$RANDOM,$RANDOM,$RANDOM" >"$csv"  # other columns differ from run to run
"""
# What people export for other work, and what a git hook does.
HOSTILE = {
    "BENCHMARK_FILTER": "none", "BASH_ENV": "/dev/null", "CLICOLOR_FORCE": "1",
    "CMAKE_GENERATOR_PLATFORM": "x64", "DESTDIR": "/nowhere", "GCC_COLORS": "error=01;31",
    "GIT_DIR": "/nowhere", "GREP_OPTIONS": "--color=always", "GTEST_FILTER": "none", "IFS": "/",
    "LANGUAGE": "de", "LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8", "NINJA_STATUS": "%",
    "OMP_NUM_THREADS": "999", "POSIXLY_CORRECT": "1", "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere", "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error",
    "SHELLOPTS": "noclobber", "build": "/nowhere"}
KEPT = ("IFS", "OMP_NUM_THREADS", "LC_NUMERIC")  # without effect, or meant for what is measured


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


class Scripts(support.FolderTest):
    def setUp(self):
        super().setUp()
        self.folder.chmod(0o755)
        self.repo, standins = self.folder / "a source tree", self.folder / "stand ins"
        self.notes, scratch = self.folder / "notes", self.folder / "a scratch folder"
        for folder in (self.repo, standins, self.notes, scratch):
            folder.mkdir()
        for name in ("scripts", "python"):
            shutil.copytree(support.ROOT / name, self.repo / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(support.ROOT / "CMakeLists.txt", self.repo)  # states the version
        write_program(self.repo / "scripts" / "setup.sh", "#!/bin/sh\n")
        for name, text in (("cmake", CMAKE), ("ctest", CTEST), ("bundle_tool", "#!/bin/sh\n"),
                           ("retrieval_bench", RETRIEVAL_BENCH)):
            write_program(standins / name, text)
        self.environment = {
            "PATH": f"{standins}:{os.environ['PATH']}", "STANDINS": str(standins),
            "NOTES": str(self.notes), "TMPDIR": str(scratch), "HOME": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1"}

    def call(self, script, *arguments, **environment):
        """Runs a script as users do: in the source tree, by its relative path."""
        more = {}
        if "user" in environment:
            more = {"user": environment.pop("user"), "extra_groups": []}
        return subprocess.run([f"scripts/{script}", *map(str, arguments)], cwd=self.repo,
                              env={**self.environment, **environment}, text=True,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL, **more)

    def passed(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def lock(self):
        """Takes all rights to write to the source tree. Returns the user to whom that applies."""
        for path in (self.repo, *self.repo.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        self.addCleanup(self.repo.chmod, 0o755)
        if os.geteuid() != 0:
            return {}
        for path in (self.notes, self.folder / "a scratch folder", self.folder):
            path.chmod(0o777)
        return {"user": NOBODY}

    def test_each_variable_is_harmless(self):
        for name, value in {**HOSTILE, "CDPATH": str(self.repo)}.items():
            with self.subTest(name):
                output = self.folder / f"results of {name}"
                self.passed(self.call("bench.sh", "--quick", "--output", output, **{name: value}))
                self.assertTrue((output / "results.csv").exists())

    def test_all_variables_together_are_harmless(self):
        hostile = {**HOSTILE, "CDPATH": f"{self.repo}:/"}
        self.passed(self.call("test.sh", "-R", "some", **hostile))
        seen = dict(line.split("=", 1) for line in
                    (self.notes / "environment").read_text().splitlines() if "=" in line)
        self.assertEqual(seen["LC_ALL"], "C.UTF-8")
        for name, value in hostile.items():
            if name not in KEPT and name != "LC_ALL":
                self.assertNotEqual(seen.get(name), value, name)
        self.assertNotIn("-j 999", (self.notes / "ctest").read_text())
        self.assertIn("-R some", (self.notes / "ctest").read_text())

    def test_how_to_build_is_kept(self):
        kept = {"CXX": "my-c++", "CXXFLAGS": "-Os", "CMAKE_PREFIX_PATH": "/opt/x",
                "CMAKE_CXX_COMPILER_LAUNCHER": "my-cache"}
        self.passed(self.call("test.sh", **kept))
        seen = (self.notes / "environment").read_text().splitlines()
        for name, value in kept.items():
            self.assertIn(f"{name}={value}", seen)

    def test_every_shell_script_starts(self):
        for path in sorted((self.repo / "scripts").glob("*.sh")):
            if path.name not in ("common.sh", "setup.sh"):
                with self.subTest(path.name):
                    text = self.passed(self.call(path.name, "--help", **HOSTILE,
                                                 CDPATH=str(self.repo)))
                    self.assertIn(f"scripts/{path.name}", text)

    def test_python_commands_start(self):
        hostile = {name: value for name, value in HOSTILE.items() if name.startswith("PYTHON")}
        for path in sorted((self.repo / "scripts").glob("*.py")):
            if path.stat().st_mode & stat.S_IXUSR and path.name != "common.py":
                with self.subTest(path.name):
                    done = self.call(path.name, "--help", **hostile)
                    if "scripts/setup.sh" not in done.stderr:
                        self.assertIn("usage: ", self.passed(done))

    def test_numbers_have_a_point(self):
        bench, table = self.folder / "stand ins" / "retrieval_bench", self.folder / "threads.csv"
        # Prints with a comma where a script has not fixed its locale.
        write_program(self.folder / "stand ins" / "awk", """#!/bin/bash
if [[ $LC_ALL == C* ]]; then exec /usr/bin/awk "$@"; fi
/usr/bin/awk "$@" | tr . ,
""")
        text = self.passed(self.call("thread_scaling.sh", "--bench", bench, "--pairs", 1, "--csv",
                                     table, LC_ALL="de_DE.UTF-8"))
        self.assertIn("1.00x   1.00 to 1.00", text)
        columns, rows = reading.read_csv(table)
        rows = list(rows)
        self.assertEqual((len(columns), len(rows)), (6, 2))
        self.assertEqual([reading.number(row["median"]) for row in rows], [1, 1])

    def test_a_throughput_that_is_no_number_is_refused(self):
        bench = self.folder / "other bench"
        for value in ("1,000", "0", "1.5x", "nan", ""):
            write_program(bench, RETRIEVAL_BENCH.replace("1000", value))
            self.refused(self.call("thread_scaling.sh", "--bench", bench, "--pairs", 1),
                         "a throughput that is no number above 0")

    def test_columns_are_found_by_their_names(self):
        bench = self.folder / "other bench"
        for header, row in (("x,method,candidates_per_s", "9,eta:64,1000"),
                            ("candidates_per_s,target,method", '1000,"a,b,c",eta:64')):
            write_program(bench, RETRIEVAL_BENCH.replace("method,x,candidates_per_s", header)
                          .replace("eta:64,1,1000", row.replace('"', '\\"')))
            text = self.passed(self.call("thread_scaling.sh", "--bench", bench, "--pairs", 1))
            self.assertRegex(text, r"eta:64 +1\.00x")
        for gone in ("method", "candidates_per_s"):
            write_program(bench, RETRIEVAL_BENCH.replace(gone, "other"))
            self.refused(self.call("thread_scaling.sh", "--bench", bench, "--pairs", 1),
                         "a row without a method")

    def test_rows_of_other_methods_are_refused(self):
        bench = self.folder / "other bench"
        for changed in ("name=exact", "more=(exact,1,1000,1,1,1)"):  # another row, one more
            write_program(bench, RETRIEVAL_BENCH.replace(
                "shift\n", f'[[ "$1 $2" != "--threads 2" ]] || {changed}\n  shift\n').replace(
                '"eta:64', '"${more[@]}" "${name:-eta:64}'))
            done = self.call("thread_scaling.sh", "--bench", bench, "--pairs", 1, "--csv",
                             self.folder / "threads.csv")
            self.refused(done, "rows of other methods with 2 threads than with one")
        self.assertFalse((self.folder / "threads.csv").exists())

    def test_a_read_only_tree_builds_elsewhere(self):
        (self.repo / "build" / "release").mkdir(parents=True)
        (self.repo / "build" / "release" / "configure.log").write_text("output of an old run\n")
        user = self.lock()
        for script in ("bench.sh", "test.sh"):
            done = self.call(script, **user)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertEqual(done.stderr, f"{script}: {self.repo}/build/release: cannot be written "
                                          "to (--build DIR builds elsewhere)\n")
        build = self.folder / "a build"
        self.passed(self.call("test.sh", "--build", build, **user))
        self.assertIn(f"--test-dir {build} ", (self.notes / "ctest").read_text())
        self.assertIn(f"--preset release -B {build}\n", (self.notes / "calls").read_text())
        self.passed(self.call("bench.sh", "--quick", "--build", build, **user))
        self.assertTrue(list(build.glob("results/*/results.csv")))
        done = self.call("bench.sh", "--build", build, "--output", self.repo / "results", **user)
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (
            2, f"bench.sh: {self.repo}/results: cannot be made (--output DIR is used instead)"))

    def test_a_relative_build_folder_is_that_of_the_caller(self):
        self.passed(self.call("test.sh", "--build", "some/../else where"))
        self.assertTrue((self.repo / "else where" / "bench").is_dir())

    def test_a_failed_configuration_shows_its_own_output(self):
        (self.notes / "fail").touch()
        folder = self.repo / "build" / "release"
        folder.mkdir(parents=True)
        (folder / "configure.log").write_text("output of an old run\n")
        done = self.call("bench.sh")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "output of this run\ncmake --preset release failed\n")


if __name__ == "__main__":
    unittest.main()
