"""Requests of which everything is certainly taken, told without making columns of them.

Columns of a few spans cost a millisecond however few they are, and the sender waits for that. protobuf's own parser
takes a few microseconds for a span. So small requests in the form that encoders write are only looked at before they
are acknowledged, and become columns behind that, many at once. What is not plain at first sight is left to decoding.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.compiled import library
from collector.decode.request import DecodeLimits, Request

_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_NO_TIME_NS = 2**63 - 1
"""The first time that is refused (`collector.decode.spans`)."""
_LEAST_BYTES = 2
"""Of anything that is counted against a limit of a request, on the wire."""


def plain_spans(request: Request, limits: DecodeLimits, *, parse: bool = True) -> int | None:
    """How many spans `request` has, if decoding would take all of them and say nothing; None: decoding has to tell.

    The compiled library looks first, at what most encoders write, in a fiftieth of a parser's time. `parse`: then the
    parser does too, and knows more.
    """
    if not request.org_id or request.origin.organization_key:
        return None
    kernels = library()
    if kernels is not None:
        most = limits.max_spans_per_request, limits.max_attributes_per_request
        count = int(kernels.otel_cost_plain_spans(request.body, len(request.body), *most))
        if count > 0:
            return count
    return _parsed_spans(request.body, limits) if parse else None


def _parsed_spans(body: bytes, limits: DecodeLimits) -> int | None:
    """As `plain_spans`: only what the parser writes again byte for byte is plain. Then no field is there twice,
    unknown, or in a form that parsers read differently."""
    lowest = min(limits.max_spans_per_request, limits.max_attributes_per_request, limits.max_events_per_request)
    if len(body) > _LEAST_BYTES * lowest:
        return None
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return None
    count = 0
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if not _is_sound(span):
                    return None
                count += 1
    message.DiscardUnknownFields()
    return count if count and message.SerializeToString() == body else None


def _is_sound(span: Span) -> bool:
    trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
    return (
        len(trace_id) == len(_NO_TRACE)
        and trace_id != _NO_TRACE
        and len(span_id) == len(_NO_SPAN)
        and span_id != _NO_SPAN
        and (not parent or len(parent) == len(_NO_SPAN))
        and span.start_time_unix_nano < _NO_TIME_NS
        and span.end_time_unix_nano < _NO_TIME_NS
    )
