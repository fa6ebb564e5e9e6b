# SPDX-License-Identifier: Apache-2.0
"""What all commands share: arguments, the progress line, errors and exit codes.

A command is a module with a main(arguments), which returns an exit code (None is 0). Bad input is
one line on stderr and exit code 2. Progress and summaries are for terminals: a pipe gets none.
"""
import argparse
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from eta_simd.text import printable, printable_stream, reason, shown

EXIT_ERROR = 2
MAX_MESSAGE = 1000  # characters


class BadInput(Exception):
    """What is wrong with the arguments or the input, as one line for the user."""


class Parser(argparse.ArgumentParser):
    """Raises BadInput instead of printing its usage and exiting."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.color = False  # since Python 3.14; its escapes would be shown as text

    def error(self, message):
        raise BadInput(f"{message} (see --help)")


class Count(NamedTuple):
    """An option with a whole number from `low` to `high`."""
    name: str
    default: int
    low: int
    high: int
    help: str


def add_counts(parser, counts):
    """Adds an option for each Count. check_counts checks what was given."""
    for count in counts:
        parser.add_argument(f"--{count.name}", type=int, default=count.default, metavar="N",
                            help=f"{count.help} (default: %(default)s)")


def check_counts(options, counts):
    """Raises BadInput for the first option outside its range."""
    for count in counts:
        check_range(f"--{count.name}", getattr(options, count.name.replace("-", "_")), count.low,
                    count.high)


def check_range(name, value, low, high):
    """Raises BadInput unless low <= value <= high."""
    if not low <= value <= high:
        raise BadInput(f"{name} is {value} (expected {low} to {high})")


def set_threads(count):
    """Sets the threads of OpenBLAS and OpenMP. NumPy and PyTorch read this when they are imported,
    so call it before. PyTorch's set_num_threads does not reach OpenBLAS."""
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(count)


def progress(text, is_logged=False):
    """Replaces the last line of a terminal; an empty text wipes it. With `is_logged` a pipe gets
    the text as a line, for steps that take minutes."""
    if sys.stderr.isatty():
        terminal = getattr(sys.stderr, "stream", sys.stderr)
        print(f"\r\033[K{printable(text)}", end="", file=terminal, flush=True)
    elif is_logged and text:
        print(text, file=sys.stderr, flush=True)


def summarize(text):
    """Wipes the progress line and prints the result on a terminal; a pipe gets nothing."""
    progress("")
    if sys.stdout.isatty():
        print(text.rstrip("\n"))


def run(module, needs):
    """Runs main() of `module`, a name, as the command in sys.argv, and exits. Control characters,
    which texts of files may hold, are printed as escapes.

    Exit code: that of main(), or 2 after one line on stderr for bad input, a missing Python module
    (which `scripts/setup.sh NEEDS` installs), a failed read or write, or too little memory; 130 on
    an interrupt, 143 on SIGTERM.
    """
    signals = []

    def end(number, _):
        signals.append(number)
        sys.exit(128 + number)  # which, unlike the signal itself, lets temporary folders be removed

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        _run(module, needs)
    finally:
        # NumPy's C code may turn the exception of a signal into another, or drop it.
        if signals:
            sys.exit(128 + signals[0])


def _run(module, needs):
    """run() but for signals."""
    sys.stdout, sys.stderr = printable_stream(sys.stdout), printable_stream(sys.stderr)
    try:
        sys.exit(importlib.import_module(module).main(sys.argv[1:]))
    except ImportError as error:
        message = f"{error} (scripts/setup.sh {needs} installs it)"
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        message = f"{place}{reason(error)}"
    except (BadInput, MemoryError) as error:
        message = str(error) or "out of memory"
    except KeyboardInterrupt:
        sys.exit(130)
    progress("")
    print(f"{Path(sys.argv[0]).name}: {shown(message, MAX_MESSAGE)}", file=sys.stderr)
    sys.exit(EXIT_ERROR)
