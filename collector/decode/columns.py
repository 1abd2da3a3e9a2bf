"""The Arrow schemas that the stages speak. Each stage adds columns; none renames them.

`SpanBatch` is what decoding yields: one row per span, and the attributes of spans and of resources in long form
(one row per attribute, owner rows ascending), so that a stage can pick a key's values for all spans at once.
Ids are lower-case hex, times are nanoseconds since the epoch as int64, money is whole pico-USD as int64.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

DICT_STRING = pa.dictionary(pa.int32(), pa.string())
"""Strings that repeat within a batch (names, keys, models): one copy per distinct value."""

SPAN_SCHEMA = pa.schema(
    [
        pa.field("org_id", DICT_STRING, nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),  # 32 hex digits
        pa.field("span_id", pa.string(), nullable=False),  # 16 hex digits
        pa.field("parent_span_id", pa.string()),  # NULL for a root
        pa.field("trace_state", pa.string()),
        pa.field("name", DICT_STRING),
        pa.field("kind", pa.int8()),  # OTLP SpanKind
        pa.field("start_time_ns", pa.int64(), nullable=False),
        pa.field("end_time_ns", pa.int64(), nullable=False),
        pa.field("status_code", pa.int8()),  # 0 unset, 1 ok, 2 error
        pa.field("status_message", pa.string()),
        pa.field("scope_name", DICT_STRING),
        pa.field("scope_version", DICT_STRING),
        pa.field("service_name", DICT_STRING),  # of the resource
        pa.field("resource_index", pa.int32(), nullable=False),  # row number in SpanBatch.resources
        pa.field("events", pa.string()),  # JSON array, NULL when there are none
        pa.field("links", pa.string()),  # JSON array, NULL when there are none
        pa.field("dropped_attributes_count", pa.int32(), nullable=False),
    ]
)

VALUE_STRING, VALUE_BOOL, VALUE_INT, VALUE_DOUBLE, VALUE_JSON, VALUE_BYTES = 1, 2, 3, 4, 5, 6
"""`value_type` of an attribute. JSON is an OTLP array or key-value list as compact JSON text; BYTES is base64."""

ATTRIBUTE_SCHEMA = pa.schema(
    [
        pa.field("owner_index", pa.int32(), nullable=False),  # row of the span (or resource); ascending
        pa.field("key", DICT_STRING, nullable=False),
        pa.field("value_type", pa.int8(), nullable=False),
        pa.field("string_value", pa.string()),  # STRING, JSON, BYTES
        pa.field("int_value", pa.int64()),  # INT; BOOL as 0 or 1
        pa.field("double_value", pa.float64()),  # DOUBLE
    ]
)


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """Decoded spans of one or many requests. `attributes.owner_index` points at rows of `spans`."""

    spans: pa.Table  # SPAN_SCHEMA
    attributes: pa.Table  # ATTRIBUTE_SCHEMA
    resources: pa.Table  # one column `attributes_json` (compact JSON object), one row per resource
    resource_attributes: pa.Table  # ATTRIBUTE_SCHEMA, owner_index points at rows of `resources`
