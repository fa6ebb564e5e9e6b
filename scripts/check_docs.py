#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Checks the texts of the source tree. --help says what."""
from common import run

run("eta_simd.check_docs", needs="format")
