#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a tiny model of every kind and has ctr_bench compare its logits with PyTorch's; runs
freshness_bench on two of them.

  ctr_parity_test.py CTR_BENCH FRESHNESS_BENCH

Exit code 77: PyTorch or NumPy is missing."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import support

support.need("numpy", "torch", purpose="train")
import numpy as np

from eta_simd.ctr import MODELS

PLANTED = ("--users", "40", "--topics", "12", "--side", "3", "--categories", "4", "--length", "48",
           "--recent", "10", "--interests", "5", "--repeats", "4", "--dim", "8")
TINY = ("--epochs", "2", "--dim", "20", "--heads", "5", "--max-history", "40", "--short", "5",
        "--k", "6", "--bits", "21", "--hashes", "5", "--rounds", "3", "--buckets", "6", "--slots",
        "3", "--group", "4", "--cost", "4000", "--rate", "0.05")
# Widths around those at which penalties are doubled, of a byte and of two.
RETRIEVALS = ("eta:8", "eta_norm:256", "eta_norm:264", "eta_asym:21", "eta_asym:129", "pq4:24",
              "exact")
BENCH = FRESHNESS = ""  # from the command line


def python(script, *arguments):
    done = support.call(script, *arguments)
    if done.returncode:
        raise AssertionError(done.stderr)


def bench(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], text=True, capture_output=True,
                          check=False)


