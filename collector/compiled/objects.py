"""Attributes as JSON objects: `json.c`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from collector.compiled import library
from collector.compiled.arrays import MOST_BYTES, address
from collector.compiled.texts import Texts

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


def write_objects(attributes: Attributes, texts: Texts, doubles: Texts, keys: Texts) -> tuple[Ints32, npt.NDArray[np.uint8]] | None:
    """A JSON object for each owner: ends and bytes. None: no library, more than fits, or an owner has a key twice.

    texts: a text or nothing for each attribute; doubles: JSON of those that are doubles; keys: of each code `"key":`.
    """
    kernels = library()
    if kernels is None:
        return None
    owner_of_key = np.full(len(keys.bounds) - 1, -1, dtype=np.int32)
    ends = np.empty(len(attributes.counts) + 1, dtype=np.int32)
    asked = _Objects(owners=len(attributes.counts))
    for field in fields(attributes):
        setattr(asked, field.name, address(getattr(attributes, field.name)))
    asked.text_ends, asked.texts = address(texts.bounds), address(texts.data)
    asked.double_ends, asked.doubles = address(doubles.bounds), address(doubles.data)
    asked.key_ends, asked.keys = address(keys.bounds), address(keys.data)
    asked.owner_of_key, asked.ends = address(owner_of_key), address(ends)
    start, stop = int(texts.bounds[0]), int(texts.bounds[-1])
    asked.specials = kernels.otel_cost_count_specials(address(texts.data) + start, stop - start)
    size = kernels.otel_cost_size_objects(ctypes.addressof(asked))
    size += int(doubles.bounds[-1]) if size >= 0 else 0
    if not 0 <= size <= MOST_BYTES:
        return None
    out = np.empty(size, dtype=np.uint8)
    asked.out = address(out)
    written = kernels.otel_cost_write_objects(ctypes.addressof(asked))
    return ends, out[:written]
