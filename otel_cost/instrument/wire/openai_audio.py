"""Sound: `audio/transcriptions`, `audio/translations`, `audio/speech` of OpenAI, Azure, Groq, OpenRouter and others.

Newer models report tokens, `whisper-1` the seconds that it was billed for, speech as plain audio nothing at all: then
the characters of its text are counted, which is what it is billed by. Source: OpenAI's API reference, "Audio".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire.asking import model_of
from otel_cost.instrument.wire.openai_units import (
    cost_of,
    failed,
    is_asked,
    parsed,
    price_context,
    sent,
    tokens_of,
)
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import error_type, mapping, micros, text

_OPERATIONS = {"transcriptions": "transcription", "translations": "translation", "speech": "speech"}
_CHARACTERS = "input_characters"


def ask(request: Request, provider: str) -> Asked:
    """What a request about sound asks for."""
    body = sent(request)
    last = request.url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return Asked(
        api=AUDIO,
        provider=provider,
        operation=_OPERATIONS.get(last, "transcription"),
        request=request,
        model=model_of(request, body),
        is_stream=is_asked(body.get("stream")) or body.get("stream_format") == "sse",
        body=body or None,
        context=price_context(request),
    )


def whole_answer(asked: Asked, head: Head, body: Any) -> Reading:
    """A transcript as JSON, plain text or subtitles; speech as its bytes."""
    return failed(asked, head, body) or _read(asked, mapping(body))


def _read(asked: Asked, said: Mapping[str, Any]) -> Reading:
    usage = mapping(said.get("usage"))
    cost, extra = cost_of(usage)
    units = tokens_of(usage)
    seconds = usage.get("seconds")
    seconds = said.get("duration") if seconds is None else seconds
    heard = micros(seconds)
    if asked.operation == "speech":
        units = units or _characters(asked)
    elif not units and heard is not None:
        units = {"audio_seconds": heard}
    if heard is not None:
        extra["audio_seconds"] = seconds
    if not usage:
        extra["usage_reported"] = False
    elif usage.get("type") == "duration" or cost is not None:
        extra["usage_reported"] = True
    return Reading(
        operation=asked.operation,
        provider=asked.provider,
        request_model=asked.model,
        response_model=text(said.get("model")),
        response_id=text(said.get("id")) or text(mapping(said.get("x_groq")).get("id")),
        is_stream=asked.is_stream,
        usage=units,
        context=asked.context,
        reported_cost_pico_usd=cost,
        said=lambda: ([str(mapping(asked.body).get("input") or "")], [str(said.get("text") or "")]),
        extra=extra,
    )


def _characters(asked: Asked) -> dict[str, int]:
    spoken = mapping(asked.body).get("input")
    return {_CHARACTERS: len(spoken)} if isinstance(spoken, str) and spoken else {}


class AudioEvents:
    """Reads a streamed transcript or streamed speech; the last event reports the usage."""

    __slots__ = ("_asked", "_done", "_error", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._done: Mapping[str, Any] = {}
        self._error: Mapping[str, Any] | None = None
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        start = data[:64]
        if b".delta" in start or b".segment" in start:
            self.has_content = True
        elif b'.done"' in data:
            self._done = parsed(data)
            self.is_done = self.has_content = True
        elif b'"error"' in data:
            self._error = parsed(data)

    def reading(self) -> Reading:
        """What the stream said so far."""
        reading = _read(self._asked, self._done)
        if self._error is None:
            return reading
        error = mapping(self._error.get("error")) or self._error
        return reading._replace(error_type=error_type(200, error.get("code"), error.get("type")) or "error")


AUDIO = Api("openai.audio", ask, whole_answer, AudioEvents)

ROUTES = (
    Route("audio/transcriptions", AUDIO),
    Route("audio/translations", AUDIO),
    Route("audio/speech", AUDIO),
)
