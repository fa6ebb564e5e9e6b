#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Draws what freshness_bench measured. --help says how."""
from common import run

run("eta_simd.experiments.freshness", needs="plot")
