"""Anthropic's first API, Text Completions: it reports no usage, so only the texts tell how much was used.

Source: "Text Completions (legacy) API reference".
"""

from __future__ import annotations

from typing import Any

from otel_cost.instrument.wire.answers import answer, json_or_none, texts_in
from otel_cost.instrument.wire.anthropic_messages import ANSWER_TEXTS, REQUEST_TEXTS, failed, said_by
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.blocks import Blocks
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, text
from otel_cost.normalise.vocabulary import ANTHROPIC


def _ask(request: Request, provider: str) -> Asked:
    body = mapping(json_body(request))
    return Asked(
        COMPLETE, provider, "text_completion", request, text(body.get("model")), body.get("stream") is True, body
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    said = mapping(body)
    if head.status >= 400 or said.get("type") == "error":
        return failed(asked, head, said)
    reason = text(said.get("stop_reason"))
    return answer(asked)._replace(
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        finish_reasons=(reason,) if reason else None,
        said=said_by(asked, said),
    )


class CompletionEvents:
    """A streamed completion: every event has a piece of the text, the last one the reason for its end."""

    __slots__ = ("_asked", "_delivered", "_head", "_last", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._head = head
        self._last: dict[str, Any] = {}
        self._delivered = Blocks()
        self.has_content = False
        self.is_done = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        said = mapping(json_or_none(data))
        if said.get("type") == "error":
            self._last, self.is_done = dict(said), True
        elif "completion" in said:
            self._last.update((key, value) for key, value in said.items() if value is not None and key != "completion")
            self._delivered.add(data)
            self.has_content = True
            self.is_done = text(said.get("stop_reason")) is not None

    def reading(self) -> Reading:
        """What came so far."""
        reading = _whole(self._asked, self._head, self._last)
        return reading._replace(is_stream=True, said=self._said)

    def _said(self) -> tuple[list[str], list[str]]:
        return texts_in(self._asked.body, REQUEST_TEXTS), self._delivered.texts(ANSWER_TEXTS)


def _is_completion(request: Request) -> bool:
    return request.body is not None and b'"max_tokens_to_sample"' in request.body


COMPLETE = Api("anthropic.complete", _ask, _whole, CompletionEvents)
ROUTES = (Route("v1/complete", COMPLETE, provider=ANTHROPIC, shape=_is_completion),)
