# SPDX-License-Identifier: Apache-2.0
"""Families of methods, and the methods of each that the comparison runs."""
import re

RERANK = [2, 4, 8]  # oversampling of the rescoring
PQ_BITS = [64, 128, 256]  # a subspace takes 4 bits and one dimension or more: fits() says where
BASE = "faiss_exact"  # speed-ups are over this one

# Families in the order of the table. A method is of the first family whose pattern it matches.
FAMILIES = {
    "eta": r"eta:\d+",
    "eta_gather": r"eta_gather:\d+",
    "eta+rerank": r"eta:\d+\+rerank:\d+",
    "eta+rerank_i8": r"eta:\d+\+rerank_i8:\d+",
    "eta_norm": r"eta_norm:\d+",
    "eta_norm+rerank_i8": r"eta_norm:\d+\+rerank_i8:\d+",
    "eta_asym": r"eta_asym:\d+",
    "eta_asym+rerank_i8": r"eta_asym:\d+\+rerank_i8:\d+",
    "pq4": r"pq4:\d+",
    "pq4+rerank_i8": r"pq4:\d+\+rerank_i8:\d+",
    "scan_f32": r"scan_f32|exact",
    "scan_i8": r"scan_i8",
    "faiss_exact": r"faiss_exact",
    "faiss_pq4": r"faiss_o?pq4:\d+",
    "faiss_pq4+refine": r"faiss_o?pq4:\d+\+refine:\d+",
    "faiss_sq8": r"faiss_sq8",
    "faiss_rabitq": r"faiss_rabitq",
    "sim_soft": r"sim_soft:.*",
}


def family_of(method):
    """The family of a method, or None."""
    for family, pattern in FAMILIES.items():
        if re.fullmatch(pattern, method):
            return family
    return None


def fits(method, dim):
    """Whether a method can be run on embeddings of `dim` dimensions: FAISS wants subspaces that
    divide them, ours no more subspaces than dimensions."""
    if match := re.match(r"(faiss_o?)?pq4:(\d+)", method):
        subspaces = int(match[2]) // 4
        return dim % subspaces == 0 if match[1] else subspaces <= dim
    return True


def code_bytes(method, dim):
    """Bytes of a behaviour's code or row by the method's name, without factor and item id; None for
    methods that keep an index."""
    if match := re.match(r"(?:faiss_o?)?(?:eta|eta_\w+|pq4):(\d+)", method):
        return (int(match[1]) + 7) // 8
    return {"scan_i8": dim + 4, "faiss_sq8": dim, "faiss_rabitq": dim // 8 + 8, "scan_f32": 4 * dim,
            "exact": 4 * dim, "faiss_exact": 4 * dim}.get(method)


def choose_methods(listing, bits, with_hnsw, with_faiss_codes=False):
    """Methods of the grid that the binary has by its --list-methods, and those that it lacks."""
    names = [line.split()[0] for line in listing.splitlines() if line.strip()]
    pq_bits = [b for b in PQ_BITS if b in bits]
    wanted: list[tuple] = []  # methods, each with the form that the binary must have

    def add(name, widths, step=""):
        form = f"{name}:BITS{step}:C" if step else f"{name}:BITS"
        wanted.extend((f"{name}:{b}{step}:{c}" if step else f"{name}:{b}", form)
                      for b in widths for c in (RERANK if step else [0]))

    add("eta", bits)
    add("eta_gather", bits)
    add("eta", bits, "+rerank")
    add("eta", bits, "+rerank_i8")
    add("eta_norm", bits)
    add("eta_norm", bits, "+rerank_i8")
    add("eta_asym", bits)
    add("eta_asym", bits, "+rerank_i8")
    add("pq4", pq_bits)
    add("pq4", pq_bits, "+rerank_i8")
    exact = "scan_f32" if "scan_f32" in names else "exact"
    wanted += [(name, name) for name in (exact, "scan_i8", "faiss_exact")]
    if with_faiss_codes:
        for name in ("faiss_pq4", "faiss_opq4"):
            add(name, pq_bits)
            add(name, pq_bits, "+refine")
        wanted += [(name, name) for name in ("faiss_sq8", "faiss_rabitq")]
        wanted += [(f"sim_soft:ivfpq:{lists}", "sim_soft:ivfpq[:NPROBE]") for lists in (8, 32, 128)]
    if with_hnsw:
        wanted += [(f"sim_soft:hnsw:{effort}", "sim_soft:hnsw[:EFSEARCH]")
                   for effort in (64, 256, 1024)]
    return ([method for method, form in wanted if form in names],
            [method for method, form in wanted if form not in names])
