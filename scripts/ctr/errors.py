# SPDX-License-Identifier: Apache-2.0
"""How the training scripts fail: one line on stderr and exit code 2."""
import argparse
import os
import signal
import sys

EXIT_ERROR = 2


class BadInput(Exception):
    """What is wrong with the input or the arguments, as one line."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadInput(f"{message} (see --help)")


def check_range(name, value, low, high):
    if not low <= value <= high:
        raise BadInput(f"{name} is {value} (expected {low} to {high})")


def set_threads(count):
    """Before NumPy and PyTorch are imported: OpenBLAS has threads of its own, which PyTorch's
    set_num_threads does not reach."""
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(count)


def run(name, main):
    """Calls `main` and exits: 0, or 2 with one line for what a user can put right."""
    # Without this the temporary folder would outlive a kill.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except BadInput as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except (OSError, MemoryError) as error:
        print(f"{name}: {error or 'out of memory'}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)
