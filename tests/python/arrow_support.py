# SPDX-License-Identifier: Apache-2.0
"""For the tests that need PyArrow."""
import importlib.util
import os
import sys
from pathlib import Path

SKIPPED = 77  # what CTest takes for a skipped test
PYTHON = Path(__file__).resolve().parents[2] / "build/arrow/bin/python"

sys.dont_write_bytecode = True


def python():
    """The Python that has PyArrow: this one, the one of the virtual environment that
    scripts/setup.sh arrow makes, or None."""
    if importlib.util.find_spec("pyarrow") is not None:
        return sys.executable
    return str(PYTHON) if PYTHON.exists() else None


def need():
    """Starts the test again in the Python that has PyArrow, or ends it as skipped. Called before
    the test imports anything else, or takes from its arguments."""
    if python() is None:
        print("skipped: No module named 'pyarrow' (scripts/setup.sh arrow)")
        sys.exit(SKIPPED)
    if python() != sys.executable:
        os.execv(python(), [python(), *sys.argv])
