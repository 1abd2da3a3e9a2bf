"""One model call in our words: what every dialect is normalised to and what pricing reads."""

from collections.abc import Mapping
from enum import IntFlag, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

DIMENSIONS = (
    "run",
    "agent",
    "customer",
    "feature",
    "team",
    "user",
    "project",
    "environment",
    "conversation",
)
"""Who pays: the owner dimensions of a call, in the order in which they are shown."""

ATTRIBUTE = "attribute."
"""Stands before the key of a span attribute where budgets name dimensions: `attribute.deployment.region`."""


class CallKind(StrEnum):
    """What a span is to the ledger (semantics: docs/counting.md)."""

    LEAF = "leaf"  # a model call of its own: inference, embedding, image, audio, rerank
    AGGREGATE = "aggregate"  # agent, workflow, chain, step, tool: may repeat what its children used
    IGNORE = "ignore"  # looks like GenAI but never carries a call: pending spans, polls, count_tokens


class Flag(IntFlag):
    """Anomalies met while reading or pricing a span. Stored as a bit set; none of them ever raises."""

    NONE = 0
    USAGE_MISSING = 1 << 0  # a leaf that succeeded and says nothing of its usage
    CACHE_EXCLUSIVE = 1 << 1  # input excluded cached tokens; they were added
    CLAMPED = 1 << 2  # a part was larger than its whole and was cut
    NEGATIVE = 1 << 3  # a negative count was dropped
    NOT_A_NUMBER = 1 << 4  # a count that is no number was dropped
    TOO_LARGE = 1 << 5  # a count above 2**40 was dropped
    TTL_ASSUMED = 1 << 6  # cache writes without a TTL split: the short one is assumed
    OUTPUT_DERIVED = 1 << 7  # output computed from total - input
    TOTAL_MISMATCH = 1 << 8  # the span's total is neither reading of its parts
    VARIANT_NOT_PRICED = 1 << 9  # the tier served has no rate of its own; standard was used
    RATE_FALLBACK = 1 << 10  # a used token class had no rate of its own; its parent's was used
    BEFORE_FIRST_PRICE = 1 << 11  # older than the first known price of the model; the first was used
    CACHE_HIT = 1 << 12  # answered from a gateway's cache; the provider billed nothing
    ESTIMATED = 1 << 13  # the emitter estimated the tokens


_flags: dict[int, Flag] = {}


def flag_of(bits: int) -> Flag:
    """The flags of a bit set. Building one costs a microsecond, and there are few combinations."""
    try:
        return _flags[bits]
    except KeyError:
        return _flags.setdefault(bits, Flag(bits))


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Call(NamedTuple):
    """A span as the ledger reads it. `None` means that the span does not say; it never means 0.

    `usage` maps unit keys of `otel_cost.pricing.units` to whole quantities in the unit's quantum (tokens, or
    millionths of a second). `input_tokens` includes cached and cache-written tokens, `output_tokens` includes
    reasoning, as OpenTelemetry's GenAI conventions define them, whatever the dialect wrote.
    `owners` holds only what the span itself says, keyed by `DIMENSIONS`.
    """

    kind: CallKind
    dialect: str
    operation: str | None = None
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    usage: Mapping[str, int] = _NOTHING
    reported_cost_pico_usd: int | None = None
    reported_by_provider: bool = False
    failed: bool = False
    owners: Mapping[str, str] = _NOTHING
    flags: Flag = Flag.NONE
