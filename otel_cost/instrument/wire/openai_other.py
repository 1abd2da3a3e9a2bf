"""OpenAI's smaller APIs: moderations (free), decisions, realtime over HTTP, and what is no model call at all."""

from __future__ import annotations

import re
from typing import Any

from otel_cost.instrument.wire.answers import NoEvents, answer, bookkeeping, says
from otel_cost.instrument.wire.asking import model_of
from otel_cost.instrument.wire.openai_responses import read_response
from otel_cost.instrument.wire.openai_units import failed, price_context, sent, tokens_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, objects, text
from otel_cost.normalise.vocabulary import AZURE_OPENAI, GROQ, OPENAI, XAI

_SENT_KEYS = frozenset({"input", "text"})
_OPENAI_LIKE = frozenset({OPENAI, AZURE_OPENAI, XAI, GROQ})


def _ask(api: Api, operation: str | None, request: Request, provider: str) -> Asked:
    body = sent(request) if request.method == "POST" else {}
    return Asked(
        api=api,
        provider=provider,
        operation=operation,
        request=request,
        model=model_of(request, body),
        body=body or None,
        context=price_context(request),
    )


def ask_moderation(request: Request, provider: str) -> Asked:
    """A moderation: a model call without usage."""
    return _ask(MODERATIONS, "moderation", request, provider)


def ask_decision(request: Request, provider: str) -> Asked:
    """A decision."""
    return _ask(DECISIONS, "decision", request, provider)


def ask_nothing(request: Request, provider: str) -> Asked:
    """Bookkeeping: files, vector stores, fine-tuning, evaluations, secrets and calls of realtime sessions."""
    return _ask(BOOKKEEPING, None, request, provider)


def whole_answer(asked: Asked, head: Head, body: Any) -> Reading:
    """An answer with a model, perhaps an id, perhaps tokens."""
    said = mapping(body)
    return failed(asked, head, body) or answer(asked)._replace(
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        usage=tokens_of(said.get("usage")),
        service_tier=text(said.get("service_tier")),
        said=says(asked.request, _SENT_KEYS, lambda: ()),
    )


_MODEL_IN_QUERY = re.compile(r"[?&]model=([^&#]+)")


def whole_nothing(asked: Asked, head: Head, body: Any) -> Reading:
    """Bookkeeping, unless it is a realtime event that tells the usage of a response."""
    said = mapping(body)
    if said.get("type") == "response.done":
        return _realtime(asked, said)
    return failed(asked, head, body) or bookkeeping(asked)._replace(response_id=text(said.get("id")))


def _realtime(asked: Asked, said: Any) -> Reading:
    response = mapping(said.get("response"))
    model = _MODEL_IN_QUERY.search(asked.request.url)
    asked = asked._replace(operation="chat", model=asked.model or (text(model[1]) if model else None))
    return read_response(asked, response, objects(response.get("output")))


MODERATIONS = Api("openai.moderations", ask_moderation, whole_answer, NoEvents)
DECISIONS = Api("openai.decisions", ask_decision, whole_answer, NoEvents)
BOOKKEEPING = Api("openai.bookkeeping", ask_nothing, whole_nothing, NoEvents)

_BOOKS = (
    *("files", "uploads", "vector_stores", "evals", "assistants", "threads", "conversations", "containers"),
    *("fine_tuning/jobs", "realtime/sessions", "realtime/client_secrets", "realtime/transcription_sessions"),
    *("realtime/calls", "vector_stores/{id}/search", "realtime/translations/client_secrets", "live/sessions"),
    *("realtime", "chatkit/sessions", "skills"),
)

ROUTES = (
    Route("moderations", MODERATIONS),
    Route("decisions", DECISIONS, providers=_OPENAI_LIKE),
    *(Route(path, BOOKKEEPING, methods=("POST",), providers=_OPENAI_LIKE) for path in _BOOKS),
)
