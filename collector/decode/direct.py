"""Requests split down to attributes by the compiled library, in the form that encoders write.

The bodies are joined, and everything below is a place in them. What surrounds the spans (resources, scopes, a few
hundred bytes) is read by `ptars`, without the spans; so are statuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.compiled.levels import WireLevels, read_levels
from collector.decode.levels import Levels
from collector.decode.request import DecodeLimits
from collector.decode.slices import Lists, Positions, Slices
from collector.decode.texts import laid, wire_texts
from collector.decode.wire import parse

_MOST_LISTED = 1 << 22
"""Attributes, events or links of a group, 8 bytes each; more is counted by the parser before it unfolds."""
_TRACE_ID, _SPAN_ID, _TRACE_STATE, _PARENT_ID, _NAME, _STATUS = range(6)
_ATTRIBUTES, _EVENTS, _LINKS = range(3)
_KIND, _DROPPED_ATTRIBUTES, _DROPPED_EVENTS, _DROPPED_LINKS, _FLAGS = range(5)


class Unusual(Exception):
    """Something on the wire is not in the form that is read here, or nothing can read it here."""


def split(bodies: Sequence[bytes], limits: DecodeLimits) -> Levels:
    """The levels of all requests. Raises Unusual, `MalformedRequest`."""
    wire = bodies[0] if len(bodies) == 1 else b"".join(bodies)
    ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
    found = read_levels(wire, ends, limits.max_spans_per_request, _MOST_LISTED)
    if found is None:
        raise Unusual
    buffer = pa.py_buffer(wire)
    resources = parse("ResourceSpans", _messages(found.resource_bytes, found.resource_ends))
    return Levels(
        resources=resources,
        scopes=parse("ScopeSpans", _messages(found.scope_bytes, found.scope_ends)),
        spans=_batch(found, buffer),
        request_of_resource=found.request_of_resource,
        resource_of_scope=found.resource_of_scope,
        scope_of_span=found.scope_of_span,
        attributes=_lists(found, buffer, _ATTRIBUTES),
        resource_attributes=Lists.of(resources.column("resource").field(0)),
    )


def _messages(data: npt.NDArray[np.uint8], ends: Positions) -> pa.BinaryArray:
    return pa.BinaryArray.from_buffers(pa.binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _lists(found: WireLevels, buffer: pa.Buffer, which: int) -> Lists:
    return Lists(Slices(buffer, found.list_starts[which], found.list_ends[which]), found.list_counts[which])


def _batch(found: WireLevels, buffer: pa.Buffer) -> pa.RecordBatch:
    """The columns of `Span` but for its attributes."""
    count = len(found.start_ns)
    picks = np.arange(0, 2 * count, 2, dtype=np.int32)

    def texts(which: int) -> pa.BinaryArray:
        return laid(wire_texts(found.texts[which], buffer), picks)

    def number(which: int, kind: type[np.integer[Any]] = np.uint32) -> pa.Array:
        return pa.array(found.numbers[which].view(kind))

    def lists(which: int) -> pa.ListArray:
        one = _lists(found, buffer, which)
        bounds = np.zeros(count + 1, dtype=np.int32)
        np.cumsum(one.counts, out=bounds[1:])
        return pa.ListArray.from_arrays(pa.array(bounds), one.messages.array())

    return pa.RecordBatch.from_arrays(
        [
            *(texts(which) for which in (_TRACE_ID, _SPAN_ID, _TRACE_STATE, _PARENT_ID, _NAME)),
            number(_KIND, np.int32),
            pa.array(found.start_ns),
            pa.array(found.end_ns),
            *(number(which) for which in (_DROPPED_ATTRIBUTES, _DROPPED_EVENTS, _DROPPED_LINKS, _FLAGS)),
            lists(_EVENTS),
            lists(_LINKS),
            _status(found.texts[_STATUS], buffer, picks),
        ],
        names=_NAMES,
    )


_NAMES = (
    *("trace_id", "span_id", "trace_state", "parent_span_id", "name", "kind"),
    *("start_time_unix_nano", "end_time_unix_nano"),
    *("dropped_attributes_count", "dropped_events_count", "dropped_links_count", "flags", "events", "links", "status"),
)


def _status(places: Positions, buffer: pa.Buffer, picks: Positions) -> pa.StructArray:
    """Message and code; those of an empty status where there is none."""
    count = len(picks)
    if (places[::2] == places[1::2]).all():
        ends = pa.py_buffer(np.zeros(count + 1, dtype=np.int32))
        messages = pa.BinaryArray.from_buffers(pa.binary(), count, [None, ends, pa.py_buffer(b"")])
        codes: pa.Array = pa.array(np.zeros(count, dtype=np.int32))
    else:
        parsed = parse("Status", laid(wire_texts(places, buffer), picks))
        messages, codes = parsed.column("message"), parsed.column("code")
    return pa.StructArray.from_arrays([messages, codes], names=["message", "code"])
