"""What an exchange asks and says as attributes of a span: conventional names where there are any, ours for the rest.

Names: open-telemetry/semantic-conventions-genai, `client-inference` and `client-embeddings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from otel_cost import attributes as keys
from otel_cost.instrument.estimates import UNDER_WAY
from otel_cost.instrument.wire.types import Asked, Reading, taker
from otel_cost.normalise.vocabulary import AZURE_OPENAI, OPENAI
from otel_cost.pricing import units
from otel_cost.pricing.money import format_usd

WIRE_VERSION = 1
"""Of what we write on the spans of other instrumentations: value of `otel_cost.wire`."""

CONVENTIONAL: Mapping[str, str] = {
    units.INPUT: keys.GEN_AI_USAGE_INPUT_TOKENS,
    units.OUTPUT: keys.GEN_AI_USAGE_OUTPUT_TOKENS,
    units.CACHE_READ: keys.GEN_AI_USAGE_CACHE_READ,
    units.CACHE_WRITE: keys.GEN_AI_USAGE_CACHE_WRITE,
    units.REASONING: keys.GEN_AI_USAGE_REASONING,
    "input_audio_tokens": keys.GEN_AI_USAGE_AUDIO_INPUT,
    "output_audio_tokens": keys.GEN_AI_USAGE_AUDIO_OUTPUT,
    "cache_audio_read_tokens": keys.GEN_AI_USAGE_AUDIO_CACHE_READ,
    "input_image_tokens": keys.GEN_AI_USAGE_IMAGE_INPUT,
    "output_image_tokens": keys.GEN_AI_USAGE_IMAGE_OUTPUT,
    "cache_image_read_tokens": keys.GEN_AI_USAGE_IMAGE_CACHE_READ,
}
"""Units that the conventions name; every other one is `otel_cost.usage.<unit>`."""

_ESTIMATED = {units.INPUT: keys.OTEL_COST_ESTIMATED_INPUT, units.OUTPUT: keys.OTEL_COST_ESTIMATED_OUTPUT}
_PROVIDER, _ASKED_MODEL, _MODEL = keys.GEN_AI_PROVIDER_NAME, keys.GEN_AI_REQUEST_MODEL, keys.GEN_AI_RESPONSE_MODEL
_ID, _REASONS = keys.GEN_AI_RESPONSE_ID, keys.GEN_AI_RESPONSE_FINISH_REASONS
_TIER = "service_tier"
_OPENAI = frozenset({OPENAI, AZURE_OPENAI})

Begun = tuple[str, Mapping[str, Any], str | None]
"""The name of a span, what is known of it when the request leaves (to be read, never changed), and the server."""


def span_name(operation: str, model: str | None) -> str:
    """`{operation} {model}`, as the conventions want it."""
    return f"{operation} {model}" if model else operation


def asked_attributes(asked: Asked, operation: str) -> Mapping[str, Any]:
    """What is known when the request leaves, of a span of our own: to be read, never changed."""
    return begun(operation, asked.provider, asked.model, asked.is_stream, asked.request.url)[1]


@lru_cache(maxsize=256)
def begun(operation: str, provider: str, model: str | None, is_stream: bool, url: str) -> Begun:
    """How a span of our own begins."""
    found: dict[str, Any] = {keys.GEN_AI_OPERATION_NAME: operation, keys.GEN_AI_PROVIDER_NAME: provider}
    if model:
        found[keys.GEN_AI_REQUEST_MODEL] = model
    if is_stream:
        found[keys.GEN_AI_REQUEST_STREAM] = True
    parts = urlsplit(url)
    if parts.hostname:
        found[keys.SERVER_ADDRESS] = parts.hostname
        found[keys.SERVER_PORT] = parts.port or (80 if parts.scheme == "http" else 443)
    return span_name(operation, model), found, parts.hostname


def own_attributes(
    asked: Asked, reading: Reading, usage: Mapping[str, int], estimates: Mapping[str, int]
) -> dict[str, Any]:
    """What the exchange said, for a span of our own; `usage` is what is billed."""
    provider, asked_model, model, response_id, reasons, tier, context, cost, status = _told(reading)
    found: dict[str, Any] = {_PROVIDER: provider}
    if asked_model:
        found[_ASKED_MODEL] = asked_model
    if model:
        found[_MODEL] = model
    if response_id:
        found[_ID] = response_id
    if reasons and status not in UNDER_WAY:
        found[_REASONS] = reasons
    conventional = None if estimates else _conventional(tuple(usage))
    if conventional is not None:
        found.update(zip(conventional, usage.values()))  # noqa: B905  # they are as many
    else:
        for unit, quantity in usage.items():
            if unit not in estimates:
                key = CONVENTIONAL.get(unit)
                found[key or keys.OTEL_COST_USAGE_PREFIX + unit] = quantity if key else _natural(unit, quantity)
    if estimates or tier or asked.context or context or cost is not None:
        _share(found, asked, reading, estimates)
    if tier and provider in _OPENAI:
        found[keys.OPENAI_RESPONSE_SERVICE_TIER] = tier
    if cost is not None and reading.is_billable:
        found[keys.GEN_AI_USAGE_COST_AMOUNT] = cost / 1e12  # the convention wants a double; the exact text is beside it
        found[keys.GEN_AI_USAGE_COST_CURRENCY] = "USD"
        found[keys.GEN_AI_USAGE_COST_SOURCE] = "provider"
    return found


_told = taker(
    Reading,
    *("provider", "request_model", "response_model", "response_id", "finish_reasons", "service_tier", "context"),
    *("reported_cost_pico_usd", "status"),
)


@lru_cache(maxsize=256)
def _conventional(units_used: tuple[str, ...]) -> tuple[str, ...] | None:
    """The conventions' names of these units, which are all tokens; None if one has none."""
    found = tuple(CONVENTIONAL[unit] for unit in units_used if unit in CONVENTIONAL)
    return found if len(found) == len(units_used) else None


