# SPDX-License-Identifier: Apache-2.0
"""Runs the programs and scripts that experiments are made of."""
import subprocess
import sys

from eta_simd import SOURCE_TREE
from eta_simd.command import BadInput


def run_program(command):
    """Runs a program with its arguments. Raises BadInput, which has the last line of what it said,
    where it cannot be run or fails."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, text=True, capture_output=True, check=False,
                              stdin=subprocess.DEVNULL)
    except OSError as error:
        raise BadInput(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise BadInput(f"{command[0]}: {(lines or ['no message'])[-1]}")


def script(name):
    """The beginning of a command that runs a script of this project with this Python."""
    options = ["-E"] if sys.flags.ignore_environment else []
    return [sys.executable, *options, str(SOURCE_TREE / "scripts" / name)]
