#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Imports Amazon reviews as a data bundle. --help says how."""
from common import run

run("eta_simd.data.amazon", needs="data")
