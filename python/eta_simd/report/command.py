# SPDX-License-Identifier: Apache-2.0
"""Makes a page of results: which method wins for which budget, and pictures.

  report.py RESULT... [--output DIR]

A RESULT is a file or a folder with files, JSON or CSV, of retrieval_bench, kernel_bench
(--benchmark_format=json), equal_recall.sh and thread_scaling.sh (--csv); sweeps and load (--load,
--slo-ms) are used beside the main table. The page computes the memory of --users N of --length L
behaviours and --items M. report.html needs no other file and opens offline; pictures/ has each
picture as SVG and PNG. Pictures without data are left out and named."""
import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from eta_simd.command import Parser
from eta_simd.report import inputs, memory


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("results", nargs="+", type=Path, metavar="RESULT", help="files or folders")
    add("--output", type=Path, metavar="DIR",
        help="folder for report.html and pictures/ (default: that of the first RESULT)")
    add("--title", default="eta-simd: results", help="title (default: %(default)s)")
    memory.add_options(parser)
    return parser.parse_args(arguments)


@contextlib.contextmanager
def font_cache():
    """Gives Matplotlib a folder for its list of fonts where that in the home folder cannot be
    written; the folder goes when the block ends."""
    if "MPLCONFIGDIR" in os.environ or os.access(Path.home(), os.W_OK):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="eta-report-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def main(arguments):
    options = parse_options(arguments)
    results = inputs.read(options.results)
    first = options.results[0]
    output = options.output or (first if first.is_dir() else first.parent)
    with font_cache():
        from eta_simd.report import page, panels  # Matplotlib takes a second to load

        drawn, missing = panels.draw(results)
        print(page.write(results, drawn, missing, options.title, output,
                         memory.scale_of(options)))
    if missing:
        print("report.py: not drawn: " + "; ".join(missing), file=sys.stderr)
