#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Makes a data bundle with planted interests. --help says how."""
from common import run

run("eta_simd.ctr.planted", needs="train")
