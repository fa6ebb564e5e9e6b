# SPDX-License-Identifier: Apache-2.0
"""Imported by the commands in this folder: lets them find the package in ../python, installed or
not, and runs them."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from eta_simd.command import run  # noqa: F401 the commands import it from here
