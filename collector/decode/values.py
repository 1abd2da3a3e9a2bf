"""OTLP values that are not plain: arrays, maps, bytes, and a span's events and links, as compact JSON.

Only rows that have them come here, one at a time. The text is JSON as `json.dumps` writes it without spaces, with two
rules of OTLP/JSON: bytes are base64, and NaN and infinities are the strings "NaN", "Infinity", "-Infinity".
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector import limits

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class _Writer:
    """Turns one value into plain JSON data, up to `MAX_STRUCTURED_NODES` elements and `MAX_VALUE_DEPTH` levels."""

    __slots__ = ("nodes",)

    def __init__(self) -> None:
        self.nodes = limits.MAX_STRUCTURED_NODES

    def value(self, value: AnyValue, depth: int = 0) -> Json:
        kind = value.WhichOneof("value")
        if kind is None:
            return None
        plain = getattr(value, kind)
        if kind == "double_value":
            return double(plain)
        if kind == "bytes_value":
            return base64.b64encode(plain).decode()
        if kind == "string_value":
            return cut_text(plain, limits.MAX_STRING_BYTES)
        if kind not in {"array_value", "kvlist_value"}:
            return plain  # type: ignore[no-any-return]
        if depth >= limits.MAX_VALUE_DEPTH:
            return limits.TRUNCATION_MARK
        return self.array(plain, depth + 1) if kind == "array_value" else self.fields(plain.values, depth + 1)

    def array(self, array: ArrayValue, depth: int = 1) -> list[Json]:
        return [self.value(item, depth) for item in array.values if self._one_more()]

    def fields(self, fields: Sequence[KeyValue], depth: int = 1) -> dict[str, Json]:
        return {field.key: self.value(field.value, depth) for field in fields if self._one_more()}

    def _one_more(self) -> bool:
        self.nodes -= 1
        return self.nodes >= 0


def cut_text(text: str, max_bytes: int) -> str:
    """The first `max_bytes` bytes, to a whole character, and the mark that says so; shorter text as it is."""
    if len(text) * 4 <= max_bytes or len(wire := text.encode()) <= max_bytes:
        return text
    return wire[:max_bytes].decode("utf-8", "ignore") + limits.TRUNCATION_MARK


def double(value: float) -> float | str:
    """A double as JSON can carry it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def compact(data: Json) -> str:
    """JSON text without spaces; characters beyond ASCII stay as they are."""
    return _ENCODER.encode(data)


def array_json(wire: bytes, max_bytes: int) -> str | None:
    """A serialised `ArrayValue` as JSON; None if it is not one."""
    if len(wire) > max_bytes:
        return compact(f"[array of {len(wire)} bytes]{limits.TRUNCATION_MARK}")
    try:
        return compact(_Writer().array(ArrayValue.FromString(wire)))
    except DecodeError:
        return None


def map_json(wire: bytes, max_bytes: int) -> str | None:
    """A serialised `KeyValueList` as JSON; None if it is not one."""
    if len(wire) > max_bytes:
        return compact(f"[map of {len(wire)} bytes]{limits.TRUNCATION_MARK}")
    try:
        return compact(_Writer().fields(KeyValueList.FromString(wire).values))
    except DecodeError:
        return None


def events_json(wire: Sequence[bytes]) -> str | None:
    """Serialised `Span.Event`s as a JSON array of {time_ns, name, attributes}; None if one does not parse."""
    try:
        return compact([_event(Span.Event.FromString(one)) for one in wire])
    except DecodeError:
        return None


def links_json(wire: Sequence[bytes]) -> str | None:
    """Serialised `Span.Link`s as a JSON array of {trace_id, span_id, ...}; None if one does not parse."""
    try:
        return compact([_link(Span.Link.FromString(one)) for one in wire])
    except DecodeError:
        return None


def _event(event: Span.Event) -> Json:
    data: dict[str, Json] = {"time_ns": event.time_unix_nano, "name": event.name}
    _add_common(data, event)
    return data


def _link(link: Span.Link) -> Json:
    data: dict[str, Json] = {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()}
    if link.trace_state:
        data["trace_state"] = link.trace_state
    if link.flags:
        data["flags"] = link.flags
    _add_common(data, link)
    return data


def _add_common(data: dict[str, Json], part: Span.Event | Span.Link) -> None:
    if part.attributes:
        data["attributes"] = _Writer().fields(part.attributes)
    if part.dropped_attributes_count:
        data["dropped_attributes_count"] = part.dropped_attributes_count
