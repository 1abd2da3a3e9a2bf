"""A request of model calls that stand alone, with what each costs."""

from __future__ import annotations

from random import Random

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_cost import attributes as k
from tests.crash.workload import INPUT_PICO_USD, OUTPUT_PICO_USD, START_NS


def plain_calls(number: int) -> tuple[ExportTraceServiceRequest, dict[str, int]]:
    """One trace of 1 to 40 gpt-4o calls without parents, and their costs in pico-USD by span id."""
    chance, request, costs = Random(number), ExportTraceServiceRequest(), {}
    spans = request.resource_spans.add().scope_spans.add().spans
    for index in range(chance.randint(1, 40)):
        span_id = ((number << 48) + index + 1).to_bytes(8, "big")
        input_tokens, output_tokens = chance.randint(0, 100_000), chance.randint(1, 5_000)
        span = spans.add(trace_id=(number << 64).to_bytes(16, "big"), span_id=span_id, name="chat gpt-4o", kind=3)
        span.start_time_unix_nano, span.end_time_unix_nano = START_NS + index, START_NS + index + 500_000_000
        for key, text in (
            (k.GEN_AI_OPERATION_NAME, "chat"),
            (k.GEN_AI_PROVIDER_NAME, "openai"),
            (k.GEN_AI_REQUEST_MODEL, "gpt-4o"),
            (k.GEN_AI_RESPONSE_ID, f"chatcmpl-{span_id.hex()}"),
        ):
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key=k.GEN_AI_USAGE_INPUT_TOKENS).value.int_value = input_tokens
        span.attributes.add(key=k.GEN_AI_USAGE_OUTPUT_TOKENS).value.int_value = output_tokens
        costs[span_id.hex()] = input_tokens * INPUT_PICO_USD + output_tokens * OUTPUT_PICO_USD
    return request, costs
