"""The only list of billable units. Keys are genai-prices' usage keys, plus the few that its registry lacks.

Three kinds of facts, all data:

* `UNITS`: what can be counted, how finely (`quantum`) and per how many the price is quoted (`per`).
* Token classes: input and output tokens are a grid of modality x type; `LEAVES` names its cells. Providers report
  inclusive totals (`input_tokens` contains the cached ones), so a count is split into cells before it is priced.
* `FALLBACKS`: which rate bills a cell without a rate of its own, nearest first. Source of the rule: the inclusion
  lattice of genai-prices (a part without a price is billed as the nearest whole that has one).
"""

from collections.abc import Iterable
from typing import NamedTuple

MICRO = 1_000_000
"""Seconds and gigabyte-days are counted in millionths, so that 12.5 s is a whole number."""

MAX_QUANTITY = 2**40
"""A count above this is no usage but a mistake; it is dropped and flagged."""


class Unit(NamedTuple):
    """One thing that is counted and billed."""

    key: str
    per: int = 1  # a rate is pico-USD per this many natural units (3600: a price per hour of seconds)
    quantum: int = 1  # how many of the counted quantity make one natural unit (1_000_000: counted in millionths)
    family: str = "tokens"
    part_of: str | None = None  # the unit whose count includes this one


INPUT, OUTPUT = "input_tokens", "output_tokens"
CACHE_READ, CACHE_WRITE = "cache_read_tokens", "cache_write_tokens"
CACHE_WRITE_5M, CACHE_WRITE_1H, CACHE_WRITE_12H = (
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_12h_tokens",
)
TOOL, REASONING, CITATION = "input_tool_tokens", "output_reasoning_tokens", "output_citation_tokens"
REQUESTS, WEB_SEARCHES = "requests", "web_searches"
ROUTER_INPUT, ROUTER_FEE, DURATION = "router_input_tokens", "router_fee", "duration_seconds"
FEES = "fees"

MODALITIES = ("audio", "image", "video")
"""Modalities with prices of their own. Text is what remains."""

PLAIN, READ, WRITE, WRITE_1H, WRITE_12H = "", "read", "write", "write_1h", "write_12h"
INPUT_TYPES = (PLAIN, READ, WRITE, WRITE_1H, WRITE_12H, "tool")
OUTPUT_TYPES = (PLAIN, "reasoning", "citation")


def token_key(direction: str, modality: str, kind: str) -> str:
    """The usage key of a cell of the token grid, e.g. ("input", "audio", "read") -> "cache_audio_read_tokens"."""
    middle = f"_{modality}" if modality else ""
    if kind in (READ, WRITE, WRITE_1H, WRITE_12H, "write_5m"):
        return f"cache{middle}_{kind}_tokens"
    suffix = f"_{kind}" if kind else ""
    return f"{direction}{middle}{suffix}_tokens"


def _token_units() -> list[Unit]:
    units = [Unit(INPUT), Unit(OUTPUT)]
    for modality in ("", "text", *MODALITIES):
        for direction, kinds in (("input", (*INPUT_TYPES, "write_5m")), ("output", OUTPUT_TYPES)):
            whole = INPUT if direction == "input" else OUTPUT
            for kind in kinds:
                key = token_key(direction, modality, kind)
                if key not in (INPUT, OUTPUT):
                    units.append(Unit(key, part_of=whole))
    return units


_OTHER_UNITS = (
    Unit("input_characters", family="characters"),
    Unit("output_characters", family="characters"),
    Unit("input_text_messages", per=1000, family="messages"),
    Unit("audio_seconds", per=3600, quantum=MICRO, family="durations"),
    Unit("input_audio_seconds", per=3600, quantum=MICRO, family="durations", part_of="audio_seconds"),
    Unit("output_audio_seconds", per=3600, quantum=MICRO, family="durations", part_of="audio_seconds"),
    Unit("output_video_seconds", quantum=MICRO, family="video"),
    Unit("gpu_seconds", per=3600, quantum=MICRO, family="gpu"),
    Unit(DURATION, per=3600, quantum=MICRO, family="gpu"),
    Unit("input_pixels", per=1_000_000_000, family="pixels"),
    Unit("input_images", family="images"),
    Unit("output_images", family="images"),
    Unit("input_document_pages", per=1000, family="pages"),
    Unit("input_annotated_document_pages", per=1000, family="pages", part_of="input_document_pages"),
    Unit("rerank_searches", per=1000, family="rerank"),
    Unit(WEB_SEARCHES, per=1000, family="tool_calls"),
    *(Unit(f"{WEB_SEARCHES}_{size}", per=1000, family="tool_calls") for size in ("low", "medium", "high")),
    Unit("social_searches", per=1000, family="tool_calls"),
    Unit("storage_searches", per=1000, family="tool_calls"),
    Unit("map_searches", per=1000, family="tool_calls"),
    Unit("code_executions", per=1000, family="tool_calls"),
    Unit("code_interpreter_sessions", per=1000, family="tool_calls"),
    Unit("vector_store_gb_days", quantum=MICRO, family="storage"),
    Unit(REQUESTS, per=1000, family="requests"),
    Unit(ROUTER_INPUT, family=FEES),
    Unit(ROUTER_FEE, per=1_000_000, family=FEES),
)

