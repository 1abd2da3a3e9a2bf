"""What Google's usage objects say: `usageMetadata` of Gemini and Vertex AI, and `usage` of the interactions API.

Sources: the Gemini API's reference ("UsageMetadata": the prompt contains the cached tokens, and neither the tokens of
tool results nor, in the candidates, the thoughts), Vertex AI's `GenerateContentResponse`, "Interactions API". REST
clients may ask for enums as numbers (`$alt=json;enum-encoding=int`), and some proxies send snake_case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple

from otel_cost.instrument.wire.values import items, mapping, objects, text, whole
from otel_cost.normalise.vocabulary import VERTEX

_MODALITIES = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_PRICED = {"IMAGE": "image", "VIDEO": "video", "AUDIO": "audio"}
"""Modalities that have units of their own; a document is billed as text or images, whichever its model says."""

_TRAFFIC = {1: "ON_DEMAND", 2: "PROVISIONED_THROUGHPUT", 3: "ON_DEMAND_PRIORITY", 4: "ON_DEMAND_FLEX"}
_PROCESSING = {
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "off_peak",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
}
"""`trafficType` -> how the call was processed, which decides its price. On demand is the usual way."""

_FINISHES = (
    "UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER BLOCKLIST PROHIBITED_CONTENT SPII MALFORMED_FUNCTION_CALL"
)
_GEMINI_FINISHES = (
    "UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII"
    " MALFORMED_FUNCTION_CALL IMAGE_SAFETY UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS"
)
_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


def _both(*names: str) -> dict[str, str]:
    return {name: _CAMEL.sub("_", name).lower() for name in names}


_SNAKE = _both(
    *("promptTokenCount", "candidatesTokenCount", "responseTokenCount", "thoughtsTokenCount", "totalTokenCount"),
    *("toolUsePromptTokenCount", "cachedContentTokenCount", "trafficType", "serviceTier", "tokenCount"),
    *("promptTokensDetails", "promptTokenDetails", "toolUsePromptTokensDetails", "cacheTokensDetails"),
    *("candidatesTokensDetails", "responseTokensDetails", "usageMetadata", "modelVersion", "responseId"),
    *("finishReason", "groundingMetadata", "promptFeedback", "blockReason", "webSearchQueries", "groundingChunks"),
    *("inlineData", "fileData", "mimeType", "totalTokens", "googleMapsWidgetContextToken", "searchEntryPoint"),
)


def get(value: Mapping[str, Any], name: str) -> Any:
    """A field by its camelCase name, or by its snake_case one."""
    found = value.get(name)
    return value.get(_SNAKE.get(name, name)) if found is None else found


class Details(NamedTuple):
    """Token counts by modality, of one or more lists of them."""

    by_modality: Mapping[str, int]

    def of(self, modality: str) -> int:
        return self.by_modality.get(modality, 0)


def _details(lists: Iterable[object], key: str) -> Details:
    sums: dict[str, int] = {}
    for each in lists:
        for entry in objects(each):
            said = entry.get("modality")
            modality = _MODALITIES.get(said) if isinstance(said, int) else text(said)
            count = whole(get(entry, "tokenCount") if key == "tokenCount" else entry.get(key))
            if modality is not None and count is not None:
                sums[modality.upper()] = sums.get(modality.upper(), 0) + count
    return Details(sums)


def _sum(*counts: int | None) -> int | None:
    """The sum of those that are said; None if none is."""
    said = [count for count in counts if count is not None]
    return sum(said) if said else None


def _enter(usage: MutableMapping[str, int], unit: str, count: int | None) -> None:
    if count is not None:
        usage[unit] = count


class _Counts(NamedTuple):
    prompt: int | None
    tool: int | None
    answer: int | None
    thoughts: int | None
    cached: int | None
    total: int | None


def _usage(counts: _Counts, came: Details, cached: Details, made: Details) -> dict[str, int]:
    usage: dict[str, int] = {}
    _enter(usage, "input_tokens", _sum(counts.prompt, counts.tool))
    _enter(usage, "output_tokens", _sum(counts.answer, counts.thoughts))
    _enter(usage, "cache_read_tokens", counts.cached)
    _enter(usage, "output_reasoning_tokens", counts.thoughts)
    if counts.tool:
        usage["input_tool_tokens"] = counts.tool
    for modality, word in _PRICED.items():
        if modality in came.by_modality:
            usage[f"input_{word}_tokens"] = came.of(modality)
            overlap = min(cached.of(modality), came.of(modality))
            if overlap:
                usage[f"cache_{word}_read_tokens"] = overlap
        if modality in made.by_modality:
            usage[f"output_{word}_tokens"] = made.of(modality)
    return usage


def usage_of(metadata: object) -> dict[str, int]:
    """Units of a `usageMetadata` object, inclusive; empty where it says none."""
    said = mapping(metadata)
    counts = _Counts(
        whole(get(said, "promptTokenCount")),
        whole(get(said, "toolUsePromptTokenCount")),
        _sum(whole(get(said, "candidatesTokenCount")), whole(get(said, "responseTokenCount"))),
        whole(get(said, "thoughtsTokenCount")),
        whole(get(said, "cachedContentTokenCount")),
        whole(get(said, "totalTokenCount")),
    )
    came = [get(said, "promptTokensDetails"), get(said, "promptTokenDetails"), get(said, "toolUsePromptTokensDetails")]
    made = [get(said, "candidatesTokensDetails"), get(said, "responseTokensDetails")]
    return _usage(
        counts,
        _details(came, "tokenCount"),
        _details([get(said, "cacheTokensDetails")], "tokenCount"),
        _details(made, "tokenCount"),
    )


def facts_of(metadata: object) -> dict[str, Any]:
    """What else a `usageMetadata` object says, by the names of docs/instrumentation.md."""
    said = mapping(metadata)
    facts: dict[str, Any] = {}
    tool = whole(get(said, "toolUsePromptTokenCount"))
    if tool:
        facts["tool_use_prompt_tokens"] = tool
    documents = _details([get(said, "promptTokensDetails"), get(said, "promptTokenDetails")], "tokenCount").of(
        "DOCUMENT"
    )
    if documents:
        facts["document_tokens_in"] = documents
    traffic = get(said, "trafficType")
    if isinstance(traffic, (str, int)):
        facts["traffic_type"] = traffic
    return facts


def tier_of(metadata: object) -> str | None:
    """The tier that served, where Google calls it that (Gemini API)."""
    return text(get(mapping(metadata), "serviceTier"))


def processing_of(metadata: object) -> dict[str, str]:
    """What of a call's context the traffic type decides (Vertex AI)."""
    traffic = get(mapping(metadata), "trafficType")
    word = _TRAFFIC.get(traffic) if isinstance(traffic, int) else text(traffic)
    processing = _PROCESSING.get((word or "").upper())
    return {"processing": processing} if processing else {}


