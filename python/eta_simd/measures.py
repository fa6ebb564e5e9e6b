# SPDX-License-Identifier: Apache-2.0
"""How good a retrieval is. Rows are candidates; NaN where a measure is undefined."""
from __future__ import annotations

from eta_simd.arrays import ArrayLike, Float64
from eta_simd.native import native


def recall(returned: ArrayLike, exact: ArrayLike, n: int) -> Float64:
    """Share of the exact top-K that was returned as well, by position.

    Parameters
    ----------
    returned, exact : int32 arrays, rows x any number of positions
        A row ends at its first -1. Positions are distinct and below n.
    n : int
        Behaviours of the history; with 0 the result is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import recall
    >>> recall(np.int32([[0, 2, -1]]), np.int32([[0, 1]]), n=3)
    array([0.5])
    """
    return native.recall(returned, exact, n)


def recall_ties(returned: ArrayLike, scores: ArrayLike, k: int) -> Float64:
    """Share of min(k, n) returned positions whose score reaches the k-th best, less rounding: the
    one of two equal scores counts as much as the other.

    Parameters
    ----------
    returned : int32 array, rows x any number of positions
    scores : float32 array, rows x n
        Exact scores of all behaviours. NaN ranks as -infinity.
    k : int

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import recall_ties
    >>> recall_ties(np.int32([[1, 2]]), np.float32([[5, 5, 1]]), k=2)
    array([0.5])
    """
    return native.recall_ties(returned, scores, k)


def attention_mass(returned: ArrayLike, scores: ArrayLike, dim: int,
                   temperature: float = 1) -> Float64:
    """Share of softmax(scores / (temperature sqrt(dim))) that lies on the returned positions.

    Parameters
    ----------
    returned : int32 array, rows x any number of positions
    scores : float32 array, rows x n
        Exact scores of all behaviours. NaN weighs nothing.
    dim : int
    temperature : float
        A positive number; a smaller one puts more weight on the best behaviours.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import attention_mass
    >>> attention_mass(np.int32([[1, -1]]), np.float32([[2, 2]]), dim=4)
    array([0.5])
    """
    return native.attention_mass(returned, scores, dim, temperature)
