#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Makes a page of results. --help says how."""
from common import run

run("eta_simd.report.command", needs="plot")
