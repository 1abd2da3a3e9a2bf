"""CostSpanProcessor on the real SDK: what it writes, when, and that it never harms the app."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AnyValue

from otel_cost import CostSpanProcessor, enrich, processor, run
from otel_cost.pricing import default_card
from otel_cost.spans import WritePath
from otel_cost.testing import CostRecorder, record_call


def _attributes(span: ReadableSpan) -> Mapping[str, object]:
    return span.attributes or {}


def _provider(*processors: SpanProcessor) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    for each in processors:
        provider.add_span_processor(each)
    return provider


@pytest.mark.parametrize("exporting", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("cost_first", [True, False])
def test_cost_is_on_the_exported_span_whatever_the_order(
    exporting: type[SimpleSpanProcessor | BatchSpanProcessor], cost_first: bool
) -> None:
    """Simple and batch export, processor added before or after: the exporter sees all cost attributes."""
    exporter = InMemorySpanExporter()
    processors: list[SpanProcessor] = [CostSpanProcessor(), exporting(exporter)]
    provider = _provider(*(processors if cost_first else reversed(processors)))
    record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    provider.shutdown()
    [span] = exporter.get_finished_spans()
    said = _attributes(span)
    assert said["otel_cost.cost_usd"] == "0.00045"
    assert said["otel_cost.cost_status"] == "priced"
    assert said["otel_cost.card"] == default_card().digest
    assert "input" in str(said["otel_cost.receipt"])
    assert said["gen_ai.usage.cost.amount"] == 0.00045
    assert said["gen_ai.usage.cost.currency"] == "USD"
    assert said["gen_ai.usage.cost.source"] == "local"


def test_every_exporter_sees_the_cost_and_two_processors_write_it_once() -> None:
    """Several exporters and an accidental second CostSpanProcessor."""
    exporters = [InMemorySpanExporter() for _ in range(3)]
    provider = _provider(
        SimpleSpanProcessor(exporters[0]),
        CostSpanProcessor(),
        SimpleSpanProcessor(exporters[1]),
        CostSpanProcessor(),
        SimpleSpanProcessor(exporters[2]),
    )
    record_call(
        provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500, response_id="r-12345678"
    )
    for exporter in exporters:
        [span] = exporter.get_finished_spans()
        assert _attributes(span)["otel_cost.cost_usd"] == "0.00045"
        assert _attributes(span)["otel_cost.cost_status"] == "priced"


def test_a_model_without_a_price_has_a_status_and_no_amount() -> None:
    """Unknown is never 0."""
    recorder = CostRecorder()
    record_call(recorder.tracer, model="no-such-model-9", provider="nobody", input_tokens=10, output_tokens=5)
    [span] = recorder.spans()
    assert recorder.statuses() == ["unpriced"]
    assert not [key for key in _attributes(span) if key in {"otel_cost.cost_usd", "gen_ai.usage.cost.amount"}]


def test_spans_that_are_no_model_call_get_nothing() -> None:
    """An HTTP span passes unchanged."""
    recorder = CostRecorder()
    with recorder.tracer.start_as_current_span("GET /", kind=SpanKind.SERVER, attributes={"http.route": "/"}):
        pass
    assert dict(_attributes(recorder.spans()[0])) == {"http.route": "/"}


def test_a_cost_that_the_span_carries_already_is_left_alone() -> None:
    """`gen_ai.usage.cost.*` of somebody else stays; ours stands beside it."""
    recorder = CostRecorder()
    theirs: dict[str, AnyValue] = {
        "gen_ai.usage.cost.amount": 9.5,
        "gen_ai.usage.cost.currency": "EUR",
        "gen_ai.usage.cost.source": "provider",
    }
    record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500, attributes=theirs)
    said = _attributes(recorder.spans()[0])
    assert {key: said[key] for key in theirs} == theirs
    assert "otel_cost.cost_status" in said


def test_a_wrapper_of_priced_calls_costs_nothing_itself() -> None:
    """An agent span that repeats its calls' tokens, at any distance above them."""
    recorder = CostRecorder()
    usage: dict[str, AnyValue] = {
        "gen_ai.usage.input_tokens": 2000,
        "gen_ai.usage.output_tokens": 1000,
        "gen_ai.request.model": "gpt-4o-mini",
    }
    agent: dict[str, AnyValue] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai", **usage}
    start = recorder.tracer.start_as_current_span
    with start("invoke_agent a", attributes=agent), start("step"):
        for _ in range(2):
            record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert recorder.statuses() == ["priced", "priced", None, "wrapper"]
    assert recorder.total_usd() == Decimal("0.0009")


