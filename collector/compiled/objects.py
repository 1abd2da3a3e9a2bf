"""Attributes as JSON objects: `json.c`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.compiled import library
from collector.compiled.arrays import MOST_BYTES, address
from collector.compiled.texts import Texts

_NO_TABLE = -2
Ints32 = npt.NDArray[np.int32]


class _Objects(ctypes.Structure):
    """`Objects` in `json.c`."""

    _fields_ = [
        ("owners", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("counts", "codes", "kinds", "marks", "text_ends", "texts", "integers")),
        *((name, ctypes.c_void_p) for name in ("double_ends", "doubles", "key_ends", "keys")),
        ("specials", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("owner_of_key", "ends", "out")),
    ]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The columns of a long attribute table, owners ascending."""

    counts: Ints32  # of each owner
    codes: Ints32  # the keys
    kinds: npt.NDArray[np.int8]
    marks: npt.NDArray[np.uint8]  # what is written instead of the value; 0: the value
    integers: npt.NDArray[np.int64]


def write_objects(
    attributes: Attributes, texts: Texts, doubles: Texts, keys: Texts
) -> tuple[Ints32, npt.NDArray[np.uint8]] | None:
    """A JSON object for each owner: ends and bytes. None: no library, more than fits, or an owner has a key twice.

    texts: a text or nothing for each attribute; doubles: JSON of those that are doubles; keys: of each code `"key":`.
    """
    kernels = library()
    if kernels is None:
        return None
    owners, rows = len(attributes.counts), len(attributes.codes)
    if not len(attributes.kinds) == len(attributes.marks) == len(attributes.integers) == len(texts.bounds) - 1 == rows:
        raise ValueError("columns of different lengths")
    owner_of_key = np.full(len(keys.bounds) - 1, -1, dtype=np.int32)
    ends = np.empty(owners + 1, dtype=np.int32)
    asked = _Objects(owners=owners, owner_of_key=address(owner_of_key, 4), ends=address(ends, 4))
    for name, size_bytes in (("counts", 4), ("codes", 4), ("kinds", 1), ("marks", 1), ("integers", 8)):
        setattr(asked, name, address(getattr(attributes, name), size_bytes))
    asked.text_ends, asked.texts = address(texts.bounds, 4), address(texts.data, 1)
    asked.double_ends, asked.doubles = address(doubles.bounds, 4), address(doubles.data, 1)
    asked.key_ends, asked.keys = address(keys.bounds, 4), address(keys.data, 1)
    start, stop = int(texts.bounds[0]), int(texts.bounds[-1])
    asked.specials = kernels.otel_cost_count_specials(asked.texts + start, stop - start)
    counts = rows, len(keys.bounds) - 1, len(doubles.bounds) - 1
    size = kernels.otel_cost_size_objects(ctypes.addressof(asked), *counts)
    if size == _NO_TABLE:
        raise ValueError("no table of attributes")
    if size < 0 or size + int(doubles.bounds[-1]) > MOST_BYTES:
        return None
    out = np.empty(size + int(doubles.bounds[-1]), dtype=np.uint8)
    asked.out = address(out, 1)
    written = kernels.otel_cost_write_objects(ctypes.addressof(asked))
    return ends, out[:written]
