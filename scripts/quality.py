#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Compares the ranking quality of CTR models. --help says how."""
from common import run

run("eta_simd.experiments.quality.command", needs="train")
