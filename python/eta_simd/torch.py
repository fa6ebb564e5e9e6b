# SPDX-License-Identifier: Apache-2.0
"""ETA's retrieval for PyTorch models on the CPU."""
from __future__ import annotations

from typing import Optional, Tuple, Union

import numpy as np
import torch

from eta_simd.codes import Hyperplanes
from eta_simd.native import native


class EtaRetrieval(torch.nn.Module):
    """The K behaviours of smallest Hamming distance to each candidate, ties to the newest: what
    ``torch.topk`` finds on the signs of projections, many times faster. It has no gradient, as in
    ETA, where the retrieval has none either.

    Parameters
    ----------
    k : int
    hyperplanes : Hyperplanes or float32 tensor, dim x bits, optional
        Needed by refresh alone.
    threads : int

    Examples
    --------
    >>> import torch
    >>> from eta_simd import Hyperplanes
    >>> from eta_simd.torch import EtaRetrieval
    >>> retrieval = EtaRetrieval(k=2, hyperplanes=Hyperplanes(dim=4, bits=64))
    >>> retrieval.refresh(torch.eye(4))
    >>> window, candidates = torch.tensor([[2, 1, 1, 0]]), torch.tensor([[1]])
    >>> retrieval(window, candidates)
    (tensor([[[2, 1]]]), tensor([[[True, True]]]))
    """

    def __init__(self, k: int, hyperplanes: Union[Hyperplanes, torch.Tensor, None] = None,
                 threads: int = 1):
        super().__init__()
        if hyperplanes is not None and not isinstance(hyperplanes, Hyperplanes):
            hyperplanes = Hyperplanes.from_array(hyperplanes.detach().contiguous())
        self.k, self.threads = k, threads
        self._hyperplanes = hyperplanes
        self._codes: Optional[np.ndarray] = None

    def refresh(self, table: torch.Tensor) -> None:
        """Hashes the item table, float32 items x dim, as it is now."""
        if self._hyperplanes is None:
            raise ValueError("EtaRetrieval: refresh needs hyperplanes; set_codes does not")
        self._codes = self._hyperplanes.encode(table.detach().contiguous(), self.threads)

    def set_codes(self, codes: np.ndarray) -> None:
        """Takes codes that exist already, uint8 items x code_bytes, in place of refresh."""
        self._codes = codes

    def forward(self, window: torch.Tensor, candidates: torch.Tensor,
                ends: Optional[torch.Tensor] = None) -> Tuple[torch.Tensor, torch.Tensor]:
        """Positions for padded batches of G windows.

        Parameters
        ----------
        window : int64 tensor, G x H
            Item ids, oldest first; any valid id where a window is shorter.
        candidates : int64 tensor, G x N
        ends : int64 tensor, G x N, optional
            How many behaviours of the window are the candidate's history; by default all.

        Returns
        -------
        positions : int64 tensor, G x N x min(k, H)
            Nearest first. Where there are fewer behaviours, distinct positions outside the history
            fill the row.
        found : bool tensor of the same shape
            Which positions are of the history.
        """
        groups, length = window.shape
        count = candidates.size(1)
        width = min(self.k, length)
        if ends is None:
            ends = torch.full_like(candidates, length)
        rows = self._search(
            np.arange(groups + 1, dtype=np.int64) * length, _ids(window),
            np.arange(groups + 1, dtype=np.int64) * count, _ids(candidates), _ids(ends), width)
        positions = torch.from_numpy(rows).view(groups, count, width).to(torch.int64)
        found = positions >= 0
        return torch.where(found, positions, torch.arange(width)), found

    def lists(self, window_offsets: torch.Tensor, window_items: torch.Tensor,
              candidate_offsets: torch.Tensor, candidate_items: torch.Tensor) -> torch.Tensor:
        """Positions for windows and candidates in compressed sparse rows, int64 tensors as in a
        data bundle: int64, all candidates x k, nearest first, then -1."""
        offsets = window_offsets.numpy()
        counts = np.diff(candidate_offsets.numpy())
        ends = np.repeat(np.diff(offsets), counts).astype(np.int32)
        rows = self._search(np.ascontiguousarray(offsets, np.int64), _ids(window_items),
                            np.ascontiguousarray(candidate_offsets.numpy(), np.int64),
                            _ids(candidate_items), ends, self.k)
        return torch.from_numpy(rows).to(torch.int64)

    def _search(self, window_offsets, window_items, candidate_offsets, candidate_items, ends,
                width):
        if self._codes is None:
            raise ValueError("EtaRetrieval: no codes yet; call refresh or set_codes")
        if width == 0:
            return np.zeros((len(candidate_items), 0), np.int32)
        return native.hamming_topk_windows(self._codes, window_offsets, window_items,
                                           candidate_offsets, candidate_items, ends, width,
                                           self.threads)


def _ids(tensor: torch.Tensor) -> np.ndarray:
    """int32 and flat, which is what item ids are in the kernels."""
    values = tensor.detach().contiguous().view(-1).numpy()
    if values.dtype != np.int64 and values.dtype != np.int32:
        raise TypeError(f"EtaRetrieval: expected ids of int64 or int32, got {values.dtype}")
    if len(values) and max(values.max(), -values.min()) > np.iinfo(np.int32).max:
        raise ValueError("EtaRetrieval: an id is beyond 32 bits")
    return values.astype(np.int32)
