#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Turns files of vectors into a data bundle, or back. --help says how."""
from common import run

run("eta_simd.data.convert", needs="data")
