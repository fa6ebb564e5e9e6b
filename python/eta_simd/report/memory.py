# SPDX-License-Identifier: Apache-2.0
"""Computes the memory of a service from what retrieval_bench measured: N users of L behaviours each
and M items.

  memory.py RESULT... [--users N] [--length L] [--items M]

A RESULT is a file or a folder with JSON files of retrieval_bench. What a user costs is the mean of
the measured histories, scaled to L; histories lie in blocks of 64 behaviours, so measure lengths
like those you have. What all users share (codes, embeddings, norms of the items) is scaled to M."""
import argparse
from pathlib import Path
from typing import NamedTuple

from eta_simd.command import BadInput, Parser
from eta_simd.report import inputs
from eta_simd.report.selection import main_group

USERS = 100_000_000
HEAD = ("method", "a user", "all users", "shared", "together")
MOST = 1e15  # of users, behaviours and items


class Scale(NamedTuple):
    """What to compute for; None is what was measured."""
    users: float = USERS
    length: "float | None" = None  # behaviours of a user
    items: "float | None" = None


class Memory(NamedTuple):
    """Bytes of one method."""
    method: str
    user: float
    users: float
    shared: "float | None"  # None where the file does not say

    @property
    def together(self):
        return None if self.shared is None else self.users + self.shared


def memory_of(row, scale):
    """The Memory of a row; None where it lacks the bytes of a behaviour."""
    behaviour, table = row["bytes_per_behaviour"], row["table_bytes"]
    if behaviour is None:
        return None
    user = behaviour * (row["l_mean"] if scale.length is None else scale.length)
    shared = None
    if table == 0 or (table is not None and (row["items"] or scale.items is None)):
        shared = table if scale.items is None or not table else table / row["items"] * scale.items
    return Memory(row["method"], user, user * scale.users, shared)


def memories(rows, scale):
    """The Memory of each row that has one, what a user costs least first."""
    found = [memory for memory in (memory_of(row, scale) for row in rows) if memory]
    return sorted(found, key=lambda memory: memory.user)


def size_text(value):
    """A number of bytes with three digits and a decimal unit."""
    if value is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value /= 1000
    else:
        unit = "PB"
    return f"{value:.0f} {unit}" if value >= 99.95 or unit == "B" else f"{value:.3g} {unit}"


def fields(memory):
    """The columns of HEAD."""
    return [memory.method, *map(size_text, (memory.user, memory.users, memory.shared,
                                            memory.together))]


def title_of(row, scale):
    """What the table is for."""
    length = row["l_mean"] if scale.length is None else scale.length
    count = row["items"] if scale.items is None else scale.items
    of_items = f" and {count:,.0f} items" if count else ""
    return f"{scale.users:,.0f} users of {length:,.0f} behaviours{of_items}"


# ---- the command line


def count_of(text):
    """Type of the options: 100000000 or 1e8."""
    try:
        value = inputs.reading.number(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST or value != int(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to {MOST:g}")
    return value


def add_options(parser):
    """Adds --users, --length and --items; scale_of reads them."""
    add = parser.add_argument
    add("--users", type=count_of, default=float(USERS), metavar="N",
        help="users to compute memory for (default: 1e8)")
    add("--length", type=count_of, metavar="L",
        help="behaviours of a user (default: their mean in the results)")
    add("--items", type=count_of, metavar="M", help="items (default: as in the results)")


def scale_of(options):
    return Scale(options.users, options.length, options.items)


def main(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="files or folders")
    add_options(parser)
    options = parser.parse_args(arguments)
    rows, scale = main_group(inputs.read(options.results).rows), scale_of(options)
    found = memories(rows or [], scale)
    if not found:
        raise BadInput("no row of retrieval_bench that says bytes_per_behaviour")
    lines = [list(HEAD), *map(fields, found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    print(title_of(rows[0], scale))
    for line in lines:
        print("  ".join([line[0].ljust(widths[0]),
                         *(field.rjust(width) for field, width in zip(line[1:], widths[1:]))]))
