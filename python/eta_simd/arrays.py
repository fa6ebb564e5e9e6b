# SPDX-License-Identifier: Apache-2.0
"""Types of arrays in signatures.

Arguments are arrays of exactly the named type, contiguous in C order, on the CPU: whatever exports
the buffer protocol or DLPack, such as NumPy arrays and PyTorch tensors. They are read in place;
nothing is converted, since a conversion that nobody asked for is a copy that nobody sees. Results
are new NumPy arrays.
"""
from typing import Any

import numpy as np
import numpy.typing as npt

ArrayLike = Any  # the buffer protocol and DLPack have no type before Python 3.12

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Uint8 = npt.NDArray[np.uint8]
Uint16 = npt.NDArray[np.uint16]
