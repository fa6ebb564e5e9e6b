# SPDX-License-Identifier: Apache-2.0
"""Figures of a method over any number of requests, that merge exactly: in whatever parts the
requests are counted, in whatever order the parts are merged, every figure has the same bits.

Means are of exact sums, which are whole numbers; the percentile is of an exact histogram.
"""
from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction
from typing import Any, Iterator, NamedTuple, Optional

import numpy as np
import pyarrow as pa

from eta_simd import arrow, columns
from eta_simd.arrays import Float32, Float64
from eta_simd.retrieval import Retriever

_SCALE = 1074  # the smallest double is 2^-1074
_HALF = 26  # bits; sums of half mantissas of 2^36 values fit int64


class Part(NamedTuple):
    """Some or all candidates of one request. Sums over them are exact_sum."""

    behaviours: int
    user_bytes: int
    candidates: int
    weighted: int  # candidates for which some behaviour has weight
    recall: int
    recall_ties: int
    attention_mass: int

    def __add__(self, other: Any) -> Part:
        """The candidates of both, of one request."""
        return Part(*self[:2], *(a + b for a, b in zip(self[2:], other[2:])))


class Summary:
    """Figures of one method, k and item table; empty at first.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> from eta_simd import Retriever
    >>> from eta_simd.summary import Summary, parts_of
    >>> ids = pa.list_(pa.int32())
    >>> batch = pa.record_batch({"user": ["ann"], "history": pa.array([[2, 0, 2]], ids),
    ...                          "candidates": pa.array([[2, 1]], ids)})
    >>> table = np.eye(3, dtype=np.float32)
    >>> summary = Summary.of(Retriever("recent", table), k=1)
    >>> for part in parts_of(batch, Retriever("recent", table), 1, table):
    ...     summary.add(part)
    >>> summary.row()["recall"], summary.row()["recall_ties"]
    (1.0, 1.0)
    """

    def __init__(self, fixed: dict[str, Any]):
        self.fixed = fixed  # columns that are the same for all requests
        self.sums: Counter[str] = Counter()
        self.recalls: Counter[float] = Counter()  # requests by their recall

    @classmethod
    def of(cls, retriever: Retriever, k: int) -> Summary:
        """Of no request yet."""
        return cls({"method": retriever.name, "bits": retriever.bits, "dim": retriever.dim, "k": k,
                    "target": retriever.target, "shared_bytes": retriever.shared_bytes})

    def add(self, request: Part) -> None:
        """Counts a request, with all its candidates."""
        self.sums.update(requests=1, behaviours=request.behaviours, candidates=request.candidates,
                         user_bytes=request.user_bytes)
        if request.behaviours:
            self.recalls[_mean(request.recall, request.candidates)] += 1
            self.sums["recall_ties"] += _whole(_mean(request.recall_ties, request.candidates))
        if request.weighted:
            self.sums["attention_mass"] += _whole(_mean(request.attention_mass, request.weighted))
            self.sums["weighted"] += 1

    def merge(self, other: Summary) -> None:
        """Adds the requests of another. Raises ValueError where it is of something else."""
        if self.fixed != other.fixed:
            raise ValueError(f"summaries of {self.fixed} and of {other.fixed} cannot be merged")
        self.sums.update(other.sums)
        self.recalls.update(other.recalls)

    def row(self) -> dict[str, Any]:
        """The columns of retrieval_bench's CSV that hold no times, and the number of requests;
        None for what nothing defines."""
        sums, requests = self.sums, self.sums["requests"]
        measured = sum(self.recalls.values())
        recall = sum(_whole(value) * count for value, count in self.recalls.items())
        per_request = {name: sums[name] / requests if requests else math.nan
                       for name in ("behaviours", "candidates", "user_bytes")}
        fixed = dict(self.fixed)
        target, shared_bytes = fixed.pop("target"), fixed.pop("shared_bytes")
        return {
            **fixed,
            "l_mean": per_request["behaviours"] if requests else None,
            "b": math.floor(per_request["candidates"] + 0.5) if requests else None,
            "target": target,
            "recall": _mean(recall, measured) if measured else None,
            "recall_p5": self.recall_percentile(5),
            "recall_ties": _mean(sums["recall_ties"], measured) if measured else None,
            "attention_mass": _mean(sums["attention_mass"], sums["weighted"])
            if sums["weighted"] else None,
            "bytes_per_behaviour": sums["user_bytes"] / sums["behaviours"]
            if sums["behaviours"] else None,
            "user_bytes": per_request["user_bytes"] if requests else None,
            "shared_bytes": shared_bytes,
            "requests": requests,
            "requests_with_recall": measured,
        }

    def recall_percentile(self, percent: float) -> Optional[float]:
        """The recall that `percent` % of the requests do not exceed, by nearest rank."""
        rank = max(math.ceil(percent * sum(self.recalls.values()) / 100 - 1e-9), 1)
        for value in sorted(self.recalls):
            rank -= self.recalls[value]
            if rank <= 0:
                return value
        return None

    def recall_interval(self, z: float = 1.96) -> Optional[float]:
        """Half the width of the interval of the mean recall, by the normal approximation over
        requests; z = 1.96 is for 95 %. None for fewer than 2 requests."""
        measured = sum(self.recalls.values())
        if measured < 2:
            return None
        mean = sum(_whole(value) * count for value, count in self.recalls.items()) / Fraction(
            measured << _SCALE)
        squares = sum(count * (Fraction(value) - mean)**2 for value, count in self.recalls.items())
        return z * math.sqrt(squares / (measured - 1) / measured)

    def to_json(self) -> str:
        """A text for from_json: what a process sends to another."""
        recalls = [[value.hex(), count] for value, count in self.recalls.items()]
        return json.dumps([self.fixed, self.sums, recalls])

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """Reads a text of to_json."""
        fixed, sums, recalls = json.loads(text)
        summary = cls(fixed)
        summary.sums.update(sums)
        summary.recalls.update({float.fromhex(value): count for value, count in recalls})
        return summary


