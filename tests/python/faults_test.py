#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests that every program and script that writes (faults_table.py) leaves a whole output or none:
on a full disk, killed or terminated in the middle, in a read-only folder, with an unreadable input,
and two at once. Arguments: the folder of the C++ programs. Exit code 77: a Python package is
missing.

A limit on the size of files (RLIMIT_FSIZE) stops a write at a known byte. It then fails, or the
signal ends the process, which stands for any kill. The full disk is a real one where root may mount
one in memory."""
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import arrow_support
import faults_watch
import support

support.need("numpy", purpose="data")
import numpy as np

import faults_table as table

NOBODY = 65534
OUTPUTS = re.compile(r"(?<![\w-])--(?:csv|json|out|output|results|keep|cells|load-csv|"
                     r"per-request|dump|benchmark_out)(?![\w-])")
PROGRAMS = Path()
WITH_ROCKSDB = ("eta_store", "serving_bench")  # built only where it is found
RAW_WRITES = re.compile(r"(?<!files)\.write_text\(|\.write_bytes\(|np\.save\(|savefig\(|"
                        r"open\([^)]*[\"']wb?[\"']")
LLVM_OPENMP_FILE = 4096  # bytes, a page
# Python ignores the signal of RLIMIT_FSIZE; this has it end the process.
MORTAL = ("import runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); "
          "sys.argv = sys.argv[1:]; sys.path.insert(0, sys.argv[0].rpartition('/')[0]); "
          "runpy.run_path(sys.argv[0], run_name='__main__')")
BENCH = """#!/bin/bash
while [[ $# -gt 0 ]]; do
  [[ $1 != --csv ]] || csv=$2
  shift
done
printf '%s\\n' method,x,candidates_per_s,y,z eta:64,1,1000,2,3 >"$csv"
"""


def has(*names):
    """Whether all modules and programs are there for the command that needs them."""
    return all(arrow_support.python() if name == "pyarrow"
               else (PROGRAMS / name).exists() if name in WITH_ROCKSDB
               else importlib.util.find_spec(name) for name in names)


def uses_llvm_openmp(program):
    """Whether it is a program that loads libomp, which makes a file when it starts. Where that may
    not be a page long, libomp warns, or ends the program by SIGBUS."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return "libomp.so" in done.stdout


def limits(size, is_fatal):
    """What a child does before it runs: files are limited to `size` bytes."""
    def apply():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if is_fatal else signal.SIG_IGN)
    return apply


def contents(path, with_hidden=True):
    """The files at or below a path, by relative name."""
    if path.is_dir():
        return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*")
                if p.is_file() and (with_hidden or p.name[0] != ".")}
    return {"": path.read_bytes()} if path.exists() else {}


def lines_of(data):
    """Lines of a file; of JSON, where what was not measured takes fewer, that it is whole."""
    if data[:1] != b"{":
        return data.count(b"\n")
    try:
        return bool(json.loads(data))
    except ValueError:
        return False


def ends(found):
    """What of contents() is the same in every run, times or not, and not in half a file."""
    return {name: (lines_of(data), data[-1:]) for name, data in found.items()}


