"""Embeddings and rerankers that only count their total: Voyage AI and Jina AI.

Sources: Voyage AI API reference (text, contextualised and multimodal embeddings, rerank), Jina AI API reference.
"""

from __future__ import annotations

from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import mapping, put, text, whole
from otel_cost.normalise.vocabulary import VOYAGE

JINA = "jina_ai"
_OPERATIONS = {
    "embeddings": "embeddings",
    "contextualizedembeddings": "embeddings",
    "multimodalembeddings": "embeddings",
    "rerank": "rerank",
    "classify": "classification",
}
_TEXT = frozenset({"input", "inputs", "text", "query", "documents"})


def _ask(request: Request, provider: str) -> Asked:
    body = json_body(request)
    operation = _OPERATIONS.get(request.url.partition("?")[0].rstrip("/").rpartition("/")[2])
    return Asked(API, provider or VOYAGE, operation, request, model=model_of(request, body), body=body)


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    said = mapping(body)
    counts = mapping(said.get("usage"))
    usage: dict[str, int] = {}
    put(usage, "input_tokens", counts.get("total_tokens"), counts.get("prompt_tokens"))
    pixels, words = whole(counts.get("image_pixels")), whole(counts.get("text_tokens"))
    parts: tuple[Part, ...] = ()
    if pixels:  # its tokens contain those that pixels amount to, and pixels are billed as such
        parts = (Part(asked.model, {"input_tokens": words or 0, "input_pixels": pixels}),)
    return answers.answer(asked)._replace(
        parts=parts,
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        usage=usage,
        said=None if usage else answers.says(asked.request, _TEXT, list),
    )


API = Api("voyage", _ask, _whole, answers.NoEvents)

ROUTES = (
    *(
        Route(action, API, providers=frozenset({VOYAGE}), provider=VOYAGE)
        for action in ("contextualizedembeddings", "multimodalembeddings")
    ),
    *(
        Route(action, API, providers=frozenset({VOYAGE, JINA}), provider=VOYAGE, shape=answers.never)
        for action in ("embeddings", "rerank", "classify")
    ),
)
