"""Reranking at gateways and hosts of open models: OpenRouter, Together, Fireworks, DeepInfra, vLLM and the like.

Sources: their API references ("Rerank"). They took the request from Cohere and Jina, and the usage from either: tokens
in `usage`, search units in `usage` or in `meta.billed_units`; OpenRouter says what it charged.
"""

from __future__ import annotations

from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.openai_units import cost_of
from otel_cost.instrument.wire.routes import Route, says_model
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import at, mapping, put, text

_TEXT = frozenset({"query", "documents", "text"})


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    return Asked(API, provider, "rerank", request, model=model_of(request, body), body=body)


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    said = mapping(body)
    counts, meta = mapping(said.get("usage")), mapping(said.get("meta"))
    tokens = mapping(meta.get("tokens"))
    usage: dict[str, int] = {}
    totals = (counts.get("prompt_tokens"), counts.get("input_tokens"), counts.get("total_tokens"))
    put(usage, "input_tokens", *totals, tokens.get("input_tokens"))
    put(usage, "rerank_searches", counts.get("search_units"), at(meta, "billed_units", "search_units"))
    cost, extra = cost_of(counts)
    if usage or cost is not None:
        extra["usage_reported"] = True
    return answers.answer(asked)._replace(
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        usage=usage,
        reported_cost_pico_usd=cost,
        said=None if usage else answers.says(asked.request, _TEXT, list),
        extra=extra,
    )


def _ranks(request: Request) -> bool:
    """Whether an unknown host's `/rerank` is a model's: its body names one, and has what is to be ranked."""
    body = request.body or b""
    return says_model(request) and b'"query"' in body and (b'"documents"' in body or b'"texts"' in body)


API = Api("rerank", _ask, _whole, answers.NoEvents)
ROUTES = (Route("rerank", API, shape=_ranks),)
