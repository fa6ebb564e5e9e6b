# SPDX-License-Identifier: Apache-2.0
"""The JSON of retrieval_bench, as far as several readers need the same of it."""


def digests_of(run):
    """The digest of the data behind each row of a run or sweep, None where the file has none.

    Raises ValueError if the cells of a sweep do not account for its rows."""
    if "sweep" not in run:
        return [run["data"].get("digest")] * len(run["rows"])
    digests = [cell["data_digest"] for cell in run["cells"] for _ in range(cell["rows"])]
    if len(digests) != len(run["rows"]):
        raise ValueError(f"its cells have {len(digests)} rows, and there are {len(run['rows'])}")
    return digests
