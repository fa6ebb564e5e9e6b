#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/train_ctr.py and what belongs to it, on tiny data. Exit code 77: PyTorch or
NumPy is missing."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing} (scripts/setup.sh train)")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]
import ctr_reference  # noqa: E402
import train_ctr  # noqa: E402
from ctr import MODELS, attention, data, export, train, units  # noqa: E402
from ctr.errors import BadInput  # noqa: E402

PLANTED = ["--users", "60", "--topics", "12", "--side", "3", "--categories", "4", "--length", "48",
           "--recent", "10", "--interests", "5", "--repeats", "4", "--dim", "8"]
TINY = ["--dim", "16", "--heads", "2", "--max-history", "40", "--short", "5", "--k", "6",
        "--bits", "20", "--hashes", "5", "--rounds", "3", "--buckets", "6", "--slots", "3",
        "--group", "4", "--cost", "4000", "--rate", "0.02"]


def script(name, *arguments):
    return subprocess.run(["/usr/bin/python3", ROOT / "scripts" / name, *map(str, arguments)],
                          text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)


def options_of(bundle, model, *extra):
    before, sys.argv = sys.argv, ["train_ctr.py", "--bundle", str(bundle), "--model", model,
                                  "--out", "nowhere", *TINY, *map(str, extra)]
    try:
        return train_ctr.parse_arguments()
    finally:
        sys.argv = before


