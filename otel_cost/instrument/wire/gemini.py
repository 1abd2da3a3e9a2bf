"""Gemini API and Vertex AI: generateContent, streamGenerateContent, embeddings, counting and caching.

Sources: the REST references of both. Every event of a stream repeats the usage so far, so events are kept as bytes and
the last one is parsed when somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.gemini_usage import (
    facts_of,
    finish_word,
    get,
    grounding_units,
    processing_of,
    tier_of,
    usage_of,
)
from otel_cost.instrument.wire.google_url import place_of, provider_at
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, error_type, items, mapping, name, objects, text, whole
from otel_cost.normalise.vocabulary import GEMINI, VERTEX

GOOGLE = frozenset({GEMINI, VERTEX})

MAX_KEPT_EVENTS = 256
"""Events of a stream that are kept for what only they say. Less could lose a candidate's finish reason, more would hold
the searches of a long answer in memory."""

_TEXT_KEYS = frozenset({"text", "content"})
_TEXT = frozenset({"text"})


def _ask(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    operation = "embeddings" if "mbed" in place.action else "generate_content"
    body = json_body(request)
    return Asked(
        API,
        provider_at(place, provider),
        operation,
        request,
        model=place.model or text(mapping(body).get("model")),
        is_stream=place.action.startswith("stream"),
        body=body,
        context=place.context,
    )


def error_of(body: object) -> Mapping[str, Any]:
    """Google's error object; a stream without `alt=sse` wraps it in a list."""
    first = items(body)[0] if items(body) else body
    return mapping(mapping(first).get("error"))


