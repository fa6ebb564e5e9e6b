#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Compares two measurements row by row. --help says how."""
from common import run

run("eta_simd.experiments.compare", needs="data")
