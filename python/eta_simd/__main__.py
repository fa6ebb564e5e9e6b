# SPDX-License-Identifier: Apache-2.0
"""`python -m eta_simd`: see demo.py."""
from eta_simd.command import run

run("eta_simd.demo", needs="python")
