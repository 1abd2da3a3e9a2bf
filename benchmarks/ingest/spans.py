"""Spans as bytes: one of each kind, made by protobuf, with a marker wherever something varies from span to span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
    ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat", "deepseek-chat"),
)
HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gcp.gemini": "generativelanguage.googleapis.com",
    "deepseek": "api.deepseek.com",
}
_INPUT, _OUTPUT, _CACHED = 0x2AAA, 0x2BBB, 0x2CCC

_TRACE_ID, _SPAN_ID, _PARENT_ID = b"T" * 16, b"S" * 8, b"P" * 8
_START_NS, _END_NS = 0x1122334455667788, 0x1122334455667799
TEXTS = {  # marker, how many values, and digits of it that vary
    "conversation": (b"conv-@@@@@@", 5_000, 6),
    "customer": (b"cust@@@@", 500, 4),
    "user": (b"user-@@@@@", 20_000, 5),
    "feature": (b"feature-@", 10, 1),
    "team": (b"team-@", 6, 1),
    "agent": (b"agent_@@", 12, 2),
}
HEXES = {"response": (b"chatcmpl-" + b"#" * 24, 24), "session": (b"%" * 16, 16)}
_RESPONSE, _SESSION = "response", "session"


def varint(number: int) -> bytes:
    """As protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


MARKERS = {
    "trace_id": _TRACE_ID,
    "span_id": _SPAN_ID,
    "parent_id": _PARENT_ID,
    "start": _START_NS.to_bytes(8, "little"),
    "end": _END_NS.to_bytes(8, "little"),
    "input": varint(_INPUT),
    "output": varint(_OUTPUT),
    "cached": varint(_CACHED),
    **{name: text[0] for name, text in TEXTS.items()},
    **{name: text[0] for name, text in HEXES.items()},
}
# Bytes at the end of a marker that vary, where it is not all of them.
SIZES = {**{name: text[2] for name, text in TEXTS.items()}, **{name: text[1] for name, text in HEXES.items()}}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of span as bytes, and where in them each varying value begins (-1: it has none)."""

    body: bytes
    model: int
    root: bool
    at: dict[str, int]


def _attributes(model: int, root: bool, cached: bool) -> dict[str, Any]:
    provider, request_model, response_model = MODELS[model]
    prefix = "app." if root else ""  # the agent's own record of its usage is under names of the app
    return {
        "gen_ai.operation.name": "invoke_agent" if root else "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": request_model,
        "gen_ai.response.model": response_model,
        f"{prefix}gen_ai.response.id": HEXES[_RESPONSE][0].decode(),
        f"{prefix}gen_ai.usage.input_tokens": _INPUT,
        f"{prefix}gen_ai.usage.output_tokens": _OUTPUT,
        f"{prefix}gen_ai.usage.cache_read.input_tokens": _CACHED if cached else 0,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.conversation.id": TEXTS["conversation"][0].decode(),
        "gen_ai.agent.name": TEXTS["agent"][0].decode(),
        "server.address": HOSTS[provider],
        "server.port": 443,
        "customer.id": TEXTS["customer"][0].decode(),
        "feature": TEXTS["feature"][0].decode(),
        "team": TEXTS["team"][0].decode(),
        "user.id": TEXTS["user"][0].decode(),
        "session.id": HEXES[_SESSION][0].decode(),
    }


def _set(value: Any, said: Any) -> None:
    if isinstance(said, str):
        value.string_value = said
    elif isinstance(said, int):
        value.int_value = said
    elif isinstance(said, float):
        value.double_value = said
    else:
        for item in said:
            value.array_value.values.add().string_value = item


def span_kind(model: int, root: bool, cached: bool) -> Kind:
    """A call of a model, with cached input or without; or the agent around calls."""
    span = Span(trace_id=_TRACE_ID, span_id=_SPAN_ID, name="invoke_agent" if root else f"chat {MODELS[model][1]}")
    span.kind = Span.SPAN_KIND_INTERNAL if root else Span.SPAN_KIND_CLIENT
    span.start_time_unix_nano, span.end_time_unix_nano = _START_NS, _END_NS
    if not root:
        span.parent_span_id = _PARENT_ID
    for key, said in _attributes(model, root, cached).items():
        pair = span.attributes.add()
        pair.key = key
        _set(pair.value, said)
    inner = span.SerializeToString()
    body = b"\x12" + varint(len(inner)) + inner  # ScopeSpans.spans
    at = {name: body.find(marker) for name, marker in MARKERS.items()}
    assert all(body.count(marker) <= 1 for marker in MARKERS.values()), "a marker is not unique"
    return Kind(body, model, root, at)


def request_parts(spans: list[bytes]) -> tuple[bytes, bytes]:
    """The bytes before the spans of a request, and the spans."""
    resource = ResourceSpans()
    for key, said in (
        ("service.name", "checkout"),
        ("deployment.environment.name", "production"),
        ("telemetry.sdk.language", "python"),
    ):
        pair = resource.resource.attributes.add()
        pair.key = key
        pair.value.string_value = said
    scope = resource.scope_spans.add().scope
    scope.name, scope.version = "opentelemetry.util.genai", "0.4b0"
    named = resource.scope_spans[0].SerializeToString()
    del resource.scope_spans[:]
    joined = b"".join(spans)
    scopes = b"\x12" + varint(len(named) + len(joined)) + named
    whole = resource.SerializeToString() + scopes
    return b"\x0a" + varint(len(whole) + len(joined)) + whole, joined
