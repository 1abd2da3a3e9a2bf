"""Mistral's models on Vertex AI: their own API behind `rawPredict` and `streamRawPredict`.

Source: Vertex AI, "Mistral AI models". The body is that of chat completions, or of fill-in-the-middle.
"""

from __future__ import annotations

from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.google_url import place_of, provider_at
from otel_cost.instrument.wire.openai_chat import CHAT
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Request
from otel_cost.instrument.wire.values import mapping
from otel_cost.normalise.vocabulary import VERTEX


def _ask(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    body = json_body(request)
    return Asked(
        API,
        provider_at(place, provider),
        "chat" if "messages" in mapping(body) else "text_completion",
        request,
        model=place.model,
        is_stream=place.action == "streamRawPredict" or mapping(body).get("stream") is True,
        body=body,
        context=place.context,
    )


API = Api("google.mistral", _ask, CHAT.whole, CHAT.stream)

ROUTES = tuple(
    Route(f"publishers/mistralai/models/{{model}}:{action}", API, providers=frozenset({VERTEX}), provider=VERTEX)
    for action in ("rawPredict", "streamRawPredict")
)
