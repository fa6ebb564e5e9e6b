# SPDX-License-Identifier: Apache-2.0
"""Makes a page of results: which method wins for which budget, and pictures.

  report.py RESULT... [--output DIR]

A RESULT is a file or a folder with files, JSON or CSV, of retrieval_bench, kernel_bench
(--benchmark_format=json), equal_recall.sh and thread_scaling.sh (--csv); sweeps are used beside the
main table. report.html needs no other file and opens offline; pictures/ has each picture as SVG and
PNG. Pictures without data are left out and named."""
import argparse
import os
import sys
import tempfile
from pathlib import Path

from eta_simd.command import Parser
from eta_simd.report import inputs


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("results", nargs="+", type=Path, metavar="RESULT", help="files or folders")
    add("--output", type=Path, metavar="DIR",
        help="folder for report.html and pictures/ (default: that of the first RESULT)")
    add("--title", default="eta-simd: results", help="title (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse_options(arguments)
    results = inputs.read(options.results)
    # Matplotlib would keep its list of fonts in the home folder, which need not be writable.
    if "MPLCONFIGDIR" not in os.environ and not os.access(Path.home(), os.W_OK):
        os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="eta-report-")
    from eta_simd.report import page, panels  # Matplotlib takes a second to load

    first = options.results[0]
    output = options.output or (first if first.is_dir() else first.parent)
    drawn, missing = panels.draw(results)
    print(page.write(results, drawn, missing, options.title, output))
    if missing:
        print("report.py: not drawn: " + "; ".join(missing), file=sys.stderr)
