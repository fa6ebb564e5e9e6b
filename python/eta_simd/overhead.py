# SPDX-License-Identifier: Apache-2.0
"""Prints what a call from Python costs over the C++ call, what two Python threads gain, and what
the import takes over NumPy's, each with its target. Fastest of many; for a quiet machine."""
import os
import subprocess
import sys
import threading
import time

import numpy as np

import eta_simd
from eta_simd.command import Count, Parser, add_counts, check_counts

METHODS = ("eta:64", "exact")
COUNTS = (
    Count("length", 1024, 1, 100000, "behaviours of the history"),
    Count("candidates", 256, 1, 10000, "candidates of a request"),
    Count("k", 64, 1, 10000, "behaviours that are returned for each"),
    Count("calls", 3000, 1, 1000000, "calls of which the fastest counts, alternately of Python and "
          "C++"),
    Count("imports", 15, 1, 1000, "processes of which the fastest import counts"),
)
IMPORT = ("import numpy, time\nstart = time.perf_counter()\nimport eta_simd\neta_simd.Retriever\n"
          "print(time.perf_counter() - start)")


def call_seconds(retriever, prepared, candidates, k, calls):
    """Fastest seconds of the call from Python and of the C++ call inside."""
    native, fastest, inside = retriever._native, float("inf"), float("inf")
    for _ in range(calls):
        start = time.perf_counter()
        retriever.retrieve(prepared, candidates, k)
        fastest = min(fastest, time.perf_counter() - start)
        inside = min(inside, native.seconds_of_call(prepared._native, candidates, k))
    return fastest, inside


def gain_of_two(retriever, prepared, candidates, k, calls):
    """How many times as many requests two Python threads answer in the same time as one, each of
    them always the same request: the best of 5 turns."""
    def work():
        for _ in range(calls):
            retriever.retrieve(prepared, candidates, k)

    def seconds(count):
        threads = [threading.Thread(target=work) for _ in range(count)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start
    turns = [(seconds(1), seconds(2)) for _ in range(5)]
    return 2 * min(one for one, _ in turns) / min(two for _, two in turns)


def import_seconds(runs):
    """Fastest import of eta_simd and its native module where NumPy is loaded."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return min(float(subprocess.run([sys.executable, "-c", IMPORT], check=True, text=True,
                                    capture_output=True, env=environment).stdout)
               for _ in range(runs))


def main(arguments):
    parser = Parser(prog="python -m eta_simd.overhead", description=__doc__)
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    bundle = eta_simd.generate_bundle(users=1, length=options.length)
    candidates = np.random.default_rng(1).choice(bundle.history_items, options.candidates)
    for method in METHODS:
        retriever = eta_simd.Retriever(method, bundle.item_embeddings)
        request = retriever.prepare(bundle.history_items), candidates, options.k, options.calls
        python, inside = call_seconds(retriever, *request)
        print(f"{method}: {python * 1e6:.1f} us from Python, {inside * 1e6:.1f} us in C++: "
              f"{(python - inside) * 1e6:.1f} us over it (at most 3)")
        print(f"{method}: two Python threads answer {gain_of_two(retriever, *request):.2f} times "
              "as many requests as one (at least 1.8)")
    milliseconds = import_seconds(options.imports) * 1e3
    print(f"import eta_simd: {milliseconds:.0f} ms over NumPy (at most 60)")


if __name__ == "__main__":
    from eta_simd.command import run

    run("eta_simd.overhead", needs="python")
