"""Hugging Face's text generation inference (TGI), native: `/generate`, `/generate_stream`, and a model's own URL.

Source: TGI's API reference. Tokens of the answer are told in `details`, those of the prompt in `details.prefill` or a
header (`x-prompt-tokens`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import items, mapping, put, text, whole
from otel_cost.normalise.vocabulary import HUGGINGFACE

_TEXT = frozenset({"inputs"})
_DELIVERED = frozenset({"generated_text", "text"})


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    path = request.url.partition("?")[0].rstrip("/")
    model = path.partition("/models/")[2] or None
    is_stream = path.endswith("/generate_stream") or mapping(body).get("stream") is True
    return Asked(
        API,
        provider or HUGGINGFACE,
        "text_completion",
        request,
        model=text(model) or model_of(request, body),
        is_stream=is_stream,
        body=body,
    )


def _read(asked: Asked, head: Head, said: Mapping[str, Any]) -> Reading:
    details = mapping(said.get("details"))
    usage: dict[str, int] = {}
    prefill = len(items(details.get("prefill"))) or None
    put(usage, "input_tokens", whole(head.headers.get("x-prompt-tokens")), details.get("input_length"), prefill)
    put(usage, "output_tokens", details.get("generated_tokens"), head.headers.get("x-generated-tokens"))
    reason = text(details.get("finish_reason"))
    return answers.answer(asked)._replace(
        usage=usage,
        finish_reasons=None if reason is None else (reason,),
        error_type=text(said.get("error_type")) or ("error" if said.get("error") else None),
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        failed = answers.failed(asked, head, body)
        return failed._replace(error_type=text(mapping(body).get("error_type")) or failed.error_type)
    first = items(body)[0] if items(body) else body
    reading = _read(asked, head, mapping(first))
    if "input_tokens" in reading.usage:
        return reading
    return reading._replace(said=answers.says(asked.request, _TEXT, lambda: answers.texts_in(body, _DELIVERED)))


class _Events:
    """Reads a stream of tokens: the last event has the details."""

    __slots__ = ("_asked", "_delivered", "_head", "_last", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked._replace(is_stream=True)
        self._head = head
        self._last = b""
        self._delivered = answers.Delivered()
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        del name
        self._last = data
        self._delivered.add(data)
        self.has_content = True
        if b'"finish_reason"' in data:
            self.is_done = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        reading = _read(self._asked, self._head, mapping(answers.json_or_none(self._last)))
        if "input_tokens" in reading.usage:
            return reading
        texts = self._delivered.texts
        return reading._replace(said=answers.says(self._asked.request, _TEXT, lambda: texts(_DELIVERED)))


API = Api("huggingface", _ask, _whole, _Events)


def _has_inputs(request: Request) -> bool:
    body = request.body or b""
    return b'"inputs"' in body and b'"parameters"' in body


_HOSTS = frozenset({HUGGINGFACE})

ROUTES = (
    *(
        Route(path, API, providers=_HOSTS, provider=HUGGINGFACE, shape=_has_inputs)
        for path in ("generate", "generate_stream")
    ),
    Route("models/{model}", API, providers=_HOSTS, provider=HUGGINGFACE, shape=answers.never),
)
