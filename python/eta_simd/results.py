# SPDX-License-Identifier: Apache-2.0
"""The results of retrieval_bench, as far as several readers need the same of them."""

# The columns of its CSV, in order (bench/retrieval/columns.h, docs/columns.md).
COLUMNS = (
    "method", "bits", "dim", "k", "l_mean", "b", "threads", "target", "cache", "recall",
    "recall_p5", "recall_ties", "attention_mass", "p50_us", "p50_low_us", "p50_high_us", "p95_us",
    "p99_us", "p999_us", "candidates_per_s", "bytes_per_behaviour", "build_us", "user_bytes",
    "shared_bytes")


def digests_of(run):
    """The digest of the data behind each row of a run or sweep, None where the file has none.

    Raises ValueError if the cells of a sweep do not account for its rows."""
    if "sweep" not in run:
        return [run["data"].get("digest")] * len(run["rows"])
    digests = [cell["data_digest"] for cell in run["cells"] for _ in range(cell["rows"])]
    if len(digests) != len(run["rows"]):
        raise ValueError(f"its cells have {len(digests)} rows, and there are {len(run['rows'])}")
    return digests
