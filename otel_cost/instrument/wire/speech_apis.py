"""Speech of ElevenLabs, Deepgram, AssemblyAI and x.ai: characters spoken, seconds heard.

Sources: their API references and price pages. ElevenLabs tells the characters that it charged in a header
(`character-cost`); where nothing is told, the request's own text is counted, as that is what is billed.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, EventReader, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import items, mapping, micros, objects, text, whole
from otel_cost.normalise.vocabulary import XAI

ELEVENLABS, DEEPGRAM, ASSEMBLYAI = "elevenlabs", "deepgram", "assemblyai"
DEFAULT_MODELS = {"text-to-speech": "eleven_multilingual_v2", "speech-to-text": "scribe_v1"}
"""ElevenLabs' models of requests that name none."""

XAI_TRANSCRIBER = "grok-voice-transcribe-2.0"
"""x.ai's model of requests that name none; those that name its predecessor are routed to it, at the same price."""

_DURATIONS = ("audio_duration", "audio_duration_secs", "duration")

_VOICE = re.compile(r"(aura(?:-2)?)-[a-z]+-[a-z]{2}\Z")
"""Deepgram's voices: the model by which they are billed, a name, a language."""


def _query(request: Request, key: str) -> str | None:
    found = parse_qs(request.url.partition("?")[2]).get(key)
    return text(found[0]) if found else None


def _ask(request: Request, provider: str) -> Asked:
    path = request.url.partition("?")[0].rstrip("/")
    body = json_body(request) if request.form is None and request.method == "POST" else dict(request.form or {})
    said = mapping(body)
    is_heard = any(word in path for word in ("speech-to-text", "/listen", "/transcript", "/stt"))
    model = text(said.get("model_id")) or text(said.get("speech_model")) or _query(request, "model")
    model = model or text(said.get("model"))
    if model is None:
        model = text(next(iter(items(said.get("speech_models"))), None))
    if model is None and provider == ELEVENLABS:
        model = DEFAULT_MODELS["speech-to-text" if is_heard else "text-to-speech"]
    operation = "transcription" if is_heard else "speech"
    return Asked(
        API,
        provider,
        None if request.method == "GET" else operation,
        request,
        model=model,
        body=body,
    )


def _spoken(asked: Asked, head: Head) -> Reading:
    """Speech as it is made: billed by the characters of its text."""
    told = whole(head.headers.get("character-cost")) or whole(head.headers.get("dg-char-count"))
    words = mapping(asked.body).get("text")
    counted = told if told is not None else len(words) if isinstance(words, str) else None
    lines = [text(each.get("text")) or "" for each in objects(mapping(asked.body).get("inputs"))]
    if counted is None and lines:
        counted = sum(map(len, lines))
    voice = _VOICE.match(asked.model or "")
    return answers.answer(asked)._replace(
        response_model=voice[1] if voice else None,
        response_id=text(head.headers.get("request-id")) or text(head.headers.get("dg-request-id")),
        usage={} if counted is None else {"input_characters": counted},
        extra={"usage_reported": told is not None},
    )


def _heard(asked: Asked, body: Any) -> Reading:
    said = mapping(body)
    metadata = mapping(said.get("metadata"))
    told = metadata.get("duration", next((said[key] for key in _DURATIONS if key in said), None))
    if told is None:  # ElevenLabs says only where each word ends
        told = max(
            (word["end"] for word in objects(said.get("words")) if isinstance(word.get("end"), float)), default=None
        )
    seconds = micros(told)
    status, is_call = text(said.get("status")), asked.operation is not None
    is_once = not is_call and seconds is not None and status == "completed"
    usage = {"audio_seconds": seconds} if seconds is not None and (is_call or is_once) else {}
    extra: dict[str, Any] = {"usage_reported": bool(usage)}
    if usage:
        extra["audio_seconds"] = told
    if is_once:
        extra["counts_as"] = "transcription"
    return answers.answer(asked)._replace(
        request_model=asked.model or text(said.get("speech_model")),
        response_id=text(metadata.get("request_id")) or text(said.get("id")) or text(said.get("transcription_id")),
        usage=usage,
        parts=(Part(XAI_TRANSCRIBER, usage),) if usage and asked.provider == XAI and asked.model is None else (),
        is_billable=is_call,
        counts_once=is_once,
        status=status,
        extra=extra,
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    return _spoken(asked, head) if asked.operation == "speech" else _heard(asked, body)


class _Events:
    """Speech that is streamed: its headers say all that is billed."""

    def __init__(self, asked: Asked, head: Head) -> None:
        self._reading = _whole(asked._replace(is_stream=True), head, None)
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """A piece of sound, or its timing."""
        del data, name
        self.has_content = True

    def reading(self) -> Reading:
        """What was ordered."""
        return self._reading


def _events(asked: Asked, head: Head) -> EventReader:
    return _Events(asked, head)


API = Api("speech", _ask, _whole, _events)


def _routes(provider: str, *paths: str, methods: tuple[str, ...] = ("POST",)) -> tuple[Route, ...]:
    hosts = frozenset({provider})
    return tuple(
        Route(path, API, methods=methods, providers=hosts, provider=provider, shape=answers.never) for path in paths
    )


ROUTES = (
    *_routes(
        ELEVENLABS,
        *("text-to-speech/{voice}", "text-to-speech/{voice}/stream", "text-to-speech/{voice}/with-timestamps"),
        *("text-to-speech/{voice}/stream/with-timestamps", "text-to-dialogue", "text-to-dialogue/stream"),
        "speech-to-text",
    ),
    *_routes(DEEPGRAM, "listen", "speak"),
    *_routes(XAI, "stt", "tts"),
    *_routes(ASSEMBLYAI, "transcript"),
    *_routes(ASSEMBLYAI, "transcript/{id}", methods=("GET",)),
)
