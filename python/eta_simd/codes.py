# SPDX-License-Identifier: Apache-2.0
"""SimHash codes: hyperplanes that make them, and search by Hamming distance."""
from __future__ import annotations

from eta_simd.arrays import ArrayLike, Float32, Int32, Uint8, Uint16
from eta_simd.native import native


class Hyperplanes:
    """The dim x bits projection matrix R of SimHash: bit j of a code is 1 iff (x R)_j > 0.

    Parameters
    ----------
    dim : int
        Dimensions of the embeddings, 1 to 4,096.
    bits : int
        Bits of a code, 1 to 4,096.
    kind : str
        ``"gaussian"``, as in the ETA paper; ``"signs"``, independent +-1; ``"orthogonal"``, better
        recall per bit; or ``"hadamard"``, orthogonal as well and fast.
    seed : int
        Same arguments, same matrix, on every platform.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import Hyperplanes
    >>> planes = Hyperplanes(dim=4, bits=16)
    >>> planes.encode(np.ones((2, 4), np.float32)).shape
    (2, 2)
    """

    __slots__ = ("_native",)

    def __init__(self, dim: int, bits: int, kind: str = "gaussian", seed: int = 1):
        self._native = native.Hyperplanes.make(dim, bits, kind, seed)

    @classmethod
    def from_array(cls, matrix: ArrayLike) -> Hyperplanes:
        """Hyperplanes from a float32 matrix, dim x bits, such as a trained model's own; copied.

        Raises ValueError where a value is not finite.
        """
        planes = cls.__new__(cls)
        planes._native = native.Hyperplanes.from_array(matrix)
        return planes

    @property
    def dim(self) -> int:
        """Dimensions of the embeddings."""
        return self._native.dim

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self._native.bits

    @property
    def code_bytes(self) -> int:
        """Bytes of a code: bits / 8, rounded up."""
        return self._native.code_bytes

    @property
    def kind(self) -> str:
        """As given; ``"loaded"`` for those of from_array."""
        return self._native.kind

    @property
    def matrix(self) -> Float32:
        """A copy of R, dim x bits."""
        return self._native.matrix

    def encode(self, x: ArrayLike, threads: int = 1) -> Uint8:
        """Codes of embeddings.

        Parameters
        ----------
        x : float32 array, rows x dim
        threads : int
            At most this many threads; the result does not depend on it.

        Returns
        -------
        uint8 array, rows x code_bytes
            Least significant bit first, unused bits of the last byte 0. A projection of 0 or NaN
            gives 0. The same bits on every SIMD target.

        Examples
        --------
        >>> import numpy as np
        >>> from eta_simd import Hyperplanes
        >>> planes = Hyperplanes.from_array(np.float32([[1, -1, 0]]))
        >>> planes.encode(np.float32([[2], [-3]]))
        array([[1],
               [2]], dtype=uint8)
        """
        return self._native.encode(x, threads)

    def __repr__(self) -> str:
        return f"Hyperplanes(dim={self.dim}, bits={self.bits}, kind={self.kind!r})"


class CodeBlocks:
    """Codes in the layout that is scanned; pack_codes makes them. Threads may share them."""

    __slots__ = ("_native",)
    _native: native.CodeBlocks

    def __init__(self) -> None:
        raise TypeError("CodeBlocks: use pack_codes")

    def __len__(self) -> int:
        return self._native.n

    @property
    def code_bytes(self) -> int:
        """Bytes of a code."""
        return self._native.code_bytes

    def __repr__(self) -> str:
        return f"<CodeBlocks of {len(self)} codes of {self.code_bytes} bytes>"


def pack_codes(codes: ArrayLike) -> CodeBlocks:
    """Copies codes into the layout that hamming_distances and hamming_topk scan.

    Parameters
    ----------
    codes : uint8 array, n x code_bytes
        1 to 512 bytes a code.

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import pack_codes
    >>> len(pack_codes(np.zeros((100, 8), np.uint8)))
    100
    """
    blocks = CodeBlocks.__new__(CodeBlocks)
    blocks._native = native.pack_codes(codes)
    return blocks


def _blocks(codes: CodeBlocks) -> native.CodeBlocks:
    if not isinstance(codes, CodeBlocks):
        raise TypeError(f"codes: expected CodeBlocks (pack_codes makes them), got "
                        f"{type(codes).__name__}")
    return codes._native


def hamming_distances(codes: CodeBlocks, queries: ArrayLike) -> Uint16:
    """Hamming distances, queries x n.

    Parameters
    ----------
    codes : CodeBlocks
        n codes.
    queries : uint8 array, queries x code_bytes

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import hamming_distances, pack_codes
    >>> codes = pack_codes(np.uint8([[0x0f], [0xff], [0x00]]))
    >>> hamming_distances(codes, np.uint8([[0x0f]]))
    array([[0, 4, 4]], dtype=uint16)
    """
    return native.hamming_distances(_blocks(codes), queries)


def hamming_topk(codes: CodeBlocks, queries: ArrayLike, k: int, ties: str = "newest",
                 is_sorted: bool = True) -> tuple[Int32, Uint16]:
    """For each query the min(k, n) codes nearest by Hamming distance; exact.

    Parameters
    ----------
    codes : CodeBlocks
        n codes, oldest first.
    queries : uint8 array, queries x code_bytes
    k : int
    ties : str
        Which of equally near codes are taken: the ``"newest"``, of highest position, or the
        ``"oldest"``.
    is_sorted : bool
        Nearest first, else the same set in unspecified order, which is faster.

    Returns
    -------
    positions : int32 array, queries x min(k, n)
    distances : uint16 array of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> from eta_simd import hamming_topk, pack_codes
    >>> codes = pack_codes(np.uint8([[0x0f], [0xff], [0x00], [0x07], [0x8f]]))
    >>> positions, distances = hamming_topk(codes, np.uint8([[0x0f]]), k=2)
    >>> positions, distances
    (array([[0, 4]], dtype=int32), array([[0, 1]], dtype=uint16))
    """
    return native.hamming_topk(_blocks(codes), queries, k, ties, is_sorted)
