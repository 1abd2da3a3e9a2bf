"""What the provider's own tools cost in a response: searches, file searches, containers, pictures.

The model's tokens say nothing of them. Sources: OpenAI's SDK (`Response.tool_usage`: "web_search.num_requests counts
billable searches; discounted searches and actions such as opening a page are excluded"), OpenAI's price page (a
container is billed by session and by gigabyte of memory, a file search by call), x.ai's "tools" guide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from otel_cost.instrument.wire.openai_units import kind_of, tokens_of
from otel_cost.instrument.wire.types import Part
from otel_cost.instrument.wire.values import at, mapping, objects, text, whole
from otel_cost.normalise.vocabulary import XAI
from otel_cost.pricing.units import WEB_SEARCHES

DEFAULT_IMAGE_MODEL = "gpt-image-1"
"""What OpenAI's `image_generation` tool used when neither request nor response named a model."""

_SEARCH, _FILES, _CODE, _SHELL, _IMAGE = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "shell_call",
    "image_generation_call",
)
_X_SEARCH = "x_search_call"
_COUNTED = {
    _SEARCH: "web_search_calls",
    _FILES: "file_search_calls",
    _CODE: "code_interpreter_calls",
    _IMAGE: "image_generation_calls",
}
BILLED_ITEMS = (*_COUNTED, _SHELL, _X_SEARCH)
"""Types of output items that cost something by themselves."""

_PAINTED = {"counts_as": "image_generation"}

_XAI_TOOLS = {
    "web_search_calls": WEB_SEARCHES,
    "x_search_calls": "social_searches",
    "code_interpreter_calls": "code_executions",
    "file_search_calls": "storage_searches",
    "document_search_calls": "storage_searches",
}


@dataclass(slots=True)
class ToolUse:
    """What the tools of one response cost: more units of the response itself, and parts by other models."""

    units: dict[str, int] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    images: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def tool_use(provider: str, body: Mapping[str, Any], output: Sequence[Mapping[str, Any]]) -> ToolUse:
    """Tools used in a response. `output`: its items; `body` repeats the tools as the request configured them."""
    use = ToolUse()
    calls = [item for item in output if item.get("type") in BILLED_ITEMS]
    configured = objects(body.get("tools"))
    if calls:
        counts = Counter(_COUNTED[item["type"]] for item in calls if item["type"] in _COUNTED)
        use.extra.update(counts)
    _searches(use, body, [item for item in calls if item["type"] == _SEARCH], configured)
    if provider == XAI:
        _xai(use, mapping(body.get("usage")), calls)
        return use
    if calls:
        _files(use, calls)
        _containers(use, calls, configured)
    _images(use, body, [item for item in calls if item["type"] == _IMAGE], configured)
    return use


def _is_done(item: Mapping[str, Any]) -> bool:
    return item.get("status") != "failed"


def _searches(
    use: ToolUse, body: Mapping[str, Any], calls: list[Mapping[str, Any]], configured: list[Mapping[str, Any]]
) -> None:
    billed = whole(at(body, "tool_usage", "web_search", "num_requests"))
    if billed is None:
        billed = sum(_is_done(item) and at(item, "action", "type") in (None, "search") for item in calls)
    if not (billed or calls):
        return
    use.units[WEB_SEARCHES] = billed
    for tool in configured:
        size = kind_of(tool.get("search_context_size"))
        if size is not None and str(tool.get("type")).startswith("web_search"):
            use.context["search_context_size"] = size


def _xai(use: ToolUse, usage: Mapping[str, Any], calls: list[Mapping[str, Any]]) -> None:
    details = mapping(usage.get("server_side_tool_usage_details"))
    counts: Counter[str] = Counter()
    if details:
        for key, unit in _XAI_TOOLS.items():
            counts[unit] += whole(details.get(key)) or 0
        use.units.pop(WEB_SEARCHES, None)
    else:
        counts["storage_searches"] = sum(item["type"] == _FILES for item in calls)
        counts["code_executions"] = sum(item["type"] == _CODE for item in calls)
        counts["social_searches"] = sum(item["type"] == _X_SEARCH for item in calls)
    pictures = sum(item["type"] == _IMAGE and _is_done(item) for item in calls)
    use.images = pictures or None
    use.units.update({unit: count for unit, count in counts.items() if count})


def _files(use: ToolUse, calls: list[Mapping[str, Any]]) -> None:
    count = sum(item["type"] == _FILES and _is_done(item) for item in calls)
    if count:
        use.units["storage_searches"] = count


def _containers(use: ToolUse, calls: list[Mapping[str, Any]], configured: list[Mapping[str, Any]]) -> None:
    """Sessions by container. One with more memory costs as many times a session's price as it has gigabytes."""
    used: set[str] = set()
    unnamed = 0
    for item in calls:
        if item["type"] == _CODE:
            container = text(item.get("container_id"))
            used.update((container,) if container else ())
            unnamed |= container is None
        elif item["type"] == _SHELL:
            container = text(at(item, "environment", "container_id"))
            used.update((container,) if container else ())
    sessions = len(used) or unnamed
    if sessions:
        use.units["code_interpreter_sessions"] = sessions * max(map(_gigabytes, configured), default=1)
        use.extra["container_ids"] = tuple(sorted(used))


def _gigabytes(tool: Mapping[str, Any]) -> int:
    limit = at(tool, "container", "memory_limit") or at(tool, "environment", "memory_limit")
    digits = limit[:-1] if isinstance(limit, str) and limit[-1:] == "g" else ""
    return (whole(digits) or 1) if len(digits) < 4 else 1


def _images(
    use: ToolUse, body: Mapping[str, Any], calls: list[Mapping[str, Any]], configured: list[Mapping[str, Any]]
) -> None:
    """Pictures are made by another model, whose tokens newer responses report beside the model's own."""
    done = [item for item in calls if _is_done(item) and ("result" not in item or item["result"] is not None)]
    usage = tokens_of(at(body, "tool_usage", "image_gen"))
    if calls:
        use.images = len(done)
    tool = next((tool for tool in configured if tool.get("type") == "image_generation"), {})
    model = text(tool.get("model")) or DEFAULT_IMAGE_MODEL
    ids = [text(item.get("id")) for item in done]
    if any(usage.values()):
        use.parts = (Part(model, usage, ids[0] if ids else None, extra=_PAINTED),)
    else:
        use.parts = tuple(_picture(model, item, tool) for item in done)
    use.parts += tuple(_drawing(item) for item in done if isinstance(item.get("svg_usage"), Mapping))


def _picture(model: str, item: Mapping[str, Any], tool: Mapping[str, Any]) -> Part:
    context = {}
    for key in ("size", "quality"):
        kind = kind_of(item.get(key)) or kind_of(tool.get(key))
        if kind is not None:
            context[key] = kind
    return Part(model, {"output_images": 1}, text(item.get("id")), context=context, extra=_PAINTED)


def _drawing(item: Mapping[str, Any]) -> Part:
    usage = mapping(item.get("svg_usage"))
    call = text(item.get("id"))
    return Part(text(usage.get("model")), svg_tokens(usage), f"{call}:svg" if call else None)


def svg_tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    """Units of `svg_usage`: a text model drew the picture; its reasoning is said beside the totals."""
    return tokens_of({**usage, "output_tokens_details": {"reasoning_tokens": usage.get("reasoning_tokens")}})
