#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Trains one CTR model and exports it. --help says how."""
from common import run

run("eta_simd.ctr.command", needs="train")
