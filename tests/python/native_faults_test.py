#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing that is given to eta_simd ends the interpreter: wrong types, shapes, layouts and numbers,
arrays that change meanwhile, fork(), and threads that still run when Python ends."""
import os
import random
import subprocess
import sys
import threading
import unittest

import native_support as support
import numpy as np

import eta_simd
from eta_simd import Hyperplanes, Retriever
from eta_simd.native import native

REFUSALS = (TypeError, ValueError, MemoryError)


class Tensor:
    """A tensor that has DLPack and no buffer."""

    def __init__(self, array, error=None):
        self.array, self.error = array, error

    def __dlpack__(self, **options):
        if self.error:
            raise self.error
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


class Messages(unittest.TestCase):
    """Each wrong argument by name, with what was expected and what came."""

    def setUp(self):
        self.items = support.table()
        self.retriever = Retriever("eta:64", self.items)

    def refused(self, error, message, call, *arguments, **options):
        with self.assertRaisesRegex(error, message) as caught:
            call(*arguments, **options)
        self.assertNotIn("\n", str(caught.exception))

    def test_arrays(self):
        encode = Hyperplanes(16, 64).encode
        x = self.items
        self.refused(TypeError, r"^x: expected a 2-dimensional array of float32 on the CPU .*, "
                     "got list$", encode, [[1.0] * 16])
        self.refused(TypeError, r"^x: expected float32, got float64 of shape \(300, 16\)$", encode,
                     x.astype(np.float64))
        self.refused(TypeError, "got float16", encode, x.astype(np.float16))
        self.refused(TypeError, "got elements of format '>f'", encode, x.astype(">f4"))
        self.refused(TypeError, "got numpy.ndarray: .*dtype 'M'", encode,
                     np.zeros((2, 16), "M8[s]"))
        self.refused(ValueError, r"^x: expected 2 dimensions, got the shape \(16,\)$", encode, x[0])
        self.refused(ValueError, r"^x: of shape \(150, 16\) is not contiguous", encode, x[::2])
        self.refused(ValueError, "^x: 8 columns, the hyperplanes have 16", encode,
                     x[:, :8].copy())
        unaligned = np.frombuffer(b"\0" * (64 * 2 + 1), np.uint8)[1:].view(np.float32)
        self.refused(ValueError, "does not start at a multiple of 4", encode,
                     unaligned.reshape(2, 16))

    def test_dlpack(self):
        encode = Hyperplanes(16, 64).encode
        np.testing.assert_array_equal(encode(Tensor(self.items)), encode(self.items))
        self.refused(TypeError, r"^x: .*got Tensor: needs grad$", encode,
                     Tensor(self.items, RuntimeError("needs grad\nand more")))
        try:
            import torch
        except ImportError:
            return
        tensor = torch.from_numpy(self.items)
        np.testing.assert_array_equal(encode(tensor), encode(self.items))
        self.refused(TypeError, "^x: .*got Tensor: .*grad", encode, tensor.requires_grad_())

    def test_numbers(self):
        retrieve, ids = self.retriever.retrieve, support.ids(5)
        self.refused(TypeError, "^k: expected a whole number, got float$", retrieve, ids, ids, 1.5)
        self.refused(ValueError, r"^k: must lie in \[1, 2147483647\], is 0$", retrieve, ids, ids, 0)
        self.refused(ValueError, "is -3$", retrieve, ids, ids, -3)
        self.refused(ValueError, f"is {10 ** 30}$", retrieve, ids, ids, 10 ** 30)
        self.refused(ValueError, "^k: ", retrieve, ids, ids, 10 ** 5000)
        self.refused(ValueError, r"^bits: must lie in \[1, 4096\], is 4097$", Hyperplanes, 4, 4097)
        self.refused(ValueError, "^threads: ", Hyperplanes(16, 8).encode, self.items, 0)
        self.refused(MemoryError, "", retrieve, ids, np.zeros(1 << 20, np.int32), 2 ** 31 - 1)

    def test_items_and_owners(self):
        retrieve, ids = self.retriever.retrieve, support.ids(5)
        self.refused(ValueError, r"^candidates\[1\] = 300 is not an item id", retrieve, ids,
                     support.int32([0, 300]), 1)
        self.refused(ValueError, r"^history\[0\] = -1 ", retrieve, support.int32([-1]), ids, 1)
        other = Retriever("eta:64", self.items).prepare(ids)
        self.refused(ValueError, "^history: prepared by another Retriever", retrieve, other, ids, 1)
        batch = self.retriever.retrieve_batch
        self.refused(ValueError, "^history_offsets: of 2 requests, candidate_offsets of 1$", batch,
                     support.int64([0, 1, 1]), ids[:1], support.int64([0, 1]), ids[:1], 1)
        self.refused(ValueError, "^history", batch, support.int64([0, 9]), ids,
                     support.int64([0, 1]), ids[:1], 1)
        self.refused(ValueError, "^history_offsets: empty", batch, support.int64([]), ids,
                     support.int64([0, 1]), ids[:1], 1)

    def test_methods(self):
        self.refused(ValueError, "^method 'nonsense': unknown", Retriever, "nonsense", self.items)
        self.refused(TypeError, "^method: expected a str, got int", Retriever, 5, self.items)
        self.refused(ValueError, "^hyperplanes: of 32 bits, the method 'eta:64' has 64$", Retriever,
                     "eta:64", self.items, Hyperplanes(16, 32))
        self.refused(ValueError, "dimension", Retriever, "eta:64", self.items, Hyperplanes(8, 64))
        self.refused(TypeError, "^hyperplanes: expected Hyperplanes or None", Retriever, "eta:64",
                     self.items, 5)
        self.refused(ValueError, "^categories: 3 for 300 items$", Retriever, "sim_hard", self.items,
                     categories=support.ids(3))
        self.refused(ValueError, "categor", Retriever, "sim_hard", self.items)
        for error, message, other in (
                (ValueError, "of shape 300 x 8, embeddings of 300 x 16$", self.items[:, :8].copy()),
                (TypeError, "expected float32, got float64", self.items.astype(np.float64))):
            self.refused(error, "^candidate_embeddings: " + message, Retriever, "eta:64",
                         self.items, candidate_embeddings=other)
        if support.NO_FAISS:
            self.refused(ValueError, "^method 'faiss_exact': needs FAISS", Retriever, "faiss_exact",
                         self.items)

    def test_others(self):
        self.refused(TypeError, "^codes: expected CodeBlocks", eta_simd.hamming_topk, self.items,
                     self.items, 1)
        self.refused(TypeError, "use pack_codes", eta_simd.CodeBlocks)
        self.refused(TypeError, "^rows: expected Quantized", eta_simd.dot_i8_topk, self.items,
                     eta_simd.quantize_i8(self.items), 1)
        self.refused(ValueError, "^ties: must be", eta_simd.dot_topk, self.items, self.items, 1,
                     "late")
        self.refused(ValueError, "nonsense", eta_simd.set_target, "nonsense")
        self.refused(ValueError, "^folder: has a NUL", eta_simd.read_bundle, "a\0b")
        self.refused(eta_simd.DataError, "manifest", eta_simd.CtrModel, "/nonexistent")


class Anything(unittest.TestCase):
    """Random calls with values of all kinds: each returns or raises a refusal."""

    CALLS = 3000

    def test_random_arguments(self):
        seed = int.from_bytes(os.urandom(4), "little")
        print(f"seed {seed}", file=sys.stderr, flush=True)  # should the interpreter end
        with self.subTest(seed=seed):
            self.run_calls(random.Random(seed))

    def run_calls(self, source):
        done = 0
        for _ in range(self.CALLS):
            function, arguments = self.call(source)
            try:
                function(*arguments)
                done += 1
            except REFUSALS as error:
                self.assertTrue(str(error) or isinstance(error, MemoryError))
        self.assertGreater(done, self.CALLS // 50)

    def array(self, source):
        kind = source.choice([np.float32] * 3 + [np.int32] * 3 + [np.uint8, np.int8, np.int64,
                             np.float64, np.bool_, np.complex64, np.dtype("U3"), np.dtype(object)])
        shape = source.choice([(), (0,), (3,), (20,), (0, 4), (4, 0), (3, 4), (8, 4), (2, 3, 4),
                               (300, 16), (9, 16)])
        values = np.array([source.choice([0, 1, 2, 3, 3, 2, 1, 299, 300, -1, 127, 2 ** 31 - 1,
                                          -2 ** 31]) for _ in range(int(np.prod(shape)))])
        with np.errstate(all="ignore"):
            array = values.astype(np.dtype(kind)).reshape(shape)
        if kind is np.float32 and array.size and source.random() < 0.4:
            array.flat[source.randrange(array.size)] = source.choice(
                [np.nan, np.inf, -np.inf, 3e38, 1e-40, -0.0])
        change = source.random()
        if change < 0.1:
            return array[::-1] if array.ndim else array
        if change < 0.2:
            return array.T
        if change < 0.25:
            return Tensor(array)
        if change < 0.3 and array.dtype != object:
            return array.data if array.size else array
        return array

    def value(self, source):
        if source.random() < 0.6:
            return self.array(source)
        return source.choice([None, 0, 1, 2, 3, 7, 8, 64, -1, 2 ** 31, 2 ** 70, 1.5, float("nan"),
                              "", "eta:64", "newest", "gaussian", "\0", "\udcff", b"bytes", [], [1],
                              (), {}, object(), True, int, np.int32(3), np.float32(2),
                              Tensor(None)])

    def call(self, source):
        items = support.table()
        methods = ["exact", "scan_i8", "eta:64", "eta_norm:8", "eta_asym:64", "pq4:16", "sim_hard",
                   "recent", "eta:8+rerank:3", "eta:8+rerank_i8:3", "eta_gather:9"]
        if not hasattr(self, "made"):
            self.made = [Retriever(m, items, categories=support.ids(300, 4)) for m in methods]
            self.codes = eta_simd.pack_codes(np.zeros((300, 4), np.uint8))
            self.planes = Hyperplanes(4, 9)
        retriever = source.choice(self.made)
        number = [1, 2, 3, 9, 300, 2 ** 31 - 1]
        some = [lambda: self.value(source), lambda: self.array(source)]
        ids = some + [lambda: support.ids(5), lambda: support.ids(0)]
        count = some[:1] + [lambda: source.choice(number)] * 4
        codes = some[:1] + [lambda: self.codes] * 6
        rows = some + [lambda: support.table(9, 4)] * 2
        patterns = [
            (retriever.retrieve, (ids, ids, count)), (retriever.prepare, (ids,)),
            (retriever.retrieve_batch, (some + [lambda: support.int64([0, 5])], ids,
                                        some + [lambda: support.int64([0, 5])], ids, count, count)),
            (self.planes.encode, (rows, count)), (Hyperplanes.from_array, (rows,)),
            (Hyperplanes, (count[:1] + [lambda: 3], count[:1] + [lambda: 5], some, some)),
            (eta_simd.pack_codes, (some,)), (eta_simd.hamming_distances, (codes, some)),
            (eta_simd.hamming_topk, (codes, some, count)), (eta_simd.quantize_i8, (rows,)),
            (eta_simd.dot_topk, (rows, rows, count)),
            (lambda *a: eta_simd.dot_i8_topk(a[:2], a[2:4], a[4]), (some, some, some, some, count)),
            (eta_simd.recall, (some, some, [lambda: 3, lambda: 300] + some[:1])),
            (eta_simd.recall_ties, (some, rows, count)),
            (eta_simd.attention_mass, (some, rows, count, count)),
            (native.measures, (some, rows, rows, count)),
            (lambda m, e: Retriever(m, e), ([lambda: source.choice(methods + ["eta", "pq4:3", ""])],
                                            rows)),
            (lambda *a: eta_simd.Bundle(*a).check(), (rows, some, ids, some)),
            (eta_simd.set_target, ([lambda: None, lambda: "AVX9", lambda: 3],)),
            (eta_simd.read_bundle, ([lambda: "/nonexistent", lambda: "\0", lambda: b"/x"],)),
        ]
        function, arguments = source.choice(patterns)
        return function, [source.choice(makers)() for makers in arguments]


class Meanwhile(unittest.TestCase):
    def test_arrays_that_change(self):
        retriever = Retriever("eta:64+rerank:2", support.table())
        history, candidates = support.ids(2000), support.ids(64)
        blocks = eta_simd.pack_codes(np.random.default_rng(1).integers(0, 256, (2000, 8), np.uint8))
        queries = np.zeros((64, 8), np.uint8)
        ended = threading.Event()

        def change():
            source = np.random.default_rng(2)
            while not ended.is_set():
                low, high = (0, 300) if source.random() < 0.7 else (-2 ** 31, 2 ** 31)
                for array in (candidates, history):
                    array[:] = source.integers(low, high, len(array))
                queries[:] = source.integers(0, 256, queries.shape)
        thread = threading.Thread(target=change)
        thread.start()
        returned = 0
        try:
            for _ in range(300):
                try:
                    found = retriever.retrieve(history, candidates, 16)
                    self.assertTrue(((found >= 0) & (found < 2000)).all())
                    returned += 1
                except ValueError:
                    pass
                eta_simd.hamming_topk(blocks, queries, 16)
        finally:
            ended.set()
            thread.join()
        self.assertGreater(returned, 0)

    def test_another_target(self):
        retriever = Retriever("eta_asym:64", support.table())
        history, candidates = support.ids(5000), support.ids(200)
        want = retriever.retrieve(history, candidates, 50)
        want.sort(axis=1)
        ended, wrong = threading.Event(), []

        def work():
            while not ended.is_set():
                found = retriever.retrieve(history, candidates, 50)
                found.sort(axis=1)
                if (found != want).any():
                    wrong.append(found)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        changed = 0
        for _ in range(200):
            for target in (*eta_simd.targets(), None):
                try:
                    eta_simd.set_target(target)
                    changed += 1
                except RuntimeError as error:
                    self.assertIn("other threads run kernels", str(error))
        ended.set()
        for thread in threads:
            thread.join()
        eta_simd.set_target(None)
        self.assertEqual(wrong, [])


class Processes(unittest.TestCase):
    def run_code(self, code):
        # Python 3.12 and later warn of fork() in a process with threads.
        return subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
                              text=True, capture_output=True, check=False, timeout=120,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})

    def test_fork(self):
        code = """
