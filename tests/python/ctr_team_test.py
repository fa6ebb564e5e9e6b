#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of training by several processes, and of going on from a checkpoint. Exit code 77: PyTorch
or NumPy is missing."""
import json
import os
import signal
import socket
import subprocess
import time
import unittest

import support
from ctr_support import PLANTED, TINY, TrainedTest, options_of

import numpy as np
import torch

from eta_simd.command import BadInput
from eta_simd.ctr import data, train
from eta_simd.ctr.team import Team


# Does what torchrun does for the processes of one machine: COUNT COMMAND...
START = """
import os, subprocess, sys, time
size, *command = sys.argv[1:]
ranks = [subprocess.Popen([sys.executable, *command], env={**os.environ, "RANK": str(rank),
                                                           "WORLD_SIZE": size})
         for rank in range(int(size))]
while any(rank.poll() is None for rank in ranks):
    if any(rank.poll() for rank in ranks):
        for rank in ranks:
            rank.kill()
    time.sleep(0.05)
sys.exit(any(rank.returncode for rank in ranks))
"""


def has_torchrun():
    """Whether torchrun can start: Debian 13's PyTorch lacks libuv, which it asks for."""
    try:
        torch.distributed.TCPStore("localhost", 0, 1, True)
    except RuntimeError as error:
        if "libuv" not in str(error):
            raise
        return False
    return True


class Killed(Exception):
    pass


class Checkpoints(TrainedTest):
    def fit(self, *extra, on_step=None):
        bundle = data.load_bundle(self.bundle, 1)
        options = options_of(self.bundle, "eta", "--epochs", 3, "--patience", 1, *extra)
        return train.fit(bundle, options, on_step)

    def same(self, a, b):
        for name, value in a[0].state_dict().items():
            self.assertTrue(torch.equal(value, b[0].state_dict()[name]), name)
        for first, second in zip(a[1]["epochs"], b[1]["epochs"]):
            self.assertEqual(repr({**first, "seconds": 0}), repr({**second, "seconds": 0}))
        self.assertEqual(a[1]["best_epoch"], b[1]["best_epoch"])

    def test_a_killed_training_goes_on_as_if_nothing_had_been(self):
        path, seen = self.folder / "checkpoint", []
        whole = self.fit(on_step=lambda step, _: seen.append(step))
        steps = whole[1]["epochs"][0]["steps"]

        def kill(step, _):
            if step == steps + 2:
                raise Killed
        with self.assertRaises(Killed):
            self.fit("--checkpoint", path, on_step=kill)
        self.assertTrue(path.exists())
        again: list = []
        self.same(self.fit("--checkpoint", path, on_step=lambda step, _: again.append(step)), whole)
        self.assertEqual(again[0], steps + 1)  # the first epoch is not done twice
        again.clear()
        done = self.fit("--checkpoint", path, on_step=lambda step, _: again.append(step))
        self.same(done, whole)
        self.assertEqual(again, [])
        # The time of all trainings together, though this one had nothing to do.
        self.assertGreater(done[1]["train_seconds"],
                           sum(epoch["seconds"] for epoch in done[1]["epochs"]) - 0.01)

    def test_a_checkpoint_of_something_else_is_refused(self):
        path = self.folder / "other"
        self.fit("--checkpoint", path)
        with self.assertRaisesRegex(BadInput, "other: of a training with other settings: seed"):
            self.fit("--checkpoint", path, "--seed", 2)
        path.write_bytes(b"nonsense")
        with self.assertRaisesRegex(BadInput, "other: not a checkpoint"):
            self.fit("--checkpoint", path)


def start_two(code, meeting, *arguments):
    """Two processes that run `code` as a Team, which meets by a new file; sys.argv[1:] are the
    arguments."""
    team = ("import os\n"
            "from torch import distributed\n"
            f"distributed.init_process_group('gloo', init_method='file://{meeting}',\n"
            "                               rank=int(os.environ['RANK']), world_size=2)\n")
    path = os.pathsep.join([str(support.ROOT / "python"), str(support.ROOT / "tests/python")])
    return [subprocess.Popen(
        ["/usr/bin/python3", "-c", team + code, *map(str, arguments)], text=True,
        env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE) for rank in range(2)]


class Replicas(TrainedTest):
    CODE = """
import hashlib, pathlib, signal, sys
import ctr_support
from eta_simd.ctr import data, train
bundle, checkpoint, is_killed = sys.argv[1:]
def on_step(step, _):
    if is_killed == "True" and pathlib.Path(checkpoint).exists():
        os.kill(os.getpid(), signal.SIGKILL)
options = ctr_support.options_of(bundle, "eta", "--epochs", 3, "--checkpoint", checkpoint)
model, _ = train.fit(data.load_bundle(options.bundle, 1), options, on_step)
digest = hashlib.sha256()
for name, value in sorted(model.state_dict().items()):
    digest.update(name.encode() + value.numpy().tobytes())
print(digest.hexdigest())
"""

    def digests(self, checkpoint, is_killed=False):
        """Of the state of the model in each process, with its exit code."""
        meeting = self.folder / f"meeting-{checkpoint.name}-{is_killed}-{checkpoint.exists()}"
        started = start_two(self.CODE, meeting, self.bundle, checkpoint, is_killed)
        results = [process.communicate() for process in started]
        return [(process.returncode, *result) for process, result in zip(started, results)]

    def test_have_one_state_whether_killed_or_not(self):
        whole = self.digests(self.folder / "undisturbed")
        self.assertEqual([code for code, *_ in whole], [0, 0], whole)
        self.assertRegex(whole[0][1], "^[0-9a-f]{64}\n$")
        checkpoint = self.folder / "killed"
        killed = self.digests(checkpoint, is_killed=True)
        self.assertIn(-signal.SIGKILL, [code for code, *_ in killed], killed)
        self.assertEqual([text for _, text, _ in killed], ["", ""])
        resumed = self.digests(checkpoint)
        self.assertEqual({text for _, text, _ in whole + resumed}, {whole[0][1]}, resumed)


