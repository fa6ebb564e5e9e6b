# SPDX-License-Identifier: Apache-2.0
"""Each library behind one interface. A rival prepares a history once, as a serving system would,
and answers with positions of it; what it needs of all items it makes beforehand."""
from __future__ import annotations

import importlib.metadata
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

import eta_simd

EXACT, INT8, HAMMING, APPROXIMATE = "exact", "int8", "hamming", "approximate"


class Rival(NamedTuple):
    """One row of the table."""
    method: str
    kind: str  # what its answers are held to before it is timed
    bits: int  # of a code, 0 where there are none
    row_bytes: float  # a behaviour takes in a prepared history, beside its item id
    target: str  # library, version, instruction set
    prepare: Callable[[np.ndarray], Any]  # item ids, oldest first
    # What prepare returned, item ids of candidates, k -> positions, candidates x k
    search: Callable[[Any, np.ndarray, int], np.ndarray]


class Tables(NamedTuple):
    """What all rivals take from: the items in float32, in int8 with one scale, and as codes."""
    floats: np.ndarray
    bytes: np.ndarray
    codes: np.ndarray
    bits: int

    @classmethod
    def make(cls, embeddings: np.ndarray, bits: int) -> Tables:
        scale = max(float(np.abs(embeddings).max()), 1e-20) / 127
        planes = eta_simd.Hyperplanes(embeddings.shape[1], bits)
        return cls(embeddings, np.rint(embeddings / scale).astype(np.int8),
                   planes.encode(embeddings), bits)


