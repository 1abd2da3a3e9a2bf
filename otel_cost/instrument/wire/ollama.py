"""Ollama's own API: chat, generate, embed, and embeddings of old.

Source: Ollama, "API". Answers are JSON lines unless the request says `"stream": false`; the last line has the counts.
A prompt that was cached whole is not evaluated, so `prompt_eval_count` may be missing: then it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, put, text
from otel_cost.normalise.vocabulary import OLLAMA

_OPERATIONS = {"chat": "chat", "generate": "text_completion", "embed": "embeddings", "embeddings": "embeddings"}
_TEXT = frozenset({"content", "prompt", "system", "suffix", "input"})
_DELIVERED = frozenset({"content", "response", "thinking"})


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    operation = _OPERATIONS.get(request.url.partition("?")[0].rstrip("/").rpartition("/")[2])
    is_stream = operation != "embeddings" and mapping(body).get("stream") is not False
    return Asked(
        API, provider or OLLAMA, operation, request, model=model_of(request, body), is_stream=is_stream, body=body
    )


def _read(asked: Asked, said: Mapping[str, Any]) -> Reading:
    usage: dict[str, int] = {}
    put(usage, "input_tokens", said.get("prompt_eval_count"))
    put(usage, "output_tokens", said.get("eval_count"))
    reason = text(said.get("done_reason"))
    error = said.get("error")
    return answers.answer(asked)._replace(
        response_model=text(said.get("model")),
        usage=usage,
        images=1 if isinstance(said.get("image"), str) and said["image"] else None,
        finish_reasons=None if reason is None else (reason,),
        error_type="error" if isinstance(error, str) and error else None,
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    reading = _read(asked, mapping(body))
    if "input_tokens" in reading.usage:
        return reading
    return reading._replace(said=answers.says(asked.request, _TEXT, lambda: answers.texts_in(body, _DELIVERED)))


class _Events:
    """Reads the lines of a stream; only the last one is parsed."""

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
        """One line."""
        del name
        self._delivered.add(data)
        if b'"done":true' in data or b'"done": true' in data or b'"error"' in data:
            self._last = data
            self.is_done = True
        elif self._first is None:
            self._first = data
        self.has_content = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        first, last = (mapping(answers.json_or_none(data or b"")) for data in (self._first, self._last))
        reading = _read(self._asked, {"model": first.get("model"), **last})
        if reading.usage:
            return reading
        texts = self._delivered.texts
        return reading._replace(said=answers.says(self._asked.request, _TEXT, lambda: texts(_DELIVERED)))


API = Api("ollama", _ask, _whole, _Events)

ROUTES = tuple(Route(f"api/{action}", API, providers=frozenset({OLLAMA}), provider=OLLAMA) for action in _OPERATIONS)