class Gradients(support.FolderTest):
    CODE = (
        "import torch\n"
        "from eta_simd.ctr.team import Team\n"
        "rank = distributed.get_rank()\n"
        "model, team = torch.nn.Linear(2, 1), Team()\n"
        "for weights in ((1, 3), (0, 2)):\n"
        "    model.zero_grad(set_to_none=True)\n"
        "    if weights[rank]:\n"
        "        model.weight.grad = torch.tensor([[1.0, -2.0], [5.0, 2.0]])[rank:rank + 1]\n"
        "    if rank:\n"
        "        model.bias.grad = torch.tensor([4.0])\n"
        "    team.average_gradients(model, weights[rank])\n"
        "    print([p.grad.tolist() for p in model.parameters()])\n")

    def test_two_processes_get_the_mean_over_their_samples(self):
        for process in start_two(self.CODE, self.folder / "meeting"):
            # Of 1 and 3 samples, then of none and 2; without a gradient it is 0.
            self.assertEqual(process.communicate()[0], "[[[4.0, 1.0]], [3.0]]\n"
                             "[[[5.0, 2.0]], [4.0]]\n")
            self.assertEqual(process.returncode, 0)


class Processes(TrainedTest):
    """Of torchrun. They share the machine with other tests, so that nothing is timed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bundle = cls.folder / "many"  # 600 test samples: AUC has a standard error of 0.024
        support.call("make_planted.py", "--out", cls.bundle, *PLANTED, "--users", 600)

    def start(self, processes, out, *extra):
        command = [support.SCRIPTS / "train_ctr.py", "--bundle", self.bundle, "--model", "eta",
                   "--out", out, *TINY, "--epochs", "3", *extra]
        environment = dict(os.environ)
        # --standalone of PyTorch 1.13 takes one port, which another test may have.
        with socket.create_server(("localhost", 0)) as server:
            port = str(server.getsockname()[1])
        if processes > 1 and has_torchrun():
            # Names no rank: with Python 3.11 PyTorch 1.13 fails over what is not given here.
            command[:0] = ["-m", "torch.distributed.run", "--rdzv_backend", "c10d",
                           "--rdzv_endpoint", f"localhost:{port}", "--redirects", "9:1", "--tee",
                           "9:1", "--nproc_per_node", processes]
        elif processes > 1:
            command[:0] = ["-c", START, processes]
            environment.update(MASTER_ADDR="localhost", MASTER_PORT=port, USE_LIBUV="0")
        command.insert(0, "/usr/bin/python3")
        return subprocess.Popen(list(map(str, command)), start_new_session=True, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def train(self, processes, out, *extra):
        done = self.start(processes, out, *extra)
        text = done.communicate()[0].decode()
        self.assertEqual(done.returncode, 0, text)
        return json.loads((out / "report.json").read_text())

    def test_two_processes_train_what_one_does_and_go_on_when_killed(self):
        one, two = (self.train(count, self.folder / f"by_{count}") for count in (1, 2))
        whole, path = self.folder / "by_2", self.folder / "checkpoint"
        files = [[path.relative_to(self.folder / f"by_{count}") for path in sorted(
            (self.folder / f"by_{count}").rglob("*"))] for count in (1, 2)]
        self.assertEqual(*files)
        self.assertGreater(one["test"]["samples"], 500)
        self.assertLess(abs(one["test"]["auc"] - two["test"]["auc"]), 0.06)
        self.assertLess(abs(one["epochs"][-1]["train_loss"] - two["epochs"][-1]["train_loss"]),
                        0.05)
        killed = self.start(2, self.folder / "killed", "--checkpoint", path)
        while not path.exists() and killed.poll() is None:
            time.sleep(0.02)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
        self.assertFalse((self.folder / "killed").exists())
        self.train(2, self.folder / "resumed", "--checkpoint", path)
        arrays = [name for name in files[0] if name.suffix == ".npy"]
        self.assertGreater(len(arrays), 10)
        for name in arrays:
            self.assertEqual((whole / name).read_bytes(),
                             (self.folder / "resumed" / name).read_bytes(), name)


class Alone(unittest.TestCase):
    def test_one_process_is_as_before(self):
        team = Team()
        self.assertEqual((team.size, team.is_lead, team.most(3), team.sums(1.5, 2)),
                         (1, True, 3, [1.5, 2]))
        np.testing.assert_array_equal(team.random(3).random_sample(5),
                                      np.random.RandomState(3).random_sample(5))
        self.assertEqual(team.from_lead(lambda: 4), 4)


if __name__ == "__main__":
    unittest.main()
