#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Checks the CSV of retrieval_bench. --help says how."""
from common import run

run("eta_simd.experiments.check_results", needs="data")
