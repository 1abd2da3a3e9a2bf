"""Requests split down to attributes without a copy, in the form that encoders write.

The bodies are joined, and everything below is a place in them. What surrounds the spans (resources, scopes, a few
hundred bytes) is read by `ptars`, without the spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode import arrays
from collector.decode import walk as w
from collector.decode.levels import Levels
from collector.decode.request import DecodeLimits
from collector.decode.slices import Lists, Positions, Slices
from collector.decode.walk import Unusual, numbers, walk
from collector.decode.wire import parse

_RESOURCE_SPANS = 0x0A
_FIELDS = (0x0A, 0x12, 0x1A)
"""The tags of `ResourceSpans` and of `ScopeSpans`: what is told once, what is repeated, the schema."""
_MANY = 0x12
_TRACE_ID_BYTES = 16
_SMALLEST = 128
_SIZE_BITS = 35
_MOST_BYTES = np.iinfo(np.int32).max - 64
"""Places are 32 bits wide."""
_FEW_SPANS = 1_024
"""Below it the parser is faster."""
_MOST_SCOPES = 512
"""Resources and scopes that are taken apart one by one, 20 us each."""


class _Wire:
    """The bodies, one behind the other."""

    def __init__(self, joined: bytes) -> None:
        self.bytes = joined
        self.data = np.frombuffer(joined, dtype=np.uint8)


@dataclass(slots=True)
class _Level:
    """Messages of one kind: of which parent each is, and its bytes without its children."""

    parents: list[int] = field(default_factory=list)
    rests: list[bytes] = field(default_factory=list)


def split(bodies: Sequence[bytes], limits: DecodeLimits) -> Levels:
    """The levels of all requests. Raises Unusual, `MalformedRequest`."""
    if sum(map(len, bodies)) > _MOST_BYTES:
        raise Unusual
    wire = _Wire(bodies[0] if len(bodies) == 1 else b"".join(bodies))
    resources, scopes = _Level(), _Level()
    found: list[tuple[Positions, Positions]] = []
    counts: list[int] = []
    at, left = 0, limits.max_spans_per_request
    for number, body in enumerate(bodies):
        stop = at + len(body)
        while at < stop:
            at, end = _body(wire.bytes, at, _RESOURCE_SPANS, stop)
            for scope in _children(wire.bytes, at, end, resources, number):
                counts.append(_add_spans(wire, scope, scopes, len(resources.parents) - 1, found, left))
                left -= counts[-1]
            if len(resources.parents) + len(counts) > min(_MOST_SCOPES, limits.max_spans_per_request):
                raise Unusual
            at = end
    if limits.max_spans_per_request - left < _FEW_SPANS:
        raise Unusual
    starts, ends = (np.concatenate([part[side] for part in found]) for side in (0, 1))
    spans = Slices(pa.py_buffer(wire.bytes), starts, ends)
    fields = walk(spans)
    resource_batch = parse("ResourceSpans", resources.rests)
    return Levels(
        resources=resource_batch,
        scopes=parse("ScopeSpans", scopes.rests),
        spans=_batch(spans, fields),
        request_of_resource=np.array(resources.parents, dtype=np.int64),
        resource_of_scope=np.array(scopes.parents, dtype=np.int64),
        scope_of_span=np.arange(len(counts), dtype=np.int64).repeat(counts),
        attributes=fields.lists_of(w.ATTRIBUTES, spans),
        resource_attributes=Lists.of(resource_batch.column("resource").field(0)),
    )


def _body(wire: bytes, at: int, tag: int, stop: int) -> tuple[int, int]:
    """Where the message starts and ends that is the field at `at`. Raises Unusual."""
    if wire[at] != tag:
        raise Unusual
    size, shift, at = 0, 0, at + 1
    while at < stop and shift < _SIZE_BITS:
        byte = wire[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            if at + size > stop:
                break
            return at, at + size
    raise Unusual


def _children(wire: bytes, at: int, stop: int, level: _Level, parent: int) -> list[tuple[int, int]]:
    """Where the repeated field of a message lies; the message is added to its level without it. Raises Unusual."""
    rest: list[bytes] = []
    children: list[tuple[int, int]] = []
    while at < stop:
        tag = wire[at]
        if tag not in _FIELDS or len(children) >= _MOST_SCOPES:
            raise Unusual
        body, end = _body(wire, at, tag, stop)
        if tag == _MANY:
            children.append((body, end))
        else:
            rest.append(wire[at:end])
        at = end
    level.parents.append(parent)
    level.rests.append(b"".join(rest))
    return children


def _add_spans(
    wire: _Wire, scope: tuple[int, int], level: _Level, parent: int, found: list[tuple[Positions, Positions]], most: int
) -> int:
    """`_children` of a scope, which has hundreds; how many. Raises Unusual.

    Runs of spans are found by how they begin, and checked: each must begin where the one before ends.
    """
    at, stop = scope
    tags, bodies, ends = _candidates(wire.data, at, stop)
    rest: list[bytes] = []
    count = position = 0
    while at < stop:
        position += int(np.searchsorted(tags[position:], at))
        run = _run(tags[position:], ends[position:], at)
        if run:
            found.append((bodies[position : position + run], ends[position : position + run]))
            position += run
            at = int(ends[position - 1])
        else:
            tag = wire.bytes[at]
            body, end = _body(wire.bytes, at, tag, stop)
            if tag == _MANY:
                found.append((np.array([body], dtype=np.int32), np.array([end], dtype=np.int32)))
                run = 1
            elif tag in _FIELDS:
                rest.append(wire.bytes[at:end])
            else:
                raise Unusual
            at = end
        count += run
        if count > most:
            raise Unusual
    if at > stop:
        raise Unusual
    level.parents.append(parent)
    level.rests.append(b"".join(rest))
    return count


def _candidates(data: npt.NDArray[np.uint8], start: int, stop: int) -> tuple[Positions, Positions, Positions]:
    """Places that look like a span of 128 to 16,383 bytes that begins with its trace id: tag, body, end."""
    if stop - start < _SMALLEST:
        nothing = np.zeros(0, dtype=np.int32)
        return nothing, nothing, nothing
    part = data[start:stop]
    looks = part[:-4] == _MANY
    looks &= part[3:-1] == w.TRACE_ID
    looks &= part[4:] == _TRACE_ID_BYTES
    tags = (arrays.rows(looks) + start).astype(np.int32)
    low, high = data[tags + 1], data[tags + 2]
    right = (low >= 0x80) & (high < 0x80)
    if not right.all():
        tags, low, high = tags[right], low[right], high[right]
    bodies = tags + np.int32(3)
    return tags, bodies, bodies + ((low & 0x7F).astype(np.int32) | high.astype(np.int32) << 7)


def _run(tags: Positions, ends: Positions, at: int) -> int:
    """How many of the candidates are spans that follow each other from `at` on."""
    if not len(tags) or tags[0] != at:
        return 0
    breaks = arrays.rows(tags[1:] != ends[:-1])
    return int(breaks[0]) + 1 if len(breaks) else len(tags)


def _batch(spans: Slices, fields: w.Fields) -> pa.RecordBatch:
    """The columns of `Span` but for its attributes."""
    data = spans.data

    def texts(tag: int) -> pa.BinaryArray:
        return Slices(spans.buffer, *fields.spans_of(tag)).array()

    def number(tag: int, width: int, kind: pa.DataType) -> pa.Array:
        return pa.array(numbers(data, fields.spans_of(tag), width).astype(kind.to_pandas_dtype()))

    def lists(tag: int) -> pa.ListArray:
        found = fields.lists_of(tag, spans)
        bounds = np.zeros(len(spans) + 1, dtype=np.int32)
        np.cumsum(found.counts, out=bounds[1:])
        return pa.ListArray.from_arrays(pa.array(bounds), found.messages.array())

    u32, u64 = pa.uint32(), pa.uint64()
    return pa.RecordBatch.from_arrays(
        [
            *(texts(tag) for tag in (w.TRACE_ID, w.SPAN_ID, w.TRACE_STATE, w.PARENT_ID, w.NAME)),
            number(w.KIND, 1, pa.int32()),
            *(number(tag, 8, u64) for tag in (w.START, w.END)),
            *(number(tag, 1, u32) for tag in (w.DROPPED_ATTRIBUTES, w.DROPPED_EVENTS, w.DROPPED_LINKS)),
            number(w.FLAGS, 4, u32),
            lists(w.EVENTS),
            lists(w.LINKS),
            _status(spans, fields.spans_of(w.STATUS)),
        ],
        names=_NAMES,
    )


_NAMES = (
    *("trace_id", "span_id", "trace_state", "parent_span_id", "name", "kind"),
    *("start_time_unix_nano", "end_time_unix_nano"),
    *("dropped_attributes_count", "dropped_events_count", "dropped_links_count", "flags", "events", "links", "status"),
)


def _status(spans: Slices, found: tuple[Positions, Positions]) -> pa.StructArray:
    """Message and code; those of an empty status where there is none."""
    if (found[0] == found[1]).all():
        ends = pa.py_buffer(np.zeros(len(spans) + 1, dtype=np.int32))
        messages = pa.BinaryArray.from_buffers(pa.binary(), len(spans), [None, ends, pa.py_buffer(b"")])
        codes: pa.Array = pa.array(np.zeros(len(spans), dtype=np.int32))
    else:
        parsed = parse("Status", Slices(spans.buffer, *found).array())
        messages, codes = parsed.column("message"), parsed.column("code")
    return pa.StructArray.from_arrays([messages, codes], names=["message", "code"])
