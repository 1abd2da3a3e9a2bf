"""OTLP's wire format as `ptars` should see it: the same field numbers, with two declarations changed.

Repeated messages are declared as `bytes`, so that each level is split off without being parsed and counted before the
next is opened. Strings are declared as `bytes` too: `ptars` does not check UTF-8, Arrow's cast does. Both are
compatible on the wire, where message, string and bytes are all length-delimited. The one loss: an array or map value
that is sent in two parts within one `AnyValue`, which protobuf would join and no encoder writes, keeps its last part.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import ptars
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool

from collector.errors import MalformedRequest

_FIELD = descriptor_pb2.FieldDescriptorProto
_BYTES = _FIELD.TYPE_BYTES
_U32 = _FIELD.TYPE_UINT32
_PACKAGE = "lean_otlp"

_ONE, _MANY = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED

MESSAGES: dict[str, tuple[tuple[str, int, int | str, int], ...]] = {
    "ExportTraceServiceRequest": (("resource_spans", 1, _BYTES, _MANY),),
    "ResourceSpans": (
        ("resource", 1, "Resource", _ONE),
        ("scope_spans", 2, _BYTES, _MANY),
        ("schema_url", 3, _BYTES, _ONE),
    ),
    "Resource": (("attributes", 1, _BYTES, _MANY), ("dropped_attributes_count", 2, _U32, _ONE)),
    "ScopeSpans": (
        ("scope", 1, "InstrumentationScope", _ONE),
        ("spans", 2, _BYTES, _MANY),
        ("schema_url", 3, _BYTES, _ONE),
    ),
    "InstrumentationScope": (
        ("name", 1, _BYTES, _ONE),
        ("version", 2, _BYTES, _ONE),
        ("attributes", 3, _BYTES, _MANY),
    ),
    "Span": (
        ("trace_id", 1, _BYTES, _ONE),
        ("span_id", 2, _BYTES, _ONE),
        ("trace_state", 3, _BYTES, _ONE),
        ("parent_span_id", 4, _BYTES, _ONE),
        ("name", 5, _BYTES, _ONE),
        ("kind", 6, _FIELD.TYPE_INT32, _ONE),
        ("start_time_unix_nano", 7, _FIELD.TYPE_FIXED64, _ONE),
        ("end_time_unix_nano", 8, _FIELD.TYPE_FIXED64, _ONE),
        ("attributes", 9, _BYTES, _MANY),
        ("dropped_attributes_count", 10, _U32, _ONE),
        ("events", 11, _BYTES, _MANY),
        ("dropped_events_count", 12, _U32, _ONE),
        ("links", 13, _BYTES, _MANY),
        ("dropped_links_count", 14, _U32, _ONE),
        ("status", 15, "Status", _ONE),
        ("flags", 16, _FIELD.TYPE_FIXED32, _ONE),
    ),
    "Status": (("message", 2, _BYTES, _ONE), ("code", 3, _FIELD.TYPE_INT32, _ONE)),
    "KeyValue": (("key", 1, _BYTES, _ONE), ("value", 2, "AnyValue", _ONE)),
    "AnyValue": (
        ("string_value", 1, _BYTES, _ONE),
        ("bool_value", 2, _FIELD.TYPE_BOOL, _ONE),
        ("int_value", 3, _FIELD.TYPE_INT64, _ONE),
        ("double_value", 4, _FIELD.TYPE_DOUBLE, _ONE),
        ("array_value", 5, _BYTES, _ONE),
        ("kvlist_value", 6, _BYTES, _ONE),
        ("bytes_value", 7, _BYTES, _ONE),
    ),
}
"""Message -> (field, number, type or message name, label). Fields that are left out are skipped on the wire."""


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="otel_cost_wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, label in fields:
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
        if name == "AnyValue":
            message.oneof_decl.add(name="value")
            for field in message.field:
                field.oneof_index = 0
    return file


@cache
def _handlers() -> dict[str, ptars.internal.MessageHandler]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    handlers = ptars.HandlerPool([pool.FindFileByName("otel_cost_wire.proto")], ptars.PtarsConfig())
    return {name: handlers.get_for_message(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in MESSAGES}


def parse(message: str, payloads: pa.Array | Sequence[bytes]) -> pa.RecordBatch:
    """One row per payload, one column per field of `MESSAGES[message]`.

    Raises `MalformedRequest` if any payload is not a `message`; nothing says which one.
    """
    handler = _handlers()[message]
    try:
        if isinstance(payloads, pa.Array):
            return handler.array_to_record_batch(payloads)
        return handler.list_to_record_batch(list(payloads))
    except ValueError as error:
        raise MalformedRequest(f"{message}: {error}") from None


def parse_sliced(message: str, payloads: pa.BinaryArray, slice_bytes: int) -> pa.RecordBatch:
    """As `parse`, in several calls of about `slice_bytes` wire bytes each: every call holds the interpreter lock."""
    ends = np.frombuffer(payloads.buffers()[1], dtype=np.int32, count=len(payloads) + 1) if len(payloads) else None
    if ends is None or int(ends[-1] - ends[0]) <= slice_bytes:
        return parse(message, payloads)
    targets = np.arange(int(ends[0]) + slice_bytes, int(ends[-1]), slice_bytes)
    cuts = np.unique(np.concatenate([[0], np.searchsorted(ends, targets), [len(payloads)]]))
    parts = [parse(message, payloads.slice(a, b - a)) for a, b in pairwise(cuts.tolist())]
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