class Faults(unittest.TestCase):
    root: Path
    wholes: dict = {}

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="eta-faults-")
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.root.chmod(0o755)
        matplotlib = cls.root / "matplotlib"
        matplotlib.mkdir()
        matplotlib.chmod(0o777)
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1",
                          MPLCONFIGDIR=str(matplotlib))
        # Another user may be unable to enter the source tree or the build.
        for name in ("scripts", "python"):
            shutil.copytree(support.ROOT / name, cls.root / "tree" / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(support.ROOT / "CMakeLists.txt", cls.root / "tree")
        for name in ("retrieval_bench", "ctr_bench", "freshness_bench", "bundle_tool",
                     *filter(has, WITH_ROCKSDB)):
            shutil.copy(PROGRAMS / name, cls.root)
        cls.make_inputs()
        for path in (cls.root, *cls.root.rglob("*")):
            path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0))
        store = cls.root / "store"  # a snapshot is made by who may write to the store
        for path in (store, *store.rglob("*")) if store.exists() else ():
            path.chmod(path.stat().st_mode | 0o222)

    @classmethod
    def make_inputs(cls):
        """The files that {NAME} in the table stands for."""
        root = cls.root
        pairs = [(user, item) for user in range(1, 9) for item in range(user, user + 8)]
        time = 1511544070
        (root / "amazon.csv").write_text("".join(
            f"A3SGXH7AUHU8G{u},{i:010d},5.0,{time}\n" for u, i in pairs))
        (root / "taobao.csv").write_text("".join(f"{u},{i},3,pv,{time}\n" for u, i in pairs))
        (root / "kuairand.csv").write_text(table.KUAIRAND + "\n" + "".join(
            f"{u},{i},20220410,700,1649545620867,1,0,0,0,0,0,1,9,9,0,0,0,0,1\n" for u, i in pairs))
        (root / "movielens").mkdir()
        (root / "movielens" / "ratings.csv").write_text(
            "userId,movieId,rating,timestamp\n"
            + "".join(f"{u},{i},4.0,{time}\n" for u, i in pairs))
        (root / "movielens" / "movies.csv").write_text("movieId,title,genres\n" + "".join(
            f"{i},Film,Drama\n" for i in sorted({i for _, i in pairs})))
        rows = np.ones((200, 17), np.float32)
        rows[:, 0] = np.array([16], np.int32).view(np.float32)
        (root / "base.fvecs").write_bytes(rows.tobytes())
        (root / "freshness.json").write_text(json.dumps({
            "rows": [{"method": "eta", "step": 7, "recall_ties": 0.5, "auc": None}],
            "costs": {"rehash_ms_per_million": 1.5, "rebuild_ms_per_million": 2}}))
        (root / "bench").write_text(BENCH)
        (root / "bench").chmod(0o755)
        cls.must(cls.root / "bundle_tool", "generate", "--users", 4, "--items", 200, "--output",
                 root / "bundle")
        cls.must(cls.root / "retrieval_bench", *table.SMALL, "--json", root / "results.json")
        if has("eta_store"):
            cls.must(root / "eta_store", "import", root / "store", "--bundle", root / "bundle")
        if has("serving_bench"):
            arguments = [str(root / "bundle") if a == "{bundle}" else a for a in table.SERVING]
            cls.must(root / "serving_bench", *arguments, "--json", root / "serving.json")
        if has("torch"):
            cls.must("make_planted.py", *table.PLANTED, "--out", root / "planted")
            cls.must("train_ctr.py", "--bundle", root / "planted", "--model", "eta", "--out",
                     root / "model", *table.TINY, "--k", 4, "--bits", 16)
            for step in (1, 2):
                shutil.copytree(root / "model", root / "series" / f"step_{step}")
        if has("pyarrow"):
            python = Path(arrow_support.python())
            cls.must(python, root / "tree" / "scripts" / "convert.py", "--input", root / "bundle",
                     "--output", root / "bundle.parquet")
            cls.must(python, "-c", table.PARQUET_LOGS, root)

    @classmethod
    def must(cls, program, *arguments):
        command = [str(program), *map(str, arguments)]
        if not isinstance(program, Path):
            script = cls.root / "tree" / "scripts" / program
            command = ["/usr/bin/python3", str(script), *command[1:]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def command(self, writer, output, is_mortal=False):
        """The command line; with `is_mortal` RLIMIT_FSIZE ends also a Python program."""
        scripts = self.root / "tree" / "scripts"
        name, *subcommand = writer.program.split()
        if name.endswith(".py"):
            python = arrow_support.python() if "pyarrow" in writer.needs else "/usr/bin/python3"
            first = [python, *(["-c", MORTAL] if is_mortal else []),
                     str(scripts / name)]
        else:
            first = [str((scripts if name.endswith(".sh") else self.root) / name)]
        arguments = [re.sub(r"^\{(.*)\}$", rf"{self.root}/\1", a) for a in writer.arguments]
        return [*first, *subcommand, *arguments, writer.option, str(output)]

    def start(self, writer, output, size=None, is_fatal=False, **options):
        return subprocess.Popen(self.command(writer, output, is_fatal), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                cwd=output.parent, preexec_fn=limits(size, is_fatal),
                                # A killed program may leave there what it made.
                                env={**os.environ, "TMPDIR": str(self.root)}, **options)

    def call(self, writer, output, size=None, is_fatal=False, **options):
        """Exit code and stderr."""
        process = self.start(writer, output, size, is_fatal, **options)
        err = process.communicate(timeout=120)[1]
        return process.returncode, err

    def refused(self, done, name):
        """The command failed with one line that names the file, and no traceback."""
        code, err = done
        self.assertEqual(code, 2, err)
        lines = [line for line in err.splitlines() if not line.startswith("note: ")]
        self.assertEqual(len(lines), 1, err)
        self.assertIn(name, lines[0])

    def each(self, check):
        """Calls check(writer, output), in an empty folder, for every writer that can run here."""
        for number, writer in enumerate(table.WRITERS):
            if not has(*writer.needs):
                continue
            folder = self.root / f"{check.__name__}-{number}"
            folder.mkdir()
            with self.subTest(program=writer.program, option=writer.option, output=writer.output):
                check(writer, folder / writer.output)

    def made(self, writer, output):
        """Runs it; returns what it wrote."""
        code, err = self.call(writer, output)
        self.assertEqual(code, 0, err)
        found = contents(output)
        self.assertTrue(found)
        return found

    def whole(self, writer):
        """What it writes where nothing goes wrong."""
        if writer not in self.wholes:
            with tempfile.TemporaryDirectory(dir=self.root) as folder:
                self.wholes[writer] = self.made(writer, Path(folder) / writer.output)
        return self.wholes[writer]

    def place(self, writer, output):
        """Puts an earlier output there, if one is replaced; returns what there is then."""
        for name, data in self.whole(writer).items() if not writer.is_new else ():
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return contents(output)

    def test_a_write_that_fails_or_kills_in_the_middle(self):
        self.each(self.write_in_the_middle)

    def write_in_the_middle(self, writer, output):
        if writer.unlimited:
            return
        size = max(map(len, self.whole(writer).values())) // 2
        if size < LLVM_OPENMP_FILE and uses_llvm_openmp(self.command(writer, output)[0]):
            return
        before = self.place(writer, output)
        self.refused(self.call(writer, output, size), writer.names or output.name)
        self.assertEqual(contents(output), before)
        self.assertEqual([p.name for p in output.parent.iterdir()], [output.name][:len(before)])
        code, _ = self.call(writer, output, size, is_fatal=True)
        self.assertIn(code, (-signal.SIGXFSZ, 128 + signal.SIGXFSZ, 2))  # 2: a child was killed
        self.assertEqual(contents(output, with_hidden=False), before)
        self.made(writer, output)
        self.assertEqual(set(contents(output, with_hidden=False)), set(self.whole(writer)))

    def test_terminated_in_the_middle(self):
        self.each(self.terminate)

    def terminate(self, writer, output):
        """Ends it by SIGTERM once it has begun to write. Where the process was faster, which
        nothing can rule out, the output is there and must be whole."""
        before = self.place(writer, output)
        with faults_watch.Folder(output.parent) as folder:
            process = self.start(writer, output)
            folder.wait_for_write(process)
            process.terminate()
            err = process.communicate(timeout=120)[1]
        self.assertIn(process.returncode, (-signal.SIGTERM, 128 + signal.SIGTERM, 0), err)
        self.assertNotIn("Traceback", err)
        left = contents(output, with_hidden=False)
        if process.returncode == 0 or left != before:
            if writer.checker:
                program, *arguments = writer.checker
                self.must(self.root / program, *arguments, output)
            else:
                self.assertEqual(ends(left), ends(self.whole(writer)))
        if writer.program.endswith(".py"):  # those clean up; the others leave a hidden file
            self.assertEqual([p.name for p in output.parent.iterdir() if p != output], [])

    @unittest.skipUnless(faults_watch.can_mount(), "only root can mount a disk")
    def test_a_full_disk(self):
        self.each(self.full_disk)

    def full_disk(self, writer, output):
        pages = sum(-(-len(data) // faults_watch.PAGE) for data in self.whole(writer).values())
        with faults_watch.disk(output.parent) as disk:
            before = self.place(writer, output)
            # Half of the output fits, nothing of a single page. Cells that are done are kept.
            disk.leave(0 if writer.option == "--cells" else pages // 2)
            self.refused(self.call(writer, output), output.name)
            self.assertEqual(contents(output), before)
            self.assertEqual([p.name for p in output.parent.iterdir()],
                             [output.name][:len(before)])

    def test_two_at_once(self):
        self.each(self.two)

    def two(self, writer, output):
        pair = [self.start(writer, output) for _ in range(2)]
        done = [(p.communicate(timeout=120)[1], p.returncode) for p in pair]
        for err, code in done:
            if code:
                self.refused((code, err), writer.shares or output.name)
        self.assertIn(0, [code for _, code in done])
        self.assertEqual([p.name for p in output.parent.iterdir()], [output.name])
        for name, data in contents(output).items():
            if (name or output.name).endswith(".json") or writer.option == "--json":
                json.loads(data)

    def test_a_script_replaces_a_file_as_a_whole_or_leaves_it(self):
        path = self.root / "a file"
        path.write_text("old")
        code = f'source "{self.root}/tree/scripts/common.sh"; replace_file "{path}"'
        done = subprocess.run(["bash", "-c", code, "name"], input="x" * 1000, text=True,
                              capture_output=True, check=False, preexec_fn=limits(500, False))
        self.refused((done.returncode, done.stderr), "a file: cannot be written")
        self.assertEqual(path.read_text(), "old")
        self.assertEqual([p.name for p in self.root.glob(".*a file*")], [])
        subprocess.run(["bash", "-c", code], input="new", text=True, check=True)
        self.assertEqual(path.read_text(), "new")

    @unittest.skipUnless(os.geteuid() == 0, "only root can run a program as another user")
    def test_a_read_only_folder_and_an_unreadable_input(self):
        self.each(self.no_right)

    def no_right(self, writer, output):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.refused(self.call(writer, output, **user), output.parent.name)
        self.assertEqual(list(output.parent.iterdir()), [])
        output.parent.chmod(0o777)
        if writer.reads:
            secret = self.root / writer.reads
            mode = secret.stat().st_mode
            secret.chmod(0)
            self.addCleanup(secret.chmod, mode)
            self.refused(self.call(writer, output, **user), secret.name)
            self.assertEqual(list(output.parent.iterdir()), [])
            secret.chmod(mode)


class Table(unittest.TestCase):
    def test_every_output_of_every_program_is_in_it(self):
        scripts = [p for p in support.SCRIPTS.iterdir() if p.suffix in (".py", ".sh")
                   and p.stem != "common"]
        # A target ends in _tool where a library has the program's name.
        programs = [PROGRAMS / name.replace("eta_store_tool", "eta_store")
                    for path in (support.ROOT / "bench").rglob("CMakeLists.txt")
                    for name in re.findall(r"^eta_add_program\((\w+)", path.read_text(), re.M)]
        known = {(w.program, w.option) for w in table.WRITERS} | set(table.THROUGH) | table.INPUTS
        for name in WITH_ROCKSDB:
            if not has(name):
                programs.remove(PROGRAMS / name)
                known = {row for row in known if row[0].split()[0] != name}
        found, names = set(), set()
        for path in scripts + programs:
            names.add(path.name)
            start = ["/usr/bin/python3"] if path.suffix == ".py" else []
            calls: list = [()]
            if path.name in ("bundle_tool", "eta_store"):
                text = subprocess.run([path, "--help"], capture_output=True, text=True,
                                      check=True).stdout
                # CLI11 2.6 writes SUBCOMMANDS.
                commands = re.split(r"(?i)\nsubcommands:\n", text)[1].partition("\n\n")[0]
                calls += [(name,) for name in re.findall(r"^  (\S+)", commands, re.M)]
            for more in calls:
                text = subprocess.run([*start, str(path), *more, "--help"], capture_output=True,
                                      text=True, check=False).stdout
                found |= {(" ".join((path.name, *more)), option)
                          for option in OUTPUTS.findall(text)}
        self.assertEqual(found - known, set(), "not in faults_table.py")
        self.assertEqual(known - found, set(), "in faults_table.py, but in no --help")
        listed = {name.split()[0] for name, _ in known} | set(table.OTHERS)
        self.assertEqual(names, listed)

    def test_modules_write_through_one_place(self):
        package = support.ROOT / "python" / "eta_simd"
        writing = {str(p.relative_to(package)) for p in package.rglob("*.py")
                   if RAW_WRITES.search(p.read_text(encoding="utf-8"))}
        self.assertEqual(writing, set(table.WRITING_MODULES))


if __name__ == "__main__":
    PROGRAMS = Path(sys.argv.pop(1))
    unittest.main()
