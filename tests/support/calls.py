"""A request with one finished model call."""

from __future__ import annotations

from hashlib import sha256

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_cost import attributes as k


def call_request(name: str, customer: str, input_tokens: int, start_ns: int, output_tokens: int = 0) -> bytes:
    """A call of gpt-4o, $2.50 a million input tokens, of a second and in a trace of its own; one `name` is one call."""
    request, digest = ExportTraceServiceRequest(), sha256(name.encode()).digest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=digest[:16], span_id=digest[16:24], name="chat gpt-4o", kind=3
    )  # fmt: skip
    span.start_time_unix_nano, span.end_time_unix_nano = start_ns, start_ns + 10**9
    texts = {
        k.GEN_AI_OPERATION_NAME: "chat",
        k.GEN_AI_PROVIDER_NAME: "openai",
        k.GEN_AI_REQUEST_MODEL: "gpt-4o",
        k.GEN_AI_RESPONSE_ID: f"chatcmpl-{name}",
        k.OTEL_COST_CUSTOMER: customer,
    }
    for key, text in texts.items():
        span.attributes.add(key=key).value.string_value = text
    for key, tokens in ((k.GEN_AI_USAGE_INPUT_TOKENS, input_tokens), (k.GEN_AI_USAGE_OUTPUT_TOKENS, output_tokens)):
        span.attributes.add(key=key).value.int_value = tokens
    sent: bytes = request.SerializeToString()
    return sent
