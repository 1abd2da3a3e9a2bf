"""The Arrow schemas that the stages speak. Each stage adds columns; none renames them.

`SpanBatch` is what decoding yields: one row per span, and the attributes of spans and of resources in long form
(one row per attribute, owner rows ascending), so that a stage can pick a key's values for all spans at once.
Ids are lower-case hex, times are nanoseconds since the epoch as int64, money is whole pico-USD as int64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_cost.call import DIMENSIONS

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


OWNER_COLUMNS = DIMENSIONS
"""Own values of the owner dimensions, one nullable DICT_STRING column each, named as the dimension."""

RESOURCE_OWNER_COLUMNS = tuple(f"resource_{dimension}" for dimension in DIMENSIONS)
"""The same as the span's resource says it, used only when neither the span nor an ancestor has a value."""

CALL_SCHEMA = pa.schema(
    [
        pa.field("call_kind", DICT_STRING),  # otel_cost.call.CallKind; NULL: not a GenAI span
        pa.field("dialect", DICT_STRING),
        pa.field("operation", DICT_STRING),
        pa.field("provider", DICT_STRING),
        pa.field("request_model", DICT_STRING),
        pa.field("response_model", DICT_STRING),
        pa.field("response_id", pa.string()),
        pa.field("service_tier", DICT_STRING),
        pa.field("reported_cost_pico_usd", pa.int64()),
        pa.field("reported_by_provider", pa.bool_(), nullable=False),
        pa.field("failed", pa.bool_(), nullable=False),
        pa.field("flags", pa.int64(), nullable=False),  # otel_cost.call.Flag
        *(pa.field(name, DICT_STRING) for name in OWNER_COLUMNS),
        *(pa.field(name, DICT_STRING) for name in RESOURCE_OWNER_COLUMNS),
    ]
)

COST_SCHEMA = pa.schema(
    [
        pa.field("model", DICT_STRING),  # canonical name of the priced model; else response, else request model
        pa.field("cost_pico_usd", pa.int64()),  # NULL: unpriced, or not a call
        pa.field("cost_status", DICT_STRING),  # otel_cost.pricing.cost.Status; NULL: not a call
        pa.field("cost_reason", DICT_STRING),  # why it is unpriced or partial
        pa.field("card", DICT_STRING),  # digest of the rate card
        pa.field("rate_row", DICT_STRING),  # key of the rate row, enough to derive the receipt again
        pa.field("flags", pa.int64(), nullable=False),  # the call's flags and pricing's own
    ]
)


@dataclass(frozen=True, slots=True)
class CallColumns:
    """What normalising adds: one row per span of the batch, in its order."""

    calls: pa.Table  # CALL_SCHEMA
    usage: Mapping[str, pa.ChunkedArray]  # unit key -> int64, NULL where the span does not say; only units present
    sources: Mapping[str, npt.NDArray[np.integer[Any]]] = field(default_factory=dict)
    """Column of `MARKS` -> for each span the row of `SpanBatch.attributes` that says just that; -1: none."""


LEDGER_USAGE_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_reasoning_tokens",
)
"""Units with a column of their own in the ledger; all others travel together in `usage_json`."""

LEDGER_SCHEMA = pa.schema(
    [
        *SPAN_SCHEMA.remove(SPAN_SCHEMA.get_field_index("resource_index")),
        *CALL_SCHEMA.remove(CALL_SCHEMA.get_field_index("flags")),
        *(pa.field(name, pa.int64()) for name in LEDGER_USAGE_COLUMNS),
        pa.field("usage_json", pa.string()),  # {"unit": quantity} of the units without a column; NULL if none
        *COST_SCHEMA,
        pa.field("attributes", pa.string(), nullable=False),  # JSON object of all span attributes, with `MARKS`
        pa.field("resource", DICT_STRING, nullable=False),  # JSON object of the resource's attributes
    ]
)
"""What the store appends: one row per span, all stages' columns side by side."""

WITHOUT_LEASES = b"without_leases"
"""In the metadata of a LEDGER_SCHEMA table: no span of it says under which lease it was made. Without it some may."""

