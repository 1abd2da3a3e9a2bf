"""A reading as attributes of a span: conventional names where there are any, ours for the rest."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from otel_cost import attributes as keys
from otel_cost.instrument.wire.types import Asked, Reading

USAGE_KEYS = {
    "input_tokens": keys.GEN_AI_USAGE_INPUT_TOKENS,
    "output_tokens": keys.GEN_AI_USAGE_OUTPUT_TOKENS,
    "cache_read_tokens": keys.GEN_AI_USAGE_CACHE_READ,
    "cache_write_tokens": keys.GEN_AI_USAGE_CACHE_WRITE,
    "output_reasoning_tokens": keys.GEN_AI_USAGE_REASONING,
}
"""Units that the conventions name."""


def asked_attributes(asked: Asked, operation: str) -> dict[str, Any]:
    """What is known when the request leaves."""
    url = urlsplit(asked.request.url)
    found: dict[str, Any] = {
        keys.GEN_AI_OPERATION_NAME: operation,
        keys.GEN_AI_PROVIDER_NAME: asked.provider,
        keys.SERVER_ADDRESS: url.hostname or "",
    }
    if asked.model:
        found[keys.GEN_AI_REQUEST_MODEL] = asked.model
    return found


def reading_attributes(reading: Reading) -> dict[str, Any]:
    """What the exchange said."""
    found: dict[str, Any] = {}
    if reading.response_model:
        found[keys.GEN_AI_RESPONSE_MODEL] = reading.response_model
    if reading.response_id:
        found[keys.GEN_AI_RESPONSE_ID] = reading.response_id
    for unit, quantity in reading.usage.items():
        found[USAGE_KEYS.get(unit, keys.OTEL_COST_USAGE_PREFIX + unit)] = quantity
    return found
