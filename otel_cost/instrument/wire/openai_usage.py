"""The `usage` of OpenAI's chat completions and of those who copied it, each with its own additions.

Inclusive totals: `prompt_tokens` contains cached, written, audio and image tokens, `completion_tokens` contains
reasoning. Who counts otherwise is found by `total_tokens`. Sources: the API references of OpenAI, Azure, xAI, Groq,
DeepSeek, Mistral, OpenRouter, Perplexity, Together, Fireworks, Moonshot, Z.ai; Google's OpenAI compatibility page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from otel_cost.instrument.wire.types import Asked, Head, Part
from otel_cost.instrument.wire.values import at, mapping, micros, objects, pico_usd, put, text, whole
from otel_cost.normalise.vocabulary import GEMINI, PERPLEXITY, VERCEL_GATEWAY, VERTEX
from otel_cost.pricing import units as u

INPUT_AUDIO, OUTPUT_AUDIO = "input_audio_tokens", "output_audio_tokens"
INPUT_IMAGE, OUTPUT_IMAGE = "input_image_tokens", "output_image_tokens"
INPUT_VIDEO = "input_video_tokens"

PICO_USD_PER_TICK = 100
"""xAI's `cost_in_usd_ticks`: ten thousand millionths of a dollar are 10,000,000,000 ticks to the dollar."""

_Sources = tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
_SAID, _INTO, _OUT = range(3)
"""Parts of a usage: itself, and its details of the prompt and of the completion."""
_INPUTS: _Sources = (
    (u.INPUT, ((_SAID, "prompt_tokens"), (_SAID, "input_tokens"))),
    (
        u.CACHE_READ,
        (
            (_INTO, "cached_tokens"),
            (_SAID, "prompt_cache_hit_tokens"),
            (_SAID, "cached_tokens"),
            (_SAID, "cache_read_input_tokens"),
            (_SAID, "num_cached_tokens"),
        ),
    ),
    (
        u.CACHE_WRITE,
        (
            (_INTO, "cache_write_tokens"),
            (_INTO, "cache_creation_tokens"),
            (_INTO, "cache_creation_input_tokens"),
            (_SAID, "cache_creation_input_tokens"),
        ),
    ),
    (INPUT_AUDIO, ((_INTO, "audio_tokens"),)),
    (INPUT_IMAGE, ((_INTO, "image_tokens"),)),
    (INPUT_VIDEO, ((_INTO, "video_tokens"),)),
)
_OUTPUTS: _Sources = (
    (u.OUTPUT, ((_SAID, "completion_tokens"), (_SAID, "output_tokens"))),
    (u.REASONING, ((_OUT, "reasoning_tokens"), (_SAID, "reasoning_tokens"))),
    (OUTPUT_AUDIO, ((_OUT, "audio_tokens"),)),
    (OUTPUT_IMAGE, ((_OUT, "image_tokens"),)),
)
"""Units, and the places where their counts may stand: the first that holds one counts."""

_INTS = {int}

_HIDDEN_THINKERS = frozenset({GEMINI, VERTEX})
"""Providers whose thinking shows only in `total_tokens`."""

APART_THINKERS = frozenset({PERPLEXITY, VERCEL_GATEWAY})
"""Providers that report reasoning beside the completion for some models (deep research; Gemini), in no total: more
reasoning than completion shows it. Elsewhere that is a slip of counting."""

BESIDE_TOKENS = frozenset(
    {
        *("cost", "cost_in_usd_ticks", "cost_details", "is_byok"),
        *("server_tool_use", "server_tool_use_details", "num_search_queries"),
        *("search_context_size", "service_tier", "prompt_audio_seconds", "citation_tokens"),
    }
)
"""What a usage may say besides tokens: most say none of it."""

_ALWAYS_SEARCHES = ("search-preview", "search-api")
"""OpenAI's chat models that search the web before every answer: one search per request (its pricing page)."""


