#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/check_docs.py, and of the texts that must agree with the code."""
import os
import re
import shutil
import subprocess
import unittest

import support
from eta_simd import check_docs, results

LONG_ROW = f"| a table row may be long, because a row cannot be broken {'-' * 40} | yes |"
GOOD = f"""# Good words

[The other](texts/other.md#how-it-is-read-2nd), [here](#good-words), [there](https://x.example/y).
Files: `simd/a.h`, `simd/internal`, `a.h`, `simd/NAME.h`, `build/none`, `scripts/run.sh --fast`.

{LONG_ROW}
|---|---|

```sh
scripts/run.sh --a-long-option-that-only-says-that-code-is-not-broken --another-one-to-be-sure of it
```
"""
FILES = {
    "README.md": GOOD,
    "texts/other.md": "# Other\n\n## How it is `read`, 2nd\n\n[back](../README.md)\n",
    "simd/a.h": "// a\n",
    "simd/internal/b.h": "// b\n",
    "scripts/run.sh": "",
}


def faults(**changed):
    files = dict(FILES)
    files.update({"README.md": changed["readme"]} if "readme" in changed else {})
    files.update(changed.get("files", {}))
    return list(check_docs.faults(check_docs.Tree(files, files.__getitem__)))


class CheckDocsTest(unittest.TestCase):
    def test_good_files_pass(self):
        self.assertEqual(faults(), [])

    def test_every_fault_is_found(self):
        for line, words in [
                ("[a](texts/none.md)", "there is no texts/none.md"),
                ("[a](texts/other.md#none)", "texts/other.md has no heading 'none'"),
                ("[a](#none)", "README.md has no heading 'none'"),
                ("`simd/none.h`", "names simd/none.h"),
                ("`none.h`", "names none.h"),
                ("```sh\nscripts/none.sh\n```", "names scripts/none.sh"),
                ("```cpp\n#include \"simd/none.h\"\n```", "names simd/none.h"),
                ("word " * 21, "105 columns, more than 100"),
                ("caf\u00e9", "not ASCII")]:
            with self.subTest(line):
                found = faults(readme=GOOD + line + "\n")
                self.assertEqual(len(found), 1, found)
                self.assertIn(words, found[0])
                number = 1 + len(GOOD.splitlines()) + line.count("\n") // 2
                self.assertTrue(found[0].startswith(f"README.md:{number}: "), found[0])

    def test_sources_are_ascii(self):
        self.assertEqual(faults(files={"simd/a.h": "// a\n// \u00e9\n"}),
                         ["simd/a.h:2: a character that is not ASCII"])

    def test_pages_that_sources_name_exist(self):
        page = "docs" + "/page.md"
        source = {"simd/a.h": f"// {page} says more.\n"}
        self.assertEqual(faults(files=source), [f"simd/a.h:1: names {page}, which does not exist"])
        self.assertEqual(faults(files={**source, page: ""}), [])

    def test_repeated_headings_have_numbered_anchors(self):
        self.assertEqual(check_docs.anchors("# A b\n## A b\n```\n# c\n```\n"), {"a-b", "a-b-1"})


class CommandTest(support.FolderTest):
    @unittest.skipUnless(shutil.which("git"), "git is missing (scripts/setup.sh format)")
    def test_faults_are_printed_with_exit_code_1(self):
        subprocess.run(["git", "init", "-q", self.folder], check=True)
        (self.folder / "README.md").write_text("[a](none.md)\n", encoding="utf-8")
        done = support.call("check_docs.py", self.folder)
        self.assertEqual((done.returncode, done.stdout),
                         (1, "README.md:1: link to 'none.md': there is no none.md\n"))
        (self.folder / "none.md").write_text("\n", encoding="utf-8")
        self.assertEqual(support.call("check_docs.py", self.folder).returncode, 0)

    def test_a_folder_without_git_is_refused(self):
        self.refused(support.call("check_docs.py", self.folder / "none"),
                     "cannot list the files of|git is missing")

    def test_without_git_it_says_so(self):
        done = support.call("check_docs.py", env={**os.environ, "PATH": str(self.folder)})
        self.refused(done, "git is missing .scripts/setup.sh format installs it.")


class WarningsTest(unittest.TestCase):
    def test_pages_and_headers_warn_of_fork(self):
        for page, words in (("docs/api.md", "After `fork()` a child must not use OpenMP"),
                            ("docs/library.md", "After `fork()` a child must not use OpenMP"),
                            ("core/retrieval/batch.h", "A child made by fork() must not use it"),
                            ("core/retrieval/codes.h", "in a child made by fork()")):
            self.assertIn(words, (support.ROOT / page).read_text(encoding="utf-8"), page)


class ColumnsTest(unittest.TestCase):
    """docs/columns.md explains the columns that the benchmark writes, all of them, in order."""

    def test_documented_columns_are_those_of_the_code(self):
        code = (support.ROOT / "bench/retrieval/columns.h").read_text(encoding="utf-8")
        text = (support.ROOT / "docs/columns.md").read_text(encoding="utf-8")
        for array, heading in [("kColumns", "results.csv"), ("kLoadColumns", "load.csv")]:
            with self.subTest(array):
                bodies = re.findall(re.escape(array) + r"\[\] = \{(.*?)\n\};", code, re.S)
                names = re.findall(r'\{"(\w+)",', bodies[0])
                section = re.findall(
                    r"^## [^\n]*" + re.escape(heading) + r"[^\n]*\n(.*?)(?=^## |\Z)", text,
                    re.S | re.M)[0]
                cells = [line.split("|")[1] for line in section.splitlines()
                         if line.startswith("| `")]
                documented = re.findall(r"`(\w+)`", "".join(cells))
                self.assertEqual(documented, names)
                if array == "kColumns":
                    self.assertEqual(names, list(results.COLUMNS))


if __name__ == "__main__":
    unittest.main()
