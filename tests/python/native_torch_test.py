#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of eta_simd.torch: the same positions as PyTorch's product and sort."""
import doctest
import os
import sys
import types
import unittest

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import native_support as support
import numpy as np

try:
    import torch
except ImportError as missing:
    print(f"skipped: {missing} (scripts/setup.sh train)")
    sys.exit(support.SKIPPED)

import eta_simd.torch
from eta_simd import Hyperplanes
from eta_simd.ctr.native_eta import NativeEta
from eta_simd.ctr.units import Eta, pack
from eta_simd.torch import EtaRetrieval


class Positions(unittest.TestCase):
    def units(self, bits, k, threads):
        options = types.SimpleNamespace(dim=16, heads=4, bits=bits, k=k, threads=threads)
        units = [make(options, np.random.RandomState(1)) for make in (Eta, NativeEta)]
        for unit in units:
            unit.refresh(torch.from_numpy(support.table()))
        return units

    def test_same_as_the_unit_in_pytorch(self):
        source = torch.Generator().manual_seed(1)
        for bits, k, groups, length, count, threads in (
                (8, 5, 3, 40, 7, 1), (8, 200, 2, 70, 6, 1), (64, 16, 20, 200, 5, 3),
                (300, 9, 4, 65, 4, 2), (8, 3, 1, 1, 1, 1)):
            pure, native = self.units(bits, k, threads)
            window = torch.randint(300, (groups, length), generator=source)
            candidates = torch.randint(300, (groups, count), generator=source)
            ends = torch.randint(length + 1, (groups, count), generator=source)
            valid = torch.arange(length) < ends.unsqueeze(2)
            want, want_found = pure.choose(window, candidates, valid)
            found_at, found = native.choose(window, candidates, valid)
            self.assertEqual(found_at.dtype, torch.int64)
            self.assertTrue(torch.equal(found, want_found))
            self.assertTrue(torch.equal(found_at[found], want[found]))
            rows = torch.sort(found_at, dim=2).values  # what fills a row up is distinct and unused
            self.assertTrue((rows.diff(dim=2) > 0).all())
            self.assertTrue((rows >= 0).all() and (rows < length).all())

    def test_same_training_and_evaluation(self):
        for is_training in (False, True):
            results = []
            for unit in self.units(64, 8, 1):
                unit.train(is_training)
                torch.manual_seed(2)
                rows = torch.randn(2, 50, 16, requires_grad=True)
                targets = torch.randn(2, 3, 16)
                window = torch.randint(300, (2, 50))
                valid = torch.arange(50) < torch.tensor([[50, 3, 0], [20, 8, 50]]).unsqueeze(2)
                interest, _ = unit(rows, window, valid, targets, torch.randint(300, (2, 3)))
                interest.sum().backward()
                results.append((interest.detach(), rows.grad))
            for one, other in zip(*results):
                self.assertTrue(torch.equal(one, other))

    def test_lists(self):
        table = torch.from_numpy(support.table())
        retrieval = EtaRetrieval(4, Hyperplanes(16, 32), threads=2)
        retrieval.refresh(table)
        offsets, items = torch.tensor([0, 10, 10, 13]), torch.randint(300, (13,))
        found = retrieval.lists(offsets, items, torch.tensor([0, 2, 3, 4]),
                                torch.randint(300, (4,)))
        self.assertEqual((found.shape, found.dtype), ((4, 4), torch.int64))
        self.assertTrue((found[2] == -1).all())
        self.assertEqual(sorted(found[3].tolist()), [-1, 0, 1, 2])

    def test_codes_are_those_of_the_hyperplanes(self):
        planes = torch.randn(16, 40)
        table = torch.from_numpy(support.table())
        window, candidates = torch.arange(100).view(1, 100), torch.arange(20).view(1, 20)
        first, second = EtaRetrieval(10, planes), EtaRetrieval(10)
        first.refresh(table)
        second.set_codes(pack(table @ planes))
        self.assertTrue(torch.equal(first(window, candidates)[0], second(window, candidates)[0]))

    def test_refusals(self):
        retrieval = EtaRetrieval(4)
        ids = torch.zeros(1, 2, dtype=torch.int64)
        with self.assertRaisesRegex(ValueError, "no codes yet"):
            retrieval(ids, ids)
        with self.assertRaisesRegex(ValueError, "refresh needs hyperplanes"):
            retrieval.refresh(torch.eye(4))
        retrieval.set_codes(np.zeros((3, 2), np.uint8))
        with self.assertRaisesRegex(ValueError, r"candidate.* 3 "):
            retrieval(ids, ids + 3)
        with self.assertRaisesRegex(ValueError, "beyond 32 bits"):
            retrieval(ids, ids + 2 ** 32)
        with self.assertRaisesRegex(TypeError, "float32"):
            retrieval(ids, ids.float())
        with self.assertRaisesRegex(ValueError, r"ends\[1\] = 3 of a window of 2"):
            retrieval(ids, ids, torch.tensor([[2, 3]]))

    def test_examples(self):
        self.assertEqual(doctest.testmod(eta_simd.torch).failed, 0)


if __name__ == "__main__":
    unittest.main()
