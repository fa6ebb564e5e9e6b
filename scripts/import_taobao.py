#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Imports Taobao's UserBehavior.csv as a data bundle. --help says how."""
from common import run

run("eta_simd.data.taobao", needs="data")