class Counted:
    """What the usage of an answer says."""

    __slots__ = ("context", "extra", "parts", "reported_cost_pico_usd", "service_tier", "usage")

    def __init__(self, usage: dict[str, int]) -> None:
        self.usage = usage
        self.service_tier: str | None = None
        self.reported_cost_pico_usd: int | None = None
        self.context: dict[str, str] = {}
        self.parts: tuple[Part, ...] = ()
        self.extra: dict[str, Any] = {}


def counted(
    asked: Asked, head: Head, body: Mapping[str, Any], answered: str | None
) -> tuple[dict[str, int], Counted | None]:
    """Usage of an answer's JSON; and, where it says more than tokens, that: the usage is in there, too.

    `answered`: the model, by the answer.
    """
    usage, has_output = body.get("usage"), asked.operation != "embeddings"
    said = usage if usage and type(usage) is dict else mapping(usage) or mapping(at(body, "x_groq", "usage"))
    counts = tokens(said, asked.provider, has_output=has_output)
    if u.CACHE_READ not in counts and u.INPUT in counts:  # Fireworks says in headers what was cached
        put(counts, u.CACHE_READ, head.headers.get("fireworks-cached-prompt-tokens"))
    model = answered or asked.model
    searches = model is not None and "search" in model
    if not searches and "usage_breakdown" not in body and BESIDE_TOKENS.isdisjoint(said):
        return counts, None  # nearly always
    found = Counted(counts)
    if model is not None and searches:
        _model_that_searches(found, head, model)
    if not BESIDE_TOKENS.isdisjoint(said):
        found.service_tier = text(said.get("service_tier"))
        size = text(said.get("search_context_size"))
        if size:
            found.context["search_context_size"] = size
        _tools(found, said)
        _cost(found, said, has_output=has_output)
        _billed_apart(found, model, said)
    if "usage_breakdown" in body:
        _parts(found, body)
    return counts, found


def tokens(said: Mapping[str, Any], provider: str, *, has_output: bool = True) -> dict[str, int]:
    """Token counts by unit; empty for a usage that has none."""
    into, out = said.get("prompt_tokens_details"), said.get("completion_tokens_details")
    if type(into) is not dict or type(out) is not dict:
        into, out = mapping(into), mapping(out)
    units, keys, others = present(tuple(said), tuple(into), tuple(out), has_output)
    of_said, of_into, of_out = keys
    values = [*map(said.__getitem__, of_said), *map(into.__getitem__, of_into), *map(out.__getitem__, of_out)]
    usage: dict[str, int]
    if set(map(type, values)) == _INTS and min(values) >= 0 and max(values) <= u.MAX_QUANTITY:  # nearly always
        usage = dict(zip(units, values, strict=True))
    else:
        usage = {}
        told = said, into, out
        for unit, value in zip(units, values, strict=True):
            put(usage, unit, value, *[told[part][key] for part, key in others[unit]])
    if has_output:
        total = said.get("total_tokens")
        if provider in APART_THINKERS or total != usage.get(u.INPUT, 0) + usage.get(u.OUTPUT, 0):
            _outside(usage, whole(total), provider)
    elif u.INPUT not in usage:
        put(usage, u.INPUT, said.get("total_tokens"))
    return usage


class _Present(NamedTuple):
    """Where a usage tells what."""

    units: tuple[str, ...]  # in the order of `keys`
    keys: tuple[tuple[str, ...], ...]  # of each part: what is read there first
    others: Mapping[str, Sequence[tuple[int, str]]]  # of each unit: part and key, where that is no count


@lru_cache(maxsize=64)
def present(said: tuple[str, ...], into: tuple[str, ...], out: tuple[str, ...], has_output: bool) -> _Present:
    """Units that a usage of these keys tells, where, and where else: an app sees few such sets of keys."""
    wanted = _INPUTS + _OUTPUTS if has_output else _INPUTS
    found = ((unit, [at for at in sources if at[1] in (said, into, out)[at[0]]]) for unit, sources in wanted)
    places = sorted(((unit, places) for unit, places in found if places), key=lambda one: one[1][0][0])
    return _Present(
        tuple(unit for unit, _ in places),
        tuple(tuple(at[0][1] for _, at in places if at[0][0] == part) for part in (_SAID, _INTO, _OUT)),
        {unit: at[1:] for unit, at in places},
    )


