"""Mistral's own APIs: OCR, transcription, speech, agents' completions, batch jobs, and how its audio is billed.

Source: Mistral's API reference and price page. Audio is billed by the second, beside the text around it: its tokens are
reported (outside `prompt_tokens`), and not charged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.openai_chat import CHAT
from otel_cost.instrument.wire.routes import Route, says_model
from otel_cost.instrument.wire.types import Api, Asked, EventReader, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import items, mapping, micros, name, objects, put, text, whole
from otel_cost.normalise.vocabulary import MISTRAL

HOSTS = frozenset({MISTRAL})
MAX_ITEMS = 100_000
"""Answers of one job that are counted: a job may have a million requests, and its parts are held in memory."""


def usage_of(value: object) -> dict[str, int]:
    """Units of a `usage` object, inclusive: audio that the prompt leaves out is added (`total_tokens` tells)."""
    said = mapping(value)
    details = mapping(said.get("prompt_tokens_details")) or mapping(said.get("prompt_token_details"))
    usage: dict[str, int] = {}
    prompt, audio = whole(said.get("prompt_tokens")), whole(details.get("audio_tokens"))
    output, total = whole(said.get("completion_tokens")), whole(said.get("total_tokens"))
    if prompt is not None and audio and total == prompt + audio + (output or 0):
        prompt += audio
    put(usage, "input_tokens", prompt)
    put(usage, "output_tokens", output)
    put(usage, "cache_read_tokens", details.get("cached_tokens"), said.get("num_cached_tokens"))
    put(usage, "input_audio_tokens", audio)
    return usage


def billed(value: object, model: str | None, *, is_transcription: bool = False) -> tuple[Part, ...]:
    """What is charged for a `usage` object with seconds of audio: those and, in a chat, the text; none without them."""
    said = mapping(value)
    seconds = micros(said.get("prompt_audio_seconds"))
    if not seconds:
        return ()
    usage = {} if is_transcription else usage_of(said)
    audio = usage.pop("input_audio_tokens", 0)
    if "input_tokens" in usage:
        usage["input_tokens"] = max(usage["input_tokens"] - audio, 0)
    return (Part(model, {**usage, "audio_seconds": seconds}, service_tier=text(said.get("service_tier"))),)


_ANNOTATED = re.compile(rb'"(?:bbox|document)_annotation_format"\s*:\s*[{"]')
"""An OCR request that asks for annotations. Its document makes it too large to parse, and has no quotes inside."""

_OPERATIONS = {"ocr": "ocr", "transcriptions": "transcription", "speech": "speech"}


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request) if request.form is None else dict(request.form)
    last = request.url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    is_stream = str(mapping(body).get("stream")).lower() == "true"
    return Asked(
        API,
        provider or MISTRAL,
        _OPERATIONS.get(last),
        request,
        model=model_of(request, body),
        is_stream=is_stream,
        body=body,
    )


def _pages(asked: Asked, said: Mapping[str, Any]) -> Reading:
    """OCR: pages are billed, dearer with annotations."""
    pages = whole(mapping(said.get("usage_info")).get("pages_processed"))
    is_annotated = _ANNOTATED.search(asked.request.body or b"") is not None
    usage = {} if pages is None else {"input_document_pages": pages}
    if is_annotated and pages is not None:
        usage["input_annotated_document_pages"] = pages
    return answers.answer(asked)._replace(
        response_model=text(said.get("model")),
        usage=usage,
        extra={} if pages is None else {"pages": pages, "usage_reported": True},
    )


def _transcript(asked: Asked, said: Mapping[str, Any]) -> Reading:
    usage = mapping(said.get("usage"))
    seconds = usage.get("prompt_audio_seconds")
    model = text(said.get("model"))
    reason = text(said.get("finish_reason"))
    return answers.answer(asked)._replace(
        response_model=model,
        usage=usage_of(usage),
        finish_reasons=None if reason is None else (reason,),
        service_tier=text(usage.get("service_tier")),
        parts=billed(usage, model or asked.model, is_transcription=True),
        extra={} if whole(seconds) is None else {"audio_seconds": seconds},
    )


def _speech(asked: Asked, said: Mapping[str, Any]) -> Reading:
    spoken = mapping(asked.body).get("input")
    reported = usage_of(said.get("usage"))
    counted = {"input_characters": len(spoken)} if isinstance(spoken, str) and spoken else {}
    extra = {} if reported else {"usage_reported": False}
    return answers.answer(asked)._replace(usage=reported or counted, extra=extra)


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    read = {"ocr": _pages, "transcription": _transcript}.get(asked.operation or "", _speech)
    return read(asked, mapping(body))


class _Events:
    """Reads a streamed transcript or streamed speech: the last event has the usage."""

    __slots__ = ("_asked", "_last", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked._replace(is_stream=True)
        self._last = b""
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        if name.endswith(".done") or b'"usage"' in data:
            self._last = data
            self.is_done = True
        else:
            self.has_content = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        return _whole(self._asked, Head(200, {}), answers.json_or_none(self._last))


def _ask_agent(request: Request, provider: str) -> Asked:
    """An agent's completion is a chat whose model the agent knows; the answer names it."""
    asked = CHAT.ask(request, provider or MISTRAL)
    return asked._replace(api=AGENTS, model=asked.model or text(mapping(asked.body).get("agent_id")))


