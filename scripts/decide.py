#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Answers the questions of docs/decide.md for one bundle. --help says how."""
from common import run

run("eta_simd.experiments.decide.command", needs="data")
