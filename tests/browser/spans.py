"""Spans of apps, sent to a collector the way an exporter does."""

from __future__ import annotations

import os
import time
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_cost import attributes as k
from tests.support.collector_process import CollectorProcess


def send_call(
    collector: CollectorProcess,
    agent: str,
    input_tokens: int = 1_000_000,
    *,
    provider: str = "openai",
    model: str = "gpt-4o",
) -> None:
    """One call, a moment ago. Of gpt-4o: 2.50 USD per million input tokens."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name=f"chat {model}", kind=3)
    )
    span.end_time_unix_nano = time.time_ns()
    span.start_time_unix_nano = span.end_time_unix_nano - 1_000_000
    said = {
        k.GEN_AI_OPERATION_NAME: "chat",
        k.GEN_AI_PROVIDER_NAME: provider,
        k.GEN_AI_REQUEST_MODEL: model,
        k.GEN_AI_AGENT_NAME: agent,
    }
    for key, text in said.items():
        span.attributes.add(key=key).value.string_value = text
    span.attributes.add(key=k.GEN_AI_USAGE_INPUT_TOKENS).value.int_value = input_tokens
    span.attributes.add(key=k.GEN_AI_USAGE_OUTPUT_TOKENS).value.int_value = 0
    sent = urllib.request.Request(
        f"{collector.http_url}/v1/traces", request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
    )
    with urllib.request.urlopen(sent, timeout=20) as answer:
        assert answer.status == 200
