"""Mistral's conversations: agents with connectors (web search, code, images), whole and streamed.

Source: Mistral's API reference, "Conversations". `connectors` counts each connector's calls, which are billed by
themselves; `connector_tokens` are tokens of the prompt that the connectors brought.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.mistral import HOSTS, usage_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, name, objects, text, whole
from otel_cost.normalise.vocabulary import MISTRAL

_CONNECTORS = {
    "web_search": "web_searches",
    "web_search_premium": "web_searches",
    "code_interpreter": "code_executions",
    "image_generation": "output_images",
    "document_library": "storage_searches",
}
_TEXT = frozenset({"content", "text", "inputs", "instructions"})
_DELIVERED = frozenset({"content", "text", "arguments"})


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    model = text(mapping(body).get("model")) or text(mapping(body).get("agent_id"))
    is_stream = mapping(body).get("stream") is True or request.url.endswith("#stream")
    return Asked(API, provider or MISTRAL, "chat", request, model=model, is_stream=is_stream, body=body)


def _usage(value: object) -> tuple[dict[str, int], int]:
    """Units, and the pictures among them."""
    said = mapping(value)
    usage = usage_of(said)
    brought = whole(said.get("connector_tokens"))
    prompt, total = whole(said.get("prompt_tokens")), whole(said.get("total_tokens"))
    if brought and "input_tokens" in usage:
        usage["input_tool_tokens"] = brought
        if total == (prompt or 0) + brought + usage.get("output_tokens", 0):
            usage["input_tokens"] += brought
    for connector, calls in mapping(said.get("connectors")).items():
        unit, count = _CONNECTORS.get(connector), whole(calls)
        if unit is not None and count:
            usage[unit] = usage.get(unit, 0) + count
    return usage, usage.get("output_images", 0)


def _read(asked: Asked, said: Mapping[str, Any], entries: list[Mapping[str, Any]]) -> Reading:
    usage, pictures = _usage(said.get("usage"))
    named = [text(entry.get("model")) for entry in entries]
    extra: dict[str, Any] = {}
    if usage.get("input_tool_tokens"):
        extra["tool_use_prompt_tokens"] = usage["input_tool_tokens"]
    return answers.answer(asked)._replace(
        response_model=next((model for model in named if model), None),
        response_id=text(said.get("conversation_id")),
        usage=usage,
        images=pictures or None,
        extra=extra,
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    said = mapping(body)
    reading = _read(asked, said, objects(said.get("outputs")))
    if reading.usage:
        return reading
    return reading._replace(said=answers.says(asked.request, _TEXT, lambda: answers.texts_in(said, _DELIVERED)))


class _Events:
    """Reads the events of a streamed conversation: the first names it, the last has the usage."""

    __slots__ = ("_asked", "_delivered", "_entry", "_failed", "_first", "_last", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked._replace(is_stream=True)
        self._first = self._entry = self._last = self._failed = b""
        self._delivered = answers.Delivered()
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        if name == "conversation.response.done" or b'"conversation.response.done"' in data:
            self._last = data
            self.is_done = True
        elif name == "conversation.response.started" or b'"conversation.response.started"' in data:
            self._first = data
        elif name == "conversation.response.error" or b'"conversation.response.error"' in data:
            self._failed = data
            self.is_done = True
        else:
            self._delivered.add(data)
            if not self._entry and b'"model"' in data:
                self._entry = data
            self.has_content = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        first, entry, last, failed = (
            mapping(answers.json_or_none(data)) for data in (self._first, self._entry, self._last, self._failed)
        )
        reading = _read(self._asked, {**first, **last}, [entry])
        texts = self._delivered.texts
        return reading._replace(
            error_type=(name(failed.get("code")) or "error") if failed else None,
            said=None if reading.usage else answers.says(self._asked.request, _TEXT, lambda: texts(_DELIVERED)),
        )


API = Api("mistral.conversations", _ask, _whole, _Events)

ROUTES = (
    Route("conversations", API, providers=HOSTS, provider=MISTRAL, shape=answers.never),
    Route("conversations/{id}", API, providers=HOSTS, provider=MISTRAL, shape=answers.never),
    Route("conversations/{id}/restart", API, providers=HOSTS, provider=MISTRAL, shape=answers.never),
)
