"""Spans of the SDK: what is read of them, and how attributes get onto one that has ended.

The SDK freezes a span's attributes before it calls `_on_ending` (opentelemetry-sdk 1.45;
https://github.com/open-telemetry/opentelemetry-python/issues/5614), so a plain `set_attributes` there is lost. Beside
`otel_cost.instrument.bound_histogram` this is the only module that touches private fields of the SDK, each use guarded
by what `detect()` found out on a real span.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, StaticSampler, TraceIdRatioBased

from otel_cost.enrich import AttributeValue, Enricher

_PROBE = "probe"


def snapshot(span: object) -> dict[str, Any]:
    """A plain dict of a span's attributes, whatever kind of span; empty for one that does not record."""
    attributes = getattr(span, "attributes", None)
    # `copy()` of the SDK's mapping takes 0.5 us, `dict()` of it six times as long.
    return attributes.copy() if isinstance(attributes, MappingProxyType | dict) else dict(attributes or {})


def cost_attributes(enricher: Enricher, span: ReadableSpan, attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """What `enricher` adds to a span of the SDK."""
    context, parent, scope = span.context, span.parent, span.instrumentation_scope
    return enricher.enrich(
        attributes,
        context.trace_id,
        context.span_id,
        None if parent is None or parent.is_remote else parent.span_id,
        "" if scope is None else scope.name,
        span.name,
        span.kind._value_ + 1,  # OTLP counts from 1, the SDK from 0
        span.status.status_code._value_,
        span.start_time or 0,
        span.end_time,
    )


def cost_attributes_inside(
    enricher: Enricher, span: ReadableSpan, attributes: Mapping[str, Any]
) -> dict[str, AttributeValue]:
    """The same past the SDK's properties, which take a microsecond together."""
    own: Any = span
    trace_id, span_id, *_ = own._context
    parent, scope = own._parent, own._instrumentation_scope
    return enricher.enrich(
        attributes,
        trace_id,
        span_id,
        None if parent is None or parent.is_remote else parent[1],
        "" if scope is None else scope._name,
        own._name,
        own._kind._value_ + 1,
        own._status._status_code._value_,
        own._start_time or 0,
        own._end_time,
    )


_EXPORT = "opentelemetry.sdk.trace.export"
_INCURIOUS = {
    (_EXPORT, "BatchSpanProcessor"),
    (_EXPORT, "SimpleSpanProcessor"),
    ("otel_cost.processor", "CostSpanProcessor"),
}
"""Processors that ask a span for nothing that we say when it starts."""


def processors_of(provider: Any) -> object:
    """The span processors of a provider: another object whenever one is added. None: it is no SDK's that is known."""
    try:
        return provider._active_span_processor._span_processors
    except AttributeError:
        return None


def starts_unseen(provider: Any) -> bool:
    """Whether nobody looks at the attributes of a span of this provider when it starts.

    What they decide and do then, the SDK's samplers know by the trace alone, and its exporting processors by nothing.
    """
    processors: Any = processors_of(provider)
    return all((type(one).__module__, type(one).__qualname__) in _INCURIOUS for one in processors) and _is_blind(
        provider.sampler
    )


def _is_blind(sampler: Any) -> bool:
    """Whether a sampler decides by the trace alone. The SDK has private subclasses of those that it names."""
    if type(sampler).__module__ != Sampler.__module__:
        return False
    deciding = [one for one in vars(sampler).values() if isinstance(one, Sampler)]  # what a parent's decision asks
    return isinstance(sampler, StaticSampler | TraceIdRatioBased | ParentBased) and all(map(_is_blind, deciding))


class WritePath(StrEnum):
    """How a processor gets attributes onto an ended span."""

    PUBLIC = "public"  # `_on_ending` may write: an SDK with the issue fixed
    INSIDE = "inside"  # `_on_ending`, past the freeze: SDK 1.45
    ON_END = "on_end"  # no `_on_ending`: the ended span gets new attributes, which processors added later see
    NONE = "none"  # only `CostSpanExporter` can add them


def add_public(span: Span, added: Mapping[str, AttributeValue]) -> int:
    """Write through the public API while the span still records. Returns how many did not fit its limits."""
    fitting = _fitting(span._attributes, added)
    span.set_attributes(fitting)
    return len(added) - len(fitting)


def inside(span: Span) -> dict[str, Any]:
    """The dict in which the SDK keeps a span's attributes: to be read, never changed."""
    return span._attributes._dict  # type: ignore[no-any-return, union-attr]


def live(span: object) -> dict[str, Any]:
    """`inside` of any span, which may be of another kind, and still be written to: to be read in single steps."""
    attributes = getattr(getattr(span, "_attributes", None), "_dict", None)
    return attributes if type(attributes) is dict else snapshot(span)


def stamp_inside(span: Span, stamps: Mapping[str, str]) -> None:
    """Write attributes on a span that is just starting, and known to no other thread yet.

    The values are clean, so the SDK's dict takes them as they are, in a tenth of the time; unless a limit may apply.
    """
    attributes: Any = span._attributes
    own, room = attributes._dict, attributes.maxlen
    if attributes.max_value_len is None and room is not None and room >= len(own) + len(stamps):
        own.update(stamps)
    else:
        span.set_attributes(stamps)


def write_clean(span: Any, values: Mapping[str, Any]) -> None:
    """`set_attributes` for a span of our own that still records, and values that are clean: plain, lists as tuples.

    What the SDK does with each value takes a microsecond, and our spans have some twenty. Where a limit may apply, or
    the span is another kind, the SDK does it.
    """
    try:
        attributes = span._attributes
        own, room = attributes._dict, attributes.maxlen
        if attributes.max_value_len is None and type(own) is dict and len(own) + len(values) <= room:
            own.update(values)
            return
    except (AttributeError, TypeError):  # another kind of span; no limit of their number
        pass
    span.set_attributes(values)


def add_inside(span: Span, added: Mapping[str, AttributeValue]) -> int:
    """Give the SDK's frozen mapping another dict, in one step; for everybody else the span stays ended.

    Ours are clean values of known length, so the SDK's checks (4 us) are not repeated. Returns how many did not fit.
    """
    attributes: Any = span._attributes
    before = attributes._dict
    room = attributes.maxlen
    if attributes.max_value_len is None and room is not None and room >= len(before) + len(added):
        attributes._dict = {**before, **added}
        return 0
    fitting = _fitting(attributes, added)
    attributes._dict = {**before, **fitting}
    return len(added) - len(fitting)


def add_replaced(span: ReadableSpan, added: Mapping[str, AttributeValue]) -> int:
    """Give an ended span new attributes in one step, so that an exporter that reads them meanwhile sees old or new."""
    attributes, left_out = with_added(span, added)
    span._attributes = attributes
    return left_out


def with_added(span: ReadableSpan, added: Mapping[str, AttributeValue]) -> tuple[BoundedAttributes, int]:
    """A copy of the span's attributes with `added`, limits and dropped count kept; and how many did not fit."""
    before = span._attributes
    fitting = _fitting(before, added)
    copy = BoundedAttributes(
        maxlen=getattr(before, "maxlen", None),
        attributes={**(span.attributes or {}), **fitting},
        immutable=True,
        max_value_len=getattr(before, "max_value_len", None),
    )
    copy.dropped = span.dropped_attributes
    return copy, len(added) - len(fitting)


def _fitting(attributes: object, added: Mapping[str, AttributeValue]) -> Mapping[str, AttributeValue]:
    """The leading part of `added` that fits the span's limits, so that nothing of the app's own is pushed out.

    A text longer than the value limit is left out whole: the SDK would cut it, and a cut amount is another amount.
    """
    max_count: int | None = getattr(attributes, "maxlen", None)
    max_length: int | None = getattr(attributes, "max_value_len", None)
    if max_length is not None:
        added = {key: value for key, value in added.items() if not isinstance(value, str) or len(value) <= max_length}
    if max_count is None:
        return added
    room = max_count - len(attributes)  # type: ignore[arg-type]
    return added if len(added) <= room else dict(islice(added.items(), max(room, 0)))


class _Echo:
    """Stands for an enricher, and returns what it was given."""

    def enrich(self, *given: object) -> tuple[object, ...]:
        return given


def _reads_alike(span: Span) -> bool:
    echo: Any = _Echo()
    return cost_attributes_inside(echo, span, {}) == cost_attributes(echo, span, {})


class _Probe(SpanProcessor):
    """Tries each way on one throw-away span."""

    def __init__(self) -> None:
        self.path = WritePath.NONE

    def _on_ending(self, span: Span) -> None:
        add, path = (add_public, WritePath.PUBLIC) if span.is_recording() else (add_inside, WritePath.INSIDE)
        with suppress(Exception):
            if path is WritePath.INSIDE and not _reads_alike(span):
                return
            add(span, {_PROBE: 1.0})
            if _PROBE in inside(span):
                self.path = path

    def on_end(self, span: ReadableSpan) -> None:
        if _PROBE in (span.attributes or {}):
            return
        self.path = WritePath.NONE
        with suppress(Exception):
            add_replaced(span, {_PROBE: 1.0})
            self.path = WritePath.ON_END if _PROBE in (span.attributes or {}) else WritePath.NONE


def detect() -> WritePath:
    """The way that works with the installed SDK, found out on a span that is exported nowhere. Never raises."""
    probe = _Probe()
    with suppress(Exception):
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.get_empty(),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attributes=8, max_span_attributes=8, max_span_attribute_length=SpanLimits.UNSET),
        )
        provider.add_span_processor(probe)
        span = provider.get_tracer("otel_cost").start_span("probe")
        if not span.is_recording():
            return WritePath.PUBLIC  # the SDK is switched off (OTEL_SDK_DISABLED): nothing will ever be written
        span.end()
    return probe.path
