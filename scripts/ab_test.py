#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Measures how often compare.py is wrong. --help says how."""
from common import run

run("eta_simd.experiments.ab_test", needs="data")
