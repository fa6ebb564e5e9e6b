#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ETA retrieval through the C interface by ctypes, without the Python package.

retrieve.py LIBRARY, such as libeta_c.so
"""
import ctypes
import sys
from ctypes import POINTER, c_char_p, c_float, c_int32, c_size_t, c_uint8, c_uint64, c_void_p

ITEMS, DIM, BITS, LENGTH, TOP = 1000, 16, 64, 300, 4


def load(path):
    """The library with the argument types of the functions used here."""
    library = ctypes.CDLL(path)
    library.eta_last_error.restype = c_char_p
    for name, types in {
            "eta_hyperplanes_make": [c_char_p, c_size_t, c_size_t, c_uint64, POINTER(c_void_p)],
            "eta_encode": [c_void_p, POINTER(c_float), c_size_t, c_size_t, POINTER(c_uint8),
                           c_size_t],
            "eta_code_table_make": [POINTER(c_uint8), c_size_t, c_size_t, c_size_t,
                                    POINTER(c_void_p)],
            "eta_history_prepare": [c_void_p, POINTER(c_int32), c_size_t, POINTER(c_void_p)],
            "eta_history_append": [c_void_p, c_int32],
            "eta_retrieve": [c_void_p, POINTER(c_int32), c_size_t, c_size_t, POINTER(c_int32),
                             c_size_t, POINTER(c_int32), c_size_t],
            "eta_history_close": [c_void_p], "eta_code_table_close": [c_void_p],
            "eta_hyperplanes_close": [c_void_p]}.items():
        getattr(library, name).argtypes = types
    return library


def main(path):
    """Retrieves for three candidates, appends one of them, retrieves again."""
    library = load(path)

    def call(name, *arguments):
        status = getattr(library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name}: {library.eta_last_error().decode()}")

    def made(name, *arguments):
        handle = c_void_p()
        call(name, *arguments, ctypes.byref(handle))
        return handle

    values = [(i * i % 4093) / 2048 - 1 for i in range(ITEMS * DIM)]
    items = (c_float * len(values))(*values)
    codes = (c_uint8 * (ITEMS * BITS // 8))()
    history = (c_int32 * LENGTH)(*(i * 7 % ITEMS for i in range(LENGTH)))
    candidates = (c_int32 * 3)(5, 14, 700)
    positions, counts = (c_int32 * (3 * TOP))(), (c_int32 * 3)()

    planes = made("eta_hyperplanes_make", b"orthogonal", DIM, BITS, 1)
    call("eta_encode", planes, items, len(items), ITEMS, codes, len(codes))
    table = made("eta_code_table_make", codes, len(codes), ITEMS, BITS)
    user = made("eta_history_prepare", table, history, LENGTH)
    for turn in range(2):
        call("eta_retrieve", user, candidates, 3, TOP, positions, len(positions), counts, 3)
        for c, item in enumerate(candidates):
            found = positions[c * TOP:c * TOP + counts[c]]
            print(f"candidate {item}:", *found)
        if turn == 0:
            call("eta_history_append", user, candidates[0])
    for kind, handle in (("history", user), ("code_table", table), ("hyperplanes", planes)):
        call(f"eta_{kind}_close", handle)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
