# SPDX-License-Identifier: Apache-2.0
"""Retrieval by any method of the suite: the behaviours that matter for a candidate."""
from __future__ import annotations

from typing import Optional, Union

from eta_simd.arrays import ArrayLike, Int32
from eta_simd.codes import Hyperplanes
from eta_simd.native import native


def methods() -> str:
    """One line for each form of a method's name, with what it means. What needs FAISS is there
    where the native module was built with it.

    Examples
    --------
    >>> from eta_simd import methods
    >>> print(methods().splitlines()[0])
    exact                      all inner products with this project's kernel
    """
    return native.methods_help()


class PreparedHistory:
    """What a method keeps of one history; Retriever.prepare makes it. Threads may share it."""

    __slots__ = ("_native",)
    _native: native.PreparedHistory

    def __init__(self) -> None:
        raise TypeError("PreparedHistory: use Retriever.prepare")

    def __len__(self) -> int:
        return len(self._native)

    @property
    def nbytes(self) -> int:
        """Bytes held for this history alone."""
        return self._native.nbytes

    @property
    def user_bytes(self) -> int:
        """The same and the item ids of the history, 4 bytes each, where they are not among them:
        attention needs them in any method."""
        return self._native.user_bytes

    def __repr__(self) -> str:
        return f"<PreparedHistory of {len(self)} behaviours>"


class Retriever:
    """A retrieval method over an item table. Threads may share it.

    Parameters
    ----------
    method : str
        As in retrieval_bench, such as ``"eta:64"``, ``"scan_i8"`` or ``"pq4:128+rerank_i8:2"``;
        methods() lists all.
    embeddings : float32 array, items x dim
        An item's id is its row number. The table is copied: later changes have no effect.
    hyperplanes : Hyperplanes, optional
        Used by the methods that need hyperplanes (eta..., faiss_binary) in place of generated
        ones, and of their number of bits.
    categories : int32 array, items, optional
        For ``"sim_hard"``.
    kind : str, optional
        Of generated hyperplanes, or ``"itq"``; by default the method's own.
    seed : int
        Of generated hyperplanes, codebooks and indexes.
    threads : int
        For hashing the item table, and of FAISS.
    candidate_embeddings : float32 array, items x dim, optional
        Of items as candidates, in a model of two towers; by default those of behaviours. Copied.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import Retriever
    >>> items = np.float32([[1, 0], [0, 1], [1, 1], [-1, 0]])
    >>> history = np.int32([3, 1, 0, 1])  # item ids, oldest first
    >>> np.sort(Retriever("exact", items).retrieve(history, np.int32([1]), k=2))
    array([[1, 3]], dtype=int32)
    """

    __slots__ = ("_native",)

    def __init__(self, method: str, embeddings: ArrayLike,
                 hyperplanes: Optional[Hyperplanes] = None, *,
                 categories: Optional[ArrayLike] = None, kind: Optional[str] = None,
                 seed: int = 1, threads: int = 1,
                 candidate_embeddings: Optional[ArrayLike] = None):
        planes = hyperplanes._native if isinstance(hyperplanes, Hyperplanes) else hyperplanes
        self._native = native.Retriever.make(method, embeddings, planes, categories, kind, seed,
                                             threads, candidate_embeddings)

    @property
    def name(self) -> str:
        """The method, as given."""
        return self._native.name

    @property
    def target(self) -> str:
        """What runs it: the SIMD target, or FAISS with version and mode."""
        return self._native.target

    @property
    def bits(self) -> int:
        """Bits of a code; 0 where there are no codes."""
        return self._native.bits

    @property
    def items(self) -> int:
        """Number of items."""
        return self._native.items

    @property
    def dim(self) -> int:
        """Dimensions of an embedding."""
        return self._native.dim

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables that retrieval reads and all users share: codes, quantised rows, and
        the embeddings where the method reads them."""
        return self._native.table_bytes

    @property
    def shared_bytes(self) -> int:
        """Bytes that all users share: the item embeddings, which the model needs in any method,
        and what the method has beside them."""
        return self._native.shared_bytes

    def prepare(self, history: ArrayLike) -> PreparedHistory:
        """Lays out a history, int32 item ids, oldest first, so that requests need not.

        Examples
        --------
        >>> import numpy as np
        >>> from eta_simd import Retriever
        >>> retriever = Retriever("eta:64", np.eye(4, dtype=np.float32))
        >>> len(retriever.prepare(np.int32([2, 0, 1])))
        3
        """
        prepared = PreparedHistory.__new__(PreparedHistory)
        prepared._native = self._native.prepare(history)
        return prepared

    def retrieve(self, history: Union[PreparedHistory, ArrayLike], candidates: ArrayLike,
                 k: int) -> Int32:
        """For each candidate at most k positions of the history.

        Parameters
        ----------
        history : PreparedHistory of this retriever, or int32 array of item ids, oldest first
        candidates : int32 array of item ids
        k : int

        Returns
        -------
        int32 array, candidates x k
            Positions (0 is the oldest behaviour) in unspecified order, without duplicates, then -1
            where there are fewer than k.

        Examples
        --------
        >>> import numpy as np
        >>> from eta_simd import Retriever
        >>> retriever = Retriever("recent", np.eye(4, dtype=np.float32))
        >>> np.sort(retriever.retrieve(np.int32([2, 0]), np.int32([1]), k=3))
        array([[-1,  0,  1]], dtype=int32)
        """
        if type(history) is PreparedHistory:
            history = history._native
        return self._native.retrieve(history, candidates, k)

    def retrieve_batch(self, history_offsets: ArrayLike, history_items: ArrayLike,
                       candidate_offsets: ArrayLike, candidate_items: ArrayLike, k: int,
                       threads: int = 1) -> Int32:
        """Answers many requests; request r has the history ``history_items[history_offsets[r]:
        history_offsets[r + 1]]``, and its candidates likewise.

        Parameters
        ----------
        history_offsets, candidate_offsets : int64 arrays, requests + 1
            From 0, never falling, to the number of items.
        history_items, candidate_items : int32 arrays
        k : int
        threads : int
            At most this many threads; the result does not depend on it.

        Returns
        -------
        int32 array, all candidates x k
            As of retrieve.

        Examples
        --------
        >>> import numpy as np
        >>> from eta_simd import Retriever
        >>> retriever = Retriever("exact", np.eye(4, dtype=np.float32))
        >>> retriever.retrieve_batch(np.int64([0, 2, 3]), np.int32([2, 0, 1]),
        ...                          np.int64([0, 1, 2]), np.int32([0, 1]), k=1)
        array([[1],
               [0]], dtype=int32)
        """
        return self._native.retrieve_batch(history_offsets, history_items, candidate_offsets,
                                           candidate_items, k, threads)

    def __repr__(self) -> str:
        return f"Retriever({self.name!r}, {self.items} items x {self.dim})"
