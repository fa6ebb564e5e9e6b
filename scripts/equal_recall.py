#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Compares methods at equal recall. --help says how."""
from common import run

run("eta_simd.experiments.equal_recall.command", needs="data")
