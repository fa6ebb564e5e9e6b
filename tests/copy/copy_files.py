#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which files of simd/ a kernel needs, held against the table of simd/README.md.

    copy_files.py --list FUNCTION   the files of the row that names FUNCTION, one a line
    copy_files.py --update          rewrites the lists: from the .cc files of each row, what they
                            include

A row's .cc files are chosen by hand, for includes do not tell which functions a kernel calls;
tests/copy/run.sh shows that they suffice.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s+"(simd/[^"]+)"', re.MULTILINE)
COLUMN = "files to copy"


def closure(root, sources):
    """`sources` with all files of simd/ that they include, sorted, relative to `root`."""
    found, waiting = set(), list(sources)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += INCLUDE.findall((root / path).read_text(encoding="utf-8"))
    return sorted(found, key=lambda path: ("internal/" in path, path))


class Row:
    """A row of the table; `files` are relative to the root."""

    def __init__(self, cells, column):
        self.cells, self.column = cells, column
        self.functions = re.findall(r"`(\w+)`", cells[0])
        self.files = ["simd/" + name for name in re.findall(r"`([^`]+)`", cells[column])]
        self.sources = [path for path in self.files if path.endswith(".cc")]

    def text(self, root):
        """The row with its files found anew."""
        files = closure(root, self.sources)
        cells = list(self.cells)
        cells[self.column] = " ".join(f"`{path[len('simd/'):]}`" for path in files)
        return f"| {' | '.join(cells)} |"


def rows(text):
    """Pairs (line number, Row) of the table in `text`."""
    column = None
    for number, line in enumerate(text.splitlines()):
        is_row = line.startswith("|")
        cells = [cell.strip() for cell in line.strip("|").split("|")] if is_row else []
        if COLUMN in cells:
            column = cells.index(COLUMN)
        elif not cells:
            column = None
        elif column is not None and not set(cells[0]) <= set("-:"):
            yield number, Row(cells, column)


def updated(root, text):
    """The text of the README with all lists found anew."""
    lines = text.splitlines()
    for number, row in rows(text):
        lines[number] = row.text(root)
    return "\n".join(lines) + "\n"


def main(arguments):
    readme = ROOT / "simd" / "README.md"
    text = readme.read_text(encoding="utf-8")
    if arguments == ["--update"]:
        readme.write_text(updated(ROOT, text), encoding="utf-8")
        return 0
    if len(arguments) == 2 and arguments[0] == "--list":
        for _, row in rows(text):
            if arguments[1] in row.functions:
                print("\n".join(row.files))
                return 0
        print(f"simd/README.md has no row of {arguments[1]}", file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
