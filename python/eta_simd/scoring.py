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

    Raises DataError, a ValueError, where the export is malformed.
    """

    __slots__ = ("_native",)

    def __init__(self, folder: Union[str, os.PathLike[str]]):
        self._native = native.CtrModel.make(os.fspath(folder))

    @property
    def unit(self) -> str:
        """Its long-term unit, such as ``"eta"``."""
        return self._native.unit

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
        return f"<CtrModel {self.unit}, {self.users} users, {self.items} items>"
