"""Arrays as the library takes them: where their bytes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

MOST_BYTES = int(np.iinfo(np.int32).max) - 64
"""Places are 32 bits wide."""


def address(array: npt.NDArray[Any]) -> int:
    """Where the first byte is. The array must outlive the call that gets it, and lie in one piece."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])


def binary(bounds: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], valid: npt.NDArray[np.uint8], nulls: int) -> Any:
    """Texts that the library laid out, as an Arrow array of bytes."""
    mask = pa.py_buffer(valid) if nulls else None
    buffers = [mask, pa.py_buffer(bounds), pa.py_buffer(data)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(bounds) - 1, buffers, null_count=nulls)
