#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Imports KuaiRand as a data bundle. --help says how."""
from common import run

run("eta_simd.data.kuairand", needs="data")
