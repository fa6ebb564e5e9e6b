# SPDX-License-Identifier: Apache-2.0
"""Serving a trained CTR model (docs/models.md)."""
from __future__ import annotations

import os
from typing import Union

from eta_simd.arrays import ArrayLike, Float32
from eta_simd.native import native


class CtrModel:
    """A model that scripts/train_ctr.py exported, with everything that depends on an item alone
    computed when it is read. Threads may share it.

    Parameters
    ----------
    folder : path
        What the script wrote.
    precision : str
        ``"float32"``, or ``"int8"``: layers and attention in bytes, in less time. Its logits differ
        from those in float32; docs/serving.md says by how much.

    Raises DataError, a ValueError, where the export is malformed, and ValueError for another
    precision, or a model whose activations could leave their range in eight bits.

    Examples
    --------
    >>> from eta_simd import CtrModel
    >>> CtrModel("exported", precision="int4")
    Traceback (most recent call last):
        ...
    ValueError: precision: must be float32 or int8, not 'int4'
    """

    __slots__ = ("_native",)

    def __init__(self, folder: Union[str, os.PathLike[str]], precision: str = "float32"):
        self._native = native.CtrModel.make(os.fspath(folder), precision)

    @property
    def unit(self) -> str:
        """Its long-term unit, such as ``"eta"``."""
        return self._native.unit

    @property
    def precision(self) -> str:
        """What it computes with, ``"float32"`` or ``"int8"``."""
        return self._native.precision

    @property
    def users(self) -> int:
        """Number of users; ids are below it."""
        return self._native.users

    @property
    def items(self) -> int:
        """Number of items; ids are below it."""
        return self._native.items

    @property
    def max_history(self) -> int:
        """Behaviours of the longest history that it takes."""
        return self._native.max_history

    def score(self, user: int, history: ArrayLike, candidates: ArrayLike) -> Float32:
        """Logits of candidates for a user.

        Parameters
        ----------
        user : int
        history : int32 array
            Item ids, oldest first, at most max_history of them.
        candidates : int32 array
            Item ids.
        """
        return self._native.score(user, history, candidates)

    def __repr__(self) -> str:
        return (f"<CtrModel {self.unit} in {self.precision}, {self.users} users, "
                f"{self.items} items>")