def failed(asked: Asked, head: Head, body: object) -> Reading:
    """A reading of Google's error answer. Source: google.rpc.Status."""
    error = error_of(body)
    facts = {field: error[field] for field in ("code", "status") if isinstance(error.get(field), (str, int))}
    word = error_type(head.status, text(error.get("status")), error.get("code"))
    return answers.answer(asked)._replace(
        error_type=word, is_billable=False, extra={"error": facts} if facts else NOTHING
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400 or error_of(body):
        return failed(asked, head, body)
    said = mapping(body)
    if "response" in said and "candidates" not in said:
        said = mapping(said["response"])  # Code Assist wraps what Gemini says
    reading = _read(asked, [said], _pictures(said))
    if not reading.usage:
        reading = reading._replace(said=answers.says(asked.request, _TEXT_KEYS, lambda: answers.texts_in(said, _TEXT)))
    return reading


def _pictures(said: Mapping[str, Any]) -> int:
    """Images in the answer that are no part of the model's thoughts."""
    count = 0
    for candidate in objects(said.get("candidates")):
        for part in objects(mapping(candidate.get("content")).get("parts")):
            data = mapping(get(part, "inlineData") or get(part, "fileData"))
            if (text(get(data, "mimeType")) or "").startswith("image/") and not part.get("thought"):
                count += 1
    return count


def _read(asked: Asked, events: Iterable[Mapping[str, Any]], pictures: int) -> Reading:
    """One reading of what one or more events say: of each fact the last word counts."""
    usage: object = None
    model = response_id = blocked = None
    reasons: dict[int, str] = {}
    grounding: dict[int, Mapping[str, Any]] = {}
    error: Mapping[str, Any] = {}
    for event in events:
        usage = get(event, "usageMetadata") or usage
        model = text(get(event, "modelVersion")) or model
        response_id = text(get(event, "responseId")) or response_id
        blocked = finish_word(get(mapping(get(event, "promptFeedback")), "blockReason"), asked.provider) or blocked
        error = error_of(event) or error
        for place, candidate in enumerate(objects(event.get("candidates"))):
            index = whole(candidate.get("index")) or place
            reason = finish_word(get(candidate, "finishReason"), asked.provider)
            if reason is not None:
                reasons[index] = reason
            found = mapping(get(candidate, "groundingMetadata"))
            if found:
                grounding[index] = found
    units = usage_of(usage)
    units.update(grounding_units(grounding.values(), model or asked.model))
    extra = facts_of(usage)
    if blocked:
        extra["block_reason"] = blocked
    return answers.answer(asked)._replace(
        response_model=model,
        response_id=response_id,
        usage=units,
        images=pictures or None,
        finish_reasons=tuple(reasons[index] for index in sorted(reasons)) or None,
        error_type=text(error.get("status")) or name(error.get("code")),
        service_tier=tier_of(usage),
        context={**asked.context, **processing_of(usage)},
        extra=extra,
    )


_CAMEL_MARKS = (b'TokenCount"', b'inishReason"', b'roundingMetadata"')
_SNAKE_MARKS = (b'_token_count"', b'finish_reason"', b'grounding_metadata"')
"""What events are looked through for: usage, the end of a candidate, searches."""


class _Events:
    """Reads the events of streamGenerateContent."""

    __slots__ = (
        "_asked",
        "_delivered",
        "_first",
        "_kept",
        "_marks",
        "_pictures",
        "_usage",
        "has_content",
        "is_done",
    )

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked._replace(is_stream=True)
        self._first: bytes | None = None
        self._marks = _CAMEL_MARKS
        self._usage: bytes | None = None  # the last event that says it
        self._kept: deque[bytes] = deque(maxlen=MAX_KEPT_EVENTS)
        self._pictures = 0
        self._delivered = answers.Delivered()
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event. A key that is found in a text has its quote escaped, so it is not taken for a key."""
        del name
        if self._first is None:
            self._first = data
            self._marks = _SNAKE_MARKS if b'_token_count"' in data or b'_feedback"' in data else _CAMEL_MARKS
        counted, finished, grounded = self._marks
        if counted in data:
            self._usage = data
        else:
            self._delivered.add(data)
        if b'"candidates"' not in data:  # an error, or what became of the prompt
            self._kept.append(data)
            return
        self.has_content = True
        if finished in data:
            self.is_done = True
            self._kept.append(data)
        elif grounded in data:
            self._kept.append(data)
        if b'"image/' in data:
            self._pictures += _pictures(_unwrapped(data))

    def reading(self) -> Reading:
        """What the stream said so far."""
        ordered = [data for data in (self._first, *self._kept, self._usage) if data is not None]
        reading = _read(self._asked, [_unwrapped(data) for data in ordered], self._pictures)
        if not reading.usage:
            texts = self._delivered.texts
            reading = reading._replace(said=answers.says(self._asked.request, _TEXT_KEYS, lambda: texts(_TEXT)))
        return reading


def _unwrapped(data: bytes) -> Mapping[str, Any]:
    said = mapping(answers.json_or_none(data))
    return mapping(said["response"]) if "response" in said and "candidates" not in said else said


def part_of(response: object, model: str | None, provider: str, key: object = None) -> Part:
    """One answer of a batch, billed by itself. `key`: the user's name for it."""
    said = mapping(response)
    stub = Asked(API, provider, "generate_content", Request("POST", "", {}), model=model)
    read = _read(stub, [said], 0)
    error = error_of(said)
    extra = {} if name(key) is None else {"custom_id": name(key)}
    return Part(
        read.response_model or model,
        read.usage,
        read.response_id,
        read.service_tier,
        answers.AT_BATCH_RATES,
        finish_reasons=read.finish_reasons,
        error_type=text(error.get("status")) or name(error.get("code")),
        extra=extra,
    )


def _ask_other(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    body = json_body(request) if request.method == "POST" else None
    model = place.model or text(mapping(body).get("model"))
    return Asked(BOOKKEEPING, provider_at(place, provider), None, request, model=model, context=place.context)


def _other(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return failed(asked, head, body)
    said = mapping(body)
    extra: dict[str, Any] = {}
    counted = whole(get(said, "totalTokens"))
    if counted is not None:
        extra["counted_tokens"] = counted
    cached = whole(mapping(get(said, "usageMetadata")).get("totalTokenCount"))
    if asked.request.method == "POST" and "/cachedContents" in asked.request.url and cached is not None:
        extra.update(kind="cached content create", cached_content_tokens=cached)
    return answers.bookkeeping(asked)._replace(extra=extra)


API = Api("gemini.generate_content", _ask, _whole, _Events)
BOOKKEEPING = Api("gemini.bookkeeping", _ask_other, _other, answers.NoEvents)

_MODEL_ACTIONS = ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "generateAnswer")
_OTHER_ACTIONS = ("countTokens", "computeTokens", "countTextTokens", "countMessageTokens")

ROUTES = (
    *(
        Route(f"{{model}}:{action}", API, providers=GOOGLE, provider=GEMINI, shape=answers.always)
        for action in _MODEL_ACTIONS
    ),
    *(
        Route(f"{{model}}:{action}", BOOKKEEPING, providers=GOOGLE, provider=GEMINI, shape=answers.always)
        for action in _OTHER_ACTIONS
    ),
    Route("cachedContents", BOOKKEEPING, methods=("POST", "GET"), providers=GOOGLE, provider=GEMINI),
    Route("cachedContents/{id}", BOOKKEEPING, ("GET", "PATCH", "DELETE"), providers=GOOGLE, provider=GEMINI),
)
