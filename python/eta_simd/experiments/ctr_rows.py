# SPDX-License-Identifier: Apache-2.0
"""The JSON of ctr_bench, as far as several readers need the same of it."""
import numpy as np

from eta_simd.reading import number


def is_ctr(run):
    """Whether a JSON value is a result of ctr_bench."""
    return isinstance(run, dict) and run.get("program") == "ctr_bench"


def rows_of(run):
    """Names and rows. A second row of one model and retrieval has #2 behind its name."""
    seen: dict[str, int] = {}
    for row in run["rows"]:
        how = "" if row.get("retrieval") in (None, "own") else f" by {row['retrieval']}"
        k = "" if row.get("k") is None else f"/K:{number(row['k']):g}"
        tables = {"no": "/no tables"}.get(row.get("item_tables"), "")
        precision = {"int8": "/int8"}.get(row.get("precision"), "")
        name = f"{row['model']}{how}{k}{tables}{precision}/B:{run['candidates']}/L:{run['length']}"
        seen[name] = seen.get(name, 0) + 1
        yield (f"{name}#{seen[name]}" if seen[name] > 1 else name), row


def logits_of(run, row):
    """Users, items, ends and labels of a row's samples, and its logits; two Nones without --logits.

    Raises ValueError where they do not fit one another."""
    if row.get("logits") is None:
        return None, None
    samples = run["samples"][row["samples"]]
    arrays = tuple(np.asarray(samples[key], np.int64) for key in ("users", "items", "ends",
                                                                  "labels"))
    logits = np.asarray(row["logits"], float)
    if any(array.shape != logits.shape or logits.ndim != 1 for array in arrays):
        raise ValueError("samples and logits are not as many")
    if not np.isfinite(logits).all() or not np.isin(arrays[3], (0, 1)).all():
        raise ValueError("a logit is no number or a label neither 0 nor 1")
    return arrays, logits