class Trained(unittest.TestCase):
    """With a planted bundle in cls.bundle and folders to make in cls.folder."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.bundle = cls.folder / "planted"
        done = script("make_planted.py", "--out", cls.bundle, *PLANTED)
        if done.returncode:
            raise AssertionError(done.stderr)
        torch.set_num_threads(1)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def fitted(self, model, *extra):
        bundle = data.load_bundle(self.bundle, 1)
        options = options_of(self.bundle, model, "--epochs", 1, *extra)
        return bundle, options, train.fit(bundle, options)[0]


class Export(Trained):
    def test_every_model_matches_the_numpy_forward_pass(self):
        for name in MODELS:
            with self.subTest(name):
                out = self.folder / f"export-{name}"
                done = script("train_ctr.py", "--bundle", self.bundle, "--model", name, "--out",
                              out, "--epochs", 1, *TINY)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.check_logits(out, name)

    def check_logits(self, out, name):
        manifest, arrays = export.load(out)
        self.assertEqual(manifest["model"], name)
        bundle = data.load_bundle(out / "bundle", 1)
        samples = arrays["samples"]
        self.assertTrue((samples[:, 1] > 0).any())  # some histories are cut
        for row in range(0, len(samples), 7):
            user, begin, end, item, _ = samples[row]
            history = bundle.items[bundle.offsets[user]:bundle.offsets[user + 1]][begin:end]
            self.assertLessEqual(len(history), manifest["settings"]["max_history"])
            expected = ctr_reference.logit(name, bundle.embeddings, bundle.categories, arrays,
                                           manifest["settings"], user, history, item)
            self.assertAlmostEqual(float(arrays["logits"][row]), expected, delta=1e-5)

    def test_empty_history(self):
        for name in ("none", "avg_pool", "full_attention", "eta", "sdim", "mimn"):
            with self.subTest(name):
                bundle, options, model = self.fitted(name)
                rows = np.array([3, 30])
                bundle.samples[rows, data.END] = 0
                logits = train.predict(model, bundle, rows, options)
                weights = export.weights_of(model)
                for row, logit in zip(bundle.samples[rows], logits):
                    expected = ctr_reference.logit(
                        name, model.table.numpy(), bundle.categories, weights,
                        export.settings_of(model, options), row[data.USER],
                        np.zeros(0, int), row[data.ITEM])
                    self.assertAlmostEqual(float(logit), expected, delta=1e-5)

    def test_exported_tables_follow_from_the_item_table(self):
        _, _, model = self.fitted("twin")
        weights, table = export.weights_of(model), model.table.numpy().astype(float)
        for side, matrix in (("twin_queries", "long_query"), ("twin_keys", "long_key")):
            exact = table @ weights[matrix].astype(float)
            exact *= 127 / np.abs(exact).max()
            self.assertEqual(np.abs(weights[side].astype(int)).max(), 127)
            self.assertLess(np.abs(weights[side] - exact).max(), 0.501)
        _, _, model = self.fitted("reformer_lsh")
        weights, table = export.weights_of(model), model.table.numpy().astype(float)
        for r in range(3):
            turned = table @ weights["rotations"][r].astype(float)
            scores = np.concatenate([turned, -turned], axis=1)
            chosen = np.take_along_axis(scores, weights["item_buckets"][:, r:r + 1], axis=1)[:, 0]
            self.assertLess((scores.max(axis=1) - chosen).max(), 1e-5)
        self.assertGreater(len(np.unique(weights["item_buckets"])), 3)

    def test_exported_codes_are_those_of_the_exported_table(self):
        bundle, options, model = self.fitted("eta")
        rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)
        (self.folder / "eta").mkdir()
        export.write_model(self.folder / "eta", model, bundle, options, rows, {})
        _, arrays = export.load(self.folder / "eta")
        table = np.load(self.folder / "eta" / "bundle" / "item_embeddings.npy").astype(float)
        planes = np.load(self.folder / "eta" / "bundle" / "hyperplanes.npy").astype(float)
        projections = table @ planes
        bits = np.unpackbits(arrays["item_codes"], axis=1, bitorder="little")
        self.assertEqual(bits.shape, (len(table), 24))
        self.assertFalse(bits[:, 20:].any())
        clear = np.abs(projections) > 1e-5
        self.assertGreater(clear.mean(), 0.99)
        np.testing.assert_array_equal(bits[:, :20][clear], (projections > 0)[clear])

    def test_script_gives_the_same_logits(self):
        for name in ("none", "eta", "mimn"):
            bundle, _, model = self.fitted(name)
            path = self.folder / f"{name}.pt"
            export.write_script(path, model)
            rows = np.arange(40)
            groups = data.exact_groups(bundle.samples, rows, 40, 4)
            batch = data.make_batch(bundle, groups)
            arguments = [torch.from_numpy(a) for a in
                         (batch.users, batch.window, batch.ends, batch.candidates)]
            with torch.no_grad():
                ours, theirs = model(*arguments)[0], torch.jit.load(str(path))(*arguments)[0]
            real = torch.from_numpy(batch.real)
            torch.testing.assert_close(theirs[real], ours[real], rtol=0, atol=1e-5)

    def test_loader_refuses_a_wrong_shape_or_type(self):
        bundle, options, model = self.fitted("none")
        out = self.folder / "damaged"
        out.mkdir()
        export.write_model(out, model, bundle, options, np.arange(8), {})
        wide = out / "weights" / "wide.npy"
        for array in (np.ones(2, np.float32), np.ones(1, np.float64)):
            np.save(wide, array)
            with self.assertRaisesRegex(BadInput, "wide.npy"):
                export.load(out)
        (out / "manifest.json").write_text('{"format": "eta-ctr", "version": 1}')
        with self.assertRaisesRegex(BadInput, "manifest.json"):
            export.load(out)

    def test_snapshots(self):
        out = self.folder / "snapshots"
        done = script("train_ctr.py", "--bundle", self.bundle, "--model", "eta", "--out", out,
                      "--epochs", 1, "--export-every", 2, *TINY)
        self.assertEqual(done.returncode, 0, done.stderr)
        first, second = (export.load(out / "snapshots" / f"step_{step:06}")[1]["item_codes"]
                         for step in (0, 2))
        self.assertTrue((first != second).any())


class Training(Trained):
    def test_same_seed_same_logits(self):
        rows = np.arange(200)
        logits = []
        for seed in (1, 1, 2):
            bundle, options, model = self.fitted("eta", "--seed", seed)
            logits.append(train.predict(model, bundle, rows, options))
        np.testing.assert_array_equal(logits[0], logits[1])
        self.assertTrue((logits[0] != logits[2]).any())

    def test_neither_padding_nor_the_future_reaches_a_logit(self):
        for name in MODELS:
            for training in (False, True):
                with self.subTest(name, training=training):
                    bundle, _, model = self.fitted(name)
                    model.train(training)
                    rows = np.flatnonzero(bundle.samples[:, data.END] < 45)[:60]
                    groups = data.exact_groups(bundle.samples, rows, 64, 4)
                    batch = data.make_batch(bundle, groups)
                    batch.window = np.pad(batch.window, ((0, 0), (0, 3)))
                    with torch.no_grad():
                        before = train.run(model, batch)[0].numpy()
                        outside = np.arange(batch.window.shape[1]) >= batch.ends.max(1)[:, None]
                        self.assertTrue(outside.any(axis=1).all())
                        batch.window[outside] = np.arange(outside.sum()) % bundle.num_items
                        after = train.run(model, batch)[0].numpy()
                        # Sample 0 of each group also knows nothing of what its group's last sees.
                        future = np.arange(batch.window.shape[1]) >= batch.ends[:, :1]
                        batch.window[future] = (batch.window[future] + 1) % bundle.num_items
                        changed = train.run(model, batch)[0].numpy()
                    np.testing.assert_array_equal(before[batch.real], after[batch.real])
                    np.testing.assert_array_equal(before[:, 0], changed[:, 0])
                    self.assertTrue((before != changed).any())

    def test_masked_and_gathered_attention_agree(self):
        torch.manual_seed(1)
        unit = attention.TargetAttention(8, 2)
        for parameter in unit.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        rows, targets = torch.randn(3, 11, 8), torch.randn(3, 4, 8)
        valid = torch.rand(3, 4, 11) < 0.6
        valid[0, 0] = False
        positions, found = attention.top_k(torch.zeros(3, 4, 11).double(), valid, 11)
        ours, theirs = unit.masked(targets, rows, valid), unit.gathered(targets, rows, positions,
                                                                         found)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
        self.assertTrue((ours[0, 0] == 0).all())
        ours.sum().backward()
        self.assertTrue(all(p.grad.isfinite().all() for p in unit.parameters()))

    def test_ties_go_to_the_newest(self):
        scores = torch.tensor([[[1., 3., 3., 0., 3.]]]).double()
        valid = torch.tensor([[[True, True, True, True, False]]])
        positions, found = attention.top_k(scores, valid, 4)
        self.assertEqual(positions[0, 0].tolist(), [2, 1, 0, 3])
        self.assertEqual(attention.top_k(scores, valid, 5)[1][0, 0].tolist(), [True] * 4 + [False])

    def test_full_attention_learns_and_none_is_blind(self):
        found = {}
        for name in ("none", "full_attention"):
            bundle, options, _ = self.fitted("none")
            options = options_of(self.big(), name, "--epochs", 4, "--max-history", 64, "--cost",
                                 8000)
            bundle = data.load_bundle(self.big(), 1)
            rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TEST)
            model, _ = train.fit(bundle, options)
            found[name] = train.quality(bundle.samples[rows],
                                        train.predict(model, bundle, rows, options))["auc"]
        self.assertLess(abs(found["none"] - 0.5), 0.06, found)
        self.assertGreater(found["full_attention"], 0.65, found)

    def big(self):
        path = self.folder / "big"
        if not path.exists():
            done = script("make_planted.py", "--out", path, *PLANTED, "--users", 1500)
            self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def test_test_samples_never_reach_the_weights(self):
        for name in ("none", "sim_soft"):
            states = []
            for is_changed in (False, True):
                bundle = data.load_bundle(self.bundle, 1)
                test = bundle.samples[:, data.SPLIT] == data.TEST
                if is_changed:
                    bundle.samples[test, data.LABEL] ^= 1
                    bundle.samples[test, data.ITEM] = (
                        bundle.samples[test, data.ITEM] + 1) % bundle.num_items
                options = options_of(self.bundle, name, "--epochs", 4, "--patience", 4)
                states.append(train.fit(bundle, options)[0].state_dict())
            for key, value in states[0].items():
                self.assertTrue(torch.equal(value, states[1][key]), f"{name}: {key}")

    def test_codes_are_of_the_embeddings_before_each_step(self):
        tables = []

        def on_step(step, model):
            if step:
                self.assertTrue(torch.equal(model.long.signs, units.signs_of(
                    tables[-1], model.long.hyperplanes)), step)
            tables.append(model.item_table().detach().clone())

        bundle = data.load_bundle(self.bundle, 1)
        train.fit(bundle, options_of(self.bundle, "eta", "--epochs", 1), on_step)
        self.assertGreater(len(tables), 2)

    def test_sim_soft_keeps_the_auxiliary_index(self):
        bundle, options, model = self.fitted("sim_soft")
        table = train.auxiliary_table(bundle, options, train.Progress())
        self.assertTrue(torch.equal(model.long.index, units.to_int8(torch.from_numpy(table))))


class Samples(unittest.TestCase):
    def bundle(self, times):
        items = np.arange(40) % 20
        bundle = data.Bundle(np.zeros((60, 4), np.float32), np.zeros(60, np.int64), False,
                             np.array([0, 20, 40]), items, times, None, {})
        bundle.samples = data.derive_samples(bundle, 3, 2)
        return bundle

    def test_history_is_strictly_earlier(self):
        times = np.tile(np.repeat(np.arange(10), 2), 2)
        bundle = self.bundle(times)
        positives = bundle.samples[bundle.samples[:, data.LABEL] == 1]
        self.assertEqual(len(positives), 36)  # the first two of each user have no history
        for user, end, item, _, split in positives:
            own = times[20 * user:20 * user + 20]
            at = own[item]
            self.assertEqual(end, (own < at).sum())
            self.assertEqual(split, 0 if at < 8 else at - 7)

    def test_splits_follow_time(self):
        samples = self.bundle(None).samples
        for user in (0, 1):
            own = samples[samples[:, data.USER] == user]
            ends = [own[own[:, data.SPLIT] == split, data.END] for split in range(3)]
            self.assertLess(ends[0].max(), ends[1].min())
            self.assertLess(ends[1].max(), ends[2].min())

    def test_negatives_are_seeded_and_not_met_so_far(self):
        bundle = self.bundle(None)
        samples = data.derive_samples(bundle, 3, 20)
        negatives = samples[samples[:, data.LABEL] == 0]
        self.assertEqual(len(negatives), 20 * 38)
        for split, known in ((data.TRAIN, 16), (data.VALIDATION, 18), (data.TEST, 20)):
            drawn = negatives[negatives[:, data.SPLIT] == split, data.ITEM]
            self.assertGreaterEqual(drawn.min(), known)
        training = negatives[negatives[:, data.SPLIT] == data.TRAIN, data.ITEM]
        self.assertTrue((training < 20).any())  # what is met later is no taboo
        np.testing.assert_array_equal(bundle.samples, data.derive_samples(bundle, 3, 2))
        self.assertTrue((bundle.samples != data.derive_samples(bundle, 4, 2)).any())

    def test_training_samples_do_not_depend_on_the_future(self):
        bundle = self.bundle(None)
        splits = bundle.samples[bundle.samples[:, data.LABEL] == 1][:, [data.USER, data.END,
                                                                        data.SPLIT]]
        for split, first in ((data.TRAIN, 16), (data.VALIDATION, 18)):
            self.assertEqual(splits[splits[:, 2] == split, 1].max() + 1, first)
            changed = self.bundle(None)
            changed.items = changed.items.copy()
            for user in (0, 1):
                changed.items[20 * user + first:20 * user + 20] = 40 + user
            rows = [s[s[:, data.SPLIT] <= split] for s in
                    (data.derive_samples(bundle, 3, 20), data.derive_samples(changed, 3, 20))]
            np.testing.assert_array_equal(*rows)

    def test_negatives_follow_the_popularity_of_training(self):
        items = np.arange(2000) % 100 + 10          # 50 users of 40, evenly popular ...
        items[np.arange(2000) % 40 < 8] = 1         # ... but item 1 often in training,
        items[np.arange(2000) % 40 >= 36] = 2       # and item 2 in the test part alone
        items[:40] = np.arange(40) + 10             # user 0 meets neither
        bundle = data.Bundle(np.zeros((120, 4), np.float32), np.zeros(120, np.int64), False,
                             np.arange(0, 2001, 40), items, None, None, {})
        samples = data.derive_samples(bundle, 3, 20)
        drawn = samples[(samples[:, data.USER] == 0) & (samples[:, data.LABEL] == 0), data.ITEM]
        self.assertGreater((drawn == 1).mean(), 0.15)  # 393 of about 1,700
        self.assertLess((drawn == 2).mean(), 0.02)

    def test_refuses_histories_that_are_not_in_order_of_time(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "item_embeddings.npy", np.zeros((60, 4), np.float32))
            np.save(folder / "history_offsets.npy", np.array([0, 20, 40]))
            np.save(folder / "history_items.npy", (np.arange(40) % 20).astype(np.int32))
            (folder / "bundle.json").write_text("{}")
            times = np.tile(np.arange(20), 2)
            np.save(folder / "history_times.npy", times)
            self.assertEqual(len(data.load_bundle(folder, 1).samples), 2 * 38)
            times[5] = 19
            np.save(folder / "history_times.npy", times)
            with self.assertRaisesRegex(BadInput, "not in order of time"):
                data.load_bundle(folder, 1)

    def test_categories_may_have_any_numbers(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.save(folder / "item_embeddings.npy", np.zeros((60, 4), np.float32))
            np.save(folder / "item_categories.npy",
                    np.where(np.arange(60) < 9, 7, 2**31 - 2).astype(np.int32))
            np.save(folder / "history_offsets.npy", np.array([0, 20, 40]))
            np.save(folder / "history_items.npy", (np.arange(40) % 20).astype(np.int32))
            (folder / "bundle.json").write_text("{}")
            bundle = data.load_bundle(folder, 1)
            self.assertEqual(bundle.categories.max(), 1)
            self.assertEqual(bundle.category_ids.tolist(), [7, 2**31 - 2])

    def test_groups_hold_every_sample_once(self):
        bundle = self.bundle(None)
        rows = np.flatnonzero(bundle.samples[:, data.SPLIT] == data.TRAIN)
        for groups in (data.exact_groups(bundle.samples, rows, 7, 4),
                       data.training_groups(bundle.samples, rows, 9, 4,
                                            np.random.RandomState(1))):
            found = np.concatenate([g.rows for part in data.batches(groups, 100) for g in part])
            np.testing.assert_array_equal(np.sort(found), rows)
            for group in groups:
                ends = bundle.samples[group.rows, data.END]
                self.assertEqual(group.begin + group.length, ends.max())
                self.assertTrue((ends > group.begin).all())


class Measures(unittest.TestCase):
    def test_auc_counts_ties_half(self):
        labels = np.array([1, 0, 1, 0])
        self.assertEqual(train.auc(labels, np.array([2., 1., 1., 0.])), 3.5 / 4)
        self.assertTrue(np.isnan(train.auc(np.ones(3), np.arange(3.))))

    def test_gauc_weighs_users_and_skips_those_of_one_label(self):
        users = np.array([7, 7, 3, 3, 3, 3, 5])
        labels = np.array([1, 0, 1, 0, 0, 0, 1])
        logits = np.array([1., 0., 0., 1., -1., -2., 9.])
        self.assertAlmostEqual(train.gauc(users, labels, logits), (2 * 1 + 4 * (2 / 3)) / 6)

    def test_log_loss(self):
        self.assertAlmostEqual(train.log_loss(np.array([1, 0]), np.zeros(2, np.float32)),
                               np.log(2))
        self.assertTrue(np.isfinite(train.log_loss(np.array([1]), np.float32([-500]))))


class Refusals(Trained):
    def refused(self, pattern, *arguments, name="train_ctr.py"):
        done = script(name, *arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, pattern)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_bad_arguments(self):
        good = ["--bundle", self.bundle, "--out", self.folder / "new"]
        self.refused("invalid choice", *good, "--model", "din")
        self.refused("--heads", *good, "--model", "eta", "--dim", 16, "--heads", 3)
        self.refused("--buckets", *good, "--model", "eta", "--buckets", 7)
        self.refused("--bits is 0", *good, "--model", "eta", "--bits", 0)
        self.refused("not a folder", "--bundle", self.folder / "no", "--out", self.folder / "new",
                     "--model", "eta")
        self.refused("exists already", "--bundle", self.bundle, "--out", self.bundle, "--model",
                     "eta")
        self.refused("--recent", "--out", self.folder / "new", "--recent", 1,
                     name="make_planted.py")
        self.refused("manifest.json", "--model", self.bundle, name="torch_latency.py")
        self.assertFalse((self.folder / "new").exists())

    def test_bad_bundles_leave_nothing(self):
        for file, array in (("ctr_samples.npy", np.full((3, 5), 99, np.int32)),
                            ("ctr_samples.npy", np.zeros((3, 4), np.int32)),
                            ("history_items.npy", np.full(60 * 48, 10**6, np.int32)),
                            ("history_offsets.npy", np.zeros(61, np.int64))):
            with self.subTest(file):
                kept = (self.bundle / file).read_bytes()
                np.save(self.bundle / file, array)
                self.refused(file, "--bundle", self.bundle, "--model", "none", "--out",
                             self.folder / "new")
                (self.bundle / file).write_bytes(kept)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["planted"])


class Planted(Trained):
    def test_what_it_promises(self):
        bundle = data.load_bundle(self.bundle, 1)
        facts = json.loads((self.bundle / "planted.json").read_text())
        self.assertAlmostEqual(facts["bayes_auc_expected"], 0.85, delta=0.02)
        self.assertGreater(facts["bayes_auc"], facts["same_category_auc"])
        topics = np.arange(bundle.num_items) // 6
        present, same, seen = [], [], set()
        for user, end, item, _, _ in bundle.samples:
            history = bundle.items[bundle.offsets[user]:bundle.offsets[user] + end]
            matches = history[topics[history] == topics[item]]
            self.assertFalse((history == item).any())
            self.assertNotIn((user, topics[item]), seen)
            seen.add((user, topics[item]))
            self.assertFalse((topics[bundle.items[48 * user + 38:48 * user + 48]]
                              == topics[item]).any())
            present.append(len(matches) > 0)
            if len(matches):
                self.assertEqual(len(matches), 4)
                same.append(bundle.categories[matches[0]] == bundle.categories[item])
        self.assertEqual(np.mean(present), 0.5)
        self.assertAlmostEqual(np.mean(same), 0.5, delta=0.1)


if __name__ == "__main__":
    unittest.main()
