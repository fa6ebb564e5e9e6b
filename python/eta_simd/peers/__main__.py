# SPDX-License-Identifier: Apache-2.0
"""`python -m eta_simd.peers`: see command.py."""
from eta_simd.command import run

run("eta_simd.peers.command", needs="peers")
