"""The slow way: protobuf's own parser and a Python object per span. What the columns are compared with."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.decode.columns import (
    VALUE_BOOL,
    VALUE_BYTES,
    VALUE_DOUBLE,
    VALUE_INT,
    VALUE_JSON,
    VALUE_STRING,
    SpanBatch,
)

Row = dict[str, Any]
Attribute = tuple[str, int, object]


def plain(value: AnyValue) -> Any:
    """A value as JSON data."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return "NaN" if math.isnan(value.double_value) else "Infinity" if value.double_value > 0 else "-Infinity"
    return getattr(value, kind)


def attribute(item: KeyValue) -> Attribute:
    """(key, value type, value) as the long table should have it."""
    kind = item.value.WhichOneof("value")
    if kind == "string_value":
        return item.key, VALUE_STRING, item.value.string_value
    if kind == "bool_value":
        return item.key, VALUE_BOOL, int(item.value.bool_value)
    if kind == "int_value":
        return item.key, VALUE_INT, item.value.int_value
    if kind == "double_value":
        return item.key, VALUE_DOUBLE, repr(item.value.double_value)
    if kind == "bytes_value":
        return item.key, VALUE_BYTES, plain(item.value)
    return item.key, VALUE_JSON, json.dumps(plain(item.value), ensure_ascii=False, separators=(",", ":"))


def expected(body: bytes) -> list[Row]:
    """The rows that `body` should become. Raises protobuf's `DecodeError`."""
    rows: list[Row] = []
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = [attribute(item) for item in resource_spans.resource.attributes]
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if _is_good(span):
                    row = _row(span)
                    row["scope_name"] = scope_spans.scope.name or None
                    row["scope_version"] = scope_spans.scope.version or None
                    row["resource"] = resource
                    rows.append(row)
    return rows


def _is_good(span: Span) -> bool:
    return (
        len(span.trace_id) == 16
        and any(span.trace_id)
        and len(span.span_id) == 8
        and any(span.span_id)
        and len(span.parent_span_id) in (0, 8)
        and max(span.start_time_unix_nano, span.end_time_unix_nano) < 2**63 - 1
    )


def _row(span: Span) -> Row:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() if any(span.parent_span_id) else None,
        "trace_state": span.trace_state or None,
        "name": span.name,
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "start_time_ns": span.start_time_unix_nano,
        "end_time_ns": span.end_time_unix_nano,
        "status_code": span.status.code if 0 <= span.status.code <= 2 else 0,
        "status_message": span.status.message or None,
        "dropped_attributes_count": min(span.dropped_attributes_count, 2**31 - 1),
        "events": [(event.time_unix_nano, event.name, fields(event.attributes)) for event in span.events] or None,
        "links": [(link.trace_id.hex(), link.span_id.hex(), fields(link.attributes)) for link in span.links] or None,
        "attributes": [attribute(item) for item in span.attributes],
    }


def fields(items: Sequence[KeyValue]) -> dict[str, Any] | None:
    """Attributes of an event or a link; None when there are none."""
    return {item.key: plain(item.value) for item in items} or None


def actual(batch: SpanBatch) -> list[Row]:
    """The same rows as the columns have them; attributes that decoding adds itself (`otel.*`) are left out."""
    rows: list[Row] = batch.spans.to_pylist()
    attributes = by_owner(batch.attributes, len(rows))
    resources = by_owner(batch.resource_attributes, len(batch.resources))
    for index, row in enumerate(rows):
        row["attributes"] = attributes[index]
        row["resource"] = resources[row.pop("resource_index")]
        row["events"] = row["events"] and [
            (event["time_ns"], event["name"], event.get("attributes")) for event in json.loads(row["events"])
        ]
        row["links"] = row["links"] and [
            (link["trace_id"], link["span_id"], link.get("attributes")) for link in json.loads(row["links"])
        ]
        del row["org_id"], row["service_name"]
    return rows


def by_owner(table: pa.Table, count: int) -> list[list[Attribute]]:
    """The long table as one list of attributes per owner."""
    found: list[list[Attribute]] = [[] for _ in range(count)]
    for row in table.to_pylist():
        if row["key"].startswith("otel."):
            continue
        value = row["string_value"]
        if row["value_type"] in (VALUE_INT, VALUE_BOOL):
            value = row["int_value"]
        elif row["value_type"] == VALUE_DOUBLE:
            value = repr(row["double_value"])
        found[row["owner_index"]].append((row["key"], row["value_type"], value))
    return found


