# SPDX-License-Identifier: Apache-2.0
"""Compares retrieval methods at equal recall: the latency per candidate of the cheapest setting of
each family that returns a given share of the exact top K, for several history lengths, warm and
cold.

Runs retrieval_bench once per data set, cache mode and length, keeps what each run wrote, and makes
a table, a CSV, a JSON and a picture of it. Finished runs are not run again. scripts/equal_recall.sh
builds what this needs and calls it.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path

from eta_simd.command import BadInput, Parser
from eta_simd.experiments.equal_recall import tables
from eta_simd.experiments.equal_recall.cells import DataSet, make_cells, run_cells
from eta_simd.experiments.equal_recall.choices import read_rows, select, select_by_bytes
from eta_simd.experiments.equal_recall.families import choose_methods

TARGETS = [0.8, 0.9, 0.95, 0.99]
LENGTHS = [256, 1024, 4096, 16384, 65536]
BITS = [64, 128, 256, 512, 1024]
BYTES = [8, 16, 32, 68]  # 68: a row of 64 dimensions in int8, with its factor


def whole(minimum, maximum):
    """Type of an option: a whole number in a range."""
    def parse(text):
        if not re.fullmatch(r"\d{1,9}", text) or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a whole number from {minimum} to {maximum}")
        return int(text)
    return parse


def list_of(parse):
    """Type of an option: distinct values, separated by commas."""
    def parse_list(text):
        values = [parse(part) for part in text.split(",")]
        if len(set(values)) < len(values):
            raise argparse.ArgumentTypeError(f"'{text}' names one twice")
        return values
    return parse_list


def cache_mode(text):
    """Type of an entry of --caches."""
    if text not in ("warm", "cold"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither warm nor cold")
    return text


def share(text):
    """Type of an entry of --targets."""
    if not re.fullmatch(r"[01]?\.?\d+", text) or not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0, up to 1")
    return float(text)


def named_bundle(text):
    """Type of --data: (name, folder)."""
    name, separator, folder = text.partition("=")
    if not separator or not folder or not re.fullmatch(r"[A-Za-z0-9._]+", name):
        raise argparse.ArgumentTypeError(f"'{text}' has not the form NAME=BUNDLE")
    return name, folder


def generated(dim):
    """Name of the generator's data with so many dimensions."""
    return "generated" if dim == 64 else f"generated.{dim}"


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bench", required=True, help="the retrieval_bench to run")
    add("--output", required=True, type=Path, help="folder for the results and finished runs")
    add("--data", action="append", type=named_bundle, default=[], metavar="NAME=BUNDLE",
        help="a data bundle beside the generator; may be repeated")
    add("--no-generator", action="store_true", help="bundles only")
    add("--lengths", type=list_of(whole(1, 10**8)), default=LENGTHS, help="history lengths")
    add("--caches", type=list_of(cache_mode), default=["warm", "cold"], help="warm,cold")
    add("--targets", type=list_of(share), default=TARGETS, help="recalls to reach")
    add("--dims", type=list_of(whole(1, 4096)), default=[64],
        help="dimensions of the generator's embeddings")
    add("--bytes", type=list_of(whole(1, 10**6)), default=BYTES,
        help="bytes of a behaviour's code to find the best recall for")
    add("--bits", type=list_of(whole(1, 4096)), default=BITS, help="code widths")
    add("--k", type=whole(1, 10**6), default=64, help="behaviours to retrieve per candidate")
    add("--b", type=whole(1, 10**6), default=256, help="candidates per request")
    add("--requests", type=whole(1, 10**8), help="per run, instead of a number by length")
    add("--repeats", type=whole(1, 10**6), help="per request, instead of a number by requests")
    add("--llc-mb", type=whole(1, 10**8), help="given to retrieval_bench for cold runs")
    add("--with-hnsw", action="store_true", help="sim_soft:hnsw too; slow to build")
    add("--with-faiss-codes", action="store_true",
        help="FAISS's quantised searches too; slow with a FAISS built without AVX2")
    add("--budget", type=whole(1, 10**8), help="seconds after which runs are left for another time")
    options = parser.parse_args(arguments)
    names = [name for name, _ in options.data] + [generated(dim) for dim in options.dims]
    if len(set(names)) < len(names):
        raise BadInput("--data: two data sets have one name ('generated' is the generator)")
    return options


def list_methods(bench):
    """What the retrieval_bench prints for --list-methods."""
    try:
        return subprocess.run([bench, "--list-methods"], capture_output=True, text=True,
                              check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BadInput(f"--bench {bench}: {error}") from None


def main(arguments):
    options = parse_options(arguments)
    notes = []
    methods, unknown = choose_methods(list_methods(options.bench), options.bits, options.with_hnsw,
                                      options.with_faiss_codes)
    if unknown:
        notes.append("left out, this retrieval_bench does not know them: " + ", ".join(unknown))
    data_sets = [] if options.no_generator else [DataSet(generated(d), dim=d) for d in options.dims]
    data_sets += [DataSet(name, folder) for name, folder in options.data]
    cells = run_cells(make_cells(data_sets, methods, options, notes), options, notes)
    if not cells:
        raise BadInput("no run is finished: " + "; ".join(notes))
    order = {data.name: i for i, data in enumerate(data_sets)}
    cells.sort(key=lambda c: (order[c.data], options.caches.index(c.cache), c.length))
    choices, by_bytes = [], []
    for cell in cells:
        where = {"data": cell.data, "cache": cell.cache, "l": cell.length}
        rows = read_rows(cell.csv)
        choices += select(where, rows, options.targets)
        by_bytes += select_by_bytes(where, rows, cell.dim, options.bytes)
    print(tables.write_all(cells, choices, by_bytes, notes, options.output), end="")
    try:
        from eta_simd.experiments.equal_recall.picture import draw

        draw(choices, options.output)
    except ImportError as error:
        print(f"no picture: {error} (scripts/setup.sh plot)", file=sys.stderr)
