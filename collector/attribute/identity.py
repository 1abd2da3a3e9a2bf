"""What two spans must share to be the same model call: model family, response id, token counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from collector.attribute.skeleton import UNKNOWN, Spans
from otel_cost.call import Flag
from otel_cost.normalise.dialects import DIALECTS

OUTPUT_TOLERANCE_TOKENS = 4
"""Two instrumentations of one call may differ by so much: one of them adds the first stream event's placeholder."""

MIN_OVERLAP = 0.8
"""Two instrumentations of one call wrap the same exchange: one covers this share of the shorter one's time."""

MAX_DELAY_NS = 25_000_000
"""Or all but so much: on a busy machine that much may pass between the ends of two records of a short call."""

MIN_SHARED_ID_CHARACTERS = 8
"""Shorter response ids (test stubs, counters) never join calls of different traces."""

FROM_THE_WIRE = 0
"""The rank of dialects that say what the HTTP exchange said. Of a stream that was left early, what was delivered is
partly estimated there; others then say less, and do not tell."""

_VENDOR = re.compile(r"^(?:[a-z]{2,6}\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|qwen|openai|google)\.")
_REVISION = re.compile(r"(?:[-@]\d{8}|[-@]\d{4}-\d{2}-\d{2}|-\d{4}|-latest|-v\d+(?::\d+)?|:\d+)$")
_ID_SHAPES = {"chatcmpl-": "openai", "cmpl-": "openai", "resp_": "openai", "msg_": "anthropic", "gen-": "openrouter"}
_PROVIDER_FAMILIES = {"gcp": "google", "google": "google", "gemini": "google", "vertex_ai": "google", "azure": "openai"}
_OWN_KINDS = (
    "embeddings",
    "image_generation",
    "image",
    "speech",
    "transcription",
    "audio",
    "rerank",
    "ocr",
    "moderation",
    "video",
)

_RANKS = {dialect.name: dialect.rank for dialect in DIALECTS}
_LAST_RANK = max(_RANKS.values())


@lru_cache(maxsize=4096)
def model_family(model: str) -> str:
    """The model's name without vendor prefix, date, revision and spelling of its version."""
    name = _VENDOR.sub("", model.strip().lower().rsplit("/", 1)[-1])
    while (shorter := _REVISION.sub("", name)) != name:
        name = shorter
    return name.replace(".", "-")


def dialect_rank(dialect: str | None) -> int:
    """How much a dialect is trusted when several recorded one call: 0 is kept first, an unknown one last."""
    return _RANKS.get(dialect or "", _LAST_RANK)


def _shape(response_id: str) -> str | None:
    return next((shape for prefix, shape in _ID_SHAPES.items() if response_id.startswith(prefix)), None)


def id_family(response_id: str, provider: str | None) -> str:
    """Who issued a response id: the same id in the same family is the same response.

    The id's own shape says it where it can (a `msg_` id is Anthropic's, served by anyone); else the provider does.
    """
    shape = _shape(response_id)
    if shape is not None:
        return shape
    head = (provider or "").split(".", 1)[0]
    return _PROVIDER_FAMILIES.get(head, head)


@dataclass(frozen=True, slots=True)
class Record:
    """One leaf span, read out for comparison with another. -1 is a count that the span does not say."""

    row: int
    org: int
    trace: int
    scope: int
    key: tuple[int, str, str]
    start_ns: int
    end_ns: int
    input_tokens: int
    output_tokens: int
    cache_tokens: int  # read and written, part of the input; 0 where the span does not say
    reasoning_tokens: int  # part of the output; 0 where the span does not say
    has_usage: bool
    has_money: bool
    failed: bool
    operation: str
    kind: str  # the operation where it bills units of its own, else "text"
    provider: str | None
    models: frozenset[str]
    response_id: str | None
    is_from_wire: bool  # says what the HTTP exchange said
    preference: tuple[int, ...]  # smaller is kept; the same for every trace the span could be in


