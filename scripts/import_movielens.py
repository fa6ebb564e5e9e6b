#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a MovieLens folder into a data bundle with item embeddings from an SVD.

The embeddings are made of behaviours alone: who rated what, whatever the stars. The user-item
matrix holds 1 / sqrt((r_u + mean r) (c_i + mean c)) where user u rated item i, with r the users'
and c the items' counts. Why this matrix, and not another:
- Ratings centred per user give every item a norm that follows its popularity (from 0 to 16 on
  ml-latest-small), so that the largest inner products are those of popular items, whoever asks.
- Dividing by sqrt(r_u c_i) alone lets users with few ratings and films with a single one rule the
  leading components: the neighbours of Toy Story are then those of a few users of 1996.
- Adding the mean counts, as regularised spectral clustering does, damps both: a film's neighbours
  are its sequels and its kind, and norms differ mildly enough to look like a learned table.
An item's embedding is its row of V S from the truncated SVD U S V^T, so that inner products of
embeddings are those of the matrix's columns, as nearly as `dim` components can. All are then scaled
by one factor to a root mean square of 1. Components beyond the rank of the matrix are 0.

The same input gives the same bytes: start vector, solver, signs (the largest entry of each
component is positive) and number of threads are fixed. Values are rounded to multiples of 2^-12,
far below what the data can tell, to hide that the BLAS of another CPU rounds otherwise.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

# A sum split over threads would be rounded in another order.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

EXIT_ERROR = 2
MAX_DIM = 4096


