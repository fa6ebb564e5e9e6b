# SPDX-License-Identifier: Apache-2.0
"""Turns the ratings of an Amazon review data set (2014, 2018 or 2023) into a data bundle.

The sets differ in their columns, named by --set:
  2014   user,item,rating,timestamp       no header, seconds (ratings_Books.csv)
  2018   item,user,rating,timestamp       no header, seconds (Books.csv)
  2023   user_id,parent_asin,rating,timestamp   a header, milliseconds
A file with that header is taken for 2023 without --set, one without a header for 2014. Every rating
is a behaviour, whether good or bad. Item embeddings come from an SVD of the user-item matrix
(eta_simd/data/embeddings.py)."""
import argparse
import pathlib
import re

from eta_simd import reading
from eta_simd.command import BadInput, Parser
from eta_simd.data import importing
from eta_simd.text import shown

HEADER_2023 = "user_id,parent_asin,rating,timestamp"
ORDER = {"2014": ("user", "item"), "2018": ("item", "user"), "2023": ("user", "item")}


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, type=pathlib.Path, metavar="FILE",
                        help="the CSV file of one category, may be gzip")
    importing.add_output(parser)
    parser.add_argument("--set", choices=ORDER, help="default: 2023 by its header, else 2014")
    importing.add_embedding_options(parser)
    return importing.parse(parser, arguments)


def first_line(path):
    """The first line of a file, as much of it as tells the forms apart."""
    with reading.opened(path) as (file, _):
        reading.skip_mark(file, path)
        return file.readline(200).decode("ascii", "replace").strip()


def set_of(path):
    """Which data set a file is of: 2023 by its header, else 2014. Refuses what comes near one of
    the published files, because it would be taken for another."""
    line = first_line(path)
    if line == HEADER_2023:
        return "2023"
    if line.startswith("{"):
        raise BadInput(f"{path}:1: reviews as JSON lines (expected the CSV file of ratings only)")
    if '"' in line:
        raise BadInput(f"{path}:1: quoted fields (expected the file as it was published, without "
                       "quotes)")
    if line.replace(" ", "") == HEADER_2023 + ",history":
        raise BadInput(f"{path}:1: a split with a column of histories (expected the file of "
                       f"ratings only, with the header {HEADER_2023})")
    if re.search("[a-z]", line):  # ids are digits and capitals, so this is a header
        raise BadInput(f"{path}:1: unknown header \"{shown(line)}\" (expected {HEADER_2023}, or "
                       "none for the sets of 2014 and 2018)")
    return "2014"


def read_log(path, year):
    """The Log of a file of the data set of `year`; items and users are numbered by their ids."""
    import numpy as np
    from eta_simd.data import log

    # Item ids are ISBNs or ASINs of ten characters; nearly all user ids are longer (10 to 21 in
    # 2014, 28 to 36 in 2023), so a wrong --set fails at the first item.
    kinds = {"item": log.Text("item", "[0-9A-Z]{10}", "ten digits and capitals", 10),
             "user": log.Text("user", "[0-9A-Z_]{10,64}", "10 to 64 digits and capitals", 64)}
    columns = [*(kinds[name] for name in ORDER[year]),
               log.Text("rating", r"[0-5](\.[0-9])?", "0 to 5 stars"),
               log.Time("timestamp", 1000 if year == "2023" else 1)]
    users, items, times = log.Numbering(), log.Numbering(), []
    for chunk in log.read_chunks(path, columns, HEADER_2023 if year == "2023" else None):
        users.add(chunk["user"])
        items.add(chunk["item"])
        times.append(chunk["timestamp"])
    result = log.make_log(users.finish(), items.finish(), np.concatenate(times))
    if year == "2023":
        result.times //= 1000
    return result


def main(arguments):
    options = parse_options(arguments)
    found = set_of(options.input)  # also where --set names it: for what it refuses
    year = options.set or found
    importing.import_log(
        options, lambda: read_log(options.input, year),
        made_by=f"scripts/import_amazon.py set={year}",
        name=f"amazon-{importing.stem(options.input)}",
        source=f"Amazon review data {year}, McAuley Lab, UC San Diego",
        licence="none stated with the data: ask the publishers before passing it on")
