"""Anthropic's Message Batches: making and polling them is bookkeeping, the results are what is billed, at batch rates.

Source: "Message Batches API reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire.answers import answer, json_or_none
from otel_cost.instrument.wire.anthropic_messages import failed, looks_anthropic
from otel_cost.instrument.wire.anthropic_usage import SERVICE_TIER, context_of, parts_of, usage_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import at, mapping, text
from otel_cost.normalise.vocabulary import ANTHROPIC

BATCH = "batch"
MAX_RESULTS = 100_000
"""Results of one batch that are read: the most that Anthropic takes into a batch, so fewer would lose some."""

_SUCCEEDED = "succeeded"


def _ask(request: Request, provider: str) -> Asked:
    return Asked(BATCHES, provider or ANTHROPIC, BATCH, request)


def _ask_results(request: Request, provider: str) -> Asked:
    return Asked(RESULTS, provider or ANTHROPIC, BATCH, request)


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    """A batch's state, or a list of them."""
    said = mapping(body)
    if head.status >= 400:
        return failed(asked, head, said)
    status = text(said.get("processing_status"))
    extra = {"batch_status": status} if status else {}
    return answer(asked)._replace(response_id=text(said.get("id")), is_billable=False, extra=extra)


class ResultLines:
    """The results of a batch: one message, or one error, a line. They can be fetched again and again, so each counts
    once."""

    __slots__ = ("_asked", "_parts", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._parts: list[Part] = []
        self.is_done = False

    def feed(self, data: bytes, name: str) -> None:
        """One line."""
        if len(self._parts) < MAX_RESULTS:
            self._parts += parts_of_result(mapping(json_or_none(data)))

    @property
    def has_content(self) -> bool:
        """Whether a result was delivered."""
        return bool(self._parts)

    def reading(self) -> Reading:
        """The call itself costs nothing; its parts do."""
        return answer(self._asked)._replace(is_billable=False, counts_once=True, parts=tuple(self._parts))


def parts_of_result(line: Mapping[str, Any]) -> list[Part]:
    """What is billed for one line of results; an error is a part without usage."""
    custom_id = text(line.get("custom_id"))
    extra = {"custom_id": custom_id} if custom_id else {}
    result = mapping(line.get("result"))
    kind = text(result.get("type"))
    if kind != _SUCCEEDED:
        word = text(at(result, "error", "error", "type")) or text(at(result, "error", "type")) or kind
        return [Part(None, {}, error_type=word, extra=extra)] if word else []
    message = mapping(result.get("message"))
    reported = mapping(message.get("usage"))
    usage, model, reason = usage_of(reported), text(message.get("model")), text(message.get("stop_reason"))
    whole = Part(
        model,
        usage,
        response_id=text(message.get("id")),
        service_tier=text(reported.get(SERVICE_TIER)) or BATCH,
        context=context_of(reported),
        finish_reasons=(reason,) if reason else None,
        extra=extra,
    )
    steps = parts_of(reported, usage, model, whole.context)
    return [whole._replace(model=step.model, usage=step.usage, extra={**extra, **step.extra}) for step in steps] or [
        whole
    ]


def _whole_results(asked: Asked, head: Head, body: Any) -> Reading:
    """An error: results come by lines."""
    return failed(asked, head, mapping(body))


BATCHES = Api("anthropic.batches", _ask, _whole, ResultLines)
RESULTS = Api("anthropic.batch_results", _ask_results, _whole_results, ResultLines, framing="ndjson")

_ANY = ("GET", "POST", "DELETE")
ROUTES = (
    Route("messages/batches", BATCHES, _ANY, shape=looks_anthropic),
    Route("messages/batches/{id}", BATCHES, _ANY, shape=looks_anthropic),
    Route("messages/batches/{id}/cancel", BATCHES, _ANY, shape=looks_anthropic),
    Route("messages/batches/{id}/results", RESULTS, ("GET",), shape=looks_anthropic),
)