def read_record(spans: Spans, row: int) -> Record:
    """Read one span out of the columns."""
    names = [spans.text(name, row) for name in ("model", "request_model", "response_model")]
    operation = spans.text("operation", row) or ""
    flags = spans.value("flags", row) or 0
    cache = [spans.value(name, row) or 0 for name in ("cache_read_tokens", "cache_write_tokens")]
    has_usage, failed = bool(spans.has_usage[row]), bool(spans.failed[row])
    rank = dialect_rank(spans.text("dialect", row))
    return Record(
        row=row,
        org=int(spans.org.codes[row]),
        trace=int(spans.trace[row]),
        scope=int(spans.scope.codes[row]),
        key=spans.key(row),
        start_ns=int(spans.start_ns[row]),
        end_ns=int(spans.end_ns[row]),
        input_tokens=int(spans.input_tokens[row]),
        output_tokens=int(spans.output_tokens[row]),
        cache_tokens=sum(cache),
        reasoning_tokens=spans.value("output_reasoning_tokens", row) or 0,
        has_usage=has_usage,
        has_money=bool(spans.has_money[row]),
        failed=failed,
        operation=operation,
        kind=operation if operation in _OWN_KINDS else "text",
        provider=spans.text("provider", row),
        models=frozenset(model_family(name) for name in names if name),
        response_id=spans.text("response_id", row),
        is_from_wire=rank == FROM_THE_WIRE,
        preference=(
            int(not has_usage),
            int(rank > FROM_THE_WIRE),
            int(has_usage and bool(flags & Flag.ESTIMATED)),
            int(spans.value("cost_pico_usd", row) is None),
            -sum(tokens > 0 for tokens in cache),
            rank,
            int(failed),
        ),
    )


def models_agree(one: Record, other: Record) -> bool:
    """One of the names of one is a name of the other, or one of them names no model at all."""
    return not one.models or not other.models or not one.models.isdisjoint(other.models)


def tokens_agree(one: Record, other: Record) -> bool:
    """Equal input, output within the tolerance. A count that is not said is compared as 0 (output) or as such.

    A record that knows nothing of the cache may have left cached tokens out of its input, and one that knows nothing
    of reasoning may have left that out of its output.
    """
    same_input = (
        one.input_tokens == other.input_tokens or _is_uncached_part(one, other) or _is_uncached_part(other, one)
    )
    return same_input and (_same_output(one, other) or _is_spoken_part(one, other) or _is_spoken_part(other, one))


def _same_output(one: Record, other: Record) -> bool:
    return abs(max(one.output_tokens, 0) - max(other.output_tokens, 0)) <= OUTPUT_TOLERANCE_TOKENS


def _is_spoken_part(part: Record, whole: Record) -> bool:
    if part.reasoning_tokens or not whole.reasoning_tokens or part.output_tokens <= 0:
        return False
    spoken = whole.output_tokens - whole.reasoning_tokens
    return abs(part.output_tokens - spoken) <= OUTPUT_TOLERANCE_TOKENS


def _is_uncached_part(part: Record, whole: Record) -> bool:
    return (
        not part.cache_tokens
        and whole.cache_tokens > 0
        and part.input_tokens == whole.input_tokens - whole.cache_tokens
    )


def ids_disagree(one: Record, other: Record) -> bool:
    """Both carry a provider's own id of the same shape, and the ids differ: two responses for certain."""
    if one.response_id is None or other.response_id is None or one.response_id == other.response_id:
        return False
    shape = _shape(one.response_id)
    return shape is not None and shape == _shape(other.response_id)


def lie_together(one: Record, other: Record) -> bool:
    """One covers most of the shorter one's time, as two records of one exchange do."""
    shorter = min(one.end_ns - one.start_ns, other.end_ns - other.start_ns)
    overlap = min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns)
    return overlap >= min(MIN_OVERLAP * shorter, max(shorter - MAX_DELAY_NS, 1))


def gap_ns(one: Record, other: Record) -> int:
    """The time from the end of one to the start of the other; 0 or less where they overlap."""
    return max(one.start_ns, other.start_ns) - min(one.end_ns, other.end_ns)


def overlap_of_shorter(one: Record, other: Record) -> float:
    """The share of the shorter span's time that the other covers; an instant inside the other is covered whole."""
    begin, end = max(one.start_ns, other.start_ns), min(one.end_ns, other.end_ns)
    shorter = min(one.end_ns - one.start_ns, other.end_ns - other.start_ns)
    if end < begin:
        return 0.0
    return 1.0 if shorter <= 0 else (end - begin) / shorter


def same_usage_or_none(one: Record, other: Record) -> bool:
    """Both say the same tokens, or neither says any usage."""
    if one.has_usage != other.has_usage:
        return False
    return tokens_agree(one, other) if one.has_usage else UNKNOWN == one.input_tokens == other.input_tokens
