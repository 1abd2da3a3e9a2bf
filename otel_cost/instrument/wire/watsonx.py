"""IBM watsonx.ai: chat and text generation, whole and streamed, and embeddings.

Source: watsonx.ai API reference. Of a streamed generation the counts grow from event to event, the input's is told
once; its chat has OpenAI's shape with `model_id`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.openai_chat import reading_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, objects, text, whole
from otel_cost.normalise.vocabulary import WATSONX

_OPERATIONS = {"chat": "chat", "chat_stream": "chat", "embeddings": "embeddings", "rerank": "rerank"}
_TEXT = frozenset({"input", "inputs", "content", "text"})
_DELIVERED = frozenset({"generated_text", "content"})
_UNDER_WAY = frozenset({"not_finished"})
_KEPT = 8
"""Last events that are kept: the one that ends the text, and usage and warnings that may follow it."""


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    last = request.url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return Asked(
        API,
        provider or WATSONX,
        _OPERATIONS.get(last, "text_completion"),
        request,
        model=text(mapping(body).get("model_id")) or model_of(request, body),
        is_stream=last.endswith("_stream"),
        body=body,
    )


def _generated(asked: Asked, answers_said: Iterable[Mapping[str, Any]]) -> Reading:
    """Text generation and embeddings: counts are cumulative, and 0 where they were told before."""
    usage: dict[str, int] = {}
    model = reason = None
    for said in answers_said:
        model = text(said.get("model_id")) or model
        for result in (*objects(said.get("results")), said):
            for unit, key in (("input_tokens", "input_token_count"), ("output_tokens", "generated_token_count")):
                count = whole(result.get(key))
                if count is not None:
                    usage[unit] = max(count, usage.get(unit, 0))
            told = text(result.get("stop_reason"))
            reason = reason if told in _UNDER_WAY else told or reason
    return answers.answer(asked)._replace(
        response_model=model, usage=usage, finish_reasons=None if reason is None else (reason,)
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        first = next(iter(objects(mapping(body).get("errors"))), None)
        return answers.failed(asked, head, {"error": first} if first else body)
    said = mapping(body)
    if "choices" in said:
        reading = reading_of(asked, head, {**said, "model": said.get("model_id")}, is_stream=asked.is_stream)
    else:
        reading = _generated(asked, [said])
    if reading.usage:
        return reading
    return reading._replace(said=answers.says(asked.request, _TEXT, lambda: answers.texts_in(said, _DELIVERED)))


class _Events:
    """Reads a stream of either kind: the first and the last events say all that is counted."""

    __slots__ = ("_asked", "_delivered", "_first", "_head", "_last", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked._replace(is_stream=True)
        self._head = head
        self._first = b""
        self._last: deque[bytes] = deque(maxlen=_KEPT)
        self._delivered = answers.Delivered()
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        del name
        self._first = self._first or data
        self._last.append(data)
        self._delivered.add(data)
        self.has_content = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        events = [mapping(answers.json_or_none(data)) for data in (self._first, *self._last)]
        if any("choices" in event for event in events):
            merged: dict[str, Any] = {}
            for event in events:
                merged.update({key: value for key, value in event.items() if value or key not in merged})
            reading = _whole(self._asked, self._head, merged)
        else:
            reading = _generated(self._asked, events)
        texts = self._delivered.texts
        return reading._replace(
            said=None if reading.usage else answers.says(self._asked.request, _TEXT, lambda: texts(_DELIVERED))
        )


API = Api("watsonx", _ask, _whole, _Events)


def _has_model_id(request: Request) -> bool:
    return b'"model_id"' in (request.body or b"")


ROUTES = tuple(
    Route(path, API, providers=frozenset({WATSONX}), provider=WATSONX, shape=_has_model_id)
    for path in (
        *("text/chat", "text/chat_stream", "text/generation", "text/generation_stream", "text/embeddings"),
        *("generation/text", "generation/text_stream", "text/rerank"),
    )
)
