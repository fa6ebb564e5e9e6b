# SPDX-License-Identifier: Apache-2.0
"""Turns a MovieLens folder of any size into a data bundle: ratings.csv and movies.csv (small, 20M,
25M, 32M), ratings.dat and movies.dat (1M, 10M), or u.data and u.item (100K); each may be gzip, with
.gz after its name. Every rating is a behaviour, whether good or bad. Item embeddings come from an
SVD of the user-item matrix (eta_simd/data/embeddings.py)."""
import pathlib
import shutil
import subprocess
import tempfile

from eta_simd import SOURCE_TREE
from eta_simd.command import BadInput, Parser, progress, summarize
from eta_simd.data import importing, movielens_files
from eta_simd.files import staged, written


def parse_options(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--input", required=True, type=pathlib.Path, metavar="FOLDER",
                        help="folder with the ratings and the movies")
    importing.add_output(parser)
    parser.add_argument("--bundle-tool", metavar="PATH",
                        help="default: the one built in this source tree, else in PATH")
    importing.add_embedding_options(parser)
    return importing.parse(parser, arguments)


def find_bundle_tool(given):
    """The path of bundle_tool: the one given, else built in this source tree, else in PATH."""
    if given:
        found = shutil.which(given)
        if not found:
            raise BadInput(f"{given}: not an executable file (given as --bundle-tool)")
        return found
    for build in (SOURCE_TREE / "build" / "release", SOURCE_TREE / "build"):
        found = shutil.which(build / "bench" / "bundle_tool")
        if found:
            return found
    found = shutil.which("bundle_tool")
    if not found:
        raise BadInput("bundle_tool not found (build it, or name it with --bundle-tool)")
    return found


def run_bundle_tool(tool, *arguments):
    """Runs bundle_tool and returns its standard output."""
    try:
        done = subprocess.run([tool, *map(str, arguments)], text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as error:
        raise BadInput(f"{tool}: cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"{tool}: ended with status {done.returncode}"
        raise BadInput(reason.removeprefix("bundle_tool: "))
    return done.stdout


def main(arguments):
    options = parse_options(arguments)
    from eta_simd.data import embeddings  # before NumPy: sets variables that NumPy reads
    from eta_simd.data.log import Log
    import numpy as np

    tool = find_bundle_tool(options.bundle_tool)
    ratings, movies = movielens_files.find(options.input)
    with tempfile.TemporaryDirectory(prefix="eta-movielens-") as temporary:
        scratch = pathlib.Path(temporary)
        interactions = scratch / "interactions"
        progress(f"reading {options.input}")
        folder = movielens_files.prepare(ratings, movies, scratch)
        try:
            run_bundle_tool(tool, "export-interactions", "--input", folder,
                            "--output", interactions)
        except BadInput as error:
            raise BadInput(movielens_files.name_originals(str(error), folder, ratings,
                                                          movies)) from None
        log = Log(np.load(interactions / "history_offsets.npy"),
                  np.load(interactions / "history_items.npy"), None,
                  len(np.load(interactions / "item_ids.npy")))
        file = scratch / "embeddings.npy"
        table = embeddings.item_embeddings(log, options.dim, options.seed)
        with written(file):
            np.save(file, table)
        made_by = (f"scripts/import_movielens.py dim={options.dim} seed={options.seed}: "
                   f"{embeddings.KIND}")
        progress(f"writing {options.output}")
        with staged(options.output, is_folder=True) as bundle:
            bundle.rmdir()  # bundle_tool makes it
            text = run_bundle_tool(tool, "import-movielens", "--input", folder, "--output", bundle,
                                   "--embeddings", file, "--made-by", made_by)
            movielens_files.check_times(ratings, np.load(bundle / "history_times.npy"))
        summarize(text.replace(str(bundle), str(options.output)))
