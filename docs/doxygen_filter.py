#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Doxygen's INPUT_FILTER: turns the comments of a header into the form that Doxygen reads.

A block of // lines right above a declaration becomes ///, one behind a declaration ///<, and the
block at the head of the file its description. A block with a blank line below it, and all within
function bodies, stays as it is. Overloads, and functions of a namespace, that follow one another
without a blank line share the comment above the first.
Prints the header with as many lines as before, so that warnings name the right one.
"""
import re
import sys

COMMENT = re.compile(r"^(\s*)//(?!/) ?(.*)$")
TEXT_OF_COMMENT = r"\2"
TRAILING = re.compile(r"^(.*\S)(\s+)// (.*)$")
SCOPE = re.compile(
    r"^\s*(?:template\s*<.*>\s*)?(?:inline\s+)?(namespace|struct|class|enum|union)\b")
LINKAGE = re.compile(r'^\s*extern ""')  # extern "C" { is as open as a namespace
ACCESS = re.compile(r"\b(?:public|protected|private)\s*:")
FUNCTION = re.compile(r"([\w~]+)\s*\(")


def escaped(text):
    """`text` with Doxygen's commands, tags and dashes made plain, outside of `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\@<>&#%$]|--)", r"\\\1", part)
                   for part in parts)


def code_of(line):
    """The line without its comment and the contents of its strings."""
    return re.sub(r"//.*", "", re.sub(r'"(\\.|[^"\\])*"', '""', line))


class Scopes:
    """Follows the braces of a file to tell declarations from the bodies of functions."""

    def __init__(self):
        self.open = []  # of each open brace its keyword, such as "struct"; None for a body
        self.statement = ""  # what came since the last brace or semicolon

    def in_body(self):
        return None in self.open

    def in_namespace(self):
        return all(keyword == "namespace" for keyword in self.open)

    def read(self, code):
        if code.lstrip().startswith("#"):
            return
        for char in code + "\n":
            if char == "{":
                statement = ACCESS.sub("", self.statement)
                scope = SCOPE.match(statement)
                linkage = "namespace" if LINKAGE.match(statement) else None
                self.open.append(scope.group(1) if scope else linkage)
            elif char == "}" and self.open:
                self.open.pop()
            self.statement = "" if char in "{};" else self.statement + char


def head_end(lines):
    """The index behind the comment at the head of the file, licence line included."""
    return next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))


def head(lines):
    """The comment at the head of the file, its first line being the licence."""
    return ["/// @file" if "SPDX-License-Identifier" in line
            else f"/// {escaped(COMMENT.sub(TEXT_OF_COMMENT, line))}" for line in lines]


class Filter:
    """Goes through the lines below the head of a file."""

    def __init__(self, lines):
        self.lines = lines
        self.out = []
        self.scopes = Scopes()
        self.block = []  # the comment above the next declaration, or above a run of them
        self.documented = ""  # the last function that `block` describes
        self.trailing = -1  # the column of a comment behind code that the next line may continue

    def comment(self, i, indent, text):
        """Line i, which is a comment and nothing else."""
        if self.trailing == len(indent):
            self.out.append(f"{indent}///< {escaped(text)}")
            return
        if self.documented:
            self.block, self.documented = [], ""
        follows = next((line for line in self.lines[i + 1:] if not COMMENT.match(line)), "")
        slashes = "///" if follows.strip() not in ("", "}") else "//"
        self.block.append(escaped(text))
        self.out.append(f"{indent}{slashes} {escaped(text)}")

    def share(self, name):
        """A function: gets the comment of the one before it if both stand under the same."""
        if self.documented and (self.documented == name or self.scopes.in_namespace()):
            place = len(self.out)
            if self.out[-1].lstrip().startswith("template"):
                place -= 1
            above = f"/** {' '.join(self.block)} */ "
            if place == len(self.out):
                return above
            self.out[place] = above + self.out[place]
        elif self.documented:
            self.block = []
        self.documented = name if self.block else ""
        return ""

    def code(self, line):
        """A line with code in it, or an empty one."""
        if not line.strip():
            self.block, self.documented = [], ""
        code = code_of(line)
        above = ""
        name = FUNCTION.search(code)
        before = ACCESS.sub("", self.scopes.statement)
        starts = not re.sub(r"template\s*<.*>", "", before).strip()
        if name and starts and not self.scopes.in_body():
            above = self.share(name.group(1))
        behind = TRAILING.match(line)
        self.trailing = -1
        if behind and not self.scopes.in_body() and code.strip()[:1] not in ("", "#", "}"):
            self.trailing = len(behind.group(1)) + len(behind.group(2))
            line = f"{behind.group(1)}{behind.group(2)}///< {escaped(behind.group(3))}"
        self.out.append(above + line)
        self.scopes.read(code)

    def run(self):
        for i, line in enumerate(self.lines):
            comment = COMMENT.match(line)
            if comment and not self.scopes.in_body():
                self.comment(i, *comment.groups())
            else:
                self.code(line)
        return self.out


def filtered(lines):
    """The lines of a header, in Doxygen's form."""
    end = head_end(lines)
    return head(lines[:end]) + Filter(lines[end:]).run()


def main():
    with open(sys.argv[1], encoding="utf-8") as header:
        print("\n".join(filtered(header.read().splitlines())))


if __name__ == "__main__":
    main()
