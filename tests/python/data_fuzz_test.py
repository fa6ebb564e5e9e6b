#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Changes sound input files of convert.py and the importers at random, and runs these on them.

  data_fuzz_test.py [--minutes N | --inputs N] [--seed N] [--findings DIR] [FILE...]

A command must end with success and a whole output, or with exit code 2, one line on stderr and no
output: never with a traceback, by a signal, after 30 s of CPU time, or with files left over. Runs
the FILEs and tests/fuzz/corpus/converters first, unchanged; the name of such a file begins with its
kind, such as fvecs-NAME. Exit code 1: there are findings; 77: NumPy or SciPy is missing."""
import argparse
import gzip
import hashlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import support

support.need("numpy", "scipy.sparse", purpose="data")
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy; each input is a process
import numpy as np  # noqa: E402

from eta_simd import command  # noqa: E402
from eta_simd.data import amazon, convert, embeddings, kuairand, taobao, vectors  # noqa: E402,F401

try:
    import h5py
except ImportError:
    h5py = None

CORPUS = support.ROOT / "tests" / "fuzz" / "corpus" / "converters"
CPU_SECONDS, SECONDS, MEMORY = 30, 120, 4 << 30
TELLING = b"0123456789,:|'\"(){}<-\n\r\\ .eE+\x00\xff\xfe"
NUMBERS = (0, 1, 2, 3, 127, 255, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1)


# ---- sound inputs


def vecs(matrix, dtype):
    return b"".join(np.int32(len(row)).tobytes() + np.asarray(row, dtype).tobytes()
                    for row in matrix)


def bins(matrix, dtype):
    return np.array(matrix.shape, "<u4").tobytes() + matrix.astype(dtype).tobytes()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def hdf5():
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        made["train"], made["test"] = MATRIX.astype("<f4"), MATRIX[:2].astype("<f4")
        made.attrs["distance"] = "euclidean"
    return file.getvalue()


MATRIX = np.arange(12).reshape(4, 3)
LOG = [(1, 11, 1511544070), (1, 12, 1511561733), (2, 11, 1511572885), (2, 13, 1511593493),
       (3, 12, 1511596146), (3, 13, 1511600000)]


def taobao_csv():
    return "".join(f"{u},{i},{i % 5},pv,{t}\n" for u, i, t in LOG).encode()


def kuairand_csv():
    rows = [f"{u},{i},20220410,700,{t}000,1,0,0,0,0,0,1,11130,10867,0,0,0,0,1" for u, i, t in LOG]
    return "\n".join([kuairand.HEADER, *rows, ""]).encode()


def amazon_csv():
    return "".join(f"A{u:013},B{i:09},5.0,{t}\n" for u, i, t in LOG).encode()


def amazon_2023_csv():
    rows = [f"A{u:013},B{i:09},5.0,{t}000" for u, i, t in LOG]
    return "\n".join([amazon.HEADER_2023, *rows, ""]).encode()


class Kind:
    """Inputs of one form: a name, sound bytes, the command and its arguments. `path` is where the
    bytes go, relative to a folder that holds `others` as well."""

    def __init__(self, path, data, module, arguments, others=()):
        self.path, self.data, self.module = path, data, module
        self.arguments, self.others = arguments, dict(others)


def kinds():
    """All kinds by name."""
    found, base = {}, vecs(MATRIX, "<f4")
    for suffix, dtype in vectors.VECS.items():
        found[suffix[1:]] = Kind(f"in{suffix}", vecs(MATRIX, dtype), "convert",
                                 ["--input", f"in{suffix}"])
    for suffix, dtype in vectors.BIN.items():
        found[suffix[1:]] = Kind(f"in{suffix}", bins(MATRIX, dtype), "convert",
                                 ["--input", f"in{suffix}"])
    found["queries"] = Kind("q.fbin", bins(MATRIX, "<f4"), "convert",
                            ["--input", "in.fvecs", "--queries", "q.fbin"], {"in.fvecs": base})
    found["histories"] = Kind("h.ivecs", vecs([[3, 1, 3], [], [0]], "<i4"), "convert",
                              ["--input", "in.fvecs", "--histories", "h.ivecs"],
                              {"in.fvecs": base})
    if h5py is not None:
        found["hdf5"] = Kind("in.hdf5", hdf5(), "convert", ["--input", "in.hdf5"])
    bundle = {"b/item_embeddings.npy": npy(MATRIX.astype("<f4")),
              "b/history_offsets.npy": npy(np.array([0, 2, 3], "<i8")),
              "b/history_items.npy": npy(np.array([0, 3, 1], "<i4")),
              "b/candidates_offsets.npy": npy(np.array([0, 1, 2], "<i8")),
              "b/candidates_items.npy": npy(np.array([2, 2], "<i4")),
              "b/bundle.json": b'{"name": "n", "metric": "euclidean"}'}
    for path, data in bundle.items():
        others = {other: bundle[other] for other in bundle if other != path}
        stem = Path(path).stem
        for part in ("embeddings", "candidates", "histories"):
            output = "made.ivecs" if part == "histories" else "made.fbin"
            found[f"{stem}_to_{part}"] = Kind(path, data, "convert", [
                "--input", "b", "--part", part, "--output", output], others)
        if h5py is not None:
            found[f"{stem}_to_hdf5"] = Kind(path, data, "convert",
                                            ["--input", "b", "--output", "made.hdf5"], others)
    for name, data in (("taobao", taobao_csv()), ("kuairand", kuairand_csv()),
                       ("amazon", amazon_csv()), ("amazon_2023", amazon_2023_csv())):
        module = name.split("_")[0]
        few = ["--input", "in.csv", "--dim", "2"]
        found[name] = Kind("in.csv", data, module, few)
        found[f"{name}_gz"] = Kind("in.csv", gzip.compress(data, mtime=0), module, few)
    return found


# ---- changes


def mutate(data, rng):
    """`data` with one to four random changes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        change = rng.randrange(8)
        if change == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif change == 1 and at < len(data):
            data[at] = rng.choice(TELLING)
        elif change == 2:
            data[at:at] = bytes([rng.choice(TELLING)]) * rng.randint(1, 3)
        elif change == 3:
            del data[at:at + rng.randint(1, 8)]
        elif change == 4:
            start = rng.randint(0, len(data))
            data[at:at] = data[start:start + rng.randint(1, 64)]
        elif change == 5 and rng.randrange(4) == 0:
            del data[at:]
        elif change == 6:
            size = rng.choice((1, 2, 4, 8))
            data[at:at + size] = (rng.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, "little")
        elif change == 7:
            data[at:at] = str(rng.choice(NUMBERS)).encode()
    return bytes(data)