def interaction_usage(value: object) -> dict[str, int]:
    """Units of the `usage` object of an interaction."""
    said = mapping(value)
    counts = _Counts(
        whole(said.get("total_input_tokens")),
        whole(said.get("total_tool_use_tokens")),
        whole(said.get("total_output_tokens")),
        whole(said.get("total_thought_tokens", said.get("total_reasoning_tokens"))),
        whole(said.get("total_cached_tokens")),
        whole(said.get("total_tokens")),
    )
    usage = _usage(
        counts,
        _details([said.get("input_tokens_by_modality"), said.get("tool_use_tokens_by_modality")], "tokens"),
        _details([said.get("cached_tokens_by_modality")], "tokens"),
        _details([said.get("output_tokens_by_modality")], "tokens"),
    )
    for entry in objects(said.get("grounding_tool_count")):
        unit = _GROUNDING_UNITS.get(text(entry.get("type")) or "")
        count = whole(entry.get("count"))
        if unit is not None and count:
            usage[unit] = usage.get(unit, 0) + count
    return usage


_GROUNDING_UNITS = {"google_search": "web_searches", "google_maps": "map_searches"}
"""Grounding that is billed by itself; retrieval is billed by what the user's own store says."""


def step_units(steps: Iterable[Mapping[str, Any]], model: str | None) -> dict[str, int]:
    """Searches of an interaction's steps, for usage that does not count them."""
    found: dict[str, list[object]] = {}
    for step in steps:
        unit = _GROUNDING_UNITS.get((text(step.get("type")) or "").removesuffix("_call"))
        if unit is not None and text(step.get("type")) not in _GROUNDING_UNITS:
            found.setdefault(unit, []).extend(items(mapping(step.get("arguments")).get("queries")))
    return {unit: billed_searches(queries, model) for unit, queries in found.items()}


def finish_word(reason: object, provider: str) -> str | None:
    """A finish reason in the provider's words, of its name or its number."""
    if isinstance(reason, int):
        words = (_FINISHES if provider == VERTEX else _GEMINI_FINISHES).split()
        return words[reason] if 0 < reason < len(words) else str(reason)
    return text(reason)


_PER_QUERY = re.compile(r"gemini-(?:[3-9]|[1-9][0-9])(?![0-9])")


def billed_searches(queries: Iterable[object], model: str | None) -> int:
    """Searches that Google bills for a prompt that was grounded with these queries.

    From Gemini 3 on each query that differs is billed, empty ones are not; before it each prompt, however many queries
    it took (Gemini API, "pricing": "Grounding with Google Search", "... with Google Maps").
    """
    if model is None or not _PER_QUERY.search(model):
        return 1
    return max(len({query for query in queries if isinstance(query, str) and query}), 1)


def grounding_units(metadata: Iterable[Mapping[str, Any]], model: str | None) -> dict[str, int]:
    """Units of the `groundingMetadata` of an answer's candidates. A page that `urlContext` read is cited as a search
    result is, but no search was made for it."""
    queries: list[object] = []
    has_web = has_maps = False
    for each in metadata:
        queries += items(get(each, "webSearchQueries"))
        has_web = has_web or bool(get(each, "searchEntryPoint"))
        has_maps = has_maps or bool(get(each, "googleMapsWidgetContextToken"))
        has_maps = has_maps or any("maps" in chunk for chunk in objects(get(each, "groundingChunks")))
    if has_maps and not has_web:
        return {"map_searches": billed_searches(queries, model)}
    usage = {"web_searches": billed_searches(queries, model)} if has_web or any(queries) else {}
    return {**usage, "map_searches": 1} if has_maps else usage
