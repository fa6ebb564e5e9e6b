# SPDX-License-Identifier: Apache-2.0
"""The user-item matrix of embeddings.py, which may be larger than memory: a block of its users is
worked on at a time. What is held besides are a few numbers for each user and each item, and the
longest history."""
import numpy as np
import scipy.sparse

from eta_simd.data.log import new_array, pieces

PAIRS = 1 << 22  # of user and item in a block: 48 MiB. Each costs a vector of all items besides


class UserItemMatrix:
    """The regularised, normalised user-item matrix (users x items) of a Log.

    Its pairs of user and item are kept in memory, or where `path` is given in a mapped file there,
    which has no name any more."""

    def __init__(self, log, path=None):
        self.shape = len(log.offsets) - 1, log.num_items
        self.offsets = np.zeros(len(log.offsets), np.int64)
        self.items = new_array(path, "<i4", len(log.items))
        if path is not None:
            path.unlink()
        self.ones = np.ones(0)
        of_items = np.zeros(log.num_items)
        for begin, end in pieces(log.offsets, PAIRS):
            block = self.pattern(log.offsets[begin:end + 1], log.items, is_copy=True)
            block.sum_duplicates()
            pairs = self.offsets[begin] + block.indptr
            self.offsets[begin:end + 1] = pairs
            self.items[pairs[0]:pairs[-1]] = block.indices
            of_items += np.bincount(block.indices, minlength=log.num_items)
        of_users = np.diff(self.offsets).astype(float)
        self.user_weights = 1 / np.sqrt(of_users + of_users.mean())
        self.item_weights = 1 / np.sqrt(of_items + of_items.mean())

    @property
    def nnz(self):
        return int(self.offsets[-1])

    def pattern(self, offsets, items, is_copy=False):
        """1 for each pair of the users between `offsets`, as a sparse matrix of their rows."""
        part = items[offsets[0]:offsets[-1]]
        if len(part) > len(self.ones):
            self.ones = np.ones(len(part))
        return scipy.sparse.csr_matrix((self.ones[:len(part)], part, offsets - offsets[0]),
                                       shape=(len(offsets) - 1, self.shape[1]), copy=is_copy)

    def blocks(self):
        """The rows of all users, block by block: which, and their pattern."""
        for begin, end in pieces(self.offsets, PAIRS):
            yield slice(begin, end), self.pattern(self.offsets[begin:end + 1], self.items)

    def whole(self):
        """All of it, in memory."""
        parts = []
        for users, block in self.blocks():
            weights = np.repeat(self.user_weights[users], np.diff(block.indptr))
            weights *= self.item_weights[block.indices]
            parts.append(scipy.sparse.csr_matrix((weights, block.indices, block.indptr),
                                                 shape=block.shape))
        return scipy.sparse.vstack(parts, format="csr")

    def times(self, vector):
        """The matrix times a vector of items."""
        weighted = self.item_weights * vector
        return self.user_weights * np.concatenate(
            [block @ weighted for _, block in self.blocks()])

    def transposed_times(self, vector):
        """The transposed matrix times a vector of users."""
        result, weighted = np.zeros(self.shape[1]), self.user_weights * vector
        for users, block in self.blocks():
            result += block.T @ weighted[users]
        return self.item_weights * result

    def squared_times(self, vector):
        """The transposed matrix times the matrix times a vector of items, in one pass."""
        result, weighted = np.zeros(self.shape[1]), self.item_weights * vector
        for users, block in self.blocks():
            result += block.T @ (np.square(self.user_weights[users]) * (block @ weighted))
        return self.item_weights * result
