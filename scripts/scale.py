#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Measures Spark jobs beside one process. --help says how."""
from common import run

run("eta_simd.experiments.scale", needs="spark")