MARKS = {
    "response_id": "\x01",
    "run": "\x02",
    "agent": "\x03",
    "customer": "\x04",
    "feature": "\x05",
    "team": "\x06",
    "user": "\x07",
    "project": "\x08",
    "environment": "\x0e",
    "conversation": "\x0f",
    "input_tokens": "\x10",
    "output_tokens": "\x11",
    "cache_read_tokens": "\x12",
    "cache_write_tokens": "\x13",
    "output_reasoning_tokens": "\x14",
}
"""Column -> what stands in `attributes` for a value that is in this column of the same row, character by character.

Ids and counts are most of a span's bytes on disk, and need not be there twice. JSON text never holds a control
character, so a mark cannot be taken for anything else, and a text without marks is whole. Files hold these characters:
a new column gets another one, none is used again.
"""

FILLED_TEXT_COLUMNS = ("provider", "request_model", "response_model", "response_id")
FILLED_TOKEN_COLUMNS = ("cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens")
"""What the record kept of a call does not say and a duplicate of it does: shown as COALESCE(own, filled_NAME)."""

ATTRIBUTION_SCHEMA = pa.schema(
    [
        pa.field("org_id", pa.string(), nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),
        pa.field("span_id", pa.string(), nullable=False),
        pa.field("counted", pa.bool_(), nullable=False),
        pa.field("not_counted_reason", DICT_STRING),  # NULL when counted: wrapper, duplicate, failed, ignored
        pa.field("duplicate_of", pa.string()),  # span id of the record kept for the same call
        *(pa.field(name, pa.string()) for name in OWNER_COLUMNS),  # resolved: who pays
        pa.field("attempt", pa.int32(), nullable=False),  # 1 for a first attempt
        pa.field("retry_of", pa.string()),  # span id of the attempt before
        pa.field("wasted", pa.bool_(), nullable=False),  # the attempt failed
        *(pa.field(f"filled_{name}", pa.string()) for name in FILLED_TEXT_COLUMNS),
        *(pa.field(f"filled_{name}", pa.int64()) for name in FILLED_TOKEN_COLUMNS),
    ]
)
"""What attribution says of every span that is a call or a wrapper of one (`call_kind` not NULL)."""

SKELETON_SCHEMA = pa.schema(
    [
        pa.field("org_id", pa.string(), nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),
        pa.field("span_id", pa.string(), nullable=False),
        pa.field("parent_span_id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("scope_name", pa.string()),
        pa.field("service_name", pa.string()),
        pa.field("kind", pa.int8()),
        pa.field("start_time_ns", pa.int64(), nullable=False),
        pa.field("end_time_ns", pa.int64(), nullable=False),
        pa.field("status_code", pa.int8()),
        pa.field("seq", pa.int64(), nullable=False),  # arrival order, unique per span
        pa.field("call_kind", pa.string()),
        pa.field("dialect", pa.string()),
        pa.field("operation", pa.string()),
        pa.field("provider", pa.string()),
        pa.field("model", pa.string()),
        pa.field("request_model", pa.string()),
        pa.field("response_model", pa.string()),
        pa.field("response_id", pa.string()),
        *(pa.field(name, pa.int64()) for name in LEDGER_USAGE_COLUMNS),
        pa.field("has_usage", pa.bool_(), nullable=False),  # the span says at least one unit
        pa.field("cost_pico_usd", pa.int64()),
        pa.field("cost_status", pa.string()),
        pa.field("reported_cost_pico_usd", pa.int64()),
        pa.field("failed", pa.bool_(), nullable=False),
        pa.field("flags", pa.int64(), nullable=False),
        *(pa.field(name, pa.string()) for name in OWNER_COLUMNS),
        *(pa.field(name, pa.string()) for name in RESOURCE_OWNER_COLUMNS),
    ]
)
"""What attribution reads: every stored span of the traces that a batch touches, whole traces, in no promised order.
Texts may be dictionary-encoded instead."""
