"""Money that bought nothing, or might have bought more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from collector.questions.measures import Measures
from collector.questions.selection import Ask, Selection

LONGEST = 20


@dataclass(frozen=True, slots=True)
class Cache:
    """`hit_ratio`: part of the input that was read from a cache, of calls that say both. None: no call says.

    `perfect_saving_usd`: what less it would have cost, had all input been read from the cache; None: not known.
    """

    input_tokens: int | None
    cache_read_tokens: int | None
    hit_ratio: Decimal | None
    perfect_saving_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Longest:
    """A call with a long output."""

    trace_id: str
    span_id: str
    agent: str | None
    model: str | None
    output_tokens: int
    cost_usd: Decimal | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Retried:
    """Repeated calls of one agent and model."""

    agent: str | None
    model: str | None
    retries: int
    cost_usd: Decimal
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Waste:
    """`total` has retry and wasted cost, failed and unpriced calls."""

    total: Measures
    cache: Cache
    longest: tuple[Longest, ...]
    retries: tuple[Retried, ...]


def waste(ask: Ask, selection: Selection) -> Waste:
    """Ask the ledger."""
    raise NotImplementedError
