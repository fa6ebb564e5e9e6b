# SPDX-License-Identifier: Apache-2.0
"""The fastest setting of each family that reaches a recall, from the rows of retrieval_bench."""
from eta_simd.command import BadInput
from eta_simd.experiments.equal_recall.families import BASE, FAMILIES, code_bytes, family_of
from eta_simd.reading import number, read_csv
from eta_simd.text import reason


def read_rows(path):
    """The rows of a CSV of retrieval_bench, with what is compared as numbers."""
    try:
        return [row for row in map(read_row, read_csv(path)[1]) if row]
    except (ValueError, KeyError, ZeroDivisionError) as error:
        raise BadInput(f"{path}: no results of retrieval_bench: {reason(error)}") from None


def read_row(row):
    """Family, method, recall and ns per candidate of a row; None if it takes no part."""
    family = family_of(row["method"])
    if family is None or row["recall_ties"] == "":
        return None
    return {"family": family, "method": row["method"], "recall_ties": number(row["recall_ties"]),
            "ns": 1e3 * number(row["p50_us"]) / number(row["b"]),
            "bytes_per_behaviour": number(row["bytes_per_behaviour"])}


def cheapest(rows, family, target):
    """The fastest row of a family whose recall reaches the target, or None."""
    fit = [r for r in rows if r["family"] == family and r["recall_ties"] >= target]
    return min(fit, key=lambda r: r["ns"], default=None)


def select(where, rows, targets):
    """A choice for each target and family that was run. `where` is {data, cache, l}."""
    choices = []
    base = min((r["ns"] for r in rows if r["family"] == BASE), default=None)
    families = [f for f in FAMILIES if any(r["family"] == f for r in rows)]
    for target in targets:
        best = {f: cheapest(rows, f, target) for f in families}
        reached = [r["ns"] for r in best.values() if r]
        for family, row in best.items():
            choices.append({
                **where,
                "target": target,
                "family": family,
                "method": row["method"] if row else None,
                "recall_ties": row["recall_ties"] if row else None,
                "ns_per_candidate": row["ns"] if row else None,
                "speedup_vs_faiss_exact": base / row["ns"] if row and base else None,
                "is_winner": bool(row) and row["ns"] == min(reached),
                "best_recall": max(r["recall_ties"] for r in rows if r["family"] == family),
            })
    return choices


def select_by_bytes(where, rows, dim, budgets):
    """For each budget of bytes for a behaviour's code: the best recall without and with rescoring
    by the items' rows, the cheapest of those within 0.005 of it. `where` is {data, cache, l}."""
    choices = []
    for budget in budgets:
        for is_rescored in (False, True):
            fit = [r for r in rows if (code_bytes(r["method"], dim) or budget + 1) <= budget
                   and ("+" in r["method"]) == is_rescored]
            if not fit:
                continue
            best = max(r["recall_ties"] for r in fit)
            row = min((r for r in fit if r["recall_ties"] >= best - 0.005), key=lambda r: r["ns"])
            choices.append({
                **where,
                "code_bytes_at_most": budget,
                "is_rescored": is_rescored,
                "method": row["method"],
                "recall_ties": row["recall_ties"],
                "ns_per_candidate": row["ns"],
                "bytes_per_behaviour": row["bytes_per_behaviour"],
            })
    return choices


def group(choices, *keys):
    """Choices by the values of `keys`, in the order in which these appear."""
    groups: dict[tuple, list[dict]] = {}
    for choice in choices:
        groups.setdefault(tuple(choice[k] for k in keys), []).append(choice)
    return groups
