"""Anthropic's Messages API, wherever it is served: by Anthropic, gateways, Vertex AI, Azure, and Bedrock.

Source: "Messages API reference", "Streaming messages", "Errors"; Vertex AI, "Claude models: request predictions".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from otel_cost.instrument.wire.answers import answer, bookkeeping, texts_in
from otel_cost.instrument.wire.anthropic_usage import (
    INFERENCE_GEO,
    SERVICE_TIER,
    SPEED,
    context_of,
    extra_of,
    parts_of,
    usage_of,
)
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.bedrock_request import target_of
from otel_cost.instrument.wire.blocks import Blocks
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request, Said
from otel_cost.instrument.wire.values import NOTHING, at, error_type, items, json_of, mapping, name, text, whole
from otel_cost.normalise.vocabulary import ANTHROPIC, BEDROCK, VERTEX
from otel_cost.pricing.units import OUTPUT

CHAT = "chat"
REQUEST_TEXTS = frozenset({"text", "content", "system", "prompt"})
ANSWER_TEXTS = frozenset({"text", "thinking", "partial_json", "completion"})

_ON_VERTEX = re.compile(r"/locations/([^/]+)/publishers/anthropic/models/([^/:?]+)")
_CLAUDE = re.compile(r"(?:[a-z0-9.-]+[./])?claude-", re.IGNORECASE)
_COUNTING = frozenset({"count_tokens", "count-tokens"})


def ask(request: Request, provider: str) -> Asked:
    """Model and stream of the body; on Vertex AI both are in the path, with the place where it runs."""
    body = mapping(json_body(request))
    path = request.url.partition("?")[0].rstrip("/")
    context = {key: value for key in (SPEED, INFERENCE_GEO) if (value := text(body.get(key)))}
    model, is_stream = text(body.get("model")), body.get("stream") is True
    last = path.rpartition("/")[2]
    on_vertex = _ON_VERTEX.search(path)
    if on_vertex is not None:
        place, named = on_vertex.groups()
        context["location"] = unquote(place)
        last = unquote(named)
        model = model or last
        is_stream = is_stream or path.endswith(":streamRawPredict")
    if provider == BEDROCK:
        context |= target_of(request.url).context
    if not provider and model and _CLAUDE.match(model):
        provider = ANTHROPIC
    return Asked(MESSAGES, provider, None if last in _COUNTING else CHAT, request, model, is_stream, body, context)


def looks_anthropic(request: Request) -> bool:
    """Whether a request to an unknown host speaks this API: by its version header, or by the shape of the body."""
    if "anthropic-version" in request.headers or "anthropic-beta" in request.headers:
        return True
    body = request.body
    return body is not None and all(key in body for key in (b'"max_tokens"', b'"messages"', b'"model"'))


def read_whole(asked: Asked, head: Head, body: Any) -> Reading:
    """A message, a count of tokens, or an error."""
    body = _first(body)
    if head.status >= 400 or body.get("type") == "error":
        return failed(asked, head, body)
    if asked.operation is None:
        counted = whole(body.get("input_tokens"))
        reading = bookkeeping(asked)
        return reading if counted is None else reading._replace(extra={"counted_tokens": counted})
    return message_reading(asked, body, is_stream=asked.is_stream)


def _first(body: Any) -> Mapping[str, Any]:
    """The object of a body; Vertex AI wraps errors of streams into an array."""
    return mapping(next(iter(items(body)), body))


def failed(asked: Asked, head: Head, body: Mapping[str, Any]) -> Reading:
    """`{"type": "error", "error": {"type": ...}}`: the type is Anthropic's word for it; Google says `status`."""
    error = mapping(body.get("error"))
    facts = {key: error[key] for key in ("type", "code", "status") if name(error.get(key)) is not None}
    word = text(facts.get("type")) or text(facts.get("status")) or facts.get("code")
    return answer(asked)._replace(
        error_type=error_type(head.status, word) or "error",
        is_billable=False,
        extra={"error": facts} if facts else NOTHING,
    )


