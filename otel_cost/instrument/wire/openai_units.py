"""What OpenAI's newer APIs, and those made after them, say of usage, cost and price: one place for all readers.

Source: the types of OpenAI's SDK (`ResponseUsage`, `ImagesResponse.Usage`, `Transcription.Usage`,
`RealtimeResponseUsage`, `BatchUsage`, `Run.Usage`), x.ai's and OpenRouter's API references.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from otel_cost.instrument.wire.answers import answer
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.failures import failure
from otel_cost.instrument.wire.forms import form_fields
from otel_cost.instrument.wire.trim import trimmed
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, pico_usd, put, text, whole
from otel_cost.pricing.units import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_12H,
    INPUT,
    OUTPUT,
    REASONING,
)

PICO_USD_PER_TICK = 100
"""x.ai's `cost_in_usd_ticks` counts ten-billionths of a dollar."""

_INPUT_DETAILS = ("input_tokens_details", "input_token_details", "prompt_tokens_details", "prompt_token_details")
_OUTPUT_DETAILS = (
    "output_tokens_details",
    "output_token_details",
    "completion_tokens_details",
    "completion_token_details",
)
_MODALITIES = ("audio", "image", "video")

_REGIONAL_HOST = re.compile(r"https?://([a-z]{2})\.api\.openai\.com(?:[:/]|\Z)", re.IGNORECASE)
_UNSAID = frozenset({"", "auto", "default"})


def tokens_of(usage: object) -> dict[str, int]:
    """Token units of a usage object in any of OpenAI's spellings; empty where it counts no tokens.

    Totals are inclusive there: `input_tokens` contains cached and written tokens, `output_tokens` contains reasoning.
    """
    said = mapping(usage)
    units: dict[str, int] = {}
    put(units, INPUT, said.get("input_tokens"), said.get("prompt_tokens"))
    put(units, OUTPUT, said.get("output_tokens"), said.get("completion_tokens"))
    _input_details(units, _first(said, _INPUT_DETAILS), said)
    details = _first(said, _OUTPUT_DETAILS)
    put(units, REASONING, details.get("reasoning_tokens"))
    for modality in _MODALITIES:
        put(units, f"output_{modality}_tokens", details.get(f"{modality}_tokens"))
    return units


def _input_details(units: MutableMapping[str, int], details: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    put(units, CACHE_READ, details.get("cached_tokens"), said.get("cached_tokens"))
    put(units, CACHE_WRITE, details.get("cache_write_tokens"))
    put(units, CACHE_WRITE_12H, mapping(details.get("cache_write_tokens_details")).get("ttl_12h_tokens"))
    if details.get("video_tokens") == 0:  # OpenRouter names all kinds of every model: a zero says nothing
        details = {key: value for key, value in details.items() if key != "video_tokens"}
    cached = mapping(details.get("cached_tokens_details") or said.get("cached_tokens_details"))
    for modality in _MODALITIES:
        put(units, f"input_{modality}_tokens", details.get(f"{modality}_tokens"))
        put(
            units,
            f"cache_{modality}_read_tokens",
            cached.get(f"{modality}_tokens"),
            cached.get(f"cached_{modality}_tokens"),
        )


def _first(said: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any]:
    for key in keys:
        value = said.get(key)
        if isinstance(value, Mapping):
            return value
    return {}


def cost_of(usage: object) -> tuple[int | None, dict[str, Any]]:
    """What the provider says that it charged, in pico-USD, and the words it says it with (for `Reading.extra`)."""
    said = mapping(usage)
    extra: dict[str, Any] = {}
    ticks = whole(said.get("cost_in_usd_ticks"))
    if ticks is not None:
        extra["cost_in_usd_ticks"] = ticks
        return ticks * PICO_USD_PER_TICK, extra
    cost = said.get("cost")
    if isinstance(cost, Mapping):  # Perplexity
        cost = cost.get("total_cost")
    if isinstance(said.get("is_byok"), bool):
        extra["is_byok"] = said["is_byok"]
    if isinstance(said.get("cost_details"), Mapping):
        extra["reported_cost_details"] = said["cost_details"]
    return pico_usd(cost), extra


def parsed(data: bytes | None) -> Mapping[str, Any]:
    """The JSON object of a body or an event, without its pictures and vectors; empty where it is none."""
    if not data:
        return {}
    try:
        return mapping(json.loads(trimmed(data)))
    except (ValueError, RecursionError):
        return {}


def sent(request: Request) -> Mapping[str, Any]:
    """What a request says: its JSON object, or the short text fields of its form."""
    if request.form is not None:
        return request.form
    body = request.body
    form = form_fields(request.headers.get("content-type", ""), body) if body else None
    return mapping(json_body(request)) if form is None else form


def is_asked(value: object) -> bool:
    """A yes of a JSON body or of a form's field."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1"))


def price_context(request: Request) -> dict[str, str]:
    """What a URL says of the price: OpenAI's regional hosts (`eu.api.openai.com`) have an uplift."""
    found = _REGIONAL_HOST.match(request.url)
    return {"data_residency": found[1].lower()} if found else {}


def kind_of(value: object) -> str | None:
    """A size, quality or the like, lower case; None where it is left to the provider."""
    said = text(value)
    return None if said is None or said.lower() in _UNSAID else said.lower()


def failed(asked: Asked, head: Head, body: object) -> Reading | None:
    """The reading of a refused request, which is not billed; None where the status says that it was answered."""
    if head.status < 400:
        return None
    why = failure(head.status, body)
    told = answer(asked)._replace(is_billable=False)
    return told if why is None else told._replace(error_type=why.error_type, extra=why.extra)
