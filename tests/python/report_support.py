# SPDX-License-Identifier: Apache-2.0
"""Results of retrieval_bench made up for the tests of the report, and a test that makes a page."""
import contextlib
import io
import json
import re
from pathlib import Path

import support
from eta_simd.report import command


def row(method, recall, p50, **more):
    return {"method": method, "bits": int((re.findall(r"eta:(\d+)", method) or [0])[0]), "dim": 64,
            "k": 64, "l_mean": 1024.0, "b": 256, "threads": 1, "target": "AVX2", "cache": "warm",
            "recall": recall, "recall_ties": recall, "attention_mass": 0.5, "p50_us": p50,
            "p99_us": 2 * p50, "candidates_per_s": 1e6 / p50,
            "recall_histogram": [0] * 10 + [3, 4, 3] + [0] * 7, **more}


ROWS = [row("exact", 1.0, 400.0), row("scan_i8", 0.992, 300.0), row("eta:64", 0.34, 35.0),
        row("eta:256", 0.51, 80.0), row("eta:64+rerank:4", 0.91, 200.0),
        row("faiss_exact", 1.0, 4000.0)]


def run(rows, name="made <up>"):
    return {"format": "eta-simd retrieval_bench 1", "rows": rows, "data": {"name": name},
            "settings": {"k": 64},
            "requests": {"behaviours_mean": 1024.0, "behaviours_min": 1024,
                         "behaviours_max": 1024, "candidates_mean": 256.0},
            "environment": {"cpu": "a CPU", "target": "AVX2", "date": "2026-01-02T03:04:05",
                            "versions": {"git_revision": "abc"}}}


def sweep(cells, data="generated"):
    """The JSON of a sweep whose cells are (values, rows)."""
    made = run([{**r, **{f"sweep_{axis}": value for axis, value in values.items()}}
                for values, rows in cells for r in rows])
    del made["data"]
    return {**made, "format": "eta-simd retrieval_bench sweep 1", "sweep": {"L": [], "k": []},
            "settings": {"data": data, "gen-seed": 7},
            "cells": [{"data_digest": "d", "rows": len(rows)} for _, rows in cells]}


class ReportTest(support.FolderTest):
    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def call(self, *arguments):
        """The page that report.py makes, and what it says on stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command.main([str(a) for a in arguments])
        return Path(out.getvalue().strip()), err.getvalue()