_KEYS = ["a", "gen_ai.usage.input_tokens", "clé", "service.name", "", "x" * 40, 'q"uo\\te', "\n"]
_TEXTS = ["", "v", "ünï🎉", 'quo"te\\', "line\nbreak\t\r", "\x00\x01\x1f\x7f", "null", "{}", "y" * 300]
_INTS = [0, 1, -1, 2**63 - 1, -(2**63), 12345]
_DOUBLES = [0.0, -0.0, 1.0, 0.1, 1e300, 1e-300, math.nan, math.inf, -math.inf, 123456789.125]


def random_value(value: AnyValue, rng: random.Random, depth: int = 0) -> None:
    """Fills one value of any type, now and then none at all."""
    kind = rng.choice(["s", "s", "s", "i", "i", "b", "d", "y", "none"] + ["a", "k"] * (depth < 3))
    if kind == "s":
        value.string_value = rng.choice(_TEXTS)
    elif kind == "i":
        value.int_value = rng.choice(_INTS)
    elif kind == "b":
        value.bool_value = rng.random() < 0.5
    elif kind == "d":
        value.double_value = rng.choice(_DOUBLES)
    elif kind == "y":
        value.bytes_value = rng.randbytes(rng.randrange(5))
    elif kind == "a":
        value.array_value.SetInParent()
        for _ in range(rng.randrange(4)):
            random_value(value.array_value.values.add(), rng, depth + 1)
    elif kind == "k":
        value.kvlist_value.SetInParent()
        for _ in range(rng.randrange(4)):
            random_attribute(value.kvlist_value.values.add(), rng, depth + 1)
    else:
        value.SetInParent()


def random_attribute(item: KeyValue, rng: random.Random, depth: int = 0) -> None:
    """A key and a value; sometimes without either."""
    item.key = rng.choice(_KEYS)
    if rng.random() < 0.95:
        random_value(item.value, rng, depth)


def random_request(rng: random.Random) -> ExportTraceServiceRequest:
    """A valid request with every field of a span in use somewhere, empty resources and scopes included."""
    request = ExportTraceServiceRequest()
    for _ in range(rng.randrange(4)):
        resource_spans = request.resource_spans.add(schema_url=rng.choice(["", "https://example.com/1"]))
        for _ in range(rng.randrange(4)):
            random_attribute(resource_spans.resource.attributes.add(), rng)
        for _ in range(rng.randrange(3)):
            scope_spans = resource_spans.scope_spans.add(schema_url=rng.choice(["", "https://example.com/2"]))
            if rng.random() < 0.8:
                scope_spans.scope.name = rng.choice(_TEXTS)
                scope_spans.scope.version = rng.choice(["", "1.0"])
                for _ in range(rng.choice([0, 0, 2])):
                    random_attribute(scope_spans.scope.attributes.add(), rng)
            for _ in range(rng.randrange(5)):
                random_span(scope_spans.spans.add(), rng)
    return request


def random_span(span: Span, rng: random.Random) -> None:
    """A span that is good most of the time: some have wrong ids or times."""
    span.trace_id = rng.randbytes(rng.choice([16] * 30 + [0, 15, 17])) if rng.random() < 0.97 else bytes(16)
    span.span_id = rng.randbytes(rng.choice([8] * 30 + [0, 7, 16])) if rng.random() < 0.97 else bytes(8)
    span.parent_span_id = rng.choice([b"", rng.randbytes(8), bytes(8), b"abc" if rng.random() < 0.1 else b""])
    span.name, span.kind = rng.choice(_TEXTS), rng.choice([0, 1, 2, 3, 4, 5, 99, -1])  # type: ignore[assignment]
    span.start_time_unix_nano = rng.choice([0, 1_700_000_000_000_000_000, 2**63 - 1, 1, 2**64 - 1])
    span.end_time_unix_nano = rng.choice([0, 1_700_000_000_000_000_001, 2**63 - 1, 1])
    span.trace_state = rng.choice(["", "", "k=v"])
    span.flags = rng.choice([0, 1, 0x101, 0x301, 2**32 - 1])
    span.dropped_attributes_count = rng.choice([0, 0, 7, 2**32 - 1])
    span.dropped_events_count, span.dropped_links_count = rng.choice([0, 3]), rng.choice([0, 4])
    if rng.random() < 0.5:
        span.status.code, span.status.message = rng.choice([0, 1, 2, 9]), rng.choice(_TEXTS)  # type: ignore[assignment]
    for _ in range(rng.choice([0, 1, 3, 8])):
        random_attribute(span.attributes.add(), rng)
    for _ in range(rng.choice([0, 0, 0, 2])):
        event = span.events.add(name=rng.choice(_TEXTS), time_unix_nano=rng.choice([0, 5, 2**64 - 1]))
        random_attribute(event.attributes.add(), rng)
    for _ in range(rng.choice([0, 0, 0, 2])):
        link = span.links.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
        random_attribute(link.attributes.add(), rng)
