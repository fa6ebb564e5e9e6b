#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Holds measured speeds against their targets. --help says how."""
from common import run

run("eta_simd.experiments.targets", needs="data")
