# SPDX-License-Identifier: Apache-2.0
"""Compares this project's methods with libraries of others, in one process, on the same requests:
one thread each, taking turns, each checked before it is timed. Writes the columns of
retrieval_bench (docs/columns.md). `scripts/setup.sh peers` installs the libraries.
"""
import pathlib
import sys
import time

from eta_simd.command import (BadInput, Count, Parser, add_counts, check_counts, progress,
                              set_threads)
from eta_simd.files import check_new, write_csv
from eta_simd.results import COLUMNS

OURS = ("exact", "scan_i8", "eta:64", "eta_norm:64", "eta_asym:64", "pq4:64", "pq4:128",
        "pq4:128+rerank_i8:2", "pq4:128+rerank_i8:4", "eta:64+rerank_i8:4")
COUNTS = (
    Count("length", 1024, 1, 1000000, "behaviours of a generated history"),
    Count("candidates", 256, 1, 10000, "candidates of a request"),
    Count("k", 64, 1, 10000, "behaviours that are returned for each"),
    Count("bits", 64, 8, 4096, "bits of the libraries' binary codes, a multiple of 8"),
    Count("requests", 20, 1, 10000, "requests, each of another user"),
    Count("repeats", 10, 1, 10000, "times that each request is timed"),
)
# The least recall_ties that a kind of answers must have.
LEAST = {"exact": 0.9999, "int8": 0.9}


def parse_options(arguments):
    from eta_simd.peers.rivals import LIBRARIES
    parser = Parser(prog="python -m eta_simd.peers", description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, metavar="BUNDLE",
                        help="a data bundle in place of generated data")
    parser.add_argument("--csv", type=pathlib.Path, metavar="FILE", help="new file for the rows")
    parser.add_argument("--libraries", default=",".join(LIBRARIES), metavar="NAMES",
                        help="default: %(default)s")
    parser.add_argument("--methods", default=",".join(OURS), metavar="NAMES",
                        help="of this project; default: %(default)s")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    if options.bits % 8:
        raise BadInput(f"--bits is {options.bits} (expected a multiple of 8)")
    options.libraries = [name for name in options.libraries.split(",") if name]
    options.methods = [name for name in options.methods.split(",") if name]
    for name in options.libraries:
        if name not in LIBRARIES:
            raise BadInput(f"--libraries: '{name}' is none of {', '.join(LIBRARIES)}")
    if options.csv:
        check_new(options.csv)
    return options


def draw_requests(options):
    """The item table, and (history, candidates) of each request: users with more than K
    behaviours, and behaviours of all users, so that popular items come often."""
    import numpy as np
    import eta_simd
    if options.data:
        bundle = eta_simd.read_bundle(options.data)
        if bundle.candidate_embeddings is not None:
            raise BadInput(f"{options.data}: has candidate_embeddings.npy (expected none, because "
                           "all are asked with the embeddings of behaviours)")
    else:
        bundle = eta_simd.generate_bundle(users=options.requests, length=options.length)
    histories = np.split(bundle.history_items, bundle.history_offsets[1:-1])
    random = np.random.default_rng(1)
    chosen = [h for h in histories if len(h) > options.k]
    if not chosen:
        raise BadInput(f"{options.data or '--length'}: no user has more than --k {options.k} "
                       "behaviours")
    picked = random.permutation(len(chosen))[:options.requests]
    return bundle.item_embeddings, [
        (np.ascontiguousarray(chosen[i]), random.choice(bundle.history_items, options.candidates))
        for i in picked]


class Judge:
    """What is right for one request."""

    def __init__(self, tables, request, k):
        import numpy as np
        import eta_simd
        history, candidates = request
        self.k, self.dim = k, tables.floats.shape[1]
        self.scores = np.ascontiguousarray(tables.floats[candidates] @ tables.floats[history].T)
        self.exact = eta_simd.dot_topk(tables.floats[history], tables.floats[candidates], k)[0]
        self.all_distances = eta_simd.hamming_distances(
            eta_simd.pack_codes(tables.codes[history]), tables.codes[candidates])

    def problem(self, rival, found):
        """Why the answers of a rival are wrong, or None."""
        import numpy as np
        import eta_simd
        if found.shape != self.exact.shape or (np.diff(np.sort(found, axis=1), axis=1) == 0).any():
            return f"returned {found.shape} with repetitions, expected {self.exact.shape}"
        if rival.kind in LEAST:
            ties = eta_simd.recall_ties(found, self.scores, self.k).mean()
            if ties < LEAST[rival.kind]:
                return f"recall with ties {ties:.4f} (expected {LEAST[rival.kind]})"
        if rival.kind == "hamming":
            distances = np.take_along_axis(self.all_distances, found.astype(np.int64), axis=1)
            nearest = np.sort(self.all_distances, axis=1)[:, :self.k]
            if (np.sort(distances, axis=1) != nearest).any():
                return "other distances than the nearest ones"
        return None

    def quality(self, found):
        """Recall, recall with ties and attention mass: means over the candidates."""
        import numpy as np
        import eta_simd
        n = self.scores.shape[1]
        return (eta_simd.recall(found, self.exact, n).mean(),
                eta_simd.recall_ties(found, self.scores, self.k).mean(),
                np.nanmean(eta_simd.attention_mass(found, self.scores, self.dim)))


