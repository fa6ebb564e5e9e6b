# SPDX-License-Identifier: Apache-2.0
"""Checks the texts of the source tree; scripts/format.sh --check runs it.

    check_docs.py [FOLDER]

In every Markdown file: lines have at most 100 columns (code blocks and tables are exempt, because
breaking them changes what they show), relative links and their anchors lead somewhere, and files of
the project that are named in `code` or in a code block exist (but CHANGELOG.md also names files
that are gone). In every text file: only ASCII, and
every page of docs/ that it names exists.
Files that .gitignore leaves out are not read. Prints one line for each fault; exit code 1 if there
was any.
"""
import argparse
import os
import re
import subprocess

from eta_simd import SOURCE_TREE
from eta_simd.command import BadInput, Parser

COLUMNS = 100
BINARY = (".png", ".npy", ".pt")
SEEDS = "tests/fuzz/corpus/"  # any bytes
SOURCE_NAME = re.compile(r"[\w.-]+\.(?:cc|h|py|sh|md|cmake)")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
PAGE = re.compile(r"\bdocs/\w+\.md\b")  # outside Markdown, where LINK and CODE find them
FENCE = re.compile(r"\s*```")


def anchors(text):
    """The anchors that GitHub gives to the headings of a Markdown text."""
    found = set()
    for line, in_fence in lines_of(text):
        heading = re.match(r"#+ (.*)", line)
        if heading and not in_fence:
            words = re.sub(r"[^\w\- ]", "", heading.group(1).lower())
            slug, n = words.strip().replace(" ", "-"), 0
            while (slug if n == 0 else f"{slug}-{n}") in found:
                n += 1
            found.add(slug if n == 0 else f"{slug}-{n}")
    return found


def lines_of(text):
    """Yields (line, whether it belongs to a code block), fences included."""
    in_fence = False
    for line in text.splitlines():
        fence = FENCE.match(line) is not None
        yield line, in_fence or fence
        in_fence ^= fence


def names_a_file(word, tops):
    """Whether a word is meant as a file or folder of the project, NAME standing for any name."""
    if not re.fullmatch(r"[\w./-]+", word) or "NAME" in word or "//" in word:
        return False
    return word.split("/")[0] in tops if "/" in word else SOURCE_NAME.fullmatch(word) is not None


class Tree:
    """The files of a project: what a text may name."""

    def __init__(self, paths, read):
        self.paths = set(paths)
        self.read = read  # path -> text
        self.folders = {path[:i] for path in paths for i, c in enumerate(path) if c == "/"}
        self.names = {os.path.basename(path) for path in paths}
        self.tops = {path.split("/")[0] for path in paths if "/" in path}

    def has(self, path):
        return path in self.paths or path.rstrip("/") in self.folders

    def has_word(self, word):
        """Whether `word` is a path from the root, or a name that a file somewhere has."""
        return self.has(os.path.normpath(word)) or ("/" not in word and word in self.names)


def link_fault(tree, path, target):
    """What is wrong with a link in the file `path`, or None."""
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    if not tree.has(file):
        return f"link to '{target}': there is no {file}"
    if anchor and (not file.endswith(".md") or anchor not in anchors(tree.read(file))):
        return f"link to '{target}': {file} has no heading '{anchor}'"
    return None


def markdown_faults(tree, path):
    """Yields (line number, fault) of the Markdown file `path`."""
    for number, (line, in_fence) in enumerate(lines_of(tree.read(path)), 1):
        if len(line) > COLUMNS and not in_fence and not line.startswith("|"):
            yield number, f"{len(line)} columns, more than {COLUMNS}"
        if in_fence:
            words = re.split(r"[\s\"'`=(){}<>,;:]+", line)
            words = [word for word in words if "/" in word]
        else:
            for target in LINK.findall(line):
                fault = link_fault(tree, path, target)
                if fault:
                    yield number, fault
            words = [word for code in CODE.findall(line) for word in code.split()]
        for word in words if path != "CHANGELOG.md" else ():
            if names_a_file(word, tree.tops) and not tree.has_word(word):
                yield number, f"names {word}, which does not exist"


def text_faults(tree, path):
    """Yields (line number, fault) of any text file."""
    for number, line in enumerate(tree.read(path).splitlines(), 1):
        if not line.isascii():
            yield number, "a character that is not ASCII"
        for page in PAGE.findall(line) if not path.endswith(".md") else ():
            if not tree.has(page):
                yield number, f"names {page}, which does not exist"


def faults(tree):
    """Yields one line of text for each fault of the tree."""
    for path in sorted(tree.paths):
        if path.endswith(BINARY) or path.startswith(SEEDS):
            continue
        found = list(text_faults(tree, path))
        if path.endswith(".md"):
            found += markdown_faults(tree, path)
        for number, fault in sorted(found):
            yield f"{path}:{number}: {fault}"


def tree_of(folder):
    """The files below `folder` that git knows or would add."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("GIT_")}  # of a hook that runs this, for its repository
    try:
        listing = subprocess.run(
            ["git", "-C", folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=False, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        raise BadInput("git is missing (scripts/setup.sh format installs it)") from None
    if listing.returncode != 0:
        raise BadInput(f"git cannot list the files of {folder}: {listing.stderr.strip()}")
    paths = [path for path in listing.stdout.split("\0")
             if os.path.isfile(os.path.join(folder, path))]

    def read(path):
        with open(os.path.join(folder, path), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    return Tree(paths, read)


def main(arguments):
    """Returns the exit code."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=str(SOURCE_TREE), metavar="FOLDER",
                        help="a folder under git (default: this source tree)")
    found = list(faults(tree_of(parser.parse_args(arguments).folder)))
    for line in found:
        print(line)
    return 1 if found else 0
