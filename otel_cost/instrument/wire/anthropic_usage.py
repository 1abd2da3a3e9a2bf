"""Anthropic's `usage` object in our units: what was used, by which service, and everything that is billed.

Source: "Messages API reference", "Prompt caching", "Compaction", "Advisor tool", "Server-side fallback", and the types
`Usage`, `BetaUsage` and `BetaIterationsUsage` of Anthropic's SDK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otel_cost.instrument.wire.types import Part
from otel_cost.instrument.wire.values import NOTHING, at, mapping, objects, text, whole
from otel_cost.pricing.units import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    REASONING,
    WEB_SEARCHES,
)
from otel_cost.pricing.variants import ANYWHERE

SPEED, INFERENCE_GEO, SERVICE_TIER = "speed", "inference_geo", "service_tier"
_USUAL_SPEED = "standard"
_ADVISOR = "advisor_message"
"""An iteration by the advisor's model. It is asked at the usual speed: speed is chosen for the request's model."""

MAX_ITERATIONS = 1_000
"""Steps of one answer that are read. Fewer would cut long loops of server tools; more is no answer of Anthropic's."""

_SHOWN = (
    ("input_tokens", INPUT),
    ("output_tokens", OUTPUT),
    ("cache_read", CACHE_READ),
    ("cache_creation", CACHE_WRITE),
    ("cache_creation_5m", CACHE_WRITE_5M),
    ("cache_creation_1h", CACHE_WRITE_1H),
)
_SUMMED = _SHOWN[:4]


def usage_of(reported: Mapping[str, Any]) -> dict[str, int]:
    """What `usage`, or one entry of its `iterations`, counts. Anthropic's `input_tokens` excludes cached ones, ours
    includes them. Searches of the web are billed each, fetches are not."""
    read, written = whole(reported.get("cache_read_input_tokens")), whole(reported.get("cache_creation_input_tokens"))
    short = whole(at(reported, "cache_creation", "ephemeral_5m_input_tokens"))
    long = whole(at(reported, "cache_creation", "ephemeral_1h_input_tokens"))
    if written is None and (short is not None or long is not None):
        written = whole((short or 0) + (long or 0))
    fresh = whole(reported.get("input_tokens"))
    counts = (
        (INPUT, None if fresh is None else whole(fresh + (read or 0) + (written or 0))),
        (OUTPUT, whole(reported.get("output_tokens"))),
        (CACHE_READ, read),
        (CACHE_WRITE, written),
        *_by_lifetime(written, short, long),
        (REASONING, whole(at(reported, "output_tokens_details", "thinking_tokens"))),
        (WEB_SEARCHES, whole(at(reported, "server_tool_use", "web_search_requests"))),
    )
    return {unit: count for unit, count in counts if count is not None}


def _by_lifetime(written: int | None, short: int | None, long: int | None) -> Sequence[tuple[str, int | None]]:
    """Cache writes by lifetime. A stream tells the split at its start and may raise the total at its end. What is not
    split is billed as short-lived; but where all was written for an hour, so is the rest. A split of more than the
    total belongs to a step that the total leaves out."""
    if written is not None and (short or 0) + (long or 0) > written:
        return ()
    if written is not None and long and not short:
        long = written
    return (CACHE_WRITE_5M, short), (CACHE_WRITE_1H, long)


def context_of(reported: Mapping[str, Any], asked: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """What else decides the price: `speed` and `inference_geo` as served, else as asked; usual values are left out."""
    speed = text(reported.get(SPEED)) or asked.get(SPEED)
    place = text(reported.get(INFERENCE_GEO)) or asked.get(INFERENCE_GEO)
    context = {name: value for name, value in asked.items() if name not in (SPEED, INFERENCE_GEO)}
    if speed and speed.lower() != _USUAL_SPEED:
        context[SPEED] = speed
    if place and place.lower() not in ANYWHERE:
        context[INFERENCE_GEO] = place
    return context


def parts_of(
    reported: Mapping[str, Any], usage: Mapping[str, int], model: str | None, context: Mapping[str, str]
) -> tuple[Part, ...]:
    """Every step of `usage.iterations`, for each is billed by itself, by the model that took it: the top level leaves
    out compaction, the advisor and a model that declined. Empty where the top level is all there is. Searches are not
    told by step: they go to the last step of the answer's model."""
    steps = _iterations(reported)
    tier = text(reported.get(SERVICE_TIER))
    parts = [_part(step, model, tier, context) for step in steps]
    if not parts or (len(parts) == 1 and _is_all(parts[0], usage, model)):
        return ()
    searches = usage.get(WEB_SEARCHES)
    if searches:
        last = max((place for place, step in enumerate(steps) if step.get("type") != _ADVISOR), default=-1)
        parts[last] = parts[last]._replace(usage={**parts[last].usage, WEB_SEARCHES: searches})
    return tuple(parts)


def _iterations(reported: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return objects(reported.get("iterations"))[:MAX_ITERATIONS]


def _part(step: Mapping[str, Any], model: str | None, tier: str | None, context: Mapping[str, str]) -> Part:
    kind = text(step.get("type"))
    if kind == _ADVISOR:
        context = {name: value for name, value in context.items() if name != SPEED}
    return Part(
        text(step.get("model")) or model,
        usage_of(step),
        service_tier=tier,
        context=context,
        extra={"type": kind} if kind else NOTHING,
    )


def _is_all(part: Part, usage: Mapping[str, int], model: str | None) -> bool:
    return part.model == model and all(part.usage.get(unit) == usage.get(unit) for _, unit in _SUMMED)


def extra_of(reported: Mapping[str, Any]) -> dict[str, Any]:
    """Other facts of `usage`: where it ran, server tools that were used, and the iterations."""
    told = {name: text(reported.get(name)) for name in (INFERENCE_GEO, SPEED)}
    extra: dict[str, Any] = {name: value for name, value in told.items() if value}
    tools = mapping(reported.get("server_tool_use"))
    for name in ("web_search_requests", "web_fetch_requests", "code_execution_requests"):
        count = whole(tools.get(name))
        if count:
            extra[name] = count
    credit = text(at(reported, "fallback_credit", "status", "type"))
    if credit:
        extra["fallback_credit"] = credit
    steps = [(step, usage_of(step)) for step in _iterations(reported)]
    if steps:
        extra["iterations"] = [
            {"type": text(step.get("type")), "model": text(step.get("model"))}
            | {shown: usage.get(unit) for shown, unit in _SHOWN}
            for step, usage in steps
        ]
        extra["iterations_total"] = {shown: sum(usage.get(unit, 0) for _, usage in steps) for shown, unit in _SUMMED}
    return extra