class ImportFailure(Exception):
    """What went wrong, as one line."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ImportFailure(f"{message} (see --help)")


def parse_arguments():
    parser = Parser(
        description="Turn a MovieLens folder into a data bundle with item embeddings from an SVD."
    )
    parser.add_argument("--input", required=True, type=pathlib.Path, metavar="FOLDER",
                        help="folder with ratings.csv and movies.csv (or .dat)")
    parser.add_argument("--output", required=True, type=pathlib.Path, metavar="BUNDLE",
                        help="bundle folder to make; must not exist")
    parser.add_argument("--bundle-tool", metavar="PATH",
                        help="default: the one built in this source tree, else in PATH")
    parser.add_argument("--dim", type=int, default=64,
                        help="dimensions of an embedding, 1 to 4096 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="seed of the solver's start vector (default: %(default)s)")
    arguments = parser.parse_args()
    if not 1 <= arguments.dim <= MAX_DIM:
        raise ImportFailure(f"--dim is {arguments.dim} (expected 1 to {MAX_DIM})")
    if arguments.seed < 0:
        raise ImportFailure(f"--seed is {arguments.seed} (expected 0 or more)")
    if arguments.output.exists():
        raise ImportFailure(f"{arguments.output}: exists already (expected a new folder)")
    return arguments


def find_bundle_tool(given):
    if given:
        found = shutil.which(given)
        if not found:
            raise ImportFailure(f"{given}: not an executable file (given as --bundle-tool)")
        return found
    root = pathlib.Path(__file__).resolve().parent.parent
    for build in (root / "build" / "release", root / "build"):
        found = shutil.which(build / "bench" / "bundle_tool")
        if found:
            return found
    found = shutil.which("bundle_tool")
    if not found:
        raise ImportFailure("bundle_tool not found (build it, or name it with --bundle-tool)")
    return found


def run_bundle_tool(tool, *arguments):
    """Runs bundle_tool and returns its standard output."""
    try:
        done = subprocess.run([tool, *map(str, arguments)], text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as error:
        raise ImportFailure(f"{tool}: cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"ended with status {done.returncode}"
        raise ImportFailure(reason.removeprefix("bundle_tool: "))
    return done.stdout


def user_item_matrix(folder):
    """The regularised, normalised user-item matrix of exported interactions."""
    import numpy as np
    import scipy.sparse

    offsets = np.load(folder / "history_offsets.npy")
    items = np.load(folder / "history_items.npy")
    shape = (len(offsets) - 1, len(np.load(folder / "item_ids.npy")))
    matrix = scipy.sparse.csr_matrix((np.ones(len(items)), items, offsets), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    of_users = np.asarray(matrix.sum(axis=1)).ravel()
    of_items = np.asarray(matrix.sum(axis=0)).ravel()
    user_weights = scipy.sparse.diags(1 / np.sqrt(of_users + of_users.mean()))
    item_weights = scipy.sparse.diags(1 / np.sqrt(of_items + of_items.mean()))
    return (user_weights @ matrix @ item_weights).tocsr()


def right_singular_vectors(matrix, count, seed):
    """The leading `count` (or fewer) singular values, descending, and vectors as rows."""
    import numpy as np
    import scipy.sparse.linalg

    smaller = min(matrix.shape)
    if count < smaller - 1:
        start = np.random.RandomState(seed % 2**32).standard_normal(smaller)
        try:
            _, values, vectors = scipy.sparse.linalg.svds(
                matrix, k=count, v0=start, solver="arpack", return_singular_vectors="vh")
        except scipy.sparse.linalg.ArpackError as error:
            raise ImportFailure(f"the SVD failed: {error}") from error
    else:  # ARPACK cannot find (nearly) all components
        _, values, vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
    order = np.argsort(-values, kind="stable")[:count]
    return values[order], vectors[order]


def item_embeddings(matrix, dim, seed):
    import numpy as np

    values, vectors = right_singular_vectors(matrix, dim, seed)
    sizes = np.abs(vectors)
    # The first of those that are as good as equal: which is largest must not hang on rounding.
    largest = (sizes >= sizes.max(axis=1, keepdims=True) * (1 - 1e-6)).argmax(axis=1)
    signs = np.sign(vectors[np.arange(len(vectors)), largest])
    real = values > values[0] * 1e-9  # what lies below is rounding noise, not a component
    embeddings = np.zeros((matrix.shape[1], dim))
    embeddings[:, :len(values)] = (vectors * (signs * values * real)[:, None]).T
    embeddings /= np.sqrt(np.mean(embeddings**2))
    return (np.round(embeddings * 2**12) / 2**12 + 0.0).astype("<f4")  # + 0.0: no -0.0


def import_movielens(arguments):
    """Returns bundle_tool's line about the finished bundle."""
    import numpy as np

    tool = find_bundle_tool(arguments.bundle_tool)
    with tempfile.TemporaryDirectory(prefix="eta-movielens-") as temporary:
        interactions = pathlib.Path(temporary) / "interactions"
        run_bundle_tool(tool, "export-interactions", "--input", arguments.input,
                        "--output", interactions)
        matrix = user_item_matrix(interactions)
        embeddings_file = pathlib.Path(temporary) / "embeddings.npy"
        np.save(embeddings_file, item_embeddings(matrix, arguments.dim, arguments.seed))
        made_by = (f"scripts/import_movielens.py dim={arguments.dim} seed={arguments.seed}: "
                   "SVD of the regularised user-item matrix")
        return run_bundle_tool(tool, "import-movielens", "--input", arguments.input,
                               "--output", arguments.output, "--embeddings", embeddings_file,
                               "--made-by", made_by)


def main():
    # Without this the temporary folder would outlive a kill.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        summary = import_movielens(parse_arguments())
        if sys.stdout.isatty():
            sys.stdout.write(summary)
    except ImportFailure as failure:
        print(f"import_movielens.py: {failure}", file=sys.stderr)
        return EXIT_ERROR
    except ImportError as error:
        print(f"import_movielens.py: {error} (on Debian: apt install python3-scipy)",
              file=sys.stderr)
        return EXIT_ERROR
    except (OSError, MemoryError) as error:
        print(f"import_movielens.py: {error or 'out of memory'}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
