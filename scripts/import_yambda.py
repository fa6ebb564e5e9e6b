#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Imports Yambda as a data bundle. --help says how."""
from common import run

run("eta_simd.data.yambda", needs="arrow")