def enriched_attributes(
    asked: Asked, reading: Reading, usage: Mapping[str, int], estimates: Mapping[str, int]
) -> dict[str, Any]:
    """The same facts under our own names only, for the span of another instrumentation."""
    found: dict[str, Any] = {
        keys.OTEL_COST_WIRE: WIRE_VERSION,
        keys.OTEL_COST_OPERATION: reading.operation or asked.operation or "",
        keys.OTEL_COST_PROVIDER: reading.provider,
    }
    names = {
        keys.OTEL_COST_REQUEST_MODEL: reading.request_model or asked.model,
        keys.OTEL_COST_RESPONSE_MODEL: reading.response_model,
        keys.OTEL_COST_RESPONSE_ID: reading.response_id,
    }
    found |= {key: value for key, value in names.items() if value}
    for unit, quantity in usage.items():
        if unit not in estimates:
            found[keys.OTEL_COST_USAGE_PREFIX + unit] = _natural(unit, quantity)
    _share(found, asked, reading, estimates)
    return found


def _share(found: dict[str, Any], asked: Asked, reading: Reading, estimates: Mapping[str, int]) -> None:
    for unit, tokens in estimates.items():
        found[_ESTIMATED[unit]] = tokens
    service = reading.service_tier
    if asked.context or reading.context:
        service = service_text(service, {**asked.context, **reading.context})
    if service:
        found[keys.OTEL_COST_SERVICE] = service
    if reading.reported_cost_pico_usd is not None and reading.is_billable:
        found[keys.OTEL_COST_REPORTED_COST_USD] = format_usd(reading.reported_cost_pico_usd)


def service_text(tier: str | None, context: Mapping[str, str]) -> str:
    """`otel_cost.service`: the tier, then whatever else decides the price, as in `priority;inference_geo=us`."""
    others = sorted(
        f";{name}={value}" for name, value in context.items() if name != _TIER and value and ";" not in f"{name}{value}"
    )
    return (tier or context.get(_TIER) or "") + "".join(others)


def _natural(unit: str, quantity: int) -> int | float:
    """A quantity as it is written: tokens and pieces as they are, seconds and days from millionths."""
    known = units.UNITS.get(unit)
    if known is None or known.quantum == 1:
        return quantity
    whole, rest = divmod(quantity, known.quantum)
    return quantity / known.quantum if rest else whole
