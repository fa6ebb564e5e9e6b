#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Says what eight bits cost CTR models in AUC. --help says how."""
from common import run

run("eta_simd.experiments.precision", needs="train")
