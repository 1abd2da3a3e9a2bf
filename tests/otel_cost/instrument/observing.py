"""Real SDKs against a scripted server on loopback, with the instrumentation on and its spans recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from openai import AsyncOpenAI, OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from otel_cost import attributes as k
from otel_cost.instrument.instrumentor import OtelCostInstrumentor
from otel_cost.testing import CostRecorder
from tests.otel_cost.instrument.scripted_server import Script, ScriptedServer, serving

MODEL = "gpt-5.4-mini"
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello."}]
USAGE: dict[str, Any] = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
}


def answer(response_id: str = "chatcmpl-first0001", **other: Any) -> Script:
    """A whole chat completion."""
    body = {
        "id": response_id,
        "object": "chat.completion",
        "created": 1,
        "model": f"{MODEL}-2026-03-17",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello to you, too."}}
        ],
        "usage": USAGE,
        **other,
    }
    return Script((json.dumps(body).encode(),), framing="length", content_type="application/json")


def refusal(status: int, code: str = "rate_limit_exceeded") -> Script:
    """An error as OpenAI writes it."""
    body = {"error": {"message": "no", "type": "requests", "param": None, "code": code}}
    return Script((json.dumps(body).encode(),), framing="length", status=status, content_type="application/json")


def events(*texts: str, usage: Mapping[str, Any] | None = None, is_done: bool = True) -> tuple[bytes, ...]:
    """The server-sent events of a streamed completion."""
    said: dict[str, Any] = {
        "id": "chatcmpl-stream0001",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": f"{MODEL}-2026-03-17",
    }
    chunks: list[dict[str, Any]] = [
        {**said, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts
    ]
    if is_done:
        chunks.append({**said, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage is not None:
        chunks.append({**said, "choices": [], "usage": usage})
    lines = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return (*lines, b"data: [DONE]\n\n") if is_done else tuple(lines)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a test needs."""

    server: ScriptedServer
    recorder: CostRecorder

    def client(self, **arguments: Any) -> OpenAI:
        """A client of the server."""
        return OpenAI(base_url=f"{self.server.url}/v1", api_key="k", **arguments)

    def async_client(self, **arguments: Any) -> AsyncOpenAI:
        """An asynchronous client of the server."""
        return AsyncOpenAI(base_url=f"{self.server.url}/v1", api_key="k", **arguments)

    def spans(self) -> tuple[ReadableSpan, ...]:
        """All spans so far."""
        return self.recorder.spans()

    def only(self) -> dict[str, Any]:
        """The attributes of the one span there is."""
        (span,) = self.recorder.spans()
        return dict(span.attributes or {})


@contextmanager
def observed(*scripts: Script, **settings: Any) -> Iterator[Observed]:
    """A server that gives these answers in turn, taken for OpenAI's, and the instrumentation on."""
    recorder = CostRecorder()
    instrumentor = OtelCostInstrumentor()
    with serving(*scripts) as server, patch.object(trace, "_TRACER_PROVIDER", recorder.provider):
        instrumentor.instrument(hosts={server.url.partition("://")[2]: "openai"}, **settings)
        try:
            yield Observed(server, recorder)
        finally:
            recorder.provider.force_flush()
            instrumentor.uninstrument()


def chat(client: OpenAI, **arguments: Any) -> Any:
    """One chat call."""
    return client.chat.completions.create(model=MODEL, messages=MESSAGES, **arguments)


def cost_of(attributes: Mapping[str, Any]) -> Any:
    """Cost status and exact amount."""
    return attributes.get(k.OTEL_COST_COST_STATUS), attributes.get(k.OTEL_COST_COST_USD)
