"""One received request on its way to other backends: its bytes, and what the ledger says its calls cost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

SpanKey = tuple[bytes, bytes]
"""Trace id and span id, as they are on the wire."""

AddedAttributes = Mapping[str, str]
"""What is added to one span; replaces what the app wrote under the same keys, since the ledger is the authority."""


class ForwardJob:
    """A request to pass on. Shared by all exporters: the attributes are added once, by whichever thread is first."""

    __slots__ = ("_added", "_body", "_lock", "size_bytes", "span_count")

    def __init__(self, body: bytes, span_count: int, added: Mapping[SpanKey, AddedAttributes]) -> None:
        self._body = body
        self._added = added
        self._lock = Lock()
        self.span_count = span_count
        self.size_bytes = len(body)
        """What the job counts for in a queue: its size as received."""

    def payload(self) -> bytes:
        """The request with the attributes added, as protobuf.

        A request of a group without model calls is passed on untouched, and so is one that protobuf's own parser
        refuses: the target may judge it.
        """
        with self._lock:
            if self._added:
                with suppress(DecodeError):
                    self._body = with_attributes(self._body, self._added)
                self._added = {}
            return self._body


def with_attributes(body: bytes, added: Mapping[SpanKey, AddedAttributes]) -> bytes:
    """The `ExportTraceServiceRequest` in `body` with attributes added to the spans that `added` names.

    Raises:
        google.protobuf.message.DecodeError: `body` is no such request.
    """
    request = ExportTraceServiceRequest.FromString(body)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                attributes = added.get((span.trace_id, span.span_id))
                if attributes:
                    _set(span.attributes, attributes)
    serialized: bytes = request.SerializeToString()
    return serialized


def _set(target: list[KeyValue], attributes: AddedAttributes) -> None:
    missing = dict(attributes)
    for pair in target:
        value = missing.pop(pair.key, None)
        if value is not None:
            pair.value.string_value = value
    for key, value in missing.items():
        pair = KeyValue(key=key)
        pair.value.string_value = value
        target.append(pair)