import os, sys, numpy as np, eta_simd
retriever = eta_simd.Retriever("eta:64", np.eye(64, dtype=np.float32), threads=2)
offsets, ids = np.int64([0, 64, 128]), np.int32(list(range(64)) * 2)
call = lambda threads: retriever.retrieve_batch(offsets, ids, offsets, ids, 4, threads=threads)
want = call(2)
if os.fork() == 0:
    assert (call(1) == want).all()
    try:
        call(2)
    except RuntimeError as error:
        os._exit(7 if "fork" in str(error) else 1)
    os._exit(2)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
        done = self.run_code(code)
        self.assertEqual((done.returncode, done.stderr), (7, ""))

    @unittest.skipIf(support.NO_FAISS, "built without FAISS")
    def test_fork_with_a_method_that_threads_by_itself(self):
        code = """
import os, sys, numpy as np, eta_simd
ids = np.arange(64, dtype=np.int32)
two, one = (eta_simd.Retriever("faiss_exact", np.eye(64, dtype=np.float32), threads=threads)
            for threads in (2, 1))
prepared, want = two.prepare(ids), one.retrieve(ids, ids, 1)
assert (two.retrieve(prepared, ids, 1) == want).all()
if os.fork() == 0:
    assert (one.retrieve(ids, ids, 1) == want).all()
    offsets, refused = np.int64([0, 64]), 0
    for call in (lambda: two.retrieve(prepared, ids, 1), lambda: two.prepare(ids),
                 lambda: two.retrieve_batch(offsets, ids, offsets, ids, 1, threads=1)):
        try:
            call()
        except RuntimeError as error:
            refused += "fork" in str(error)
    os._exit(refused)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
        done = self.run_code(code)
        self.assertEqual((done.returncode, done.stderr), (3, ""))

    def test_fork_while_a_kernel_runs(self):
        code = """