class Parity(unittest.TestCase):
    temporary: tempfile.TemporaryDirectory
    folder: pathlib.Path

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        python("make_planted.py", "--out", cls.folder / "planted", *PLANTED)
        for model in MODELS:
            python("train_ctr.py", "--bundle", cls.folder / "planted", "--model", model, "--out",
                   cls.folder / model, *TINY)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_every_model_agrees_with_pytorch(self):
        done = bench("--item-tables", "both", "--check", *(self.folder / model for model in MODELS))
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        lines = done.stdout.splitlines()[1:]
        self.assertEqual([line.split()[0] for line in lines],
                         [model for model in MODELS for _ in ("tables", "no tables")])
        for line in lines:
            self.assertTrue(line.endswith("ok"), line)
            self.assertLessEqual(float(line.split()[3]), 1e-4, line)

    def test_eight_bits_stay_within_their_own_tolerance(self):
        path = self.folder / "precision.json"
        folders = [self.folder / model for model in MODELS]
        done = bench("--precision", "int8", "--check", *folders)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        for line in done.stdout.splitlines()[1:]:
            self.assertEqual((line.split()[1], line.split()[-1]), ("int8", "ok"), line)
            self.assertGreater(float(line.split()[3]), 1e-4, line)  # what float32 may differ by
        done = bench("--precision", "float32,int8", "--length", 40, "--requests", 2, "--rounds", 1,
                     "--json", path, self.folder / "eta")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(path.read_text())["rows"]
        self.assertEqual([row["precision"] for row in rows], ["float32", "int8"])
        self.assertLess(*(row["largest_logit_difference"] for row in rows))
        done = bench("--precision", "int9", "--check", self.folder / "eta")
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn("--precision", done.stderr)

    def test_pytorchs_row_names_the_forms_that_won(self):
        torch, path = self.folder / "torch.jsonl", self.folder / "torch.json"
        line = {"model": "eta", "torch": "1.13", "threads": 1, "candidates": 256, "length": 40,
                "p99_us": 9.0, "candidates_per_s": 5.0}
        lines: list = [{"p50_us": 3e6, "form": "torchscript"},
                       {"p50_us": 5e6, "form": "eager_int8"},
                       {"p50_us": 4e6, "form": "torchscript"}]
        arguments = ("--length", 40, "--requests", 2, "--rounds", 1, "--torch", torch, "--json",
                     path, self.folder / "eta")
        cases: list = [(lines, "torchscript+eager_int8"), (lines[:1], "torchscript"),
                       ([{"p50_us": 4e6}], None)]
        for more, named in cases:
            torch.write_text("".join(json.dumps({**line, **one}) + "\n" for one in more))
            done = bench(*arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            ours, theirs = json.loads(path.read_text())["rows"]
            self.assertEqual((ours["form"], theirs["form"]), (None, named))
            self.assertEqual(theirs["request_p50_us"], sum(o["p50_us"] for o in more) / len(more))
            self.assertGreater(ours["speed_vs_torch"], 1)
        torch.write_text(json.dumps({**line, **lines[0], "form": 3}))
        done = bench(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("torch.jsonl: line 1", done.stderr)

    def test_eta_trained_with_any_retrieval_agrees_with_pytorch(self):
        folders = []
        for retrieval in RETRIEVALS:
            folders.append(self.folder / f"by-{retrieval.replace(':', '-')}")
            python("train_ctr.py", "--bundle", self.folder / "planted", "--model", "eta",
                   "--retrieval", retrieval, "--out", folders[-1], *TINY, "--epochs", "1")
            manifest = json.loads((folders[-1] / "manifest.json").read_text())
            name, _, bits = retrieval.partition(":")
            self.assertEqual(manifest["model"], name)
            self.assertEqual(manifest["settings"].get("bits"), int(bits) if bits else None)
        done = bench("--item-tables", "both", "--check", *folders)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        lines = done.stdout.splitlines()[1:]
        self.assertEqual(len(lines), 2 * len(RETRIEVALS))
        for line in lines:
            # A position that differs would show: it moves a logit by more than rounding.
            self.assertLessEqual(float(line.split()[3]), 1e-5, line)

    def test_another_retrieval_serves_a_model(self):
        path = self.folder / "swapped.json"
        done = bench("--length", 40, "--requests", 2, "--rounds", 1, "--json", path, "--retrieval",
                     "own,eta:21,exact,recent", self.folder / "eta", self.folder / "recent")
        self.assertEqual((done.returncode, done.stdout != ""), (0, True), done.stderr)
        rows = {(r["model"], r["retrieval"]): r for r in json.loads(path.read_text())["rows"]}
        self.assertEqual(len(rows), 8)
        # The model's own hyperplanes, so its own codes; what is served otherwise has no parity.
        self.assertEqual(rows["eta", "eta:21"]["auc"], rows["eta", "own"]["auc"])
        self.assertEqual(rows["recent", "recent"]["auc"], rows["recent", "own"]["auc"])
        self.assertNotEqual(rows["eta", "recent"]["auc"], rows["eta", "own"]["auc"])
        self.assertEqual(rows["eta", "own"]["k"], 6)
        self.assertLessEqual(rows["eta", "own"]["largest_logit_difference"], 1e-4)
        self.assertNotIn("largest_logit_difference", rows["eta", "exact"])
        for arguments, word in ((("--retrieval", "exact", self.folder / "avg_pool"), "avg_pool"),
                                (("--k", "3", self.folder / "none"), "none"),
                                (("--retrieval", "faiss_exact", self.folder / "eta"), "faiss"),
                                (("--retrieval", "eta:0", self.folder / "eta"), "eta:0")):
            done = bench(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(word, done.stderr)

    def test_logits_of_the_test_samples_are_written(self):
        path = self.folder / "logits.json"
        done = bench("--length", 40, "--requests", 2, "--rounds", 1, "--logits", "--json", path,
                     self.folder / "eta", self.folder / "none")
        self.assertEqual(done.returncode, 0, done.stderr)
        run = json.loads(path.read_text())
        samples = np.load(self.folder / "eta" / "test" / "samples.npy")
        self.assertEqual(len(run["samples"]), 1)  # both have the same
        for column, key in ((0, "users"), (2, "ends"), (3, "items"), (4, "labels")):
            self.assertEqual(run["samples"][0][key], samples[:, column].tolist(), key)
        for row in run["rows"]:
            exported = np.load(self.folder / row["model"] / "test" / "logits.npy")
            self.assertLessEqual(np.abs(np.array(row["logits"]) - exported).max(), 1e-4)
            self.assertEqual(row["samples"], 0)
        done = bench("--logits", self.folder / "eta")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--json", done.stderr)

    def test_a_difference_ends_with_exit_code_1(self):
        path = self.folder / "eta" / "test" / "logits.npy"
        logits = np.load(path)
        try:
            changed = logits.copy()
            changed[3] += 3e-4
            np.save(path, changed)
            done = bench("--check", self.folder / "eta")
        finally:
            np.save(path, logits)
        self.assertEqual(done.returncode, 1)
        self.assertIn("MISMATCH", done.stdout)

    def test_times_requests(self):
        csv = self.folder / "rows.csv"
        done = bench(self.folder / "eta", self.folder / "full_attention", "--requests", 3,
                     "--length", 30, "--candidates", 70, "--csv", csv, "--json",
                     self.folder / "rows.json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split(",") for line in csv.read_text().splitlines()]
        self.assertEqual([row[0] for row in rows], ["model", "eta", "full_attention"])
        self.assertGreater(float(rows[1][rows[0].index("request_p50_us")]), 0)

    def test_bad_input_ends_with_exit_code_2(self):
        for arguments in ((), (self.folder / "nothing",), (self.folder / "eta", "--length", 41),
                          (self.folder / "eta", "--requests", 0)):
            done = bench(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_retrieval_bench_reads_the_bundle(self):
        for model in ("eta", "full_attention"):
            report = self.folder / f"retrieval-{model}.json"
            done = subprocess.run(
                [pathlib.Path(BENCH).with_name("retrieval_bench"), "--data",
                 self.folder / model / "bundle", "--methods", "exact,eta:21", "--k", "6",
                 "--repeats", "1", "--quiet", "--json", report], text=True,
                capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = json.loads(report.read_text())["rows"]
            self.assertEqual([row["method"] for row in rows], ["exact", "eta:21"])
            self.assertEqual(rows[0]["recall"], 1)
            self.assertGreater(rows[1]["recall"], 0.2)

    def test_refuses_hyperplanes_that_contradict(self):
        model = self.folder / "contradiction"
        shutil.copytree(self.folder / "eta", model)
        planes = np.load(model / "bundle" / "hyperplanes.npy")
        np.save(model / "bundle" / "hyperplanes.npy", -planes)
        done = bench("--check", model)
        self.assertEqual(done.returncode, 2)
        self.assertIn("hyperplanes.npy: is not the same", done.stderr)

    def test_freshness_draws_no_nonsense(self):
        row = {"method": "eta", "step": 7, "recall_ties": 0.5, "auc": None}
        good = {"rows": [row], "costs": {"rehash_ms_per_million": 1.5, "rebuild_ms_per_million": 2}}
        report, picture = self.folder / "good.json", self.folder / "good.png"
        report.write_text(json.dumps(good))
        python("freshness.py", "--json", report, "--out", picture)
        self.assertTrue(picture.exists())
        for key, value in (("step", "7"), ("step", 10**400), ("auc", [1]), ("auc", "x"),
                           ("method", "$"), ("method", [1]), ("recall_ties", float("nan"))):
            report, picture = self.folder / "bad.json", self.folder / "bad.png"
            report.write_text(json.dumps({**good, "rows": [{**row, key: value}]}))
            done = support.call("freshness.py", "--json", report, "--out", picture)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done.stderr)
            self.assertFalse(picture.exists())

    def test_freshness_knows_reports_with_and_without_product_codes(self):
        row = {"method": "pq4:kept", "step": 7, "recall_ties": 0.5, "auc": None}
        costs: dict = {"rehash_ms_per_million": 1.5, "rebuild_ms_per_million": 2}
        pq4: dict = {"pq4_bits": 8, "pq4_encode_ms_per_million": 3.5, "pq4_train_ms": 4}
        cases: list[tuple] = [("old", {}, 0), ("new", pq4, 0),
                              ("bad", {**pq4, "pq4_train_ms": "x"}, 2), ("few", {"pq4_bits": 8}, 2),
                              ("nan", {**pq4, "pq4_train_ms": float("nan")}, 2)]
        for name, value, code in cases:
            report = self.folder / f"{name}.json"
            report.write_text(json.dumps({"rows": [row], "costs": {**costs, **value}}))
            done = support.call("freshness.py", "--json", report, "--out",
                                self.folder / f"{name}.png")
            self.assertEqual(done.returncode, code, done.stderr)

    def freshness(self, *arguments):
        return subprocess.run([FRESHNESS, *map(str, arguments)], text=True, capture_output=True,
                              check=False)

    def test_freshness_over_two_snapshots(self):
        series = self.folder / "series"
        series.mkdir()
        python("train_ctr.py", "--bundle", self.folder / "planted", "--model", "eta", "--out",
               series / "step_000000", *TINY, "--epochs", 0)
        shutil.copytree(self.folder / "eta", series / "step_000010")
        report = self.folder / "freshness.json"
        done = self.freshness(series, "--rebuild", "10,11", "--json", report)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {(row["method"], row["step"]): row for row in json.loads(report.read_text())["rows"]}
        index = {key: row["index_step"] for key, row in rows.items()}
        self.assertEqual({method: index[method, 10] for method, step in index if step == 10},
                         {"eta": 10, "eta:stale": 0, "pq4:kept": 0, "pq4:retrained": 10,
                          "sim_soft:stale": 0, "sim_soft:fresh": 10, "sim_soft:10": 10,
                          "sim_soft:11": 0})
        self.assertEqual(rows["eta", 0]["recall"], rows["eta:stale", 0]["recall"])
        # Before any training embeddings know nothing: about K of the window by chance.
        self.assertGreater(rows["sim_soft:fresh", 10]["recall_ties"], 0.9)
        self.assertLess(rows["sim_soft:stale", 10]["recall_ties"], 0.5)
        self.assertGreater(rows["eta", 10]["recall_ties"],
                           rows["eta:stale", 10]["recall_ties"] + 0.1)
        for row in rows.values():
            self.assertTrue(0 <= row["auc"] <= 1)
        # Codes of the current embeddings by codebooks of noise are still far better than old codes.
        self.assertEqual(rows["pq4:kept", 0]["recall"], rows["pq4:retrained", 0]["recall"])
        kept, retrained = (rows[f"pq4:{name}", 10]["recall_ties"] for name in ("kept", "retrained"))
        self.assertGreater(kept, rows["eta:stale", 10]["recall_ties"] + 0.1)
        self.assertGreater(retrained, kept)
        costs = json.loads(report.read_text())["costs"]
        self.assertEqual(costs["pq4_bits"], 16)  # ETA has 21
        self.assertGreater(costs["pq4_encode_ms_per_million"], 0)
        self.assertGreater(costs["pq4_train_ms"], 0)
        self.assertIn("pq4 with 16 bits: encoded again", done.stdout)
        later = self.folder / "later.json"
        self.assertEqual(self.freshness(series, "--from", 5, "--json", later).returncode, 0)
        self.assertEqual({(row["step"], row["index_step"])
                          for row in json.loads(later.read_text())["rows"]}, {(10, 10)})
        picture = self.folder / "freshness.png"
        python("freshness.py", "--json", report, later, "--out", picture)
        self.assertEqual(picture.read_bytes()[:4], b"\x89PNG")

    def test_freshness_refuses_other_folders(self):
        other = self.folder / "other"
        shutil.copytree(self.folder / "twin", other / "step_000001")
        series = self.folder / "one"
        shutil.copytree(self.folder / "eta", series / "step_000001")
        two, mixed = self.folder / "two", self.folder / "mixed"
        for name in ("step_4", "step_04"):
            shutil.copytree(self.folder / "eta", two / name)
        shutil.copytree(self.folder / "eta", mixed / "step_1")
        python("train_ctr.py", "--bundle", self.folder / "planted", "--model", "eta", "--out",
               mixed / "step_2", *TINY, "--epochs", 0, "--k", 5)
        for arguments in ((), (self.folder / "eta",), (other,), (self.folder / "nothing",),
                          (series, "--from", 2), (two,), (mixed,)):
            done = self.freshness(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    BENCH, FRESHNESS = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main()
