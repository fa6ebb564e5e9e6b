# SPDX-License-Identifier: Apache-2.0
"""Answers the questions of docs/decide.md for one bundle: which K, how many bits, memory, what a
new model costs, when to stay with a scan, centring, and how long training takes.

Measures with retrieval_bench and bundle_tool of the folder --bench and prints each answer with the
command that gives it; their JSON files stay in --output. scripts/decide.sh builds what this needs
and calls it."""
import argparse
import shlex
from pathlib import Path

from eta_simd import files
from eta_simd.command import BadInput, Parser, check_range, progress
from eta_simd.reading import read_json
from eta_simd.report import memory

ORACLES = ("cosine", "random")  # by which others are judged
KS = (16, 32, 64, 128, 256)
QUICK_KS = (16, 64)


def parse_options(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE", help="bundle folder; best that of a trained model")
    add("--bench", required=True, type=Path, metavar="DIR",
        help="folder with retrieval_bench and bundle_tool")
    add("--output", required=True, type=Path, metavar="DIR",
        help="folder for the results; made where it is missing")
    add("--recall", type=float, default=0.9, metavar="R",
        help="recall to reach (default: %(default)s)")
    add("--k", type=int, metavar="K", help="decide for this K (default: chosen by attention mass)")
    add("--quick", action="store_true", help="few requests and methods, no training: a minute")
    memory.add_options(parser)
    options = parser.parse_args(arguments)
    check_range("--recall", options.recall, 0, 1)
    if options.k is not None:
        check_range("--k", options.k, 1, 16384)
    if not options.bundle.is_dir():
        raise BadInput(f"{options.bundle}: not a folder")
    return options


def provenance(bundle):
    """Whose embeddings these are, which decides what the answers are worth."""
    path = bundle.absolute().parent / "manifest.json"
    if path.is_file():
        manifest = read_json(path)
        if isinstance(manifest, dict) and manifest.get("format") == "eta-ctr":
            return (f"the item table of an exported model ({manifest.get('model')}): the numbers "
                    "that matter")
    return ("not an exported model's. If a model will be trained, ask again on MODEL/bundle: its "
            "embeddings are what is searched")


def memory_text(rows, scale):
    """Lines of the memory table, for what could be served."""
    found = memory.memories([row for row in rows if row["method"] not in ORACLES], scale)
    lines = [[*memory.HEAD], *map(memory.fields, found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(memory.HEAD))]
    return [memory.title_of(rows[0], scale)] + [
        "  " + "  ".join([line[0].ljust(widths[0]), *(f.rjust(w) for f, w in
                                                      zip(line[1:], widths[1:]))])
        for line in lines]


def memory_command(options):
    """What prints the memory for the same users, length and items."""
    scale = memory.scale_of(options)
    given = [("--users", scale.users), ("--length", scale.length), ("--items", scale.items)]
    return shlex.join(["scripts/memory.py", str(options.output / "methods.json"),
                       *(part for name, value in given if value is not None
                         for part in (name, f"{value:.0f}"))])


def main(arguments):
    options = parse_options(arguments)
    from eta_simd.experiments.decide import answers, runs
    from eta_simd.report import inputs

    options.output.mkdir(parents=True, exist_ok=True)
    measure = runs.Runs(options)
    table = runs.embeddings_of(options.bundle)
    ks = QUICK_KS if options.quick else KS
    by_k = measure.quality_by_k(ks)
    k, why = answers.choose_k(by_k, 64, ks)
    k = options.k or int(k)
    rows = measure.at(k)
    read = inputs.read([options.output / "methods.json"]).rows
    recalls = measure.centred(k, rows)
    target = options.recall
    sections = [
        ("data", f"{len(table):,} items of {table.shape[1]} dimensions, {runs.norms_text(table)}; "
                 f"{provenance(options.bundle)}"),
        ("K", why), ("bits", f"at K = {k}, {answers.bits_text(rows, target)}"),
        ("memory", "\n".join(memory_text(read, memory.scale_of(options)))),
        ("scan", answers.scan_text(rows, target)),
        ("hourly", answers.hourly_text(rows, target, measure.encoding_seconds(), len(table))),
        ("centring", answers.centring_text(runs.mean_share(table), recalls)),
        ("training", answers.training_text(measure.training_seconds()))]
    if measure.notes:
        sections.append(("notes", "what the program noted of these runs\n" +
                         answers.notes_text(measure.notes)))
    measure.commands["memory"] = [memory_command(options)]
    measure.commands["scan"] = measure.commands["bits"]
    progress("")
    lines = []
    for name, text in sections:
        lines += [f"{name}: {text}", *(f"    {line}" for line in measure.commands.get(name, [])),
                  ""]
    text = "\n".join(lines)
    files.write_text(options.output / "decide.txt", text)
    print(text, end="")
