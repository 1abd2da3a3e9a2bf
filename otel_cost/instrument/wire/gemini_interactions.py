"""Google's interactions API (`/interactions`), whole, streamed and in background; on both of Google's hosts.

Source: Gemini API reference, "Interactions". A retrieve repeats the usage of the interaction, so it counts once; one
that was made in background has none before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.gemini import GOOGLE, MAX_KEPT_EVENTS, error_of, failed
from otel_cost.instrument.wire.gemini_usage import interaction_usage, step_units
from otel_cost.instrument.wire.google_url import place_of, provider_at
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, name, objects, text
from otel_cost.normalise.vocabulary import GEMINI

OPERATION = "generate_content"
_TEXT = frozenset({"text", "input", "system_instruction"})
_DELIVERED = frozenset({"text"})
_DELTAS = frozenset({"step.delta", "content.delta"})
_COMPLETE = frozenset({"interaction.completed", "interaction.complete"})
_FAILED = frozenset({"failed", "cancelled"})


def _ask(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    body = json_body(request) if request.method == "POST" else None
    said = mapping(body)
    is_call = request.method == "POST" and not place.action
    return Asked(
        API,
        provider_at(place, provider),
        OPERATION if is_call and "/interactions/" not in request.url else None,
        request,
        model=text(said.get("model")) or text(said.get("agent")),
        is_stream=said.get("stream") is True or "stream=true" in request.url,
        body=body,
        context=place.context,
    )


def _tier(value: object) -> str | None:
    """The tier served; the standard one goes without saying."""
    tier = text(value)
    return None if tier is None or tier.lower() == "standard" else tier


def _read(asked: Asked, value: object, calls: Iterable[Mapping[str, Any]] = ()) -> Reading:
    """What an interaction object says. `calls`: steps that a stream told by themselves."""
    said = mapping(value)
    usage = interaction_usage(said.get("usage"))
    if usage:
        model = text(said.get("model")) or asked.model
        usage = {**step_units((*objects(said.get("steps")), *calls), model), **usage}
    status, identity = text(said.get("status")), text(said.get("id"))
    is_call = asked.operation is not None
    pictures = sum(
        part.get("type") == "image"
        for step in objects(said.get("steps") or [{"type": "model_output", "content": said.get("outputs")}])
        if step.get("type") == "model_output"
        for part in objects(step.get("content"))
    )
    extra: dict[str, Any] = {}
    if usage.get("input_tool_tokens"):
        extra["tool_use_prompt_tokens"] = usage["input_tool_tokens"]
    return answers.answer(asked)._replace(
        response_model=text(said.get("model")) or text(said.get("agent")),
        response_id=identity,
        usage=usage,
        images=pictures or None,
        service_tier=_tier(said.get("service_tier")),
        error_type=status if status in _FAILED and is_call else None,
        is_billable=is_call and (bool(usage) or status not in _FAILED),
        counts_once=not is_call and bool(usage) and identity is not None,
        status=status,
        extra=extra if is_call or not usage else {**extra, "counts_as": OPERATION},
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400 or error_of(body):
        return failed(asked, head, body)
    reading = _read(asked, body)
    if reading.usage or asked.operation is None:
        return reading
    return reading._replace(said=answers.says(asked.request, _TEXT, lambda: answers.texts_in(body, _DELIVERED)))


class _Events:
    """Reads the events of a streamed interaction: those that carry the interaction say all that is billed."""

    __slots__ = (
        "_asked",
        "_begun",
        "_calls",
        "_completed",
        "_counted",
        "_delivered",
        "_failed",
        "_pictures",
        "has_content",
        "is_done",
    )

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked._replace(is_stream=True)
        self._begun: bytes | None = None
        self._completed: bytes | None = None
        self._counted: bytes | None = None  # any event may say in its metadata what was used so far
        self._failed: bytes | None = None
        self._calls: deque[bytes] = deque(maxlen=MAX_KEPT_EVENTS)
        self._pictures = 0
        self._delivered = answers.Delivered()
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event. A delta's text has its quotes escaped, so what looks like a key is one."""
        if b'"usage"' in data:
            self._counted = data
        if name in _DELTAS or b'"step.delta"' in data or b'"content.delta"' in data:
            self._delivered.add(data)
            self.has_content = True
            if b'"image/' in data:
                self._pictures += 1
            elif b'_call"' in data:
                self._calls.append(data)
        elif name in _COMPLETE or b'"interaction.complete' in data:
            self._completed = data
            self.is_done = True
        elif self._begun is None and b'"interaction"' in data:
            self._begun = data
        elif b'"error"' in data:
            self._failed = data

    def reading(self) -> Reading:
        """What the stream said so far."""
        begun, completed = (
            mapping(mapping(answers.json_or_none(data or b"")).get("interaction"))
            for data in (self._begun, self._completed)
        )
        calls = [mapping(mapping(answers.json_or_none(data)).get("delta")) for data in self._calls]
        counted = mapping(answers.json_or_none(self._counted or b""))
        usage = {"usage": mapping(counted.get("metadata")).get("usage")}
        reading = _read(self._asked, {**usage, **begun, **completed}, calls)
        error = error_of(answers.json_or_none(self._failed or b""))
        texts = self._delivered.texts
        return reading._replace(
            images=self._pictures or reading.images,
            error_type=text(error.get("status")) or name(error.get("code")) or reading.error_type,
            said=None if reading.usage else answers.says(self._asked.request, _TEXT, lambda: texts(_DELIVERED)),
        )


API = Api("gemini.interactions", _ask, _whole, _Events)

ROUTES = (
    Route("interactions", API, providers=GOOGLE, provider=GEMINI),
    Route("interactions/{id}", API, methods=("GET", "DELETE"), providers=GOOGLE, provider=GEMINI),
    Route("interactions/{id}:cancel", API, providers=GOOGLE, provider=GEMINI),
    Route("interactions/{id}/cancel", API, providers=GOOGLE, provider=GEMINI),
)
