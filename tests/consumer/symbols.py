#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what a shared library exports against what its installed headers mark.

    symbols.py LIBRARY PART INCLUDE_FOLDER

PART is simd, core or store. Every function and class that the part's headers mark, those of the
last two with ETA_CORE_API, must be exported, and nothing else but templates of std, which are weak.
A unique symbol (STB_GNU_UNIQUE) is refused, because the loader then never unloads the library.
"""
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

# What the compiler makes for a class, before the name of the class.
MADE = re.compile(r"^(?:typeinfo|typeinfo name|vtable|VTT|guard variable|construction vtable) for ")


def marked(headers, macro):
    """Counts of the functions, and the set of classes, that the headers mark."""
    functions: Counter[str] = Counter()
    classes = set()
    for header in headers:
        text = re.sub(r"//.*", "", header.read_text(encoding="utf-8"))
        classes |= set(re.findall(rf"\b(?:class|struct) {macro} (\w+)", text))
        for declaration in re.findall(rf"^(?:template .*\n)?{macro} ([^;{{]*)", text, re.MULTILINE):
            functions.update(re.findall(r"(\w+)\s*\(", declaration)[:1])
    return functions, classes


def exported(library):
    """Pairs (type, demangled name) of the symbols that a shared library defines."""
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    lines = subprocess.run(["c++filt"], input=lines, check=True, stdout=subprocess.PIPE,
                           text=True).stdout
    return [tuple(line.split(" ", 2)[1:]) for line in lines.splitlines()]


def plain(name):
    """The name without return type, arguments and template arguments."""
    name = MADE.sub("", name.replace("[abi:cxx11]", "")).replace("(anonymous namespace)", "-")
    while re.search(r"<[^<>]*>", name):
        name = re.sub(r"<[^<>]*>", "", name)
    return name.split("(")[0].split(" ")[-1]


def problems(symbols, functions, classes, namespace):
    """Lines for each symbol too many or too few."""
    found: Counter[str] = Counter()
    wrong = []
    for kind, name in symbols:
        path = plain(name)
        inner = path[len(namespace):] if path.startswith(namespace) else None
        if kind == "u":
            wrong.append(f"unique: {name}")
        elif inner is not None and inner in functions:
            found[inner] += 1
        elif inner is not None and inner.split("::")[0] in classes:
            pass
        elif not (path.startswith("std::") and kind in "WV" and "nlohmann" not in name):
            wrong.append(f"exported, but no header marks it: {name}")
    for function, count in functions.items():
        if found[function] < count:
            wrong.append(f"marked, but {found[function]} of {count} exported: {function}")
    return wrong


def main(library, part, include):
    of_store = set((Path(include) / "eta/core/store").rglob("*.h"))
    folder = "simd" if part == "simd" else "core"
    others = set((Path(include) / "eta" / folder).rglob("*.h")) - of_store
    headers = of_store if part == "store" else others
    macro = f"ETA_{folder.upper()}_API"
    functions, classes = marked(sorted(headers), macro)
    if part == "store":  # the typeinfo of what it throws, the same as in core
        classes |= marked(sorted(others), macro)[1]
    if not functions:
        sys.exit(f"{include} marks no function")
    namespace = "eta::simd::" if part == "simd" else "eta::"
    wrong = problems(exported(library), functions, classes, namespace)
    print("\n".join(wrong) or f"{library}: {sum(functions.values())} functions, as marked")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
