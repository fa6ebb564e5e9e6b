#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Exports a trained CTR model for the test samples of another bundle. --help says how."""
from common import run

run("eta_simd.ctr.reexport", needs="train")