def version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def built(package: str) -> str:
    """The version, and whether pip compiled it here, because there is no wheel."""
    tags = importlib.metadata.distribution(package).read_text("WHEEL") or ""
    return version(package) + ("" if "manylinux" in tags else ", compiled for this CPU by pip")


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest of each row, for a library that only scores."""
    return np.argpartition(scores, -k, axis=1)[:, -k:]


# ---- this project


def ours(tables: Tables, methods) -> list[Rival]:
    rivals = []
    for method in methods:
        retriever = eta_simd.Retriever(method, tables.floats)
        kinds = {"exact": EXACT, "scan_i8": INT8, f"eta:{tables.bits}": HAMMING}
        kind = kinds.get(method, APPROXIMATE)
        one = retriever.prepare(np.zeros(1024, np.int32)).user_bytes / 1024 - 4
        rivals.append(Rival(method, kind, retriever.bits, one, f"eta-simd {retriever.target}",
                            retriever.prepare, retriever.retrieve))
    return rivals


# ---- the others


def faiss_rivals(tables: Tables, _k: int) -> list[Rival]:
    import faiss
    faiss.omp_set_num_threads(1)
    level = getattr(faiss, "SIMDConfig", None)
    target = (f"faiss-cpu {faiss.__version__} "
              f"{level.get_level_name() if level else faiss.get_compile_options().strip()}")
    floats, dim = tables.floats, tables.floats.shape[1]

    def row(method, kind, bits, row_bytes, make, refine=0):
        trained = make()
        if not trained.is_trained:
            trained.train(floats)
        saved = faiss.serialize_index(trained)  # not every index can be cloned

        def prepare(ids):
            index = faiss.deserialize_index(saved)
            index.add(floats[ids])
            if refine:
                rows = np.ascontiguousarray(floats[ids])
                index = faiss.IndexRefineFlat(index, faiss.swig_ptr(rows))
                index.k_factor = refine
                return index, rows  # FAISS reads neither after they are gone
            return index, None
        return Rival(method, kind, bits, row_bytes, target, prepare,
                     lambda prepared, ids, k: prepared[0].search(floats[ids], k)[1])

    def binary(mode):
        def prepare(ids):
            index = faiss.IndexBinaryFlat(8 * tables.codes.shape[1])
            index.use_heap = mode == "heap"
            index.add(tables.codes[ids])
            return index
        return Rival(f"faiss:IndexBinaryFlat:{mode}", HAMMING, tables.bits, tables.codes.shape[1],
                     target, prepare,
                     lambda index, ids, k: index.search(tables.codes[ids], k)[1])

    def refined(factor):
        return f"+refine:{factor}" if factor else ""

    product = faiss.METRIC_INNER_PRODUCT
    rivals = [
        row("faiss:IndexFlatIP", EXACT, 0, 4 * dim, lambda: faiss.IndexFlatIP(dim)),
        row("faiss:IndexScalarQuantizer", INT8, 0, dim, lambda: faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_8bit, product)),
    ]
    rivals += map(binary, ("heap", "counting"))
    for subspaces, factors in ((16, (0, 4)), (32, (0, 2, 4))):
        if dim % subspaces == 0:
            def make(subspaces=subspaces):
                return faiss.IndexPQFastScan(dim, subspaces, 4, product)
            rivals += [row(f"faiss:IndexPQFastScan:{4 * subspaces}" + refined(factor), APPROXIMATE,
                           4 * subspaces, subspaces / 2 + (4 * dim if factor else 0), make, factor)
                       for factor in factors]
    if hasattr(faiss, "IndexRaBitQFastScan"):
        rivals += [row("faiss:IndexRaBitQFastScan" + refined(factor), APPROXIMATE, dim,
                       dim / 8 + 8 + (4 * dim if factor else 0),
                       lambda: faiss.IndexRaBitQFastScan(dim, product), factor)
                   for factor in (0, 4)]
    return rivals


def usearch_rivals(tables: Tables, _k: int) -> list[Rival]:
    from usearch.compiled import hardware_acceleration
    from usearch.index import MetricKind, ScalarKind, search

    def row(method, kind, bits, table, metric, dtype):
        def answer(rows, ids, k):
            return search(rows, table[ids], k, metric, exact=True, threads=1, dtype=dtype).keys
        level = hardware_acceleration(dtype=getattr(ScalarKind, dtype.upper()),
                                      ndim=bits or table.shape[1], metric_kind=metric)
        return Rival(method, kind, bits, table.itemsize * table.shape[1],
                     f"{version('usearch')} {level}",
                     lambda ids: np.ascontiguousarray(table[ids]), answer)
    return [row("usearch:f32", EXACT, 0, tables.floats, MetricKind.IP, "f32"),
            row("usearch:i8", INT8, 0, tables.bytes, MetricKind.IP, "i8"),
            row("usearch:b1", HAMMING, tables.bits, tables.codes, MetricKind.Hamming, "b1")]


def numkong_rivals(tables: Tables, _k: int) -> list[Rival]:
    import numkong
    levels = [name for name, has in numkong.get_capabilities().items() if has]
    target = f"{version('numkong')} {levels[-1]}, NumPy's argpartition"

    def row(method, kind, table):
        def answer(packed, ids, k):
            return largest(np.asarray(numkong.dots_packed(table[ids], packed)), k)
        return Rival(method, kind, 0, table.itemsize * table.shape[1], target,
                     lambda ids: numkong.dots_pack(table[ids]), answer)

    def nearest(packed, ids, k):
        distances = np.asarray(numkong.hammings_packed(tables.codes[ids], packed))
        return np.argpartition(distances, k - 1, axis=1)[:, :k]
    return [row("numkong:f32", EXACT, tables.floats), row("numkong:i8", INT8, tables.bytes),
            Rival("numkong:b1", HAMMING, tables.bits, tables.codes.shape[1], target,
                  lambda ids: numkong.hammings_pack(tables.codes[ids]), nearest)]


def scann_rivals(tables: Tables, k: int) -> list[Rival]:
    import scann
    floats = tables.floats

    def builder(ids):
        return scann.scann_ops_pybind.builder(floats[ids], k, "dot_product")

    def answer(searcher, ids, k):
        return searcher.search_batched(floats[ids], k)[0]
    dim = floats.shape[1]

    def hashed(factor):  # 4 bits for each 2 dimensions
        return Rival(f"scann:ah+reorder:{factor}", APPROXIMATE, 2 * dim, dim / 4 + 4 * dim, target,
                     lambda ids: builder(ids).score_ah(
                         2, anisotropic_quantization_threshold=0.2).reorder(factor * k).build(),
                     answer)
    target = f"{version('scann')}, instruction set not reported"
    return [Rival("scann:brute_force", EXACT, 0, 4 * dim, target,
                  lambda ids: builder(ids).score_brute_force().build(), answer),
            *map(hashed, (2, 4, 8))]


def hnswlib_rivals(tables: Tables, _k: int) -> list[Rival]:
    import hnswlib
    floats = tables.floats

    def prepare(ids):
        index = hnswlib.BFIndex(space="ip", dim=floats.shape[1])
        index.init_index(max_elements=len(ids))
        index.add_items(floats[ids], np.arange(len(ids)))
        return index

    def answer(index, ids, k):
        return index.knn_query(floats[ids], k, num_threads=1)[0]
    return [Rival("hnswlib:BFIndex", EXACT, 0, 4 * floats.shape[1] + 8, built("hnswlib"),
                  prepare, answer)]


def torch_rivals(tables: Tables, _k: int) -> list[Rival]:
    import torch
    torch.set_num_threads(1)
    floats = torch.from_numpy(tables.floats)

    def score(rows, queries, k: int):
        return torch.topk(queries @ rows.t(), k).indices

    def row(method, function):
        def answer(rows, ids, k):
            return function(rows, floats[torch.from_numpy(ids).long()], k).numpy()
        return Rival(method, EXACT, 0, 4 * floats.shape[1],
                     f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}",
                     lambda ids: floats[torch.from_numpy(ids).long()], answer)
    return [row("torch:eager", score), row("torch:compiled", torch.compile(score))]


LIBRARIES: dict[str, Callable[[Tables, int], list[Rival]]] = {
    "faiss": faiss_rivals, "usearch": usearch_rivals, "numkong": numkong_rivals,
    "scann": scann_rivals, "hnswlib": hnswlib_rivals, "torch": torch_rivals}


def rivals_of(library: str, tables: Tables, k: int) -> tuple[list[Rival], Optional[str]]:
    """The rows of a library for requests of `k`, or none and why not."""
    try:
        return LIBRARIES[library](tables, k), None
    except ImportError as error:
        return [], f"{library}: not there ({error})"
    except Exception as error:  # of any kind, from code that is not ours
        return [], f"{library}: {type(error).__name__}: {error}"
