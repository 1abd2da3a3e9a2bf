"""OpenAI's chat completions, completions and embeddings, and all who speak the same: most providers and gateways.

Sources: OpenAI API reference (chat, completions, embeddings) and each provider's own reference; what they report
differently is in `openai_usage`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.failures import failure
from otel_cost.instrument.wire.google_url import place_of
from otel_cost.instrument.wire.openai_stream import ChatEvents
from otel_cost.instrument.wire.openai_usage import counted
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, EventReader, Head, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, at, each_text, items, mapping, objects, text
from otel_cost.normalise.vocabulary import DATABRICKS, VERTEX


def _ask(request: Request, provider: str, operation: str) -> Asked:
    body = json_body(request)
    said = body if type(body) is dict else mapping(body)
    context: dict[str, str] = {}
    size = text(at(said, "web_search_options", "search_context_size")) if "web_search_options" in said else None
    if size:
        context["search_context_size"] = size
    if provider == VERTEX:
        context |= place_of(request.url).context
    return Asked(
        api=_APIS[operation],
        provider=provider,
        operation=operation,
        request=request,
        model=model_of(request, body),
        is_stream=said.get("stream") is True,
        body=body,
        context=context,
    )


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    """One answer that came whole."""
    return reading_of(asked, head, body, is_stream=asked.is_stream)


def reading_of(asked: Asked, head: Head, body: Any, *, is_stream: bool) -> Reading:
    """What an answer's JSON says (of a stream: the object that its events add up to)."""
    said = body if type(body) is dict else mapping(body)
    failed = failure(head.status, body) if head.status >= HTTPStatus.BAD_REQUEST or "error" in said else None
    found = counted(asked, head, said)
    choices = objects(said.get("choices"))
    reasons = tuple([reason for choice in choices if (reason := text(choice.get("finish_reason")))])
    model, response_id, tier, fingerprint = each_text(map(said.get, _NAMES))
    extra = found.extra
    if failed is not None:
        extra |= failed.extra
    if fingerprint:
        extra["system_fingerprint"] = fingerprint
    return Reading(
        operation=asked.operation,
        provider=asked.provider,
        request_model=asked.model,
        response_model=model,
        response_id=response_id,
        is_stream=is_stream,
        usage=found.usage,
        finish_reasons=reasons or None,
        error_type=failed.error_type if failed else None,
        service_tier=tier or found.service_tier,
        context={**asked.context, **found.context} if asked.context or found.context else NOTHING,
        reported_cost_pico_usd=found.reported_cost_pico_usd,
        is_billable=failed is None or bool(found.usage) or bool(reasons),
        parts=found.parts,
        said=lambda: (request_texts(asked.body), _delivered(choices)),
        extra=extra,
    )


_NAMES = ("model", "id", "service_tier", "system_fingerprint")


def _stream(asked: Asked, head: Head) -> EventReader:
    return ChatEvents(asked, head, reading_of)


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


def _ask_chat(request: Request, provider: str) -> Asked:
    return _ask(request, provider, "chat")


def _ask_completion(request: Request, provider: str) -> Asked:
    return _ask(request, provider, "text_completion")


def _ask_embeddings(request: Request, provider: str) -> Asked:
    return _ask(request, provider, "embeddings")


CHAT = Api("openai.chat", _ask_chat, _whole, _stream)
COMPLETION = Api("openai.completion", _ask_completion, _whole, _stream)
EMBEDDINGS = Api("openai.embeddings", _ask_embeddings, _whole, _stream)
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
