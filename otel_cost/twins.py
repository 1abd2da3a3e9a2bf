"""Records of one call that do not lie in each other, nor share an id within a trace: ours and another's, side by side.

What our instrumentation reads on the wire is usually written on the other's span. Where that span is not current while
the request is sent, both are on their own, as siblings or as roots of two traces. The collector decides by the same
facts (docs/counting.md); a process only compares what came from the wire with what did not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from otel_cost import attributes as keys
from otel_cost.call import Call

MAX_REMEMBERED = 256
"""Calls of either kind that are compared with. Two records of one call end almost at once; more would cost time."""
MIN_ID_CHARACTERS = 8
"""Shorter response ids are drawn from few: they say nothing across traces."""
MIN_OVERLAP = 0.8
MAX_START_DIFFERENCE_NS = 250_000_000
OUTPUT_TOLERANCE_TOKENS = 4


class Seen(NamedTuple):
    """What of a call is compared. -1: not said."""

    trace_id: int
    parent_id: int | None
    start_ns: int
    end_ns: int
    response_id: str | None
    models: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cached_tokens: int


class Twins:
    """The calls that ended last, those read on the wire and those of others apart. Needs no lock."""

    def __init__(self) -> None:
        self._wire: deque[Seen] = deque(maxlen=MAX_REMEMBERED)
        self._others: deque[Seen] = deque(maxlen=MAX_REMEMBERED)

    def wire_is_counted(self, seen: Seen) -> bool:
        """Whether a call that we read on the wire has been counted as another's span; else it is remembered."""
        return _pair(seen, self._others, self._wire)

    def other_is_counted(self, seen: Seen) -> bool:
        """Whether another's span has been counted as one that we read on the wire; else it is remembered."""
        return _pair(seen, self._wire, self._others)


def seen_on_wire(
    attributes: Mapping[str, object], trace_id: int, parent_id: int | None, start_ns: int, end_ns: int | None
) -> Seen:
    """Of a span that we wrote, or wrote on: the attributes are ours, so they are read as they are."""
    if keys.OTEL_COST_WIRE in attributes:
        names = (keys.OTEL_COST_RESPONSE_ID, keys.OTEL_COST_REQUEST_MODEL, keys.OTEL_COST_RESPONSE_MODEL)
        counts = tuple(keys.OTEL_COST_USAGE_PREFIX + unit for unit in _UNITS)
    else:
        names = (keys.GEN_AI_RESPONSE_ID, keys.GEN_AI_REQUEST_MODEL, keys.GEN_AI_RESPONSE_MODEL)
        counts = _CONVENTIONAL
    response_id, *models = (attributes.get(name) for name in names)
    entered, left, read, written = (_count(attributes.get(key)) for key in counts)
    said = tuple(model for model in models if isinstance(model, str))
    own_id = response_id if isinstance(response_id, str) else None
    end_ns = start_ns if end_ns is None else end_ns
    return Seen(trace_id, parent_id, start_ns, end_ns, own_id, said, entered, left, max(read, 0) + max(written, 0))


def seen_elsewhere(call: Call, trace_id: int, parent_id: int | None, start_ns: int, end_ns: int | None) -> Seen:
    """Of another instrumentation's span."""
    usage = call.usage
    return Seen(
        trace_id,
        parent_id,
        start_ns,
        start_ns if end_ns is None else end_ns,
        call.response_id,
        tuple(model for model in (call.request_model, call.response_model) if model),
        usage.get("input_tokens", -1),
        usage.get("output_tokens", -1),
        usage.get("cache_read_tokens", 0) + usage.get("cache_write_tokens", 0),
    )


_UNITS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_CONVENTIONAL = (
    keys.GEN_AI_USAGE_INPUT_TOKENS,
    keys.GEN_AI_USAGE_OUTPUT_TOKENS,
    keys.GEN_AI_USAGE_CACHE_READ,
    keys.GEN_AI_USAGE_CACHE_WRITE,
)


def _count(value: object) -> int:
    return value if type(value) is int else -1


def _pair(seen: Seen, counted: deque[Seen], own: deque[Seen]) -> bool:
    """Each counted call pairs once."""
    for other in tuple(counted) if counted else ():
        if _same(seen, other):
            with suppress(ValueError):  # another thread's span was paired with it
                counted.remove(other)
                return True
    own.append(seen)
    return False


def _same(one: Seen, other: Seen) -> bool:
    overlap = min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns)
    if overlap < 0:
        return False
    if one.response_id and other.response_id:
        return one.response_id == other.response_id and len(one.response_id) >= MIN_ID_CHARACTERS
    if one.parent_id != other.parent_id or (one.parent_id is not None and one.trace_id != other.trace_id):
        return False
    if one.parent_id is None and abs(one.start_ns - other.start_ns) > MAX_START_DIFFERENCE_NS:
        return False
    shorter = min(one.end_ns - one.start_ns, other.end_ns - other.start_ns)
    return overlap >= MIN_OVERLAP * shorter and _same_tokens(one, other) and _same_model(one, other)


def _same_tokens(one: Seen, other: Seen) -> bool:
    inputs = {one.input_tokens, one.input_tokens - (0 if other.cached_tokens else one.cached_tokens)}
    others = {other.input_tokens, other.input_tokens - (0 if one.cached_tokens else other.cached_tokens)}
    difference = abs(max(one.output_tokens, 0) - max(other.output_tokens, 0))
    return one.input_tokens > 0 and not inputs.isdisjoint(others) and difference <= OUTPUT_TOLERANCE_TOKENS


def _same_model(one: Seen, other: Seen) -> bool:
    pairs = ((a.rsplit("/", 1)[-1], b.rsplit("/", 1)[-1]) for a in one.models for b in other.models)
    return any(a.startswith(b) or b.startswith(a) for a, b in pairs)
