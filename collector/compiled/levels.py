"""Requests down to the fields of spans: `levels.c`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from collector.compiled import library
from collector.compiled.arrays import MOST_BYTES, address

Places = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_TEXTS, _LISTS, _NUMBERS = 6, 3, 5


class Counts(NamedTuple):
    """How many there are of each; and the bytes of resources without scopes, of scopes without spans."""

    resources: int
    scopes: int
    spans: int
    attributes: int
    events: int
    links: int
    resource_bytes: int
    scope_bytes: int


class _Levels(ctypes.Structure):
    """`Levels` in `levels.c`."""

    _fields_ = [
        ("counts", ctypes.c_int64 * len(Counts._fields)),
        *((name, ctypes.c_void_p) for name in ("request_of_resource", "resource_of_scope", "scope_of_span")),
        *((name, ctypes.c_void_p) for name in ("resource_bytes", "scope_bytes", "resource_ends", "scope_ends")),
        ("texts", ctypes.c_void_p * _TEXTS),
        *((name, ctypes.c_void_p) for name in ("start_ns", "end_ns")),
        ("numbers", ctypes.c_void_p * _NUMBERS),
        *((name, ctypes.c_void_p * _LISTS) for name in ("list_starts", "list_ends", "list_counts")),
    ]


_SIZES = {
    **dict.fromkeys(("request_of_resource", "resource_of_scope", "scope_of_span", "start_ns", "end_ns"), 8),
    **dict.fromkeys(("resource_bytes", "scope_bytes"), 1),
    **dict.fromkeys(("resource_ends", "scope_ends", "texts", "numbers", "list_starts", "list_ends", "list_counts"), 4),
}
"""Bytes of an element of each array."""


@dataclass(frozen=True, slots=True)
class WireLevels:
    """What stands where. `*_ends`: message i of `*_bytes` is between ends i and i + 1."""

    request_of_resource: Ints
    resource_of_scope: Ints
    scope_of_span: Ints
    resource_bytes: Bytes
    scope_bytes: Bytes
    resource_ends: Places
    scope_ends: Places
    texts: list[Places]  # trace id, span id, trace state, parent, name, status: start and end of each span's
    start_ns: npt.NDArray[np.uint64]
    end_ns: npt.NDArray[np.uint64]
    numbers: list[npt.NDArray[np.uint32]]  # kind, dropped attributes, events, links, flags
    list_starts: list[Places]  # attributes, events, links
    list_ends: list[Places]
    list_counts: list[Places]  # of each span


def read_levels(wire: bytes, ends: Ints, most: int, most_listed: int) -> WireLevels | None:
    """Requests one behind the other in `wire`, each up to its end; None: not in the form that encoders write.

    A span at least, at most `most` resources, scopes and spans, and `most_listed` attributes, events and links: else
    None too.
    """
    kernels = library()
    if kernels is None or not wire or len(wire) > MOST_BYTES:
        return None
    found = _Levels()
    requests = np.ascontiguousarray(ends, dtype=np.int64)
    asked = wire, address(requests, 8), len(requests), most, ctypes.addressof(found)
    if kernels.otel_cost_count_levels(*asked) < 0:
        return None
    counts = Counts(*found.counts)
    if not counts.spans or max(counts.attributes, counts.events, counts.links) > most_listed:
        return None
    levels = _room(counts)
    for name, size_bytes in _SIZES.items():
        arrays = getattr(levels, name)
        if isinstance(arrays, np.ndarray):
            setattr(found, name, address(arrays, size_bytes))
        else:
            setattr(found, name, (ctypes.c_void_p * len(arrays))(*(address(one, size_bytes) for one in arrays)))
    kernels.otel_cost_read_levels(*asked)
    return levels


def _room(counts: Counts) -> WireLevels:
    """Arrays for what was counted; zeros where not every row is written."""
    spans = counts.spans
    listed = counts.attributes, counts.events, counts.links
    return WireLevels(
        request_of_resource=np.empty(counts.resources, dtype=np.int64),
        resource_of_scope=np.empty(counts.scopes, dtype=np.int64),
        scope_of_span=np.empty(spans, dtype=np.int64),
        resource_bytes=np.empty(counts.resource_bytes, dtype=np.uint8),
        scope_bytes=np.empty(counts.scope_bytes, dtype=np.uint8),
        resource_ends=np.zeros(counts.resources + 1, dtype=np.int32),
        scope_ends=np.zeros(counts.scopes + 1, dtype=np.int32),
        texts=[np.empty(2 * spans, dtype=np.int32) for _ in range(_TEXTS)],
        start_ns=np.zeros(spans, dtype=np.uint64),
        end_ns=np.zeros(spans, dtype=np.uint64),
        numbers=[np.zeros(spans, dtype=np.uint32) for _ in range(_NUMBERS)],
        list_starts=[np.empty(count, dtype=np.int32) for count in listed],
        list_ends=[np.empty(count, dtype=np.int32) for count in listed],
        list_counts=[np.empty(spans, dtype=np.int32) for _ in listed],
    )
