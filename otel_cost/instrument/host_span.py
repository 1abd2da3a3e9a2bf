"""Another instrumentation's span around the same model call: it gets our facts, and no second span is opened.

A host carries one exchange. A further call inside it (a loop over tools, a fallback that follows an answer) gets a span
of its own below it; only where nothing of the exchange before was billed does the next one take its place.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from otel_cost import attributes as keys
from otel_cost.call import CallKind
from otel_cost.instrument.wire.types import Asked
from otel_cost.normalise import normalise
from otel_cost.normalise.dialects.generic import GENERIC
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from otel_cost.normalise.plan import dialect_of
from otel_cost.normalise.vocabulary import LEAF_OPERATIONS, OPERATIONS
from otel_cost.recent import Recent
from otel_cost.spans import snapshot

MAX_HOSTS = 4096
"""Hosts that are remembered (twice as many at most). A host that is forgotten while it is open takes a second call's
facts over those of its first."""

_TEXT = frozenset({"chat", "generate_content", "text_completion", "responses", "completion"})


class Host:
    """A span that carries one exchange.

    `is_free`: nothing of what it carried so far was billed. `is_carrying`: its exchange is under way, or what it said
    is on a span of ours instead.
    """

    __slots__ = ("attempts", "is_carrying", "is_free", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.is_free = False
        self.is_carrying = True
        self.attempts = 1


_hosts: Recent[tuple[int, int], Host] = Recent(MAX_HOSTS)


def forget() -> None:
    """Forget all hosts."""
    _hosts.clear()


def is_carrying(trace_id: int, span_id: int) -> bool:
    """Whether the span stands around an exchange of which it was told nothing: a span of ours has or will have it."""
    if _hosts.is_empty:
        return False
    host = _hosts.get((trace_id, span_id))
    return host is not None and host.is_carrying


def claim(asked: Asked, context: Context) -> Host | None:
    """The current span, if it is a model call that another instrumentation records, and carries no other exchange."""
    span = trace.get_current_span(context) if context else None
    if span is None or not span.is_recording():
        return None
    identity = span.get_span_context()
    key = (identity.trace_id, identity.span_id)
    known = _hosts.get(key)
    if known is not None:
        if not known.is_free:
            return None
        known.is_free = False
        known.is_carrying = True
        known.attempts += 1
        return known
    if not _records_call(span, asked):
        return None
    host = Host(span)
    _hosts.put(key, host)
    return host


def _records_call(span: Any, asked: Asked) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    scope_name = scope.name if scope is not None else ""
    name = getattr(span, "name", None)
    if scope_name == WIRE_SCOPE or type(name) is not str:
        return False
    attributes = snapshot(span)
    call = normalise(
        scope_name=scope_name,
        span_name=name,
        span_kind=span.kind.value + 1,  # OTLP counts from 1, the SDK from 0
        status_code=0,
        attributes=attributes,
    )
    if call is not None and call.kind is CallKind.LEAF:
        return _family(call.operation) in (None, _family(asked.operation))
    if keys.GEN_AI_OPERATION_NAME in attributes or dialect_of(scope_name, name, attributes) is GENERIC:
        return False
    # Instrumentations that say everything at the end have named their span by the convention all the same.
    operation = name.partition(" ")[0]
    operation = OPERATIONS.get(operation, operation)
    return operation in LEAF_OPERATIONS and _family(operation) == _family(asked.operation)


def _family(operation: str | None) -> str | None:
    """Operations that several names are in use for are one."""
    return "text" if operation in _TEXT else operation
