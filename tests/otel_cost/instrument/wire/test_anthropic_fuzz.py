"""Whatever stands in events of Anthropic's and Bedrock's streams: nothing raises, and what is told are quantities."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.exchange import request_of
from otel_cost.instrument.wire.types import Head, Request
from otel_cost.pricing.units import MAX_QUANTITY, UNITS
from tests.support.aws_frames import frame
from tests.support.sdk_replay import load, recorded

NAMES = recorded("anthropic/", "bedrock/")
REQUESTS = [request_of(load(name)) for name in NAMES if "mantle" not in name]
_BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/"
REQUESTS += [
    Request("POST", f"{_BEDROCK}{model}/invoke-with-response-stream", {}, b'{"messages": [{"content": [1, "x"]}]}')
    for model in ("amazon.nova-lite-v1:0", "meta.llama3", "amazon.nova-canvas-v1:0", "cohere.rerank-v3-5:0")
]
REQUESTS.append(Request("POST", "https://bedrock-agent-runtime.us-east-1.amazonaws.com/agents/s", {}, b"{}"))
WORDS = [
    *("type", "message_start", "message_delta", "message_stop", "content_block_delta", "error", "message", "usage"),
    *("input_tokens", "output_tokens", "cache_creation", "cache_creation_input_tokens", "ephemeral_1h_input_tokens"),
    *(
        "iterations",
        "model",
        "speed",
        "inference_geo",
        "server_tool_use",
        "web_search_requests",
        "delta",
        "stop_reason",
    ),
    *(
        "stop_reason",
        "result",
        "succeeded",
        "custom_id",
        "metadata",
        "messageStop",
        "messageStart",
        "contentBlockDelta",
    ),
    *(
        "stopReason",
        "inputTokens",
        "cacheReadInputTokens",
        "cacheDetails",
        "ttl",
        "trace",
        "guardrail",
        "promptRouter",
        "images",
    ),
    *("amazon-bedrock-invocationMetrics", "inputTokenCount", "results", "tokenCount", "generations", "finish_reason"),
    *("choices", "completions", "outputs", "prompt_token_count", "inputTextTokenCount", "text", "index", "embeddings"),
]
NAMED = ["chunk", "metadata", "messageStop", "contentBlockDelta", "throttlingException", "trace", "message_delta", ""]
LEAVES = st.none() | st.booleans() | st.integers(-1, 2**41) | st.floats() | st.sampled_from([*WORDS, "7", "", "\ud800"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=25,
)


def as_lines(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()


def as_frame(name: str, value: Any) -> bytes:
    inner = value if name != "chunk" else {"bytes": base64.b64encode(json.dumps(value).encode()).decode()}
    return frame(name, inner)


def as_line(name: str, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


FRAMINGS: dict[str, Callable[[str, Any], bytes]] = {
    "text/event-stream": as_lines,
    "application/vnd.amazon.eventstream": as_frame,
    "application/x-jsonl": as_line,
    "application/json": as_line,
}


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(REQUESTS),
    st.sampled_from(sorted(FRAMINGS)),
    st.lists(st.tuples(st.sampled_from(NAMED), JSON), min_size=1, max_size=5),
    st.sampled_from([200, 200, 200, 400]),
)
def test_no_events_raise(sent: Request, kind: str, events: list[tuple[str, Any]], status: int) -> None:
    wanted = asked(sent)
    assert wanted is not None
    reader = body_reader(wanted, Head(status, {"content-type": kind, "x-amzn-bedrock-input-token-count": "x"}))
    for name, value in events:
        reader.feed(FRAMINGS[kind](name, value))
        assert isinstance(reader.is_done, bool)
        assert isinstance(reader.has_content, bool)
    reader.end()
    reading = reader.reading()
    if reading.said is not None:
        assert all(isinstance(text, str) for texts in reading.said() for text in texts)
    for usage in (reading.usage, *(part.usage for part in reading.parts)):
        assert set(usage) <= set(UNITS)
        assert all(type(count) is int and 0 <= count <= MAX_QUANTITY for count in usage.values())
    for context in (reading.context, *(part.context for part in reading.parts)):
        assert all(type(value) is str for value in context.values())
