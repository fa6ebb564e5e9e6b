# SPDX-License-Identifier: Apache-2.0
"""Prints the version, the SIMD targets and a table of methods on generated data: what a request
takes from Python, and how many of the exact top-K it returns. Takes half a minute.
"""
import time

import numpy as np

import eta_simd
from eta_simd.command import Count, Parser, add_counts, check_counts, progress

METHODS = ("exact", "scan_i8", "eta:64", "eta:256", "eta_norm:64", "eta_asym:64", "pq4:64",
           "pq4:128", "pq4:128+rerank_i8:2", "eta:64+rerank_i8:4", "recent")
COUNTS = (
    Count("length", 1024, 1, 100000, "behaviours of a history"),
    Count("candidates", 256, 1, 10000, "candidates of a request"),
    Count("k", 64, 1, 10000, "behaviours that are returned for each"),
    Count("users", 20, 1, 10000, "users, one request each"),
    Count("rounds", 20, 1, 10000, "times that each request is asked; the table has the median of "
          "the fastest times of the users"),
)


def measure(retrievers, histories, candidates, k, rounds):
    """Fastest seconds of each method and user, [methods, users], and what was returned. The
    methods take turns, so that a slow moment of the machine hits all alike."""
    seconds = np.full((len(retrievers), len(histories)), np.inf)
    returned = {}
    for user, history in enumerate(histories):
        progress(f"user {user + 1}/{len(histories)}")
        prepared = [retriever.prepare(history) for retriever in retrievers]
        for _ in range(rounds):
            for m, retriever in enumerate(retrievers):
                start = time.perf_counter()
                returned[m, user] = retriever.retrieve(prepared[m], candidates[user], k)
                seconds[m, user] = min(seconds[m, user], time.perf_counter() - start)
    progress("")
    return seconds, returned


def requests(options):
    """The bundle's embeddings, a history for each user, and other items as candidates, the popular
    ones more often."""
    bundle = eta_simd.generate_bundle(users=options.users, length=options.length)
    histories = np.split(bundle.history_items, bundle.history_offsets[1:-1])
    random = np.random.default_rng(1)
    candidates = [random.choice(bundle.history_items, options.candidates)
                  for _ in range(options.users)]
    return bundle.item_embeddings, histories, candidates


def main(arguments):
    parser = Parser(prog="python -m eta_simd", description=__doc__)
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    info = eta_simd.build_info()
    print(f"eta-simd {eta_simd.__version__}, {info['compiler']}, Highway {info['highway']}, "
          f"FAISS {info['faiss']}")
    print(f"targets: {', '.join(eta_simd.targets())}; in use: {eta_simd.target()}")
    embeddings, histories, candidates = requests(options)
    retrievers = [eta_simd.Retriever(method, embeddings) for method in METHODS]
    seconds, returned = measure(retrievers, histories, candidates, options.k, options.rounds)
    print(f"\n{options.candidates} candidates against {options.length} generated behaviours of "
          f"{embeddings.shape[1]} dimensions, K = {options.k}, one thread\n")
    print(f"{'method':<22}{'us':>9}{'ns per candidate':>19}{'recall':>9}")
    for m, method in enumerate(METHODS):
        recall = np.mean([eta_simd.recall(returned[m, u], returned[0, u], len(history))
                          for u, history in enumerate(histories)])
        median = np.median(seconds[m])
        print(f"{method:<22}{median * 1e6:>9.1f}{median * 1e9 / options.candidates:>19.0f}"
              f"{recall:>9.4f}")