def answer(rival, prepared, candidates, k):
    """A rival's positions as the measures take them."""
    import numpy as np
    return np.ascontiguousarray(np.asarray(rival.search(prepared, candidates, k)), np.int32)


def verify(rivals, tables, requests, k):
    """The rivals whose answers to all requests are right, and a line for each of the others."""
    judges = [Judge(tables, request, k) for request in requests]
    sound, problems = [], []
    for rival in rivals:
        problem = None
        try:
            for judge, (history, candidates) in zip(judges, requests):
                found = answer(rival, rival.prepare(history), candidates, k)
                problem = judge.problem(rival, found)
                if problem is not None:
                    break
        except Exception as error:  # of any kind, from code that is not ours
            problem = f"{type(error).__name__}: {error}"
        if problem is None:
            sound.append(rival)
        else:
            problems.append(f"{rival.method}: {problem}")
    return sound, problems


def measure(rivals, tables, requests, options):
    """A row for each rival. They take turns at each repeat of a request."""
    import numpy as np
    seconds = np.zeros((len(rivals), len(requests), options.repeats))
    builds, qualities = np.zeros((len(rivals), len(requests))), {}
    for r, (history, candidates) in enumerate(requests):
        progress(f"request {r + 1}/{len(requests)}")
        judge, prepared = Judge(tables, (history, candidates), options.k), []
        for m, rival in enumerate(rivals):
            start = time.perf_counter()
            prepared.append(rival.prepare(history))
            builds[m, r] = time.perf_counter() - start
            qualities[m, r] = judge.quality(answer(rival, prepared[m], candidates, options.k))
        for repeat in range(options.repeats):
            for m, rival in enumerate(rivals):
                # Untimed: its data are in the caches again after the turns of the others.
                rival.search(prepared[m], candidates, options.k)
                start = time.perf_counter()
                rival.search(prepared[m], candidates, options.k)
                seconds[m, r, repeat] = time.perf_counter() - start
    progress("")
    lengths = [len(history) for history, _ in requests]
    return [row_of(rival, seconds[m], builds[m],
                   np.array([qualities[m, r] for r in range(len(requests))]), lengths, tables,
                   options) for m, rival in enumerate(rivals)]


def row_of(rival, seconds, builds, quality, lengths, tables, options):
    import numpy as np
    ordered = np.sort(seconds.ravel())

    def percentile(percent):  # the nearest rank
        return ordered[max(0, int(np.ceil(percent / 100 * len(ordered))) - 1)] * 1e6
    recalls = np.sort(quality[:, 0])
    return {
        "method": rival.method, "bits": rival.bits, "dim": tables.floats.shape[1], "k": options.k,
        "l_mean": f"{np.mean(lengths):.3f}", "b": options.candidates, "threads": 1,
        "target": rival.target, "cache": "warm", "recall": f"{quality[:, 0].mean():.6f}",
        "recall_p5": f"{recalls[max(0, int(np.ceil(0.05 * len(recalls))) - 1)]:.6f}",
        "recall_ties": f"{quality[:, 1].mean():.6f}",
        "attention_mass": f"{quality[:, 2].mean():.6f}", "p50_low_us": "", "p50_high_us": "",
        **{f"p{str(percent).replace('.', '')}_us": f"{percentile(percent):.3f}"
           for percent in (50, 95, 99, 99.9)},
        "candidates_per_s": f"{options.candidates * seconds.size / seconds.sum():.1f}",
        # With 4 bytes for the item id, as in retrieval_bench; libraries do not say what all users
        # share.
        "bytes_per_behaviour": f"{rival.row_bytes + 4:.3f}",
        "build_us": f"{builds.mean() * 1e6:.3f}",
        "user_bytes": f"{(rival.row_bytes + 4) * np.mean(lengths):.1f}", "shared_bytes": ""}


def main(arguments):
    set_threads(1)  # before any library is imported
    options = parse_options(arguments)
    from eta_simd.peers.rivals import Tables, ours, rivals_of
    try:
        embeddings, requests = draw_requests(options)
        tables = Tables.make(embeddings, options.bits)
        rivals, problems = ours(tables, options.methods), []
    except ValueError as error:  # a bundle or a method that is not sound
        raise BadInput(str(error)) from error
    for library in options.libraries:
        found, problem = rivals_of(library, tables, options.k)
        rivals += found
        problems += [problem] if problem else []
    rivals, wrong = verify(rivals, tables, requests, options.k)
    rows = measure(rivals, tables, requests, options)
    if options.csv:
        write_csv(options.csv, rows, COLUMNS)
    print(f"{options.candidates} candidates, {rows[0]['l_mean'] if rows else 0} behaviours, "
          f"K = {options.k}, dim {embeddings.shape[1]}, one thread, {len(requests)} requests\n")
    print(f"{'method':<34}{'recall':>8}{'ties':>8}{'p50 us':>11}{'ns/candidate':>14}  what")
    for row in sorted(rows, key=lambda row: float(row["p50_us"])):
        print(f"{row['method']:<34}{float(row['recall']):>8.4f}"
              f"{float(row['recall_ties']):>8.4f}{float(row['p50_us']):>11.1f}"
              f"{float(row['p50_us']) * 1e3 / options.candidates:>14.0f}  {row['target']}")
    for line in problems + wrong:
        print(f"left out: {line}", file=sys.stderr)
