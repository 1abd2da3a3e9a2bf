"""For tests of apps: a tracer provider that prices what it records, and a model call to record.

recorder = CostRecorder()
with run("invoice-42"):
    record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
assert recorder.total_usd() == Decimal("0.00045")
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.util.types import AnyValue

from otel_cost import attributes as keys
from otel_cost.processor import CostSpanProcessor


class CostRecorder:
    """A `TracerProvider` of its own with a `CostSpanProcessor`; ended spans are kept in memory, exported nowhere."""

    def __init__(self, limits: SpanLimits | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.processor = CostSpanProcessor()
        self.provider = TracerProvider(shutdown_on_exit=False, span_limits=limits)
        self.provider.add_span_processor(self.processor)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def tracer(self) -> Tracer:
        """A tracer of the provider."""
        return self.provider.get_tracer("otel_cost.testing")

    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans ended so far, in that order; calls that wait to be repeated end now."""
        self.provider.force_flush()
        return self._exporter.get_finished_spans()

    def total_usd(self) -> Decimal:
        """Sum of what the spans cost; those without a known cost add nothing (see `statuses()`)."""
        costs = [(span.attributes or {}).get(keys.OTEL_COST_COST_USD) for span in self.spans()]
        return sum((Decimal(str(cost)) for cost in costs if cost is not None), Decimal(0))

    def statuses(self) -> list[str | None]:
        """The cost status of each ended span, None for one that is no model call."""
        found = [(span.attributes or {}).get(keys.OTEL_COST_COST_STATUS) for span in self.spans()]
        return [None if status is None else str(status) for status in found]

    def clear(self) -> None:
        """Forget the spans."""
        self._exporter.clear()


def record_call(
    tracer: Tracer,
    *,
    model: str,
    provider: str = "openai",
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    response_id: str | None = None,
    attributes: Mapping[str, AnyValue] | None = None,
) -> None:
    """Record a span as the official GenAI instrumentations write it for one chat call.

    Further `attributes` are written as they are, last.
    """
    said: dict[str, str | int | None] = {
        keys.GEN_AI_OPERATION_NAME: "chat",
        keys.GEN_AI_PROVIDER_NAME: provider,
        keys.GEN_AI_REQUEST_MODEL: model,
        keys.GEN_AI_RESPONSE_MODEL: model,
        keys.GEN_AI_RESPONSE_ID: response_id,
        keys.GEN_AI_USAGE_INPUT_TOKENS: input_tokens,
        keys.GEN_AI_USAGE_OUTPUT_TOKENS: output_tokens,
    }
    with tracer.start_as_current_span(f"chat {model}", kind=SpanKind.CLIENT) as span:
        span.set_attributes({key: value for key, value in said.items() if value is not None})
        span.set_attributes(attributes or {})
