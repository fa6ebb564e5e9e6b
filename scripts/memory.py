#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Computes the memory of a service. --help says how."""
from common import run

run("eta_simd.report.memory", needs="data")