def parts_of(batch: pa.RecordBatch, retriever: Retriever, k: int,
             measured_by: Float32) -> Iterator[Part]:
    """A Part for each row of a batch that has candidates; arguments and errors as of
    arrow.retrieve."""
    found = arrow.retrieve(batch, retriever, k, measured_by=measured_by)
    measures = [found.column(name).to_numpy(zero_copy_only=False) for name in arrow.MEASURES]
    offsets, items = arrow.histories(batch, retriever)
    begin = 0
    wanted = columns.unpacked(batch).column("candidates")
    for row, count in enumerate(wanted.value_lengths().to_pylist()):
        if count == 0:
            continue
        history = items[offsets[row]:offsets[row + 1]]
        recall, ties, mass = (values[begin:begin + count] for values in measures)
        sums, weighted = (0, 0, 0), 0
        if len(history):
            is_weighted = ~np.isnan(mass)
            weighted = int(is_weighted.sum())
            sums = exact_sum(recall), exact_sum(ties), exact_sum(mass[is_weighted])
        yield Part(len(history), retriever.prepare(history).user_bytes, count, weighted, *sums)
        begin += count


def exact_sum(values: Float64) -> int:
    """The sum of finite values of at least 0, times 2^1074: a whole number.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd.summary import exact_sum
    >>> exact_sum(np.array([1e100, 1.0, 5e-324])) - exact_sum(np.array([1e100, 1.0]))
    1
    """
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents):
        part = whole[exponents == exponent]
        mantissa = (int((part >> _HALF).sum()) << _HALF) + int((part & ((1 << _HALF) - 1)).sum())
        shift = _SCALE + int(exponent) - 53
        # Denormal numbers have zeros where a negative shift cuts.
        total += mantissa << shift if shift >= 0 else mantissa >> -shift
    return total


def _whole(value: float) -> int:
    """exact_sum of one value."""
    return int(Fraction(value) * (1 << _SCALE))


def _mean(total: int, count: int) -> float:
    """The mean of `count` values whose exact_sum is `total`, rounded once."""
    return float(Fraction(total, count << _SCALE))
