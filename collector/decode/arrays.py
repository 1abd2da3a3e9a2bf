"""Small vectorised tools over Arrow arrays: hex, offsets, UTF-8, empty strings, sparse columns.

All arrays here are whole (offset 0), as `ptars` and `pa.Array.take` make them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NO_ROWS: Ints = np.zeros(0, dtype=np.int64)

_HEX = np.frombuffer(b"".join(b"%02x" % value for value in range(256)), dtype=np.uint16)


def offsets(array: pa.Array) -> npt.NDArray[np.int32]:
    """The n+1 offsets of a list, string or binary array, without a copy."""
    count, buffer = len(array), array.buffers()[1]
    if buffer is None or not count:
        return np.zeros(1, dtype=np.int32)
    return np.frombuffer(buffer, dtype=np.int32, count=count + 1, offset=4 * array.offset)


def lengths(array: pa.Array) -> npt.NDArray[np.int32]:
    """Bytes (or elements) of each row."""
    ends = offsets(array)
    return ends[1:] - ends[:-1]


def rows(mask: npt.NDArray[Any]) -> Ints:
    """The row numbers where `mask` is true (or not 0); on few rows a tenth of the time of `np.flatnonzero`."""
    return mask.nonzero()[0]


def owners(array: pa.Array) -> Ints:
    """For every element of a list array, the row that it belongs to."""
    return np.arange(len(array), dtype=np.int64).repeat(lengths(array))


def fixed_width(array: pa.Array, width: int) -> tuple[npt.NDArray[np.uint8], Mask]:
    """Rows of exactly `width` bytes as a matrix, and which rows those are; other rows are zeros."""
    right = lengths(array) == width
    if len(array) and right.all():
        start = int(offsets(array)[0])
        flat = np.frombuffer(array.buffers()[2], dtype=np.uint8, count=len(array) * width, offset=start)
        return flat.reshape(-1, width), right
    matrix = np.zeros((len(array), width), dtype=np.uint8)
    if right.any():
        matrix[right] = fixed_width(array.filter(pa.array(right)), width)[0]
    return matrix, right


def hex_strings(matrix: npt.NDArray[np.uint8], present: Mask | None = None) -> pa.StringArray:
    """Each row of bytes as lower-case hex; NULL where `present` is false."""
    rows, width = matrix.shape
    text = _HEX[matrix]
    ends = np.arange(rows + 1, dtype=np.int32) * np.int32(width * 2)
    strings = pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(text)))
    if present is None or present.all():
        return strings
    return pc.if_else(pa.array(present), strings, pa.scalar(None, pa.string()))


def text(array: pa.Array) -> tuple[pa.StringArray, Ints]:
    """Binary as string, and the rows whose bytes are not UTF-8 (their text is mended with U+FFFD)."""
    strings = array.view(pa.string())
    try:
        strings.validate(full=True)  # as a cast does; on few rows in a fifth of its time
        return strings, NO_ROWS
    except pa.ArrowInvalid:
        bad = [row for row, value in enumerate(array.to_pylist()) if value is not None and not _is_utf8(value)]
    mended = [array[row].as_py().decode("utf-8", "replace").encode() for row in bad]
    return replace_rows(array, bad, mended).cast(pa.string()), np.asarray(bad, dtype=np.int64)


def text_or_null(array: pa.Array) -> tuple[pa.StringArray, Ints]:
    """As `text`, with NULL for an empty string, which says nothing, in proto3 as here."""
    sizes = lengths(array)
    if not sizes.any():
        return pa.nulls(len(array), pa.string()), NO_ROWS
    strings, bad = text(array)
    if not sizes.all():
        strings = pc.if_else(pa.array(sizes > 0), strings, pa.scalar(None, pa.string()))
    return strings, bad


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def replace_rows(array: pa.Array, rows: Sequence[int] | Ints, values: pa.Array | Sequence[object]) -> pa.Array:
    """The array with the given rows replaced (a copy; no loop over the other rows)."""
    if not len(rows):
        return array
    picks = np.arange(len(array), dtype=np.int64)
    picks[np.asarray(rows, dtype=np.int64)] = len(array) + np.arange(len(rows), dtype=np.int64)
    new = values if isinstance(values, pa.Array) else pa.array(values, array.type)
    return pa.concat_arrays([array, new]).take(pa.array(picks))


def sparse(length: int, rows: Sequence[int] | Ints, values: Sequence[object], kind: pa.DataType) -> pa.Array:
    """An array of NULLs with values at the given rows."""
    if not len(rows):
        return pa.nulls(length, kind)
    picks = np.full(length, -1, dtype=np.int64)
    picks[np.asarray(rows, dtype=np.int64)] = np.arange(len(rows), dtype=np.int64)
    return pa.array(values, kind).take(pa.array(picks, mask=picks < 0))


def where(numbers: npt.NDArray[np.generic], present: Mask) -> pa.Array:
    """Numbers as they are, NULL where `present` is false."""
    if not present.any():
        return pa.nulls(len(numbers), pa.from_numpy_dtype(numbers.dtype))
    return pa.array(numbers, mask=~present)


def values_of(array: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A primitive array without NULLs as numpy."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=dtype)


def single(column: pa.ChunkedArray) -> pa.Array:
    """A table's column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
