"""CostSpanExporter: a priced copy through public API, and everything else untouched."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import AnyValue

from otel_cost import CostSpanExporter, CostSpanProcessor, enrich
from otel_cost.testing import record_call

CALL: dict[str, AnyValue] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 500,
}


class _Inner(SpanExporter):
    """Keeps what it is given; answers as told."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.spans: list[ReadableSpan] = []
        self.calls: list[str] = []
        self._result = result

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return self._result

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.calls.append(f"flush {timeout_millis}")
        return False


def _provider(exporter: SpanExporter, limits: SpanLimits | None = None) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, span_limits=limits, resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def test_the_copy_differs_in_nothing_but_the_cost() -> None:
    """Identity, times, kind, status, scope, resource, events, links and every dropped count are kept."""
    original, priced = InMemorySpanExporter(), _Inner()
    limits = SpanLimits(max_span_attributes=20, max_events=2, max_links=1)
    provider = _provider(original, limits)
    provider.add_span_processor(SimpleSpanProcessor(CostSpanExporter(priced)))
    tracer = provider.get_tracer("scope", "1.2", schema_url="https://example.test/schema", attributes={"a": 1})
    with tracer.start_as_current_span("parent") as parent:
        links = [trace.Link(parent.get_span_context(), {"n": number}) for number in range(3)]
        with tracer.start_as_current_span("chat", kind=SpanKind.CLIENT, links=links, attributes=CALL) as span:
            span.set_attributes({f"k{number}": number for number in range(18)})
            span.set_attributes(CALL)
            for number in range(5):
                span.add_event(f"e{number}", {"n": number})
            span.set_status(StatusCode.OK)
    before, after = original.get_finished_spans()[0], priced.spans[0]
    assert after is not before
    for name in ("name", "context", "parent", "resource", "kind", "status", "start_time", "end_time"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.instrumentation_scope == before.instrumentation_scope
    assert after.events == before.events
    assert after.links == before.links
    assert (after.dropped_events, after.dropped_links) == (before.dropped_events, before.dropped_links) == (3, 2)
    assert after.dropped_attributes == before.dropped_attributes > 0
    assert priced.spans[1] is not None


def test_a_priced_copy_has_the_same_attributes_as_the_processor_writes() -> None:
    """One enricher, two ways in; the app's span itself is not changed."""
    plain, wrapped, processed = InMemorySpanExporter(), _Inner(), InMemorySpanExporter()
    provider = _provider(plain)
    provider.add_span_processor(SimpleSpanProcessor(CostSpanExporter(wrapped)))
    record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    other = _provider(processed)
    other.add_span_processor(CostSpanProcessor())
    record_call(other.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert dict(wrapped.spans[0].attributes or {}) == dict(processed.get_finished_spans()[0].attributes or {})
    assert "otel_cost.cost_usd" not in (plain.get_finished_spans()[0].attributes or {})


def test_spans_with_our_cost_and_spans_that_are_no_calls_pass_as_the_same_object() -> None:
    """Behind a CostSpanProcessor the wrapper copies nothing."""
    seen, inner = InMemorySpanExporter(), _Inner()
    provider = _provider(seen)
    provider.add_span_processor(CostSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(CostSpanExporter(inner)))
    with provider.get_tracer("t").start_as_current_span("request"):
        record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert all(given is kept for given, kept in zip(seen.get_finished_spans(), inner.spans, strict=True))


def test_wrappers_and_duplicates_are_recognised_across_batches() -> None:
    """The exporter sees spans in the order in which they end, in one batch or many."""
    inner = _Inner()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(CostSpanExporter(inner), max_export_batch_size=1))
    tracer = provider.get_tracer("t")
    agent: dict[str, AnyValue] = {**CALL, "gen_ai.operation.name": "invoke_agent"}
    with tracer.start_as_current_span("agent", attributes=agent), tracer.start_as_current_span("step"):
        for _ in range(2):
            record_call(tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500, response_id="chatcmpl-1")
    provider.shutdown()
    statuses = [(span.attributes or {}).get("otel_cost.cost_status") for span in inner.spans]
    assert statuses == ["priced", "duplicate", None, "wrapper"]


def test_results_flush_and_shutdown_are_the_inner_exporters() -> None:
    """A wrapper, nothing else."""
    inner = _Inner(SpanExportResult.FAILURE)
    exporter = CostSpanExporter(inner)
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert exporter.force_flush(123) is False
    exporter.shutdown()
    assert inner.calls == ["flush 123", "shutdown"]


def test_a_failure_of_ours_passes_the_span_on_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and never a lost span."""

    def broken(**_: object) -> None:
        raise RuntimeError("our bug")

    monkeypatch.setattr(enrich, "normalise", broken)
    inner = _Inner()
    exporter = CostSpanExporter(inner)
    provider = _provider(exporter)
    record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1, output_tokens=1)
    assert len(inner.spans) == 1
    assert exporter.stats() == {"failed.export.RuntimeError": 1}
