"""Every field of an OTLP span has a column, a key, or a reason why it is not kept. A new field fails here."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import Request, decode_requests, extras
from collector.decode.columns import ATTRIBUTE_SCHEMA, SPAN_SCHEMA

COLUMNS = {
    "Span.trace_id": "trace_id",
    "Span.span_id": "span_id",
    "Span.parent_span_id": "parent_span_id",
    "Span.trace_state": "trace_state",
    "Span.name": "name",
    "Span.kind": "kind",
    "Span.start_time_unix_nano": "start_time_ns",
    "Span.end_time_unix_nano": "end_time_ns",
    "Span.dropped_attributes_count": "dropped_attributes_count",
    "Span.events": "events",
    "Span.links": "links",
    "Status.code": "status_code",
    "Status.message": "status_message",
    "InstrumentationScope.name": "scope_name",
    "InstrumentationScope.version": "scope_version",
    "AnyValue.string_value": "string_value",
    "AnyValue.bool_value": "int_value",
    "AnyValue.int_value": "int_value",
    "AnyValue.double_value": "double_value",
    "AnyValue.array_value": "string_value",
    "AnyValue.kvlist_value": "string_value",
    "AnyValue.bytes_value": "string_value",
    "KeyValue.key": "key",
}
KEYS = {
    "Span.flags": extras.TRACE_FLAGS,
    "Span.dropped_events_count": extras.DROPPED_EVENTS,
    "Span.dropped_links_count": extras.DROPPED_LINKS,
    "InstrumentationScope.attributes": extras.SCOPE_ATTRIBUTES,
    "Resource.dropped_attributes_count": extras.DROPPED_ATTRIBUTES,
    "ResourceSpans.schema_url": extras.SCHEMA_URL,
}
LEVELS = {
    "ExportTraceServiceRequest.resource_spans",
    "ResourceSpans.resource",
    "ResourceSpans.scope_spans",
    "ScopeSpans.scope",
    "ScopeSpans.spans",
    "Span.attributes",
    "Span.status",
    "Resource.attributes",
    "KeyValue.value",
    "ArrayValue.values",
    "KeyValueList.values",
}
"""Opened: their own fields are what is kept."""
JSON_FIELDS = {
    "Event.time_unix_nano": "time_ns",
    "Event.name": "name",
    "Event.attributes": "attributes",
    "Event.dropped_attributes_count": "dropped_attributes_count",
    "Link.trace_id": "trace_id",
    "Link.span_id": "span_id",
    "Link.trace_state": "trace_state",
    "Link.attributes": "attributes",
    "Link.dropped_attributes_count": "dropped_attributes_count",
    "Link.flags": "flags",
}
NOT_KEPT = {
    "ScopeSpans.schema_url": "one text per span that says nothing of cost; attribute keys decide the dialect",
    "InstrumentationScope.dropped_attributes_count": "no instrumentation reaches the limit of scope attributes",
    "Resource.entity_refs": "repeats keys of resource attributes, which are kept; in development",
    "KeyValue.key_strindex": "profiles only, by the proto file's own words",
    "AnyValue.string_value_strindex": "profiles only, by the proto file's own words",
}


def _fields(message: Descriptor, seen: set[str]) -> Iterator[str]:
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield f"{message.name}.{field.name}"
        if field.message_type is not None and field.name != "entity_refs":
            yield from _fields(field.message_type, seen)


def test_every_field_has_a_home_or_a_reason() -> None:
    """Walks the installed proto: nothing unnamed, and no home for a field that does not exist."""
    homes = [*COLUMNS, *KEYS, *LEVELS, *JSON_FIELDS, *NOT_KEPT]
    assert len(homes) == len(set(homes))
    assert set(_fields(ExportTraceServiceRequest.DESCRIPTOR, set())) == set(homes)


def test_homes_are_columns_that_exist() -> None:
    """Of the span table or of the attribute table."""
    assert set(COLUMNS.values()) <= {*SPAN_SCHEMA.names, *ATTRIBUTE_SCHEMA.names}


@pytest.fixture(scope="module")
def full() -> ExportTraceServiceRequest:
    """One span with every field set to something that cannot be mistaken for nothing."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(schema_url="https://example.com/r")
    resource_spans.resource.dropped_attributes_count = 9
    scope_spans = resource_spans.scope_spans.add(schema_url="https://example.com/s")
    scope_spans.scope.name, scope_spans.scope.version = "scope", "1"
    scope_spans.scope.attributes.add(key="k").value.int_value = 1
    span = scope_spans.spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="n", flags=0x301)
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 1, 2, 3
    event = span.events.add(name="e", time_unix_nano=5, dropped_attributes_count=4)
    event.attributes.add(key="k").value.int_value = 1
    link = span.links.add(trace_id=b"t" * 16, span_id=b"l" * 8, trace_state="a=b", flags=1, dropped_attributes_count=6)
    link.attributes.add(key="k").value.int_value = 1
    return request


def test_fields_with_a_key_arrive_under_it(full: ExportTraceServiceRequest) -> None:
    """Counts and flags as numbers, the scope's attributes as an object, the schema as text."""
    batch = decode_requests([Request(full.SerializeToString(), "o")]).batch
    found = {row["key"]: row["string_value"] or row["int_value"] for row in batch.attributes.to_pylist()}
    assert found == {
        extras.TRACE_FLAGS: 0x301,
        extras.DROPPED_EVENTS: 2,
        extras.DROPPED_LINKS: 3,
        extras.SCOPE_ATTRIBUTES: '{"k":1}',
    }
    resource = {row["key"]: row["string_value"] or row["int_value"] for row in batch.resource_attributes.to_pylist()}
    assert resource == {extras.DROPPED_ATTRIBUTES: 9, extras.SCHEMA_URL: "https://example.com/r"}


def test_every_field_of_events_and_links_is_in_their_json(full: ExportTraceServiceRequest) -> None:
    """Names are OTLP's, except that the unit of the time is in its name."""
    span = decode_requests([Request(full.SerializeToString(), "o")]).batch.spans.to_pylist()[0]
    for part, column in (("Event", "events"), ("Link", "links")):
        names = {home for field, home in JSON_FIELDS.items() if field.startswith(part)}
        assert set(json.loads(span[column])[0]) == names


def test_usual_flags_cost_no_attribute() -> None:
    """ "Sampled, parent local" is what nearly every span says."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, flags=0x101)
    assert decode_requests([Request(request.SerializeToString(), "o")]).batch.attributes.num_rows == 0
    span.flags = 0x103
    assert decode_requests([Request(request.SerializeToString(), "o")]).batch.attributes.num_rows == 1
