#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Compares retrieval methods at equal AUC of a served model. --help says how."""
from common import run

run("eta_simd.experiments.equal_auc.command", needs="plot")
