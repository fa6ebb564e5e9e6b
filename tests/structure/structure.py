# SPDX-License-Identifier: Apache-2.0
"""Reads the sources of a tree, without building anything, and reports what breaks its rules.

The folders form an order, simd <- core/base <- core/data <- core/retrieval <- core/ctr <-
core/serving <- baselines <- bench, tests: a file may include its own folder and those to the left,
never one to the right.
"""
import os
import re
from pathlib import Path

# Each folder with the folders it may include besides itself. The first that a path starts with
# counts, so that a folder stands before the one it lies in.
_LAYERS = ("simd", "core/base", "core/data", "core/retrieval", "core/ctr", "core/serving")
_LIBRARIES = (*_LAYERS, "core/c", "core/store", "core/reference", "baselines")
ALLOWED = {
    "simd": (),
    # The oracle shares no code with what it judges; of the CTR models it reads the exported files.
    "core/reference": ("simd/views.h",),
    **{folder: _LAYERS[:i] for i, folder in enumerate(_LAYERS) if i > 0},
    "core/c": _LAYERS,
    "core/store": _LAYERS,
    "baselines": _LAYERS,
    "bench/common": _LIBRARIES,
    **{f"bench/{program}": (*_LIBRARIES, "bench/common")
       for program in ("kernel", "retrieval", "ctr", "freshness", "tools", "store", "serving")},
    "python": _LIBRARIES,
    "examples": _LIBRARIES,
    "tests": (*_LIBRARIES, "bench"),
}
# Single files that may include more.
EXTRA = {re.compile(r"core/reference/ctr\w*\.(h|cc)"): ("core/ctr/export.h",)}
# What lies in FOLDER/internal is for the .cc files of FOLDER, and for these.
INTERNAL_READERS = ("tests", "bench/kernel")
# Headers for some folders only, and sources that no CMakeLists.txt beside or above them names: a
# consumer and a copy are projects of their own.
PRIVATE = {
    "baselines/faiss_common.h": ("baselines", "tests/baselines"),
    "baselines/faiss_index.h": ("baselines",),
    "baselines/faiss_pq.h": ("baselines",),
}
BUILT_ELSEWHERE = ("tests/consumer", "tests/copy")
# What is made by CMake, and so is in no folder.
GENERATED = ("bench/common/build_info.h",)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
MAX_LINES = 400


def _within(path, folder):
    return path == folder or path.startswith(folder + "/")


def folder_of(path):
    """The folder of the order that `path` lies in, or None."""
    return next((folder for folder in ALLOWED if _within(path, folder)), None)


def files(root, *suffixes):
    """The relative paths below `root` with one of `suffixes`, without builds and hidden folders."""
    for folder, inner, names in os.walk(root):
        made = ("results", "data") if Path(folder) == Path(root) else ()  # by the scripts
        inner[:] = sorted(name for name in inner
                          if not name.startswith((".", "build")) and name not in made)
        for name in sorted(names):
            if name.endswith(suffixes):
                yield str((Path(folder) / name).relative_to(root))


def _bracket_problem(path, header):
    if header.startswith("faiss/"):
        if not (_within(path, "baselines") and path.endswith(".cc")
                or path in PRIVATE or _within(path, "tests/baselines")):
            return "FAISS is for baselines/*.cc and their tests"
    elif _within(path, "simd") and ("/" in header or "." in header):
        return "simd/ includes simd/, hwy/ and standard headers only"
    return None


def _quote_problem(root, path, header):
    folder = folder_of(path)
    if header.startswith("hwy/"):
        is_public = (_within(path, "simd") and path.endswith(".h")
                     and not _within(path, "simd/internal"))
        return "public headers do not include Highway" if is_public else None
    if any(_within(path, place) for place in BUILT_ELSEWHERE) and header.startswith("eta/"):
        header = header[len("eta/"):]  # as users of the libraries include them
    if header not in GENERATED and not (Path(root) / header).is_file():
        return "there is no such file; paths start at the root"
    if "/internal/" in header and not any(_within(path, place) for place in INTERNAL_READERS):
        outer = header.split("/internal/")[0]
        if not _within(path, outer):
            return f"is for {outer} only"
        if path.endswith(".h") and not _within(path, outer + "/internal"):
            return "public headers do not include internal ones"
    if header in PRIVATE and not any(_within(path, place) for place in PRIVATE[header]):
        return f"for {' and '.join(PRIVATE[header])} only"
    extra = [more for pattern, more in EXTRA.items() if pattern.fullmatch(path)]
    allowed = (folder, *ALLOWED[folder], *sum(extra, ()))
    if not any(_within(header, place) for place in allowed):
        return f"{folder} includes only {', '.join(sorted(allowed))}"
    return None


