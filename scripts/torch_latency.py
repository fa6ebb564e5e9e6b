#!/usr/bin/python3 -E
# SPDX-License-Identifier: Apache-2.0
"""Times PyTorch's forward pass of an exported model. --help says how."""
from common import run

run("eta_simd.ctr.latency", needs="train")
