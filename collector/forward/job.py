"""One received request on its way to other backends: its bytes, and what the ledger says its calls cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

SpanKey = tuple[bytes, bytes]
"""Trace id and span id, as they are on the wire."""

AddedAttributes = Mapping[str, str]
"""What is added to one span; replaces what the app wrote under the same keys, since the ledger is the authority."""


@dataclass(slots=True)
class ForwardJob:
    """A request to pass on. Shared by all exporters: the attributes are added once, by whichever thread is first."""

    body: bytes
    span_count: int
    added: Mapping[SpanKey, AddedAttributes]
    _lock: Lock = field(default_factory=Lock, repr=False)
    _payload: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """What the job counts for in a queue."""
        return len(self.body)

    def payload(self) -> bytes:
        """The request with the attributes added, as protobuf. A request without model calls is passed on untouched."""
        with self._lock:
            if self._payload is None:
                self._payload = with_attributes(self.body, self.added) if self.added else self.body
            return self._payload


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
