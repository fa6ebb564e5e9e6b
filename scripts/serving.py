#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Draws what serving_bench measured. --help says how."""
from common import run

run("eta_simd.experiments.serving", needs="plot")