import os, sys, threading, time, numpy as np, eta_simd
# Imports what follows: a child whose parent imports while it forks waits for the lock forever.
eta_simd.set_target(None)
rows = np.ones((200000, 64), np.float32)
eta_simd.dot_topk(rows[:1], rows[:1], 1)
running = threading.Event()
def work():
    running.set()
    while True:
        eta_simd.dot_topk(rows, rows[:64], 8)
threading.Thread(target=work, daemon=True).start()
running.wait()
time.sleep(0.05)
if os.fork() == 0:
    eta_simd.set_target(None)
    sys.exit(7)
sys.stdout.flush()
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
        done = self.run_code(code)
        self.assertEqual((done.returncode, done.stderr), (7, ""))

    def test_end_while_threads_run(self):
        code = """
import threading, time, numpy as np, eta_simd
retriever = eta_simd.Retriever("exact", np.ones((1000, 64), np.float32))
ids = np.arange(1000, dtype=np.int32)
def work():
    while True:
        retriever.retrieve(ids, ids[:64], 32)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""
        for _ in range(5):
            done = self.run_code(code)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_unknown_target_in_the_environment(self):
        done = subprocess.run(
            [sys.executable, "-c", "import eta_simd; eta_simd.targets()"], text=True,
            capture_output=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ETA_SIMD_TARGET": "NONE"})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.splitlines()[-1], "ImportError: .*NONE")


if __name__ == "__main__":
    unittest.main()