def message_reading(asked: Asked, message: Mapping[str, Any], *, is_stream: bool) -> Reading:
    """What one message says, whole or put together from a stream's events."""
    reported = mapping(message.get("usage"))
    usage, model = usage_of(reported), text(message.get("model"))
    context = context_of(reported, asked.context)
    reason = text(message.get("stop_reason"))
    return Reading(
        asked.operation,
        asked.provider,
        request_model=asked.model,
        response_model=model,
        response_id=text(message.get("id")),
        is_stream=is_stream,
        usage=usage,
        finish_reasons=(reason,) if reason else None,
        service_tier=text(reported.get(SERVICE_TIER)),
        context=context,
        parts=parts_of(reported, usage, model or asked.model, context),
        said=said_by(asked, message.get("content")),
        extra=extra_of(reported) | _container(message),
    )


def _container(message: Mapping[str, Any]) -> dict[str, Any]:
    """The container in which code ran. Anthropic bills its hours by itself: no answer says how many."""
    container = text(at(message, "container", "id"))
    return {"container_ids": (container,)} if container else {}


def said_by(asked: Asked, content: Any) -> Said:
    """The texts of the request and of an answer's content."""
    return lambda: (texts_in(asked.body, REQUEST_TEXTS), texts_in(content, ANSWER_TEXTS))


_CONTENT = frozenset({"content_block_delta", "content_block_start", "content_block_stop"})
_OTHERS = frozenset({"message_start", "message_delta", "message_stop", "error"})
_CONTENT_STARTS = (b'{"type":"content_block_', b'{"type": "content_block_')


class MessageEvents:
    """A streamed message: `message_start` has the input, the last `message_delta` the totals, which override."""

    __slots__ = (
        "_asked",
        "_delivered",
        "_error",
        "_head",
        "_is_counted",
        "_message",
        "_usage",
        "has_content",
        "is_done",
    )

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._head = head
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._delivered = Blocks()
        self._is_counted = False
        self._error: Mapping[str, Any] | None = None
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event. Content is kept as it is, in case that someone asks for it; only the rest is parsed."""
        if name in _CONTENT or (name not in _OTHERS and data.startswith(_CONTENT_STARTS)):
            self.has_content = True
            self._delivered.add(data)
        elif name != "ping":
            try:
                self.event(json_of(data), data)
            except (ValueError, RecursionError):
                return

    def event(self, event: Any, data: bytes) -> None:
        """One parsed event, and what it was parsed from."""
        said = mapping(event)
        kind = text(said.get("type"))
        if kind == "message_start":
            self._message.update(mapping(said.get("message")))
            self._count(mapping(self._message.get("usage")))
        elif kind == "message_delta":
            self._message.update((key, value) for key, value in mapping(said.get("delta")).items() if value is not None)
            self._count(mapping(said.get("usage")))
            self._is_counted = True
        elif kind == "message_stop":
            self.is_done = self._is_counted = True
        elif kind == "error":
            self._error, self.is_done = said, True
        elif kind in _CONTENT:
            self.has_content = True
            self._delivered.add(data)

    def _count(self, reported: Mapping[str, Any]) -> None:
        self._usage.update((key, value) for key, value in reported.items() if value is not None)

    def reading(self) -> Reading:
        """What the stream said so far. Its first event only guesses the output: it is not known before the last."""
        message = {**self._message, "usage": self._usage}
        reading = message_reading(self._asked, message, is_stream=True)._replace(said=self._said)
        if not self._is_counted:
            reading = reading._replace(usage={unit: n for unit, n in reading.usage.items() if unit != OUTPUT})
        if self._error is not None:
            error = failed(self._asked, self._head, self._error)
            reading = reading._replace(
                error_type=error.error_type, is_billable=bool(reading.usage), extra={**reading.extra, **error.extra}
            )
        return reading

    def _said(self) -> tuple[list[str], list[str]]:
        return texts_in(self._asked.body, REQUEST_TEXTS), self._delivered.texts(ANSWER_TEXTS)


MESSAGES = Api("anthropic.messages", ask, read_whole, MessageEvents)

ROUTES = (
    Route("v1/messages", MESSAGES, shape=looks_anthropic),
    Route("v1/messages/count_tokens", MESSAGES, shape=looks_anthropic),
    Route("publishers/anthropic/models/{model}:rawPredict", MESSAGES, provider=VERTEX),
    Route("publishers/anthropic/models/{model}:streamRawPredict", MESSAGES, provider=VERTEX),
)
"""Not only on Anthropic's hosts: many providers and gateways offer this API beside their own."""