UNITS: dict[str, Unit] = {unit.key: unit for unit in (*_token_units(), *_OTHER_UNITS)}
"""Every unit by key."""

DERIVED = (REQUESTS, DURATION, ROUTER_INPUT, ROUTER_FEE)
"""Units whose quantity follows from the call where it does not say one: one request, from start to end, the whole
input; last, a share of all other lines (its rate is pico-USD per million pico-USD of them)."""

UPLIFTED = frozenset({"tokens", "characters", "messages", "durations", "video", "pixels", "images", "pages"})
"""Families that a region makes dearer: what the model itself does, not the tools that it calls. Source: Anthropic's
"data residency pricing" (a multiplier on all token categories), OpenAI's "regional processing" of models."""

QUALIFIERS: dict[str, tuple[tuple[str, ...], ...]] = {
    WEB_SEARCHES: (("search_context_size",),),
    REQUESTS: (("search_context_size",),),
    "input_images": (("size",),),
    "output_images": (("size", "quality"), ("size",), ("quality",)),
    "output_video_seconds": (("resolution",),),
}
"""Unit -> what of a call's context can make it a certain kind of that unit, tried in order. A card's rate of such a
kind has the key UNIT_VALUE_VALUE, as in `output_images_1024x1536_hd`; the plain unit's rate is for all others."""

QUALIFYING = tuple(dict.fromkeys(name for choices in QUALIFIERS.values() for names in choices for name in names))
"""Keys of a call's context that `QUALIFIERS` asks for."""


def qualified(unit: str, values: Iterable[str]) -> str:
    """The rate key of a certain kind of a unit."""
    return "_".join((unit, *values))


def is_qualified(rate_key: str) -> bool:
    """Whether a rate is for a certain kind of its unit."""
    return any(rate_key.startswith(f"{unit}_") for unit in QUALIFIERS)


def unit_of(rate_key: str) -> Unit:
    """The unit of a rate, qualified or not. Raises KeyError for what is neither."""
    for unit in () if rate_key in UNITS else QUALIFIERS:
        if rate_key.startswith(f"{unit}_"):
            return UNITS[unit]
    return UNITS[rate_key]


OTHER_KEYS = tuple(unit.key for unit in _OTHER_UNITS)
"""Units outside the token grid."""

OTHER_WHOLES: dict[str, tuple[str, ...]] = {
    "audio_seconds": ("input_audio_seconds", "output_audio_seconds"),
    "input_document_pages": ("input_annotated_document_pages",),
}
"""Whole -> its parts, outside the token grid."""

INPUT_LEAVES = tuple(token_key("input", m, kind) for m in ("", *MODALITIES) for kind in INPUT_TYPES)
OUTPUT_LEAVES = tuple(token_key("output", m, kind) for m in ("", *MODALITIES) for kind in OUTPUT_TYPES)
LEAVES = (*INPUT_LEAVES, *OUTPUT_LEAVES, *OTHER_KEYS)
"""What a receipt can name: in a receipt a key means the exclusive part, not the inclusive count."""


COMMON_LEAVES = (INPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, OUTPUT, REASONING)
"""What nearly every call consists of."""


LEAF_ORDER = {leaf: position for position, leaf in enumerate(LEAVES)}
"""Leaf -> its place in a receipt."""


def _token_fallbacks(direction: str, modality: str, kind: str) -> tuple[str, ...]:
    narrower = {WRITE_1H: (WRITE_1H, WRITE), WRITE_12H: (WRITE_12H, WRITE_1H, WRITE)}.get(kind, (kind,))
    chain = [token_key(direction, modality, k) for k in narrower]
    if modality and kind:
        chain += [token_key(direction, "", k) for k in narrower]
    if kind:
        chain.append(token_key(direction, modality, PLAIN))
    chain.append(token_key(direction, "", PLAIN))
    return tuple(dict.fromkeys(chain))


FALLBACKS: dict[str, tuple[str, ...]] = {
    **{token_key("input", m, k): _token_fallbacks("input", m, k) for m in ("", *MODALITIES) for k in INPUT_TYPES},
    **{token_key("output", m, k): _token_fallbacks("output", m, k) for m in ("", *MODALITIES) for k in OUTPUT_TYPES},
    **{unit.key: (unit.key, unit.part_of) if unit.part_of else (unit.key,) for unit in _OTHER_UNITS},
    **{f"{WEB_SEARCHES}_{size}": (f"{WEB_SEARCHES}_{size}", WEB_SEARCHES) for size in ("low", "medium", "high")},
}
"""Leaf -> units whose rate bills it, nearest first; the first is the leaf itself."""

BILLED_AS_PARENT = frozenset(
    token_key(direction, m, kind)
    for m in ("", *MODALITIES)
    for direction, kind in (("input", "tool"), ("output", "reasoning"), ("output", "citation"))
)
"""Classes that providers bill inside their whole as a rule: using the parent's rate is no anomaly."""