# ---- running


def child(module, arguments):
    """Runs a command in this process, as its script does. Does not return."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(SECONDS)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
        sys.argv = [f"{module}.py", *arguments]
        command.run(f"eta_simd.data.{module}", needs="data")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:  # pylint: disable=broad-except
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def fault_of(kind, data, folder):
    """What is wrong with how the command ends on these bytes, or None. Sound ones it must take."""
    files = {**kind.others, kind.path: data}
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    arguments = list(kind.arguments)
    if "--output" not in arguments:
        arguments += ["--output", "made"]
    made = folder / arguments[arguments.index("--output") + 1]
    process = os.fork()
    if process == 0:
        os.chdir(folder)
        child(kind.module, arguments)
    status = os.waitpid(process, 0)[1]
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    code, errors = os.WEXITSTATUS(status), (folder / "stderr").read_text("utf-8", "replace")
    first = {path.split("/")[0] for path in files} | {"stdout", "stderr"}
    left = sorted(path.name for path in folder.iterdir() if path.name not in first)
    if code == 0:
        if left != [made.name] or made.is_dir() and not (made / "bundle.json").exists():
            return f"success, and the files {left}"
        return "success, and a traceback" if "Traceback" in errors else None
    if code != 2 or errors.count("\n") != 1 or data == kind.data:
        return f"exit code {code} with: {errors[-2000:]}"
    return f"refused, and left {left}" if left else None


def check(kind, data):
    """The same in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="eta-fuzz-"))
    try:
        return fault_of(kind, data, folder)
    finally:
        shutil.rmtree(folder)


def inputs(options, known, rng):
    """Yields (kind's name, bytes): files first, then the sound inputs, then changed ones."""
    for path in [*options.files, *(sorted(CORPUS.iterdir()) if CORPUS.is_dir() else ())]:
        name = path.name.removeprefix("converters-").split("-")[0]
        if name in known:  # HDF5 may be missing
            yield name, path.read_bytes()
    for name, kind in known.items():
        yield name, kind.data
    end, count = time.monotonic() + 60 * options.minutes, 0
    names = sorted(known)
    while time.monotonic() < end if options.minutes else count < options.inputs:
        count += 1
        name = rng.choice(names)
        yield name, mutate(known[name].data, rng)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--inputs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path)
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    known, count, found, start = kinds(), 0, 0, time.monotonic()
    for name, data in inputs(options, known, random.Random(options.seed)):
        count += 1
        fault = check(known[name], data)
        if fault is None:
            continue
        found += 1
        print(f"{name}: {fault}")
        if options.findings:
            options.findings.mkdir(exist_ok=True)
            path = options.findings / f"converters-{name}-{hashlib.sha1(data).hexdigest()[:8]}"
            path.write_bytes(data)
            print(f"  {path}")
        else:
            print(f"  {data!r}")
    # As libFuzzer says it, for scripts/fuzz.sh.
    print(f"stat::number_of_executed_units: {count}")
    print(f"stat::average_exec_per_sec: {count / (time.monotonic() - start):.0f}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