def include_problems(root):
    """Lines 'file: "header": why' for each #include that the order forbids."""
    problems = []
    for path in files(root, ".h", ".cc"):
        if folder_of(path) is None:
            problems.append(f"{path}: lies in no folder of the order")
            continue
        text = (Path(root) / path).read_text(encoding="utf-8")
        for bracket, header in INCLUDE.findall(text):
            problem = (_bracket_problem(path, header) if bracket == "<"
                       else _quote_problem(root, path, header))
            if problem:
                problems.append(f'{path}: "{header}": {problem}')
    return problems


def glob_problems(root):
    """Lines for each CMake file that collects its sources by file(GLOB) instead of naming them."""
    found = re.compile(r"^[^#\n]*\bfile\s*\(\s*GLOB", re.IGNORECASE | re.MULTILINE)
    return [f"{path}: file(GLOB)" for path in files(root, "CMakeLists.txt", ".cmake")
            if found.search((Path(root) / path).read_text(encoding="utf-8"))]


def unlisted_problems(root):
    """Lines for each .cc that no CMakeLists.txt names, so that nothing builds it."""
    lists = {}
    for path in files(root, "CMakeLists.txt"):
        lists[str(Path(path).parent)] = (Path(root) / path).read_text(encoding="utf-8")
    problems = []
    for path in files(root, ".cc"):
        if any(_within(path, place) for place in BUILT_ELSEWHERE):
            continue
        name = Path(path).stem
        listed = any(re.search(rf"\b{re.escape(name)}\b", lists.get(str(parent), ""))
                     for parent in Path(path).parents)
        if not listed:
            problems.append(f"{path}: no CMakeLists.txt names it")
    return problems


def length_problems(root):
    """Lines for each source file of more than MAX_LINES lines."""
    problems = []
    for path in [*files(root, ".h", ".cc", ".py", ".sh", ".cmake"), ".ci/run"]:
        if (Path(root) / path).is_file():
            lines = len((Path(root) / path).read_text(encoding="utf-8").splitlines())
            if lines > MAX_LINES:
                problems.append(f"{path}: {lines} lines, more than {MAX_LINES}")
    return problems


def _is_public(path):
    folders = (*_LAYERS, "core/store")
    return (any(_within(path, folder) for folder in folders) and path.endswith(".h")
            and "/internal/" not in path)


# At the start of a line: a class or struct that is defined, and a function that is declared.
TYPE = re.compile(r"^(?:class|struct) (?!ETA_)(\w+)[^;]*\{")
FUNCTION = re.compile(r"^(?!ETA_|inline|constexpr|template|class|struct|enum|namespace|using|"
                      r"static|extern|#|//|\}|\s)[A-Za-z_][^=]*?(\w+)\(")
EXPLICIT = re.compile(r"^template\b.*>$")


def export_problems(root):
    """Lines for public declarations that no shared library would export, and for public headers
    that are not installed, because no CMakeLists.txt names them."""
    problems = []
    for path in filter(_is_public, files(root, ".h")):
        part = path.split("/")[0]
        folder = "core/store" if _within(path, "core/store") else part
        lists = Path(root) / folder / "CMakeLists.txt"
        name = path[len(folder) + 1:]
        if lists.is_file() and not re.search(rf"(^|\s){re.escape(name)}($|[\s)])",
                                             lists.read_text(encoding="utf-8")):
            problems.append(f"{path}: {folder}/CMakeLists.txt does not name it")
        before = ""
        for line in (Path(root) / path).read_text(encoding="utf-8").splitlines():
            # Templates are compiled where they are used; types of simd/ have inline parts only.
            found = FUNCTION.match(line) or (TYPE.match(line) if part == "core" else None)
            if found and not EXPLICIT.match(before):
                problems.append(f"{path}: {found.group(1)} lacks ETA_{part.upper()}_API")
            before = line
    return problems


def version_problems(root):
    """A line if CMake and simd/version.h do not agree on the version."""
    cmake = re.findall(r"project\(eta-simd VERSION ([0-9.]+)",
                       (Path(root) / "CMakeLists.txt").read_text(encoding="utf-8"))
    header = (Path(root) / "simd/version.h").read_text(encoding="utf-8")
    parts = re.findall(r"ETA_SIMD_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    version = ".".join(parts)
    return [] if cmake == [version] else [f"simd/version.h: {version}, not {', '.join(cmake)}"]
