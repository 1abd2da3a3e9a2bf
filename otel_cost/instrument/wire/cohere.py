"""Cohere's own APIs, v1 and v2: chat, generate, embed, rerank, classify, and their streams.

Source: Cohere API reference. `tokens` is what was processed, with Cohere's own prompt around the user's, and
`billed_units` what is charged; where they differ, what is billed is the reading's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.routes import Route, says_model
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import mapping, objects, put, text, whole
from otel_cost.normalise.vocabulary import AZURE_INFERENCE, COHERE

_OPERATIONS = {
    "chat": "chat",
    "generate": "text_completion",
    "summarize": "text_completion",
    "embed": "embeddings",
    "embed-jobs": "embeddings",
    "rerank": "rerank",
    "classify": "classification",
}
_BILLED = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("search_units", "rerank_searches"),
    ("images", "input_images"),
    ("pages", "input_document_pages"),
)
_TEXT = frozenset({"text", "content", "message", "prompt", "preamble", "texts", "query", "documents", "inputs"})
_DELIVERED = frozenset({"text", "thinking", "arguments", "tool_plan"})


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    path = request.url.partition("?")[0].rstrip("/")
    return Asked(
        API,
        provider or COHERE,
        _OPERATIONS.get(path.rpartition("/")[2]),
        request,
        model=model_of(request, body),
        is_stream=mapping(body).get("stream") is True,
        body=body,
    )


def billed(units: object) -> dict[str, int]:
    """What a `billed_units` object charges, in our units. Tokens of images are counted beside those of text."""
    said = mapping(units)
    usage: dict[str, int] = {}
    for field, unit in _BILLED:
        put(usage, unit, said.get(field))
    pictures, words = whole(said.get("image_tokens")), whole(said.get("text_tokens"))
    if pictures:
        usage["input_tokens"] = usage.get("input_tokens", 0) + pictures
        usage["input_image_tokens"] = pictures
        usage.pop("input_images", None)
    elif words is not None and "input_tokens" not in usage:
        usage["input_tokens"] = words
    return usage


def _usage(counts: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """What was processed and what is billed, of a `usage` or `meta` object."""
    charged = billed(counts.get("billed_units"))
    tokens = mapping(counts.get("tokens"))
    usage: dict[str, int] = {}
    pictures = whole(tokens.get("image_tokens"))
    put(usage, "input_tokens", tokens.get("input_tokens"))
    put(usage, "output_tokens", tokens.get("output_tokens"))
    if pictures:  # counted beside the text
        usage["input_tokens"] = usage.get("input_tokens", 0) + pictures
        usage["input_image_tokens"] = pictures
    put(usage, "output_reasoning_tokens", tokens.get("reasoning_tokens"))
    put(usage, "cache_read_tokens", counts.get("cached_tokens"), tokens.get("cached_tokens"))
    return {**charged, **usage}, charged


def _read(asked: Asked, said: Mapping[str, Any], counts: Mapping[str, Any]) -> Reading:
    usage, charged = _usage(counts)
    units = mapping(counts.get("billed_units"))
    is_same = all(usage.get(unit) == quantity for unit, quantity in charged.items()) and usage.keys() <= charged.keys()
    reasons = [text(said.get("finish_reason"))]
    reasons += [text(each.get("finish_reason")) for each in objects(said.get("generations"))]
    return answers.answer(asked)._replace(
        response_id=text(said.get("generation_id")) or text(said.get("id")) or text(said.get("response_id")),
        usage=usage,
        finish_reasons=tuple(reason for reason in reasons if reason is not None) or None,
        parts=() if is_same or not charged else (Part(asked.model, charged),),
        extra={"billed_units": dict(units), "usage_reported": True} if units else {},
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    said = mapping(body)
    counts = mapping(said.get("usage")) or mapping(said.get("meta"))
    reading = _read(asked, said, counts)
    if reading.usage:
        return reading
    return reading._replace(said=answers.says(asked.request, _TEXT, lambda: answers.texts_in(said, _DELIVERED)))


_ENDS = (b'"message-end"', b'"billed_units"', b'"is_finished":true')
"""In an event that is the last one; quotes within texts are escaped."""


class _Events:
    """Reads streams of both versions: the first event has the id, the last one all that is counted."""

    __slots__ = ("_asked", "_delivered", "_first", "_last", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked._replace(is_stream=True)
        self._first: bytes | None = None
        self._last: bytes | None = None
        self._delivered = answers.Delivered()
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        if self._first is None:
            self._first = data
        elif name == "message-end" or any(word in data for word in _ENDS):
            self._last = data
            self.is_done = True
        elif data == b"[DONE]":
            self.is_done = True
        else:
            self._delivered.add(data)
            self.has_content = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        first = mapping(answers.json_or_none(self._first or b""))
        last = mapping(answers.json_or_none(self._last or b""))
        end = mapping(last.get("delta")) or {**mapping(last.get("response")), **last}
        counts = mapping(end.get("usage")) or mapping(end.get("meta"))
        reading = _read(self._asked, end, counts)
        texts = self._delivered.texts
        return reading._replace(
            response_id=text(first.get("id")) or text(first.get("generation_id")) or reading.response_id,
            error_type=_error(end),
            said=None if reading.usage else answers.says(self._asked.request, _TEXT, lambda: texts(_DELIVERED)),
        )


_FAILED = frozenset({"ERROR", "ERROR_TOXIC", "ERROR_LIMIT", "TIMEOUT"})


def _error(end: Mapping[str, Any]) -> str | None:
    """The finish reason of a stream that broke off; `error` says it at length."""
    reason = text(end.get("finish_reason"))
    return (reason or "error") if reason in _FAILED or end.get("error") else None


def _has_texts(request: Request) -> bool:
    """Whether an unknown host's `/embed` is Cohere's: its body has texts, or says what they are for, and a model."""
    body = request.body or b""
    return says_model(request) and (b'"texts"' in body or b'"input_type"' in body)


def _is_v2_chat(request: Request) -> bool:
    return request.url.partition("?")[0].rstrip("/").endswith("/v2/chat") and says_model(request)


API = Api("cohere", _ask, _whole, _Events)
_HOSTS = frozenset({COHERE, AZURE_INFERENCE})

ROUTES = (
    Route("chat", API, providers=_HOSTS, provider=COHERE, shape=_is_v2_chat),
    Route("generate", API, providers=frozenset({COHERE}), provider=COHERE, shape=answers.never),
    Route("summarize", API, providers=frozenset({COHERE}), provider=COHERE, shape=answers.never),
    Route("embed", API, providers=_HOSTS, provider=COHERE, shape=_has_texts),
    Route("rerank", API, providers=_HOSTS, provider=COHERE, shape=answers.never),
    Route("classify", API, providers=frozenset({COHERE}), provider=COHERE, shape=answers.never),
)
