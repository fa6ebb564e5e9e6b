#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/targets.py on made measurements."""
import json
import re
import shutil
import unittest

import support

SHAPES = [(64, 1024, 64), (64, 16384, 64), (256, 1024, 64), (256, 16384, 64), (128, 2048, 48),
          (1024, 100000, 100)]


# Recalls by method, with __ for the colon.
GOOD_CODES = {"eta_norm__128": "0.51", "eta_asym__64": "0.53", "eta_asym__128": "0.62",
              "pq4__64": "0.58", "pq4__128": "0.71"}
BEST = "fma avx2 avx512 byte_popcount vbmi2 vnni"


def good_kernels(target):
    rows = {}
    for bits, length, k in SHAPES:
        rows[f"hamming_distances/bits:{bits}/L:{length}/{target}"] = {"of_limit": 0.99}
        for order in ("any", "sorted"):
            rows[f"hamming_topk_{order}/bits:{bits}/L:{length}/K:{k}/{target}"] = {
                "x_faiss": 50.0, "x_distances": 1.05}
    for bits in (64, 256):
        name = f"hamming_topk_sorted/bits:{bits}/L:1024/K:64/AVX2"
        rows.setdefault(name, {}).update(x_faiss=15.0)
    for bits, length, k in ((256, 16384, 64), (1024, 100000, 100)):
        rows[f"hamming_topk_batch/bits:{bits}/L:{length}/K:{k}/B:256/{target}"] = {"x_single": 2.0}
    rows[f"simhash_encode/rows:1024/dim:64/bits:64/{target}"] = {"of_limit": 0.95}
    rows[f"hadamard_encode/rows:1024/dim:128/bits:256/{target}"] = {"x_dense": 4.0}
    rows[f"gather_code_blocks/table:4194304/L:1024/bytes:8/{target}"] = {"of_limit": 0.9}
    rows[f"dot_scores/L:1024/dim:64/B:256/{target}"] = {"of_limit": 0.97}
    rows[f"dot_i8_scores/L:1024/dim:64/B:256/{target}"] = {"of_limit": 0.9}
    for length, queries in ((1024, 256), (16384, 64)):
        name = f"scores/L:{length}/dim:64/B:{queries}/{target}"
        rows.setdefault(f"dot_i8_{name}", {})["s_per_query"] = 100e-9
        rows.setdefault(f"dot_{name}", {})["s_per_query"] = 200e-9
    for order, seconds in (("any", 150e-9), ("sorted", 180e-9)):
        rows[f"dot_i8_topk_{order}/L:1024/dim:64/B:256/K:64/{target}"] = {"s_per_query": seconds}
    rows[f"hamming_topk_any/bits:64/L:1024/K:64/{target}"]["s_per_query"] = 50e-9
    rows[f"pq4_encode/rows:1024/dim:64/bits:128/{target}"] = {"x_simhash": 0.6}
    return rows


