"""Arrays as the library takes them: where their bytes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MOST_BYTES = int(np.iinfo(np.int32).max) - 64
"""Places are 32 bits wide."""


def address(array: npt.NDArray[Any], size_bytes: int) -> int:
    """Where the first byte is. The array must outlive the call that gets it. `size_bytes`: of an element, as the
    library reads it. Raises ValueError for an array that it would read wrongly."""
    if array.itemsize != size_bytes or not array.flags.c_contiguous:
        raise ValueError(f"an array of {array.dtype}, not {size_bytes} bytes each in one piece")
    return int(array.__array_interface__["data"][0])


def binary(bounds: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], valid: npt.NDArray[np.uint8], nulls: int) -> Any:
    """Texts that the library laid out, as an Arrow array of bytes."""
    mask = pa.py_buffer(valid) if nulls else None
    buffers = [mask, pa.py_buffer(bounds), pa.py_buffer(data)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(bounds) - 1, buffers, null_count=nulls)
