# SPDX-License-Identifier: Apache-2.0
"""Families of methods, and the methods of each that the comparison runs."""
import re

RERANK = [2, 4, 8]  # oversampling of the rescoring
FAISS_PQ_BITS = [64, 128]  # the widths tried of which 4 bits a subspace fit 32 dimensions
BASE = "faiss_exact"  # speed-ups are over this one

# Families in the order of the table. A method is of the first family whose pattern it matches.
FAMILIES = {
    "eta": r"eta:\d+",
    "eta_gather": r"eta_gather:\d+",
    "eta+rerank": r"eta:\d+\+rerank:\d+",
    "eta+rerank_i8": r"eta:\d+\+rerank_i8:\d+",
    "eta_asym": r"eta_asym:\d+",
    "scan_f32": r"scan_f32|exact",
    "scan_i8": r"scan_i8",
    "faiss_exact": r"faiss_exact",
    "faiss_pq4": r"faiss_pq4:\d+",
    "faiss_pq4+refine": r"faiss_pq4:\d+\+refine:\d+",
    "sim_soft": r"sim_soft:.*",
}


def family_of(method):
    """The family of a method, or None."""
    for family, pattern in FAMILIES.items():
        if re.fullmatch(pattern, method):
            return family
    return None


def choose_methods(listing, bits, with_hnsw):
    """Methods of the grid that the binary has by its --list-methods, and those that it lacks."""
    names = [line.split()[0] for line in listing.splitlines() if line.strip()]
    wanted = [(f"eta:{b}", "eta:") for b in bits]
    wanted += [(f"eta_gather:{b}", "eta_gather:") for b in bits]
    for step in ("+rerank:", "+rerank_i8:"):
        wanted += [(f"eta:{b}{step}{c}", step) for b in bits for c in RERANK]
    wanted += [(f"eta_asym:{b}", "eta_asym:") for b in bits]
    exact = "scan_f32" if "scan_f32" in names else "exact"
    wanted += [(name, name) for name in (exact, "scan_i8", "faiss_exact")]
    pq_bits = [b for b in FAISS_PQ_BITS if b in bits]
    wanted += [(f"faiss_pq4:{b}", "faiss_pq4:") for b in pq_bits]
    wanted += [(f"faiss_pq4:{b}+refine:{c}", "+refine:") for b in pq_bits for c in RERANK]
    if with_hnsw:
        wanted += [(f"sim_soft:hnsw:{effort}", "sim_soft:hnsw") for effort in (64, 256, 1024)]

    def has(key):
        if key.startswith("+"):
            base = "faiss_pq4:" if key == "+refine:" else "eta:"
            return any(name.startswith(base) and key in name for name in names)
        return any(name == key or (name.startswith(key) and key[-1] in ":w") for name in names)

    return [m for m, key in wanted if has(key)], [m for m, key in wanted if not has(key)]
