"""What cost more than it should have in a window: which days, whose calls, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from collector.analysis.anomalies import Found, Slice, find
from collector.analysis.causes import explain
from collector.analysis.decompose import Used
from collector.analysis.hours import RECENT_DAYS, spent_share, usual_hours
from collector.questions import buckets
from collector.questions.arithmetic import ratio
from collector.questions.outlook import hours_of, pico, usd
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection

DIMENSIONS = ("agent", "feature", "team", "customer", "model")
"""Where causes are looked for; the first that shows one tells it."""
LARGEST = 20
"""Values of each that are looked at, by cost: what matters to the whole is among them."""
MODELLESS = ("customer", "user", "run", "conversation")
"""Of which sums of days are kept without models: what another model adds there counts as tokens."""
BEFORE_DAYS = 45
"""Days before the window that show what is usual."""
MOST_DAYS = 100
"""Of a window; of a longer one the last are looked at."""


@dataclass(frozen=True, slots=True)
class CostParts:
    """They add up to the difference of cost and expected cost, to the pico-dollar."""

    volume_usd: Decimal
    tokens_usd: Decimal
    model_usd: Decimal
    price_usd: Decimal


@dataclass(frozen=True, slots=True)
class Spike:
    """`at`: local start of the bucket. Dimension None: all calls. Only calls that have a price."""

    at: datetime
    bucket: str
    dimension: str | None
    value: str | None
    cost_usd: Decimal
    expected_usd: Decimal
    ratio: Decimal | None
    cause: str
    explanation: str
    parts: CostParts


def anomalies(ask: Ask, selection: Selection, now: datetime, by: Sequence[str] = DIMENSIONS) -> tuple[Spike, ...]:
    """The newest first. The window says which days are judged; the days before show what is usual."""
    zone = selection.window.zone
    until = min(selection.window.until or now, now)
    last = buckets.number(buckets.DAY, until - timedelta(microseconds=1), zone)
    since = selection.window.since or buckets.start(buckets.DAY, last - MOST_DAYS + 1, zone)
    first = max(buckets.number(buckets.DAY, since, zone), last - MOST_DAYS + 1)
    begin = first - BEFORE_DAYS
    scope = Scope(ask, selection).within(buckets.start(buckets.DAY, begin, zone), until)
    if not scope.rows("amounts", bucket=buckets.DAY, named="bucket"):
        return ()
    rates = {(line["bucket"], line["model"]): line["rate"] for line in _rates(scope)}
    slices = [each for name in (None, *by) for each in _slices(scope, name, begin, last, rates)]
    if not slices:
        return ()
    start = next((place for place, day in enumerate(slices[0].days) if day), 0)  # before, there was nothing to compare
    cut = [Slice(each.dimension, each.value, each.days[start:]) for each in slices]
    found = find(cut, max(0, first - begin - start), _share_over(scope, until))
    return tuple(_spike(each, begin + start, scope) for each in reversed(found))


def _rates(scope: Scope) -> list[dict[str, Any]]:
    """What each model was billed by, day by day: nearly always one row of one card."""
    return scope.rows("billed_by", keys=("model", "rate_row", "card"), bucket=buckets.DAY)


def _slices(
    scope: Scope, name: str | None, begin: int, last: int, rates: Mapping[tuple[int, str | None], str]
) -> list[Slice]:
    """All calls, or those of each of the largest values of a dimension; by model, where sums of days know models."""
    keys: tuple[str, ...] = () if name is None else (name,)
    if name not in MODELLESS:
        keys = tuple(dict.fromkeys((*keys, "model", "cost_status")))
    place = {key: f"key_{at}" for at, key in enumerate(keys)}
    nothing = "CAST(NULL AS VARCHAR)"
    model, key = place.get("model", nothing), nothing if name is None else place[name]
    lines = scope.rows("used", {"limit": LARGEST}, keys=keys, bucket=buckets.DAY, key=key, model=model)
    values: dict[str | None, list[list[Used]]] = {}
    for line in lines:
        days = values.setdefault(line["value"], [[] for _ in range(last - begin + 1)])
        rate = rates.get((line["bucket"], line["model"]))
        used = Used(line["model"], rate, line["calls"], line["tokens"] or 0, pico(line["cost_usd"]))
        days[line["bucket"] - begin].append(used)
    return [Slice(name, value, days) for value, days in values.items()]


def _share_over(scope: Scope, until: datetime) -> float:
    """The part of a usual day that is over at the end of the window."""
    local = until.astimezone(scope.selection.window.zone)
    elapsed = local.hour + local.minute / 60
    if not elapsed and not local.second:
        return 1.0
    hours = list(hours_of(scope, until, RECENT_DAYS).values())
    weekdays = [(local.weekday() - RECENT_DAYS + place) % 7 for place in range(RECENT_DAYS)]
    return spent_share(usual_hours(hours[:RECENT_DAYS], weekdays, local.weekday()), elapsed)


def _spike(found: Found, begin: int, scope: Scope) -> Spike:
    parts = found.parts
    return Spike(
        at=buckets.start(buckets.DAY, begin + found.day, scope.selection.window.zone),
        bucket=buckets.DAY,
        dimension=found.slice.dimension,
        value=found.slice.value,
        cost_usd=usd(found.cost),
        expected_usd=usd(found.expected),
        ratio=ratio(found.cost, found.expected),
        cause=found.cause.value,
        explanation=explain(found),
        parts=CostParts(usd(parts.volume), usd(parts.tokens), usd(parts.model), usd(parts.price)),
    )
