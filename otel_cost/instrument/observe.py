"""The life of an exchange: from the request as it leaves to the end of the response, as a span.

HTTP libraries are hooked by the modules beside this one; they call `begin()` and the methods of `Exchange`, none of
which ever raises. What the bytes mean is read by `otel_cost.instrument.wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from otel_cost import __version__
from otel_cost.instrument import wire
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.span_attributes import asked_attributes, reading_attributes
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request

SCOPE = "otel_cost.instrument"

_OBSERVED = otel_context.create_key("otel_cost.observed")
"""Set while an HTTP library works for an exchange that is observed: libraries below it see nothing."""
_SUPPRESSED = "suppress_instrumentation"  # of opentelemetry-instrumentation; set by exporters, among others


@guarded
def begin(request: Request, library: str) -> Exchange | None:
    """Start to observe a request that is about to be sent.

    None: not a model API, switched off, or already inside an observed exchange (httpx over aiohttp). Never raises.
    """
    context = otel_context.get_current()
    if _OBSERVED in context or context.get(_SUPPRESSED):
        return None
    asked = wire.asked(request)
    return None if asked is None else Exchange(asked, library)


class Exchange:
    """One request and its response. No method ever raises; each may be called on any thread, one at a time."""

    __slots__ = (
        "_asked",
        "_content_encoding",
        "_head",
        "_is_over",
        "_reader",
        "_span",
        "_start_ns",
        "replacement_body",
    )

    def __init__(self, asked: Asked, library: str) -> None:
        self.replacement_body: bytes | None = None
        self._asked = asked
        self._head: Head | None = None
        self._reader: Any = None
        self._content_encoding: str | None = None
        self._is_over = False
        self._start_ns = time_ns()
        self._span: Span | None = None
        if asked.operation is not None:
            self._span = _start(asked, asked.operation, self._start_ns)
        STATS.count(f"exchanges.{library}")

    @guarded
    def enter(self) -> object:
        """Make our span current, and hide from nested hooks, while the HTTP library works. Returns for `leave`."""
        context = otel_context.set_value(_OBSERVED, True)
        return otel_context.attach(context if self._span is None else trace.set_span_in_context(self._span, context))

    @guarded
    def leave(self, token: object) -> None:
        """Undo `enter`."""
        if token is not None:
            otel_context.detach(token)  # type: ignore[arg-type]

    @guarded
    def responded(self, status: int, headers: Mapping[str, str], content_encoding: str | None) -> None:
        """Status and headers (names in lower case) came; `content_encoding` of the chunks to follow, None: decoded."""
        self._head = Head(status, headers)
        self._content_encoding = content_encoding

    @guarded
    def whole(self, body: bytes) -> None:
        """The decoded body, where the library has read it all; ends the exchange."""
        if self._head is not None and not self._is_over:
            self._finish(wire.read_body(self._asked, self._head, body))

    @guarded
    def chunk(self, data: bytes) -> None:
        """Bytes of the body as the app consumes them."""
        if self._reader is None:
            if self._head is None:
                return
            self._reader = wire.body_reader(self._asked, self._head)
        self._reader.feed(data)

    @guarded
    def ended(self) -> None:
        """The app read to the end."""
        self._close("complete")

    @guarded
    def closed(self) -> None:
        """The app closed (or dropped) the response before its end."""
        self._close("abandoned")

    @guarded
    def failed(self, error: BaseException) -> None:
        """Connecting, sending or reading raised."""
        self._close("failed", error)

    def _close(self, outcome: str, error: BaseException | None = None) -> None:
        if self._is_over:
            return
        reader, reading = self._reader, None
        if reader is not None:
            reader.end()
            reading = reader.reading()
        elif self._head is not None:
            reading = wire.read_body(self._asked, self._head, b"")
        self._finish(reading, outcome, error)

    def _finish(self, reading: Reading | None, outcome: str = "complete", error: BaseException | None = None) -> None:
        self._is_over = True
        span = self._span
        if span is None and reading is not None and reading.operation is not None:
            span = _start(self._asked, reading.operation, self._start_ns)
        if span is None:
            return
        if reading is not None:
            span.set_attributes(reading_attributes(reading))
        if error is not None or (reading is not None and reading.error_type is not None):
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _start(asked: Asked, operation: str, at_ns: int) -> Span:
    name = f"{operation} {asked.model}" if asked.model else operation
    tracer = trace.get_tracer(SCOPE, __version__)
    return tracer.start_span(
        name, kind=SpanKind.CLIENT, attributes=asked_attributes(asked, operation), start_time=at_ns
    )
