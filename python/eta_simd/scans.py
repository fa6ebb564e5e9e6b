# SPDX-License-Identifier: Apache-2.0
"""Exact search by inner product, in float32 and in int8."""
from __future__ import annotations

from typing import NamedTuple

from eta_simd.arrays import ArrayLike, Float32, Int8, Int32
from eta_simd.native import native


def dot_topk(rows: ArrayLike, queries: ArrayLike, k: int, ties: str = "newest",
             is_sorted: bool = True) -> tuple[Int32, Float32]:
    """For each query the min(k, n) rows of largest inner product, in float32.

    Rows are laid out for the scan in every call; Retriever("exact", ...) keeps them so.

    Parameters
    ----------
    rows : float32 array, n x dim
    queries : float32 array, queries x dim
    k : int
    ties : str
        Which of equal scores are taken, ``"newest"`` (highest position) or ``"oldest"``. NaN ranks
        as -infinity.
    is_sorted : bool
        Largest first, else the same set in unspecified order, which is faster.

    Returns
    -------
    positions : int32 array, queries x min(k, n)
    scores : float32 array of the same shape
        The same bits on every SIMD target.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import dot_topk
    >>> rows = np.float32([[1, 0], [0, 2], [3, 3]])
    >>> dot_topk(rows, np.float32([[1, 1]]), k=2)
    (array([[2, 1]], dtype=int32), array([[6., 2.]], dtype=float32))
    """
    return native.dot_topk(rows, queries, k, ties, is_sorted)


class Quantized(NamedTuple):
    """Rows in int8: row i is scales[i] * values[i], rounded."""

    values: Int8
    scales: Float32


def quantize_i8(x: ArrayLike) -> Quantized:
    """Quantises each row of a float32 array by scale = max |x| / 127, halves to even.

    NaN counts as 0 and an infinity as the largest float of its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import quantize_i8
    >>> quantize_i8(np.float32([[127, -1, 0]]))
    Quantized(values=array([[127,  -1,   0]], dtype=int8), scales=array([1.], dtype=float32))
    """
    return Quantized(*native.quantize_i8(x))


def dot_i8_topk(rows: Quantized, queries: Quantized, k: int, ties: str = "newest",
                is_sorted: bool = True) -> tuple[Int32, Float32]:
    """As dot_topk, of rows and queries in int8.

    Scores are (the exact sum of products) * the row's scale * the query's scale, in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import dot_i8_topk, quantize_i8
    >>> rows = quantize_i8(np.float32([[1, 0], [0, 2], [3, 3]]))
    >>> dot_i8_topk(rows, quantize_i8(np.float32([[1, 1]])), k=1)[0]
    array([[2]], dtype=int32)
    """
    for name, given in (("rows", rows), ("queries", queries)):
        if not isinstance(given, tuple) or len(given) != 2:
            raise TypeError(f"{name}: expected Quantized (quantize_i8 makes it), got "
                            f"{type(given).__name__}")
    return native.dot_i8_topk(rows[0], rows[1], queries[0], queries[1], k, ties, is_sorted)
