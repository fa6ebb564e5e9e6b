# SPDX-License-Identifier: Apache-2.0
"""Types of arrays in signatures.

Arguments are arrays of exactly the named type, contiguous in C order, on the CPU: whatever exports
the buffer protocol or DLPack, such as NumPy arrays and PyTorch tensors. They are read in place;
nothing is converted, since a conversion that nobody asked for is a copy that nobody sees. Results
are new NumPy arrays.
"""
from typing import Any

import numpy as np

ArrayLike = Any  # the buffer protocol and DLPack have no type before Python 3.12

# As numpy.typing.NDArray, whose module takes 8 ms to import.
Float32 = np.ndarray[Any, np.dtype[np.float32]]
Float64 = np.ndarray[Any, np.dtype[np.float64]]
Int8 = np.ndarray[Any, np.dtype[np.int8]]
Int32 = np.ndarray[Any, np.dtype[np.int32]]
Int64 = np.ndarray[Any, np.dtype[np.int64]]
Uint8 = np.ndarray[Any, np.dtype[np.uint8]]
Uint16 = np.ndarray[Any, np.dtype[np.uint16]]
