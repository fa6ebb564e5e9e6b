# SPDX-License-Identifier: Apache-2.0
"""Imported first by the tests that need PyArrow. Where Python lacks it the test starts again in the
virtual environment that scripts/setup.sh arrow makes; where there is none it is skipped."""
import importlib.util
import os
import sys
from pathlib import Path

SKIPPED = 77  # what CTest takes for a skipped test
PYTHON = Path(__file__).resolve().parents[2] / "build/arrow/bin/python"

sys.dont_write_bytecode = True
if importlib.util.find_spec("pyarrow") is None:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    print("skipped: No module named 'pyarrow' (scripts/setup.sh arrow)")
    sys.exit(SKIPPED)