def _agent_events(asked: Asked, head: Head) -> EventReader:
    return CHAT.stream(asked, head)


def _ask_job(request: Request, provider: str) -> Asked:
    body = json_body(request) if request.method == "POST" else None
    return Asked(JOBS, provider or MISTRAL, "batch", request, model=text(mapping(body).get("model")), body=body)


def item_of(entry: Mapping[str, Any], model: str | None) -> Part | None:
    """One answer of a batch; None for what is none."""
    response = mapping(entry.get("response"))
    body, error = mapping(response.get("body")), entry.get("error")
    status = whole(response.get("status_code")) or 0
    usage = mapping(body.get("usage")) or mapping(body.get("usage_info"))
    if not body and not error:
        return None
    pages = whole(usage.get("pages_processed"))
    named = text(body.get("model")) or model
    units = usage_of(usage) if pages is None else {"input_document_pages": pages}
    charged = billed(usage, named)
    reasons = [text(choice.get("finish_reason")) for choice in objects(body.get("choices"))]
    key = name(entry.get("custom_id"))
    return Part(
        named,
        charged[0].usage if charged else units,
        text(body.get("id")) or text(entry.get("id")),
        text(usage.get("service_tier")),
        answers.AT_BATCH_RATES,
        finish_reasons=tuple(reason for reason in reasons if reason is not None) or None,
        error_type=str(status) if status >= 400 else "error" if error and not body else None,
        extra={} if key is None else {"custom_id": key},
    )


def _job(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    said = mapping(body)
    model, state = text(said.get("model")), text(said.get("status"))
    found = (item_of(mapping(entry), model) for entry in items(said.get("outputs"))[:MAX_ITEMS])
    parts = tuple(part for part in found if part is not None)
    return answers.answer(asked)._replace(
        response_id=text(said.get("id")),
        is_billable=False,
        counts_once=bool(parts),
        parts=parts,
        extra={**({"batch_status": state} if state else {}), **({"counts_as": "chat"} if parts else {})},
    )


API = Api("mistral", _ask, _whole, _Events)
AGENTS = Api("mistral.agents", _ask_agent, CHAT.whole, _agent_events)
JOBS = Api("mistral.batches", _ask_job, _job, answers.NoEvents)


def _has_document(request: Request) -> bool:
    return says_model(request) and b'"document"' in (request.body or b"")


ROUTES = (
    Route("ocr", API, provider=MISTRAL, shape=_has_document),
    Route("audio/transcriptions", API, providers=HOSTS, provider=MISTRAL, shape=answers.never),
    Route("audio/speech", API, providers=HOSTS, provider=MISTRAL, shape=answers.never),
    Route("agents/completions", AGENTS, providers=HOSTS, provider=MISTRAL, shape=answers.never),
    Route("batch/jobs", JOBS, methods=("POST", "GET"), providers=HOSTS, provider=MISTRAL),
    Route("batch/jobs/{id}", JOBS, methods=("GET",), providers=HOSTS, provider=MISTRAL),
    Route("batch/jobs/{id}/cancel", JOBS, providers=HOSTS, provider=MISTRAL),
)