def test_a_wrapper_without_calls_inside_is_priced() -> None:
    """Some frameworks report nowhere else; an agent around such an agent is then the wrapper."""
    recorder = CostRecorder()
    said: dict[str, AnyValue] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
    }
    start = recorder.tracer.start_as_current_span
    with start("invoke_agent outer", attributes=said), start("invoke_agent inner", attributes=said):
        pass
    assert recorder.statuses() == ["priced", "wrapper"]
    assert recorder.total_usd() == Decimal("0.00045")


def test_two_instrumentations_of_one_response_are_priced_once_per_trace() -> None:
    """Same trace and response id: the first to end, the innermost, has the cost. Another trace is another call."""
    recorder = CostRecorder()
    with recorder.tracer.start_as_current_span("request"):
        for _ in range(2):
            record_call(
                recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500, response_id="chatcmpl-1"
            )
    record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500, response_id="chatcmpl-1")
    assert recorder.statuses() == ["priced", "duplicate", None, "priced"]


def test_ended_spans_stay_closed_to_everyone_else(caplog: pytest.LogCaptureFixture) -> None:
    """The freeze is lifted for our write only."""
    recorder = CostRecorder()
    span = recorder.tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"})
    span.end()
    with caplog.at_level(logging.ERROR, logger="opentelemetry.sdk.trace"):
        span.set_attribute("late", 1)
    assert "late" not in _attributes(recorder.spans()[0])


def test_a_full_span_keeps_the_apps_own_attributes() -> None:
    """The attribute limit never pushes out what the app wrote; what is left out is counted."""
    recorder = CostRecorder(SpanLimits(max_span_attributes=8))
    record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500, response_id="chatcmpl-1")
    [span] = recorder.spans()
    said = _attributes(span)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["otel_cost.cost_status"] == "priced"
    assert len(said) == 8
    assert span.dropped_attributes == 0
    assert recorder.processor.stats()["attributes_left_out"] > 0


def test_an_amount_is_never_cut_to_the_value_length_limit() -> None:
    """A shortened decimal is another amount: it is left out whole."""
    recorder = CostRecorder(SpanLimits(max_span_attribute_length=6))
    record_call(recorder.tracer, model="gpt-4o", input_tokens=1001, output_tokens=503)
    said = _attributes(recorder.spans()[0])
    assert said["gen_ai.request.model"] == "gpt-4o"
    assert said["otel_cost.cost_status"] == "priced"
    assert "otel_cost.cost_usd" not in said
    assert "otel_cost.receipt" not in said


def test_a_failure_of_ours_costs_the_app_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The span goes on as it was; the failure is counted each time and logged once."""

    def broken(**_: object) -> None:
        raise RuntimeError("our bug")

    recorder = CostRecorder()
    monkeypatch.setattr(enrich, "normalise", broken)
    with caplog.at_level(logging.WARNING, logger="otel_cost"):
        for _ in range(3):
            record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1, output_tokens=1)
    assert len(recorder.spans()) == 3
    assert recorder.statuses() == [None] * 3
    assert recorder.processor.stats() == {"failed.on_end.RuntimeError": 3}
    assert len(caplog.records) == 1


def test_a_failure_at_the_start_of_a_span_costs_the_app_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inheriting is optional, the span is not."""

    def broken(_: object) -> None:
        raise RuntimeError("our bug")

    recorder = CostRecorder()
    monkeypatch.setattr(processor, "inherited", broken)
    with run("r"):
        record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert recorder.statuses() == ["priced"]
    assert recorder.processor.stats() == {"failed.on_start.RuntimeError": 1, "spans.priced": 1}


def test_many_threads_price_every_span_once() -> None:
    """No lock, no loss: each of 1,600 calls in 8 threads has its own cost."""
    recorder = CostRecorder()
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for number in range(200):
            with run(f"r{thread}"):
                record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert recorder.statuses() == ["priced"] * 1600
    assert recorder.total_usd() == 8 * sum(Decimal("0.00015") + n * Decimal("0.0000006") for n in range(200))
    assert recorder.processor.stats() == {"spans.priced": 1600}


