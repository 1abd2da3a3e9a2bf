"""Money that bought nothing, or might have bought more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from collector.questions.arithmetic import STORED_DECIMALS, ratio
from collector.questions.measures import Measures
from collector.questions.runs import instant
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection
from otel_cost.pricing.money import PICO_PER_USD

LONGEST = 20
MOST_RETRIED = 50


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
    scope = Scope(ask, selection)
    longest = scope.rows("longest", {"limit": LONGEST})
    retried = scope.rows("retried", {"limit": MOST_RETRIED}, keys=("agent", "model"))
    return Waste(
        scope.total(),
        _cache(scope),
        tuple(
            Longest(
                line["trace_id"],
                line["span_id"],
                line["agent"],
                line["model"],
                line["output_tokens"],
                line["cost_usd"],
                instant(line["start_ns"]),
            )
            for line in longest
        ),
        tuple(Retried(**line) for line in retried),
    )


def _cache(scope: Scope) -> Cache:
    lines = scope.rows("cache", keys=("card", "rate_row"))
    whole, cached = (
        [line[name] for line in lines if line[name] is not None] for name in ("input_tokens", "cache_read_tokens")
    )
    savings = [_saving(line) for line in lines]
    known = [saving for saving in savings if saving is not None]
    return Cache(
        sum(whole) if whole else None,
        sum(cached) if cached else None,
        ratio(sum(cached), sum(whole)),
        sum(known, Decimal(0)) if known else None,
    )


def _saving(line: Mapping[str, Any]) -> Decimal | None:
    """USD that the uncached input of calls of one rate would have cost less."""
    if None in line.values():
        return None
    rates = (ratio(line[f"{kind}_rate"] * line["uncached_tokens"], line[f"{kind}_per"]) for kind in ("whole", "cached"))
    whole, cached = (rate or Decimal(0) for rate in rates)
    return (max(Decimal(0), whole - cached) / PICO_PER_USD).quantize(STORED_DECIMALS)
