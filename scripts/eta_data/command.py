# SPDX-License-Identifier: Apache-2.0
"""The command line of a script: one line for each error and exit code 2, nothing in a pipe."""
import argparse
import os
import pathlib
import signal
import sys

EXIT_ERROR = 2
MAX_DIM = 4096


class BadInput(Exception):
    """What went wrong, as one line."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadInput(f"{message} (see --help)")


def add_output(parser):
    parser.add_argument("--output", required=True, type=pathlib.Path, metavar="BUNDLE",
                        help="bundle folder to make; must not exist")


def add_embedding_options(parser):
    parser.add_argument("--dim", type=int, default=64,
                        help="dimensions of an embedding, 1 to 4096 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="seed of the solver's start vector (default: %(default)s)")


def parse(parser):
    """The arguments, with those checked that several scripts have."""
    arguments = parser.parse_args()
    if "dim" in arguments and not 1 <= arguments.dim <= MAX_DIM:
        raise BadInput(f"--dim is {arguments.dim} (expected 1 to {MAX_DIM})")
    if "seed" in arguments and arguments.seed < 0:
        raise BadInput(f"--seed is {arguments.seed} (expected 0 or more)")
    if arguments.output.exists() or arguments.output.is_symlink():
        raise BadInput(f"{arguments.output}: exists already (expected a new path)")
    folder = arguments.output.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise BadInput(f"{folder}: not a folder that can be written to")
    return arguments


def progress(text):
    """Replaces the last line of a terminal; an empty text wipes it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run(name, main):
    """Exit code of `main`, which returns a summary or raises. The summary is for a terminal."""
    # Without this a temporary folder would outlive a kill.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        summary = main()
    except BadInput as error:
        message = str(error)
    except ImportError as error:
        message = f"{error} (scripts/setup.sh data installs it)"
    except (OSError, MemoryError) as error:
        message = str(error) or "out of memory"
    except KeyboardInterrupt:
        return 130
    else:
        progress("")
        if sys.stdout.isatty():
            print(summary.rstrip("\n"))
        return 0
    progress("")
    message = "".join(c if c.isprintable() else "?" for c in message)
    print(f"{name}: {message}", file=sys.stderr)
    return EXIT_ERROR
