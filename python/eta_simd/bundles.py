# SPDX-License-Identifier: Apache-2.0
"""Data bundles as the programs read them (docs/bundle.md), in memory."""
from __future__ import annotations

import dataclasses
import os
from typing import Any, Optional, Union

from eta_simd.arrays import ArrayLike
from eta_simd.native import native

DataError = native.DataError
DataError.__doc__ = "A file or folder whose content cannot be used: one line, file, what, where."


@dataclasses.dataclass
class Bundle:
    """Items, histories and what else a bundle may hold; None for what it lacks.

    Attributes
    ----------
    item_embeddings : float32 array, items x dim
    history_offsets : int64 array, users + 1
        The history of user u is ``history_items[history_offsets[u]:history_offsets[u + 1]]``.
    history_items : int32 array
        Item ids, oldest first.
    item_categories : int32 array, items
    history_times : int64 array, seconds, as many as history_items
    candidates_offsets, candidates_items : as of histories
    hyperplanes : float32 array, dim x bits
    pq_codebooks, pq_rotation : float32 arrays
    candidate_embeddings : float32 array, items x dim
        Of items as candidates, in a model of two towers.
    name, source, licence, made_by : texts of bundle.json

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import Bundle
    >>> bundle = Bundle(np.eye(3, dtype=np.float32), np.int64([0, 2]), np.int32([0, 7]))
    >>> bundle.check()
    Traceback (most recent call last):
    ValueError: histories: item id 7 of list 0 lies outside [0, 3)
    """

    item_embeddings: ArrayLike
    history_offsets: ArrayLike
    history_items: ArrayLike
    item_categories: Optional[ArrayLike] = None
    history_times: Optional[ArrayLike] = None
    candidates_offsets: Optional[ArrayLike] = None
    candidates_items: Optional[ArrayLike] = None
    hyperplanes: Optional[ArrayLike] = None
    pq_codebooks: Optional[ArrayLike] = None
    pq_rotation: Optional[ArrayLike] = None
    candidate_embeddings: Optional[ArrayLike] = None
    name: str = ""
    source: str = ""
    licence: str = ""
    made_by: str = ""

    def check(self) -> None:
        """Raises TypeError or ValueError where a part is malformed or contradicts another."""
        native.check_bundle(self._parts())

    def _parts(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def read_bundle(folder: Union[str, os.PathLike[str]]) -> Bundle:
    """Reads and checks a whole bundle. Raises DataError, a ValueError, on anything malformed."""
    return Bundle(**native.read_bundle(os.fspath(folder)))


def write_bundle(bundle: Bundle, folder: Union[str, os.PathLike[str]]) -> None:
    """Writes a bundle so that `folder` appears complete or not at all.

    Raises DataError where `folder` exists or cannot be written, TypeError or ValueError as
    Bundle.check does.

    Examples
    --------
    >>> import tempfile
    >>> from eta_simd import generate_bundle, read_bundle, write_bundle
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bundle(generate_bundle(users=3, items=50, length=10), folder + "/bundle")
    ...     read_bundle(folder + "/bundle").history_items.shape
    (30,)
    """
    if not isinstance(bundle, Bundle):
        raise TypeError(f"bundle: expected Bundle, got {type(bundle).__name__}")
    native.write_bundle(bundle._parts(), os.fspath(folder))


def generate_bundle(seed: int = 1, users: int = 200, items: int = 50000, dim: int = 64,
                    length: int = 0) -> Bundle:
    """The generated data of the programs: popular items, several interests a user.

    Parameters
    ----------
    seed, users, items, dim : int
        Same arguments, same arrays, on every platform.
    length : int
        Behaviours of every user; 0 for log-normal lengths around 1,024.
    """
    return Bundle(**native.generate_bundle(seed, users, items, dim, length))
