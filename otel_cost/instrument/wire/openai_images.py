"""Pictures: `images/generations`, `images/edits`, `images/variations` of OpenAI and Azure, x.ai, Together and others,
and OpenRouter's `images`.

GPT image models report tokens. Where an answer reports none (DALL-E, x.ai), the pictures in it are counted, with the
size and quality that decide their price. Source: OpenAI's API reference, "Images"; OpenRouter's "Image generation".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire.asking import model_of
from otel_cost.instrument.wire.openai_tools import svg_tokens
from otel_cost.instrument.wire.openai_units import (
    cost_of,
    failed,
    is_asked,
    kind_of,
    parsed,
    price_context,
    sent,
    tokens_of,
)
from otel_cost.instrument.wire.routes import Route, says_model
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import error_type, items, mapping, text, whole
from otel_cost.pricing.units import OUTPUT

_KINDS = ("size", "quality", "resolution")


def ask(request: Request, provider: str) -> Asked:
    """What a request for pictures asks for."""
    body = sent(request)
    path = request.url.partition("?")[0].rstrip("/")
    context = price_context(request)
    for key in _KINDS:
        kind = kind_of(body.get(key))
        if kind is not None:
            context[key] = kind
    return Asked(
        api=IMAGES,
        provider=provider,
        operation="image_edit" if path.endswith("/edits") else "image_generation",
        request=request,
        model=model_of(request, body),
        is_stream=is_asked(body.get("stream")),
        body=body or None,
        context=context,
    )


def whole_answer(asked: Asked, head: Head, body: Any) -> Reading:
    """All pictures in one JSON object."""
    said = mapping(body)
    return failed(asked, head, body) or read_images(asked, said, len(items(said.get("data"))))


def read_images(asked: Asked, said: Mapping[str, Any], count: int) -> Reading:
    """The reading of an object with `count` pictures."""
    usage = said.get("usage")
    cost, extra = cost_of(usage)
    tokens = tokens_of(usage)
    context = dict(asked.context)
    for key in _KINDS:
        kind = kind_of(said.get(key))
        if kind is not None:
            context[key] = kind
        if tokens:  # a size has a price of its own only where pictures are counted
            context.pop(key, None)
    if not tokens:
        extra["usage_reported"] = isinstance(usage, Mapping) and cost is not None
    reading = Reading(
        operation=asked.operation,
        provider=asked.provider,
        request_model=asked.model,
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        is_stream=asked.is_stream,
        usage=tokens or ({"output_images": count} if count else {}),
        images=count,
        context=context,
        reported_cost_pico_usd=cost,
        extra=extra,
    )
    drawn = mapping(said.get("svg_usage"))
    return reading._replace(parts=_parts(reading, drawn)) if drawn else reading


def _parts(reading: Reading, drawn: Mapping[str, Any]) -> tuple[Part, ...]:
    """A drawing (SVG) is written by a text model, whose tokens come on top of the picture's."""
    picture = Part(
        reading.response_model or reading.request_model,
        reading.usage,
        context=reading.context,
        reported_cost_pico_usd=reading.reported_cost_pico_usd,
    )
    return picture, Part(text(drawn.get("model")), svg_tokens(drawn))


class ImageEvents:
    """Reads streamed pictures: partial ones are not looked at, the last event of each picture reports the usage."""

    __slots__ = ("_asked", "_completed", "_count", "_error", "_wanted", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._completed: Mapping[str, Any] = {}
        self._count = 0
        self._wanted = whole(mapping(asked.body).get("n")) or 1
        self._error: Mapping[str, Any] | None = None
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        kind = name or _kind(data)
        if kind.endswith(".partial_image"):
            self.has_content = True
        elif kind.endswith(".completed"):
            self._completed = parsed(data)
            self._count += 1
            self.has_content = True
            self.is_done = self._count >= self._wanted
        elif kind == "error" or kind.endswith(".failed"):
            self._error = parsed(data)

    def reading(self) -> Reading:
        """What the stream said so far."""
        reading = read_images(self._asked, self._completed, self._count)
        painted = reading.usage.get(OUTPUT)
        if painted is not None:  # "the number of image tokens in the output image": events split it no further
            reading = reading._replace(usage={"output_image_tokens": painted, **reading.usage})
        if self._error is None:
            return reading
        error = mapping(self._error.get("error")) or self._error
        return reading._replace(
            error_type=error_type(200, error.get("code"), error.get("type")) or "error",
            is_billable=bool(reading.usage),
        )


_KIND_BYTES = 4096


def _kind(data: bytes) -> str:
    """The `type` of an event without a name; it stands before the picture or after it."""
    for part in (data[:_KIND_BYTES], data[-_KIND_BYTES:]):
        for kind in (b".partial_image", b".completed", b".failed"):
            if kind + b'"' in part:
                return kind.decode()
    return "error" if b'"error"' in data[:_KIND_BYTES] else ""


IMAGES = Api("openai.images", ask, whole_answer, ImageEvents)


def _asks_for_pictures(request: Request) -> bool:
    return "prompt" in (request.form or ()) or b'"prompt"' in (request.body or b"") or says_model(request)


ROUTES = (
    Route("images/generations", IMAGES, shape=_asks_for_pictures),
    Route("images/edits", IMAGES, shape=_asks_for_pictures),
    Route("images/variations", IMAGES),
    Route("api/v1/images", IMAGES, providers=frozenset({"openrouter"})),
)
