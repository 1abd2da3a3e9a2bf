"""A request with one model call."""

from __future__ import annotations

import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_cost import attributes as k


def one_call(number: int, customer: str, input_tokens: int) -> bytes:
    """A call of gpt-4o that has just ended, in a trace of its own: 2.5 millionths of a dollar per input token."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="chat gpt-4o", kind=3
    )  # fmt: skip
    span.end_time_unix_nano = time.time_ns()
    span.start_time_unix_nano = span.end_time_unix_nano - 10**9
    texts = {
        k.GEN_AI_OPERATION_NAME: "chat",
        k.GEN_AI_PROVIDER_NAME: "openai",
        k.GEN_AI_REQUEST_MODEL: "gpt-4o",
        k.GEN_AI_RESPONSE_ID: f"chatcmpl-{number}",
        k.OTEL_COST_CUSTOMER: customer,
    }
    for key, text in texts.items():
        span.attributes.add(key=key).value.string_value = text
    for key, tokens in ((k.GEN_AI_USAGE_INPUT_TOKENS, input_tokens), (k.GEN_AI_USAGE_OUTPUT_TOKENS, 10)):
        span.attributes.add(key=key).value.int_value = tokens
    sent: bytes = request.SerializeToString()
    return sent