class TargetsTest(support.FolderTest):
    arguments: tuple = ()  # of the last run

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run_script(self, rows, target="AVX3_DL", capabilities=BEST, faiss_us="26.0",
                   recall="0.96", threads="1.95", scan_ns="130.0", eta_ns="57.5",
                   turns=None, **codes):
        kernels = self.write("kernels.json", json.dumps({
            "context": {"simd_target": target, "simd_capabilities": capabilities,
                        "faiss": "1.7.3"},
            "benchmarks": [{"name": name, **row} for name, row in rows.items()]}))
        times = self.write("threads.txt", f"(a) users eta:64 {threads}x 1.9 to 2.0\n"
                           f"(b) one request eta:64 {threads}x 1.9 to 2.0\n")
        recalls = self.write("recall.csv", "method,recall,p50_us\n"
                             f"scan_i8,{recall},1.0\neta:64,0.3,0.1\nfaiss_exact,1.0,{faiss_us}\n")
        planes = self.write("planes.csv", "method,recall\neta:256,0.5\n")
        scans = self.write("scans.csv", "method,b,p50_us\n"
                           f"exact,1000,{scan_ns}\nscan_i8,1000,{scan_ns}\n"
                           f"eta:64,1000,{eta_ns}\n")
        found = {**GOOD_CODES, **codes}
        code_rows = self.write("codes.csv", "method,recall\n" + "".join(
            f"{method.replace('__', ':')},{value}\n" for method, value in found.items()))
        self.arguments = ("--kernels", kernels, "--threads", times, "--recall", recalls, "--codes",
                          code_rows, "--scans", f"1024={scans}", f"16384={scans}",
                          "--hyperplanes", f"gaussian={planes}", f"hadamard={planes}", "--turns",
                          self.turns(target, **(turns or {})))
        return self.call_again()

    def call_again(self):
        return support.call("targets.py", *self.arguments)

    def turns(self, target, base=True, scan_us="10.0", code_us="7.0", code_recall="0.92",
              rerank_ns=40e-9, asym_ns=100e-9):
        """A folder of both sides, of which the first round took twice as long as the second."""
        folder = self.folder / "turns"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        for size in ("64-1024-warm", "64-4096-warm", "64-16384-warm", "128-4096-warm",
                     "128-16384-warm", "64-16384-cold"):
            for times, number in ((2, 1), (1, 2)):
                rows = ("method,recall,p50_us\n"
                        f"pq4:64,0.5,0.1\nscan_i8,0.99,{times * float(scan_us)}\n"
                        f"pq4:128+rerank_i8:4,{code_recall},{times * float(code_us)}\n")
                (folder / f"new-{size}-{number}.csv").write_text(rows)
                if base:
                    (folder / f"base-{size}-{number}.csv").write_text(
                        f"method,recall,p50_us\nscan_i8,0.99,{21.0 * times}\n")
        if not base:
            return folder
        seconds = {"new": {"dot_i8_rows/count:128/dim:64": rerank_ns},
                   "base": {"dot_i8_rows/count:128/dim:64": 100e-9}}
        for length in (1024, 16384):
            shape = f"bits:64/L:{length}/K:64"
            seconds["new"][f"pq4_topk_any/{shape}"] = 110e-9
            seconds["new"][f"asym_factor_topk_any/{shape}"] = 125e-9
            seconds["base"][f"asym_topk_any/{shape}"] = asym_ns
        for side, kernels in seconds.items():
            for times, number in ((2, 1), (1, 2)):
                (folder / f"{side}-kernels-{number}.json").write_text(json.dumps({"benchmarks": [
                    {"name": f"{name}/{target}",
                     "s_per_row" if "rows" in name else "s_per_query": times * value}
                    for name, value in kernels.items()]}))
        return folder

    def test_all_reached(self):
        result = self.run_script(good_kernels("AVX3_DL"))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("0 not reached, 0 undecided", result.stdout)
        self.assertEqual(len(re.findall(r"(?m)  reached\b", result.stdout)),
                         18 + 2 + 2 + 5 + 1 + 2 + 1 + 4 + 1 + 5 + 1 + 5 + 5 + 3)

    def test_without_a_base_its_targets_are_not_measured(self):
        result = self.run_script(good_kernels("AVX3_DL"), turns={"base": False})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count("not measured: needs --base COMMIT"), 10)
        self.assertIn("0 not reached, 10 undecided", result.stdout)
        self.assertRegex(result.stdout, r"code of recall.*16,384 x 64 .* 1\.43x  reached")

    def test_ratios_are_of_the_fastest_rounds(self):
        text = self.run_script(good_kernels("AVX3_DL")).stdout
        self.assertRegex(text, r"base's scan_i8, 1,024 x 64, warm .* 3\.00x  reached \(pq4:128")
        self.assertRegex(text, r"base's scan_i8, 16,384 x 64, cold .* 3\.00x  reached")
        self.assertRegex(text, r"rerank_i8 of 128 rows against base .* 0\.40x  reached")
        self.assertRegex(text, r"pq4 top-K against base's asymmetric, L 16,384 .* 1\.10x  reached")
        self.assertRegex(text, r"asymmetric with factor against base's, L 1,024 .* 1\.25x  reached")
        self.assertRegex(text, r"code of recall.*16,384 x 128 .* 1\.43x  reached")

    def test_each_shortfall_of_the_turns_is_told(self):
        for turns, missed in (({"rerank_ns": 41e-9}, 1), ({"asym_ns": 99e-9}, 4),
                              ({"code_us": "7.1"}, 2),  # 3x base's scan asked, 2.96 found
                              ({"code_us": "7.7", "scan_us": "9.9"}, 5)):  # and 1.29 of ours
            result = self.run_script(good_kernels("AVX3_DL"), turns=turns)
            self.assertEqual(result.stdout.count("NOT reached"), missed, result.stdout)
        # With no code of enough recall the scan is the best, and no code can be compared with it.
        self.refused(self.run_script(good_kernels("AVX3_DL"), turns={"code_recall": "0.89"}),
                     "no method has a recall of 0.9")

    def test_incomplete_turns_are_refused(self):
        self.run_script(good_kernels("AVX3_DL"))
        folder = self.folder / "turns"
        for side, name in (("new", "64-4096-warm"), ("base", "kernels"), ("new", "kernels")):
            kept = [(path, path.read_text()) for path in folder.glob(f"{side}-{name}-*")]
            self.assertEqual(len(kept), 2)
            for path, _ in kept:
                path.unlink()
            self.refused(self.call_again(), f"turns: there is no {side}-{name}")
            for path, text in kept:
                path.write_text(text)
        (folder / "base-kernels-1.json").write_text('{"benchmarks": []}')
        (folder / "base-kernels-2.json").write_text('{"benchmarks": []}')
        self.refused(self.call_again(), "no row dot_i8_rows/count:128/dim:64 of the base side")

    def test_each_shortfall_is_told(self):
        for name, counter, bad in (
                ("hamming_distances/bits:64/L:1024/AVX3_DL", "of_limit", 0.89),
                ("hamming_topk_sorted/bits:128/L:2048/K:48/AVX3_DL", "x_faiss", 39.9),
                ("hamming_topk_any/bits:256/L:1024/K:64/AVX3_DL", "x_distances", 1.61),
                ("hamming_topk_sorted/bits:64/L:1024/K:64/AVX2", "x_faiss", 13.9),
                ("simhash_encode/rows:1024/dim:64/bits:64/AVX3_DL", "of_limit", 0.84),
                ("pq4_encode/rows:1024/dim:64/bits:128/AVX3_DL", "x_simhash", 1.01)):
            rows = good_kernels("AVX3_DL")
            rows[name][counter] = bad
            result = self.run_script(rows)
            self.assertEqual(result.returncode, 1, name)
            self.assertEqual(result.stdout.count("NOT reached"), 1, name)
        self.assertEqual(self.run_script(good_kernels("AVX3_DL"), threads="1.69").returncode, 1)
        self.assertEqual(self.run_script(good_kernels("AVX3_DL"), faiss_us="24.9").returncode, 1)
        for scan_ns, missed in (("135.0", 0), ("136.0", 1), ("171.0", 2), ("251.0", 3)):
            result = self.run_script(good_kernels("AVX3_DL"), scan_ns=scan_ns)
            self.assertEqual(result.stdout.count("NOT reached"), missed, scan_ns)
        result = self.run_script(good_kernels("AVX3_DL"), eta_ns="57.6")
        self.assertRegex(result.stdout, r"eta:64 against its kernel, L 1,024 .* NOT reached")
        scans = self.folder / "scans.csv"
        scans.write_text(scans.read_text().replace("eta:64", "eta:32"))
        self.refused(self.call_again(), "scans.csv: there is no row of eta:64")
        for method, recall in (("eta_norm__128", "0.49"), ("eta_asym__64", "0.51"),
                               ("eta_asym__128", "0.60"), ("pq4__64", "0.56"),
                               ("pq4__128", "0.69")):
            result = self.run_script(good_kernels("AVX3_DL"), **{method: recall})
            self.assertEqual(result.stdout.count("NOT reached"), 1, method)
        rows = good_kernels("AVX3_DL")
        rows["dot_i8_topk_sorted/L:1024/dim:64/B:256/K:64/AVX3_DL"]["s_per_query"] = 203e-9
        self.assertEqual(self.run_script(rows).returncode, 1)

    def test_a_fast_method_of_low_recall_does_not_count(self):
        result = self.run_script(good_kernels("AVX3_DL"), recall="0.94")
        self.assertEqual(result.returncode, 2)
        self.assertNotIn("Traceback", result.stderr)

    def test_a_missing_row_is_not_reached(self):
        rows = good_kernels("AVX3_DL")
        del rows["hamming_topk_any/bits:64/L:1024/K:64/AVX3_DL"]
        result = self.run_script(rows)
        self.assertEqual(result.returncode, 1)
        self.assertIn("not measured", result.stdout)

    def test_a_row_that_failed_to_verify_is_an_error(self):
        rows = good_kernels("AVX3_DL")
        rows["dot_scores/L:1024/dim:64/B:256/AVX3_DL"].update(
            error_occurred=True, error_message="differs from the reference")
        rows["hamming_distances/bits:64/L:1024/AVX3_DL"].update(
            error_occurred=True, error_message="differs from the reference")
        result = self.run_script(rows)
        self.assertEqual(result.returncode, 2)
        self.assertIn("differs from the reference", result.stderr)

    def test_another_instruction_set_decides_nothing_but_its_own(self):
        rows = good_kernels("AVX2")
        rows["hamming_topk_any/bits:64/L:1024/K:64/AVX2"]["x_distances"] = 9.0
        result = self.run_script(rows, target="AVX2", capabilities="fma avx2")
        self.assertEqual(result.stdout.count(
            "undecided: on AVX2, for want of avx512, byte_popcount, vbmi2, vnni"), 18 + 5 + 13)
        self.assertEqual(result.returncode, 0)
        rows["hamming_topk_sorted/bits:64/L:1024/K:64/AVX2"]["x_faiss"] = 13.0
        self.assertEqual(
            self.run_script(rows, target="AVX2", capabilities="fma avx2").returncode, 1)

    def test_a_superset_under_another_name_decides(self):
        for target in ("AVX3_ZEN4", "AVX3_SPR", "AVX10_2"):
            rows = good_kernels(target)
            result = self.run_script(rows, target=target)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertIn("0 not reached, 0 undecided", result.stdout)
            rows[f"hamming_topk_any/bits:64/L:1024/K:64/{target}"]["x_distances"] = 9.0
            self.assertEqual(self.run_script(rows, target=target).returncode, 1)
            result = self.run_script(rows, target=target, capabilities=BEST + " amx")
            self.assertEqual(result.returncode, 1)

    def test_one_missing_capability_is_named(self):
        result = self.run_script(good_kernels("AVX3_DL"), capabilities="avx512 vbmi2 vnni")
        self.assertEqual(result.stdout.count("for want of byte_popcount"), 18 + 5 + 13)

    def test_numbers_of_another_locale_are_refused(self):
        rows = good_kernels("AVX3_DL")
        for changed, message in (({"threads": "1,95"},
                                  "no row of thread_scaling.sh: '.a. users eta"),
                                 ({"threads": "1.9.5"}, "no row of thread_scaling.sh"),
                                 ({"recall": "0,96"}, "recall.csv:2: wrong number of fields"),
                                 ({"recall": "0.96x"}, "'0.96x' is not a number"),
                                 ({"recall": "nan"}, "'nan' is not a number"),
                                 ({"faiss_us": "26.0 us"}, "'26.0 us' is not a number")):
            self.refused(self.run_script(rows, **changed), message)

    def test_unreadable_input(self):
        done = support.call("targets.py", "--kernels", "/nowhere", "--threads", "x", "--recall",
                            "x", "--codes", "x", "--scans", "1024=x", "16384=x",
                            "--hyperplanes", "gaussian=x", "hadamard=x",
                            "--turns", "x")
        self.refused(done, "nowhere")


if __name__ == "__main__":
    unittest.main()