def test_spans_that_never_end_do_not_grow_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of open spans is bounded, and the oldest is forgotten first."""
    monkeypatch.setattr(processor, "MAX_OPEN_SPANS", 10)
    recorder = CostRecorder()
    with run("r"):
        spans = [recorder.tracer.start_span("s") for _ in range(25)]
    assert recorder.processor.stats() == {"open_spans_forgotten": 10}
    for span in spans:
        span.end()
    assert len(recorder.spans()) == 25


def test_the_concurrent_multi_processor_works_too() -> None:
    """The SDK's thread pool variant calls processors on other threads."""
    exporter = InMemorySpanExporter()
    concurrent = ConcurrentMultiSpanProcessor(num_threads=2)
    provider = TracerProvider(shutdown_on_exit=False, active_span_processor=concurrent)
    provider.add_span_processor(CostSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert _attributes(exporter.get_finished_spans()[0])["otel_cost.cost_usd"] == "0.00045"
    provider.shutdown()


class _NoEnding(SpanProcessor):
    """A wrapper like those of some vendors: forwards start and end, not `_on_ending`."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self._inner.on_start(span)

    def on_end(self, span: ReadableSpan) -> None:
        self._inner.on_end(span)


def test_behind_a_wrapper_that_hides_the_ending_later_processors_see_the_cost() -> None:
    """`on_end` is the second best place: exporters added after it have the cost, and dropped counts stay."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_span_attributes=20))
    provider.add_span_processor(_NoEnding(CostSpanProcessor()))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record_call(provider.get_tracer("t"), model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    [span] = exporter.get_finished_spans()
    assert _attributes(span)["otel_cost.cost_usd"] == "0.00045"


@pytest.mark.parametrize("path", [WritePath.ON_END, WritePath.NONE])
def test_an_sdk_of_other_internals_is_named_and_the_exporter_recommended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: WritePath
) -> None:
    """Where no attribute can be written at the end, the app is told what to use instead, once; where the order of
    processors matters, as in the oldest SDKs, nothing is said: they come first."""
    monkeypatch.setattr(processor, "detect", lambda: path)
    with caplog.at_level(logging.WARNING, logger="otel_cost"):
        recorder = CostRecorder()
    assert ("CostSpanExporter" in caplog.text) is (path is WritePath.NONE)
    record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
    assert len(recorder.spans()) == 1
    assert (recorder.statuses() == ["priced"]) is (path is WritePath.ON_END)


def test_a_provider_that_bills_by_the_end_of_a_call_is_priced_by_it() -> None:
    """DeepSeek's peak price begins at 01:00 UTC on working days, for answers that are complete by then or later."""
    recorder = CostRecorder()
    peak_ns = 1_795_136_400 * 10**9  # Friday 2026-11-20T01:00:00Z
    for end_ns in (peak_ns - 1, peak_ns, peak_ns - 1, peak_ns):
        span = recorder.tracer.start_span("chat deepseek-v4-pro", kind=SpanKind.CLIENT, start_time=peak_ns - 10**9)
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.provider.name": "deepseek"})
        span.set_attributes({"gen_ai.request.model": "deepseek-v4-pro", "gen_ai.usage.input_tokens": 1_000})
        span.end(end_ns)
    said = [_attributes(span)["otel_cost.cost_usd"] for span in recorder.spans()]
    assert said == ["0.00066", "0.00132", "0.00066", "0.00132"]


def test_a_trace_that_hears_thinks_speaks_and_draws_adds_up() -> None:
    """Speech to text, a model, text to speech and images: quantities without a conventional name travel under ours."""
    recorder = CostRecorder()
    said: list[tuple[str, Mapping[str, AnyValue], str]] = [
        ("whisper-1", {"otel_cost.usage.audio_seconds": 12.5}, "0.00125"),  # 0.36 an hour
        ("gpt-4o", {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}, "0.0035"),
        ("tts-1", {"otel_cost.usage.input_characters": 1_234}, "0.01851"),  # 15 per million
        (
            "dall-e-3",
            {"otel_cost.usage.output_images": 2, "otel_cost.service": ";size=1792x1024;quality=hd"},
            "0.24",  # 0.12 each
        ),
    ]
    with recorder.tracer.start_as_current_span("answer the phone"):
        for model, attributes, _ in said:
            record_call(recorder.tracer, model=model, attributes=attributes)
    costs = [_attributes(span).get("otel_cost.cost_usd") for span in recorder.spans()]
    assert costs == [*(usd for _, _, usd in said), None]
    assert recorder.total_usd() == Decimal("0.26326")
