"""What all of Amazon Bedrock's runtime has in common: model and region of a URL, errors, tokens told by headers.

Source: Amazon Bedrock API reference (`InvokeModel`, `Converse`), "Supported Regions and models for inference
profiles", "Service tiers", "Optimize model inference for latency".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from otel_cost.instrument.wire.answers import answer
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import at, error_type, mapping, put, text, whole
from otel_cost.pricing.units import CACHE_READ, CACHE_WRITE, INPUT, OUTPUT

REGION, LATENCY = "region", "latency"
_USUAL_LATENCY = "standard"

_TARGET = re.compile(r"/model/([^?]+)/[^/?]+\Z")
_REGION = re.compile(r"(?:://|[.])[a-z0-9-]*bedrock[a-z0-9-]*\.([a-z]{2,4}(?:-[a-z]+)+-[0-9]+)\.", re.IGNORECASE)
_ARN_REGION = re.compile(r"arn:aws[a-z-]*:[a-z]+:([a-z]{2,4}(?:-[a-z]+)+-[0-9]+):")

_HEADER = "x-amzn-bedrock-"
_COUNT_HEADERS = (
    (INPUT, "input-token-count"),
    (OUTPUT, "output-token-count"),
    (CACHE_READ, "cache-read-input-token-count"),
    (CACHE_WRITE, "cache-write-input-token-count"),
)
_METRICS = (
    (INPUT, "inputTokenCount"),
    (OUTPUT, "outputTokenCount"),
    (CACHE_READ, "cacheReadInputTokenCount"),
    (CACHE_WRITE, "cacheWriteInputTokenCount"),
)
METRICS = "amazon-bedrock-invocationMetrics"
"""The key under which the last chunk of any model's stream says what was used."""


class Target(NamedTuple):
    """Which model, where."""

    model: str | None  # an id, an inference profile or an ARN, decoded
    context: dict[str, str]


def target_of(url: str) -> Target:
    """Model and region of a URL `https://bedrock-runtime.REGION.amazonaws.com/model/MODEL/ACTION`. On another host
    (a proxy) only an ARN tells the region."""
    model, region = _model_and_region(url.partition("?")[0].rstrip("/"))
    return Target(model, {REGION: region} if region else {})


@lru_cache(maxsize=256)
def _model_and_region(path: str) -> tuple[str | None, str | None]:
    """An app asks few models."""
    found = _TARGET.search(path)
    model = text(unquote(found.group(1))) if found else None
    where = _REGION.search(path) or _ARN_REGION.search(model or "")
    return model, where.group(1).lower() if where else None


def at_latency(context: Mapping[str, str], latency: object) -> dict[str, str]:
    """The context with a latency that was served other than the usual one."""
    said = text(latency)
    return {**context, LATENCY: said} if said and said.lower() != _USUAL_LATENCY else dict(context)


def header(head: Head, name: str) -> str | None:
    """One of Bedrock's own response headers."""
    return text(head.headers.get(_HEADER + name))


def counted_by(said: Mapping[str, Any]) -> dict[str, int]:
    """Tokens of `amazon-bedrock-invocationMetrics`."""
    return inclusive({unit: said.get(key) for unit, key in _METRICS})


def counted_by_headers(head: Head) -> dict[str, int]:
    """Tokens that the headers of `InvokeModel` tell."""
    return inclusive({unit: header(head, name) for unit, name in _COUNT_HEADERS})


def inclusive(said: Mapping[str, object]) -> dict[str, int]:
    """Counts by unit as Bedrock says them, with cached tokens added to the input, which excludes them."""
    usage: dict[str, int] = {}
    for unit, count in said.items():
        put(usage, unit, count)
    if INPUT in usage:
        put(usage, INPUT, usage.pop(INPUT) + usage.get(CACHE_READ, 0) + usage.get(CACHE_WRITE, 0))
    return usage


def complete(usage: MutableMapping[str, int], otherwise: Mapping[str, int]) -> None:
    """Add what only the other source tells. Cache counts of zero that it tells beside are no news."""
    for unit, count in otherwise.items():
        if unit not in usage and (count or unit in (INPUT, OUTPUT)):
            usage[unit] = count


def failed(asked: Asked, head: Head, body: object, word: str | None = None) -> Reading:
    """An error: the exception's name is in a header, in `__type`, or that of a frame (`word`)."""
    said = text(head.headers.get("x-amzn-errortype"))
    named = said.partition(":")[0] if said else None
    kind = text(mapping(body).get("__type"))
    return answer(asked)._replace(
        error_type=error_type(head.status, word, named, kind.rpartition("#")[2] if kind else None) or "error",
        is_billable=False,
    )


def on_bedrock(request: Request) -> bool:
    """Whether a request to an unknown host (a proxy) is for Bedrock: models stand in its path."""
    return "/model/" in request.url


def counted_tokens(asked: Asked, head: Head, body: Any) -> Reading:
    """The answer of `CountTokens`: bookkeeping."""
    if head.status >= 400:
        return failed(asked, head, body)
    counted = whole(at(body, "inputTokens"))
    extra = {} if counted is None else {"counted_tokens": counted}
    return answer(asked)._replace(is_billable=False, extra=extra)
