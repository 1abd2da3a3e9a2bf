"""OpenAI's Responses API, and the same API at Azure, x.ai, DeepSeek, OpenRouter, Perplexity, LM Studio and others.

`POST responses` makes a response; with `background` it is only queued, and the usage is told by the retrieve that
finds it completed. A response says itself whether it was made in background, so any other retrieve is known to repeat
what the creating call reported. Source: OpenAI's API reference, "Responses" and "Background mode".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from otel_cost.instrument.wire.answers import Delivered, bookkeeping, says, texts_in
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.failures import failure
from otel_cost.instrument.wire.openai_tools import BILLED_ITEMS, ToolUse, tool_use
from otel_cost.instrument.wire.openai_units import cost_of, failed, kind_of, parsed, price_context, tokens_of
from otel_cost.instrument.wire.routes import Route, says_model
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, at, mapping, objects, text, whole
from otel_cost.normalise.vocabulary import PERPLEXITY
from otel_cost.pricing.units import INPUT, OUTPUT

MAX_HELD_ITEMS = 256
"""Finished tool calls that are held of a stream, for servers whose last event does not repeat them."""

_NO_CALLS = ("/cancel", "/input_tokens")
"""What is posted without running a model."""

_UNDER_WAY = frozenset({"queued", "in_progress"})
_SENT_KEYS = frozenset({"instructions", "input", "text", "content", "output", "arguments"})
_DELIVERED_KEYS = frozenset({"text", "content", "arguments", "refusal", "delta"})
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_FIRST_EVENTS = frozenset({"response.created", "response.queued", "response.in_progress"})
_TYPE = re.compile(rb'"type"\s*:\s*"((?:response\.[a-z_.]+|error))"')
_TYPE_START = b'{"type":"'
_BILLED = tuple(f'"{kind}"'.encode() for kind in BILLED_ITEMS)


def ask(request: Request, provider: str) -> Asked:
    """What a request to the Responses API asks for."""
    path = request.url.partition("?")[0].rstrip("/")
    runs_model = request.method == "POST" and not path.endswith(_NO_CALLS)
    body = mapping(json_body(request)) if runs_model else NOTHING
    context = price_context(request)
    window = kind_of(at(body, "background_options", "completion_window"))
    if window is not None and window != "soonest":
        context["completion_window"] = window
    return Asked(
        api=RESPONSES,
        provider=provider,
        operation="chat" if runs_model else None,
        request=request,
        model=model_of(request, body),
        is_stream=body.get("stream") is True or "stream=true" in request.url,
        body=body or None,
        context=context,
    )


def whole_answer(asked: Asked, head: Head, body: Any) -> Reading:
    """A response as one JSON object; also of retrieves, cancels and counts."""
    error = failed(asked, head, body)
    if error is not None:
        return error
    said = mapping(body)
    if asked.operation is None and not _is_response(said):
        return _not_a_response(asked, said)
    return read_response(asked, said, objects(said.get("output")))


def _is_response(said: Mapping[str, Any]) -> bool:
    return said.get("object") == "response" and "output" in said


def _not_a_response(asked: Asked, said: Mapping[str, Any]) -> Reading:
    counted = whole(said.get("input_tokens")) if said.get("object") == "response.input_tokens" else None
    return bookkeeping(asked)._replace(
        response_id=text(said.get("id")) if said.get("object") == "response" else None,
        extra=NOTHING if counted is None else {"counted_tokens": counted},
    )


def read_response(
    asked: Asked, said: Mapping[str, Any], output: Sequence[Mapping[str, Any]], delivered: Delivered | None = None
) -> Reading:
    """The reading of a response object. `output`: its items; `delivered`: deltas of a stream that broke off."""
    usage = said.get("usage")
    cost, extra = cost_of(usage)
    use = tool_use(asked.provider, said, output)
    units = tokens_of(usage)
    if output and units.get(INPUT) == 0 and units.get(OUTPUT) == 0:
        extra["anomaly"] = "zero usage"
    why = failure(200, said)
    extra = {**extra, **use.extra, **(why.extra if why else NOTHING)}
    status = text(said.get("status"))
    reason = text(at(said, "incomplete_details", "reason")) or status
    reading = Reading(
        operation=asked.operation,
        provider=asked.provider,
        request_model=asked.model,
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        is_stream=asked.is_stream,
        usage={**units, **use.units},
        images=use.images,
        finish_reasons=None if reason is None else (reason,),
        error_type=why.error_type if why else status if status == "failed" else None,
        service_tier=text(said.get("service_tier")),
        context={**asked.context, **use.context},
        reported_cost_pico_usd=cost,
        is_billable=bool(units) or (why is None and status != "failed"),
        status=status,
        said=says(asked.request, _SENT_KEYS, lambda: _texts(output, delivered)),
        extra=extra,
    )
    if use.parts:
        reading = reading._replace(parts=_parts(reading, use))
    return reading if asked.operation else _of_job(reading, said)


def _texts(output: Sequence[Mapping[str, Any]], delivered: Delivered | None) -> list[str]:
    return texts_in(output, _DELIVERED_KEYS) or (delivered.texts(_DELIVERED_KEYS) if delivered else [])


def _parts(reading: Reading, use: ToolUse) -> tuple[Part, ...]:
    """The response itself and what its tools let other models do."""
    itself = Part(
        model=reading.response_model or reading.request_model,
        usage=reading.usage,
        response_id=reading.response_id,
        service_tier=reading.service_tier,
        context=reading.context,
        reported_cost_pico_usd=reading.reported_cost_pico_usd,
        finish_reasons=reading.finish_reasons,
    )
    return (itself, *(part._replace(service_tier=reading.service_tier) for part in use.parts))


def _of_job(reading: Reading, said: Mapping[str, Any]) -> Reading:
    """A retrieve or cancel: its usage is news only where the response was made in background and is over."""
    is_news = said.get("background") is True and bool(reading.usage) and reading.status not in _UNDER_WAY
    extra = {**reading.extra, "counts_as": "chat"} if is_news else reading.extra
    return reading._replace(is_billable=False, counts_once=is_news, extra=extra)


class ResponseEvents:
    """Reads a streamed response. Of the many deltas only the fact that they came is taken."""

    __slots__ = ("_asked", "_delivered", "_error", "_items", "_response", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._response: Mapping[str, Any] = NOTHING
        self._items: list[Mapping[str, Any]] = []
        self._delivered = Delivered()
        self._error: Mapping[str, Any] = NOTHING
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        kind = name or _kind(data)
        if kind.endswith("delta"):
            self.has_content = True
            self._delivered.add(data)
        elif kind in _LAST_EVENTS:
            self._last(data)
        elif kind == "response.output_item.done":
            if len(self._items) < MAX_HELD_ITEMS and any(mark in data for mark in _BILLED):
                self._items.append(mapping(parsed(data).get("item")))
        elif kind in _FIRST_EVENTS:
            if not self._response:
                self._response = mapping(parsed(data).get("response"))
        elif kind == "error":
            self._error = parsed(data)
        elif kind.endswith("partial_image"):
            self.has_content = True

    def _last(self, data: bytes) -> None:
        response = mapping(parsed(data).get("response"))
        self._response = response or self._response
        self.has_content = self.has_content or bool(response.get("output"))
        self.is_done = True
        if response.get("output"):  # it repeats what was delivered
            self._delivered = Delivered()

    def reading(self) -> Reading:
        """What the stream said so far."""
        response = self._response
        if self._error:
            error = mapping(self._error.get("error")) or self._error
            response = {**response, "status": "failed", "error": error}
        output = objects(response.get("output")) or self._items
        reading = read_response(self._asked, response, output, self._delivered)
        if self.is_done or self._error:
            return reading
        # Cut off, it is under way only where it goes on without us.
        status = reading.status if response.get("background") is True else None
        return reading._replace(finish_reasons=None, status=status)


def _kind(data: bytes) -> str:
    if data.startswith(_TYPE_START):
        return data[len(_TYPE_START) : data.find(b'"', len(_TYPE_START))].decode("utf-8", "replace")
    found = _TYPE.search(data)
    return found[1].decode() if found else ""


def _says_response(request: Request) -> bool:
    return "/responses/resp_" in request.url


RESPONSES = Api("openai.responses", ask, whole_answer, ResponseEvents)

ROUTES = (
    Route("responses", RESPONSES, shape=says_model),
    Route("responses/compact", RESPONSES, shape=says_model),
    Route("v1/agent", RESPONSES, providers=frozenset({PERPLEXITY})),
    Route("responses/input_tokens", RESPONSES, shape=says_model),
    Route("responses/{id}", RESPONSES, methods=("GET", "DELETE"), shape=_says_response),
    Route("responses/{id}/cancel", RESPONSES, shape=_says_response),
    Route("responses/{id}/input_items", RESPONSES, methods=("GET",), shape=_says_response),
)
