#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a MovieLens folder into a data bundle with item embeddings from an SVD of who rated what
(scripts/eta_data/embeddings.py); every rating is a behaviour, whatever its stars."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from eta_data import command
from eta_data.command import BadInput


def parse_arguments():
    parser = command.Parser(description=__doc__)
    parser.add_argument("--input", required=True, type=pathlib.Path, metavar="FOLDER",
                        help="folder with ratings.csv and movies.csv (or .dat)")
    command.add_output(parser)
    parser.add_argument("--bundle-tool", metavar="PATH",
                        help="default: the one built in this source tree, else in PATH")
    command.add_embedding_options(parser)
    return command.parse(parser)


def find_bundle_tool(given):
    if given:
        found = shutil.which(given)
        if not found:
            raise BadInput(f"{given}: not an executable file (given as --bundle-tool)")
        return found
    root = pathlib.Path(__file__).resolve().parent.parent
    for build in (root / "build" / "release", root / "build"):
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
        reason = lines[-1] if lines else f"ended with status {done.returncode}"
        raise BadInput(reason.removeprefix("bundle_tool: "))
    return done.stdout


def import_movielens():
    """Returns bundle_tool's line about the finished bundle."""
    arguments = parse_arguments()
    from eta_data import embeddings  # sets variables that NumPy reads when it is loaded
    from eta_data.log import Log
    import numpy as np

    tool = find_bundle_tool(arguments.bundle_tool)
    with tempfile.TemporaryDirectory(prefix="eta-movielens-") as temporary:
        interactions = pathlib.Path(temporary) / "interactions"
        command.progress(f"reading {arguments.input}")
        run_bundle_tool(tool, "export-interactions", "--input", arguments.input,
                        "--output", interactions)
        log = Log(np.load(interactions / "history_offsets.npy"),
                  np.load(interactions / "history_items.npy"), None,
                  len(np.load(interactions / "item_ids.npy")))
        file = pathlib.Path(temporary) / "embeddings.npy"
        np.save(file, embeddings.item_embeddings(log, arguments.dim, arguments.seed))
        made_by = (f"scripts/import_movielens.py dim={arguments.dim} seed={arguments.seed}: "
                   "SVD of the regularised user-item matrix")
        command.progress(f"writing {arguments.output}")
        return run_bundle_tool(tool, "import-movielens", "--input", arguments.input,
                               "--output", arguments.output, "--embeddings", file,
                               "--made-by", made_by)


if __name__ == "__main__":
    sys.exit(command.run(os.path.basename(__file__), import_movielens))
