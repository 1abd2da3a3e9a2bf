"""`CostSpanExporter`: adds cost attributes on the way into another exporter, through public API only.

For places where a span processor cannot reach an ending span: behind a wrapper that does not forward `_on_ending`,
or with an SDK whose internals `CostSpanProcessor` does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList

from otel_cost.enrich import AttributeValue, Enricher
from otel_cost.spans import cost_attributes, snapshot, with_added
from otel_cost.stats import Stats

if TYPE_CHECKING:
    from otel_cost.pricing import RateCard

_T = TypeVar("_T")


class CostSpanExporter(SpanExporter):
    """Hands every span on to `inner`; those that are model calls without a cost go as a copy that has one.

    A span that was priced in the process already, and every span that is no model call, passes as the same object.
    Never loses a span: one that cannot be priced passes unchanged, and is counted in `stats()`.
    """

    def __init__(self, inner: SpanExporter, *, card: RateCard | None = None) -> None:
        self._inner = inner
        self._stats = Stats()
        self._enricher = Enricher(card)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Price and hand on; the result is the inner exporter's."""
        return self._inner.export([self._priced(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the inner exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the inner exporter."""
        return self._inner.force_flush(timeout_millis)

    def stats(self) -> dict[str, int]:
        """What was counted so far: spans by cost status, failures and left-out attributes by reason."""
        return self._stats.snapshot()

    def _priced(self, span: ReadableSpan) -> ReadableSpan:
        try:
            added = cost_attributes(self._enricher, span, snapshot(span))
            if not added:
                return span
            copy, left_out = _copy(span, added)
            self._stats.priced(added)
            self._stats.left_out(left_out)
        except Exception as error:
            self._stats.failed("export", error)
            return span
        return copy


def _copy(span: ReadableSpan, added: dict[str, AttributeValue]) -> tuple[ReadableSpan, int]:
    attributes, left_out = with_added(span, added)
    copy = ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=_bounded(span.events, span.dropped_events),
        links=_bounded(span.links, span.dropped_links),
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
    return copy, left_out


def _bounded(items: Sequence[_T], dropped: int) -> Sequence[_T]:
    """A list that also knows how many the span's limits had dropped."""
    kept = BoundedList.from_seq(None, items)
    kept.dropped = dropped
    return kept
