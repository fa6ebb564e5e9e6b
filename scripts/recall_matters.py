#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Shows when lost recall costs AUC. --help says how."""
from common import run

run("eta_simd.experiments.recall_matters.command", needs="train")
