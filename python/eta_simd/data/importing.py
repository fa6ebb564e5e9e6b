# SPDX-License-Identifier: Apache-2.0
"""What the importers share: options, and the way from a log to a bundle."""
import pathlib

from eta_simd import files
from eta_simd.command import BadInput, check_range, summarize

MAX_DIM = 4096


def add_output(parser):
    """--output, required: the folder of the new bundle."""
    parser.add_argument("--output", required=True, type=pathlib.Path, metavar="BUNDLE",
                        help="bundle folder to make; must not exist")


def add_embedding_options(parser):
    """--dim and --seed of embeddings.item_embeddings."""
    parser.add_argument("--dim", type=int, default=64,
                        help="dimensions of an embedding, 1 to 4096 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="seed of the solver's start vector (default: %(default)s)")


def parse(parser, arguments):
    """The options, with --output and, where the parser has them, --dim and --seed checked."""
    options = parser.parse_args(arguments)
    if "dim" in options:
        check_range("--dim", options.dim, 1, MAX_DIM)
    if "seed" in options and options.seed < 0:
        raise BadInput(f"--seed is {options.seed} (expected 0 or more)")
    files.check_new(options.output)
    return options


def stem(path):
    """The name of a file without its ending, and without .gz before that."""
    name = pathlib.PurePath(path.name)
    return (name.with_suffix("") if name.suffix == ".gz" else name).stem


def import_log(options, read_log, made_by, **description):
    """Writes the bundle options.output from the Log (log.py) that read_log() returns.

    Item embeddings are computed from the log. `description` (name, source, licence) goes into
    bundle.json, with `made_by` and the embeddings' settings."""
    from eta_simd.data import embeddings  # before NumPy: sets variables that NumPy reads
    from eta_simd.data.bundle import write_log_bundle

    log = read_log()
    table = embeddings.item_embeddings(log, options.dim, options.seed)
    made_by += f" dim={options.dim} seed={options.seed}: {embeddings.KIND}"
    summarize(write_log_bundle(options.output, log, table, {**description, "made_by": made_by}))
