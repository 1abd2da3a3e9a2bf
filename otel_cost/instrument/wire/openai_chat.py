"""OpenAI's chat completions, completions and embeddings, and all who speak the same: most providers and gateways.

Sources: OpenAI API reference (chat, completions, embeddings) and each provider's own reference; what they report
differently is in `openai_usage`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.failures import Failure, failure
from otel_cost.instrument.wire.google_url import place_of
from otel_cost.instrument.wire.openai_plan import usual_reading
from otel_cost.instrument.wire.openai_stream import ChatEvents
from otel_cost.instrument.wire.openai_usage import Counted, counted
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, EventReader, Head, Reading, Request, maker
from otel_cost.instrument.wire.values import MAX_TEXT, NOTHING, at, items, mapping, objects, text
from otel_cost.normalise.vocabulary import DATABRICKS, VERTEX


def _ask(operation: str, request: Request, provider: str) -> Asked:
    body = json_body(request)
    said = body if type(body) is dict else mapping(body)
    context: Mapping[str, str] = NOTHING
    if "web_search_options" in said:
        size = text(at(said, "web_search_options", "search_context_size"))
        context = {"search_context_size": size} if size else NOTHING
    if provider == VERTEX:
        context = {**context, **place_of(request.url).context}
    model, is_stream = said.get("model"), said.get("stream") is True
    if type(model) is not str or not 0 < len(model) <= MAX_TEXT:
        model = model_of(request, body)
    return _asked((_APIS[operation], provider, operation, request, model, is_stream, body, context, False))


_asked, _reading = maker(Asked), maker(Reading)


def any_reading(asked: Asked, head: Head, body: Any, is_stream: bool | None = None) -> Reading:
    """What an answer's JSON says, whatever it is."""
    said = body if type(body) is dict else mapping(body)
    model = text(said.get("model"))
    usage, beside = counted(asked, head, said, model)
    choices = objects(said.get("choices"))
    reasons = tuple([reason for choice in choices if (reason := text(choice.get("finish_reason")))])
    fingerprint = text(said["system_fingerprint"]) if "system_fingerprint" in said else None
    reading = _reading(
        (
            asked.operation,
            asked.provider,
            asked.model,
            model,
            text(said.get("id")),
            asked.is_stream if is_stream is None else is_stream,
            usage,
            None,  # images
            reasons or None,
            None,  # error
            text(said["service_tier"]) if "service_tier" in said else None,
            asked.context,
            None,  # reported cost
            True,  # billable
            False,
            None,
            (),
            partial(_texts_of, asked, choices),
            {"system_fingerprint": fingerprint} if fingerprint else NOTHING,
        )
    )
    is_failed = head.status >= HTTPStatus.BAD_REQUEST or "error" in said
    return reading if beside is None and not is_failed else _with_more(reading, beside, failure(head.status, body))


def _with_more(reading: Reading, beside: Counted | None, failed: Failure | None) -> Reading:
    """The same with what few answers say."""
    if beside is not None:
        reading = reading._replace(
            service_tier=reading.service_tier or beside.service_tier,
            context={**reading.context, **beside.context},
            reported_cost_pico_usd=beside.reported_cost_pico_usd,
            parts=beside.parts,
            extra={**beside.extra, **reading.extra},
        )
    if failed is not None:
        reading = reading._replace(
            error_type=failed.error_type,
            is_billable=bool(reading.usage) or bool(reading.finish_reasons),
            extra={**failed.extra, **reading.extra},
        )
    return reading


def _stream(asked: Asked, head: Head) -> EventReader:
    return ChatEvents(asked, head, reading_of)


def _texts_of(asked: Asked, choices: list[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    return request_texts(asked.body), _delivered(choices)


def _delivered(choices: list[Mapping[str, Any]]) -> list[str]:
    texts: list[str] = []
    for choice in choices:
        message = mapping(choice.get("message"))
        for value in (message.get("content"), message.get("reasoning_content"), choice.get("text")):
            texts += _texts(value)
        for call in objects(message.get("tool_calls")):
            texts += _texts(at(call, "function", "name")) + _texts(at(call, "function", "arguments"))
    return texts


def request_texts(body: object) -> list[str]:
    """The texts that a request sends: its messages, prompt or input, and the definitions of its tools."""
    said = mapping(body)
    texts: list[str] = []
    for message in objects(said.get("messages")):
        texts += _texts(message.get("content"))
        for call in objects(message.get("tool_calls")):
            texts += _texts(at(call, "function", "name")) + _texts(at(call, "function", "arguments"))
    for key in ("prompt", "input"):
        texts += _texts(said.get(key))
    texts += [json.dumps(tool) for tool in objects(said.get("tools"))]
    return texts


def _texts(value: object) -> list[str]:
    """The texts of a content: one text, or a list of texts and of parts that hold some."""
    if isinstance(value, str):
        return [value] if value else []
    parts = items(value)
    return [part for part in parts if isinstance(part, str)] + [
        part["text"] for part in objects(parts) if isinstance(part.get("text"), str)
    ]


reading_of = partial(usual_reading, any_reading, _texts_of)
"""What an answer's JSON says (of a stream: the object that its events add up to)."""

CHAT = Api("openai.chat", partial(_ask, "chat"), reading_of, _stream)
COMPLETION = Api("openai.completion", partial(_ask, "text_completion"), reading_of, _stream)
EMBEDDINGS = Api("openai.embeddings", partial(_ask, "embeddings"), reading_of, _stream)
_APIS: Mapping[str, Api] = {"chat": CHAT, "text_completion": COMPLETION, "embeddings": EMBEDDINGS}


def _is_portkey(request: Request) -> bool:
    """Whether it is Portkey's gateway: the prompt, its model too, is kept there."""
    return "portkey" in request.url or any(header.startswith("x-portkey-") for header in request.headers)


ROUTES = (
    Route("chat/completions", CHAT),
    Route("completions", COMPLETION),
    Route("embeddings", EMBEDDINGS),
    Route("serving-endpoints/{endpoint}/invocations", CHAT, providers=frozenset({DATABRICKS})),
    Route("v1/chat", CHAT, providers=frozenset({"writer"})),
    Route("prompts/{id}/completions", CHAT, shape=_is_portkey),
)
"""Path ends of these APIs; what stands before them differs by provider (`/v1`, `/openai/v1`, `/api/paas/v4`...)."""
