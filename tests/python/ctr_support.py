# SPDX-License-Identifier: Apache-2.0
"""What the tests of the CTR models share: tiny data and tiny models. Skips without PyTorch."""
import os
import tempfile
import unittest
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import support

support.need("numpy", "torch", purpose="train")
import torch

from eta_simd.ctr import command, data, train

PLANTED = ("--users", "60", "--topics", "12", "--side", "3", "--categories", "4", "--length", "48",
           "--recent", "10", "--interests", "5", "--repeats", "4", "--dim", "8")
TINY = ("--dim", "16", "--heads", "2", "--max-history", "40", "--short", "5", "--k", "6",
        "--bits", "20", "--hashes", "5", "--rounds", "3", "--buckets", "6", "--slots", "3",
        "--group", "4", "--cost", "4000", "--rate", "0.02")


def options_of(bundle, model, *extra):
    """The options that train_ctr.py would have."""
    return command.parse_options(["--bundle", str(bundle), "--model", model, "--out", "nowhere",
                                  *TINY, *map(str, extra)])


class TrainedTest(unittest.TestCase):
    """With a planted bundle in cls.bundle and folders to make in cls.folder."""
    temporary: tempfile.TemporaryDirectory
    folder: Path
    bundle: Path

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.bundle = cls.folder / "planted"
        done = support.call("make_planted.py", "--out", cls.bundle, *PLANTED)
        if done.returncode:
            raise AssertionError(done.stderr)
        torch.set_num_threads(1)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def fitted(self, model, *extra):
        """The bundle, the options, and a model after one epoch."""
        bundle = data.load_bundle(self.bundle, 1)
        options = options_of(self.bundle, model, "--epochs", 1, *extra)
        return bundle, options, train.fit(bundle, options)[0]
