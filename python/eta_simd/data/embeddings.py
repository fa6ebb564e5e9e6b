# SPDX-License-Identifier: Apache-2.0
"""Item embeddings from behaviours: a truncated SVD of the user-item matrix.

The matrix is 1 / sqrt((r_u + mean r) (c_i + mean c)) where user u has one behaviour or more of item
i, else 0; r are the users' and c the items' counts. Reasons for this matrix:
- Ratings centred per user give an item a norm that follows its popularity (0 to 16 on
  ml-latest-small), so the largest inner products are those of popular items for every user.
- Dividing by sqrt(r_u c_i) alone lets users with few ratings and films with a single one dominate
  the leading components: the neighbours of Toy Story are then films of a few users of 1996.
- Adding the mean counts, as regularised spectral clustering does, damps both: a film's neighbours
  are its sequels and similar films, and norms vary about as much as those of a learned table.
An item's embedding is its row of V S from the truncated SVD U S V^T, so that inner products of
embeddings approximate those of the matrix's columns. One factor then scales all embeddings to a
root mean square of 1. Components beyond the rank of the matrix are 0.

Above LARGE pairs of user and item the search ends after KRYLOV * dim steps of Lanczos' method.
ARPACK restarts until all components are exact, which takes many times longer where singular values
lie close together: 25 million clicks on 2 million items took 7 minutes and 4.3 GiB. On
ml-latest-small the short search loses 4e-8 of the sum of squared singular values.

The same input gives the same bytes: start vector, solver, signs (the largest entry of each
component is positive) and number of threads are fixed. Values are rounded to multiples of 2^-12,
far below the noise of the data, so that BLAS libraries that round differently give the same
embeddings.
"""
import os

# A sum split over threads would be rounded in another order. Must be set before NumPy is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from eta_simd.command import BadInput, progress
from eta_simd.data.user_items import UserItemMatrix

KIND = "SVD of the regularised user-item matrix"  # for "made_by" of bundle.json
BLOCK = 1 << 16  # rows at a time, so that no second table is needed
LARGE = 1 << 22  # pairs of user and item above which the SVD is cut short
KRYLOV = 3  # dimensions of the cut-short search, per component


def lanczos(apply, start, steps):
    """Ritz values, descending, and Ritz vectors, as rows, of a symmetric operator `apply`, from one
    Krylov space of at most `steps` dimensions with full reorthogonalisation."""
    basis = np.zeros((steps, len(start)))
    diagonal, beside = [], []
    vector = start / np.linalg.norm(start)
    for step in range(steps):
        progress(f"finding components: {100 * step // steps} %")
        basis[step] = vector
        vector = apply(vector)
        size = np.linalg.norm(vector)
        diagonal.append(0.0)
        for _ in range(2):  # once is not enough to keep the basis orthogonal
            along = basis[:step + 1] @ vector
            vector -= along @ basis[:step + 1]
            diagonal[-1] += along[-1]
        rest = np.linalg.norm(vector)
        if step + 1 == steps or rest <= 1e-10 * size:  # the space is exhausted
            break
        beside.append(rest)
        vector /= rest
    values, weights = scipy.linalg.eigh_tridiagonal(diagonal, beside)
    return values[::-1], weights[:, ::-1].T @ basis[:len(diagonal)]


def quick_components(matrix, count, start):
    """Approximate `components`, in a time that does not depend on the spectrum."""
    by_user = matrix.shape[0] <= matrix.shape[1]
    values, vectors = lanczos(
        (lambda v: matrix.times(matrix.transposed_times(v))) if by_user else matrix.squared_times,
        start, min(KRYLOV * count, len(start)))
    vectors = vectors[:count]
    if not by_user:
        return vectors * np.sqrt(np.maximum(values[:count], 0))[:, None]
    return np.array([matrix.transposed_times(vector) for vector in vectors])


def components(matrix, count, seed):
    """Rows of (V S)^T for the leading `count` (or fewer) singular values, largest first."""
    smaller = min(matrix.shape)
    if count < smaller - 1:
        start = np.random.RandomState(seed % 2**32).standard_normal(smaller)
        if matrix.nnz > LARGE:
            return quick_components(matrix, count, start)
        try:
            _, values, vectors = scipy.sparse.linalg.svds(
                matrix.whole(), k=count, v0=start, solver="arpack", return_singular_vectors="vh")
        except scipy.sparse.linalg.ArpackError as error:
            raise BadInput(f"the SVD failed: {error}") from error
    else:  # ARPACK cannot find (nearly) all components
        _, values, vectors = np.linalg.svd(matrix.whole().toarray(), full_matrices=False)
    order = np.argsort(-values, kind="stable")[:count]
    return vectors[order] * values[order][:, None]


def sign_of(vector):
    """The sign that makes the largest entry positive."""
    sizes = np.abs(vector)
    # The first of those that are nearly equal, so that rounding does not decide which is largest.
    return np.sign(vector[(sizes >= sizes.max() * (1 - 1e-6)).argmax()])


def item_embeddings(log, dim, seed, path=None):
    """float32 [items, dim] of a log (log.py). At `path`, where it is given, is a file as long as
    this works, which holds what else would be in memory: 4 bytes for each behaviour."""
    progress("finding components")
    found = components(UserItemMatrix(log, path), dim, seed)
    sizes = np.array([np.linalg.norm(row) for row in found])
    real = sizes > sizes[0] * 1e-9  # smaller ones are rounding noise
    scales = np.array([sign_of(row) if is_real else 0 for row, is_real in zip(found, real)])
    scales /= np.sqrt(np.square(sizes[real]).sum() / (log.num_items * dim))
    table = np.zeros((log.num_items, dim), "<f4")
    for begin in range(0, log.num_items, BLOCK):
        block = (found[:, begin:begin + BLOCK] * scales[:, None]).T
        # + 0.0: no -0.0
        table[begin:begin + BLOCK, :len(found)] = np.round(block * 2**12) / 2**12 + 0.0
    return table