def _outside(usage: dict[str, int], total: int | None, provider: str) -> None:
    """Add what some providers count beside input and output: what `total_tokens` has more than both."""
    if u.OUTPUT not in usage or u.INPUT not in usage:
        return
    reasoning, audio = usage.get(u.REASONING, 0), usage.get(INPUT_AUDIO, 0)
    missing = 0 if total is None else total - usage[u.INPUT] - usage[u.OUTPUT]
    if (missing > 0 and missing == reasoning) or (provider in APART_THINKERS and reasoning > usage[u.OUTPUT]):
        usage[u.OUTPUT] += reasoning
    elif missing > 0 and missing == audio:
        usage[u.INPUT] += audio
    elif missing > 0 and provider in _HIDDEN_THINKERS:
        usage[u.OUTPUT] += missing
        usage.setdefault(u.REASONING, missing)


def _tools(found: Counted, said: Mapping[str, Any]) -> None:
    """Searches, which no token counts."""
    tools = mapping(said.get("server_tool_use")) or mapping(said.get("server_tool_use_details"))
    searches = whole(tools.get("web_search_requests"))
    if searches:
        found.extra["web_search_requests"] = searches
    if (
        searches is None and "num_search_queries" in said and "search_context_size" not in said
    ):  # else it is the request that is billed
        searches = whole(said.get("num_search_queries"))
    if searches is not None:
        found.usage[u.WEB_SEARCHES] = searches


def _model_that_searches(found: Counted, head: Head, model: str) -> None:
    """One search for a request, unless the answer says how many."""
    if head.status < HTTPStatus.BAD_REQUEST and any(map(model.__contains__, _ALWAYS_SEARCHES)):
        found.usage[u.WEB_SEARCHES] = 1


def _billed_apart(found: Counted, model: str | None, said: Mapping[str, Any]) -> None:
    """Where other quantities are billed than those reported: Mistral bills the time of sounds, not their tokens;
    Perplexity's deep research bills the tokens of what it cites, which are in no total."""
    seconds, citations = micros(said.get("prompt_audio_seconds")), whole(said.get("citation_tokens"))
    if seconds is None and not citations:
        return
    billed = dict(found.usage)
    if seconds is not None:
        found.usage["audio_seconds"] = billed["audio_seconds"] = seconds
        billed[u.INPUT] = max(0, billed.get(u.INPUT, 0) - billed.pop(INPUT_AUDIO, 0))
    if citations:
        billed[u.CITATION] = citations
        billed[u.OUTPUT] = billed.get(u.OUTPUT, 0) + citations
    found.parts = (Part(model, billed),)


def _cost(found: Counted, said: Mapping[str, Any], *, has_output: bool) -> None:
    """What the provider says that it charged: OpenRouter, Perplexity, xAI."""
    cost, ticks = said.get("cost"), whole(said.get("cost_in_usd_ticks"))
    found.reported_cost_pico_usd = pico_usd(cost.get("total_cost") if isinstance(cost, Mapping) else cost)
    if ticks is not None:
        found.extra["cost_in_usd_ticks"] = ticks
        found.reported_cost_pico_usd = ticks * PICO_USD_PER_TICK
    details = mapping(said.get("cost_details"))
    if not has_output:
        return  # one line, nothing to take apart
    if details:
        found.extra["reported_cost_details"] = dict(details)
    if isinstance(said.get("is_byok"), bool):
        found.extra["is_byok"] = said["is_byok"]


def _parts(found: Counted, body: Mapping[str, Any]) -> None:
    """What is billed by itself: Groq's compound systems call several models."""
    steps = [step for step in objects(at(body, "usage_breakdown", "models")) if mapping(step.get("usage"))]
    if steps:
        found.parts = tuple(Part(text(step.get("model")), tokens(mapping(step["usage"]), "groq")) for step in steps)
        found.extra["usage_breakdown"] = [
            {"model": part.model, "input_tokens": part.usage.get(u.INPUT), "output_tokens": part.usage.get(u.OUTPUT)}
            for part in found.parts
        ]
