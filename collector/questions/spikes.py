"""What cost more than it should have in a window: which days, whose calls, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from collector.analysis.anomalies import Found, find
from collector.analysis.causes import explain
from collector.analysis.hours import HOURS, RECENT_DAYS, shortest, spent_share, usual_hours
from collector.questions import buckets
from collector.questions.arithmetic import ratio
from collector.questions.outlook import hours_of, pico, usd
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Filter, Selection
from collector.questions.used_days import used_days

DIMENSIONS = ("agent", "feature", "team", "customer", "model")
"""Where causes are looked for; the first that shows one tells it."""
BEFORE_DAYS = 45
"""Days before the window that show what is usual."""
MOST_DAYS = 100
"""Of a window; of a longer one the last are looked at."""


MOSTLY, SHORT_HOURS = Fraction(3, 5), 5
"""So much of a day's cost within so few hours is worth telling: of an office's day it takes seven."""
MOST_SPIKES = 50
"""In one answer, the newest."""


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
    scope = Scope(ask, selection).within(buckets.start(buckets.DAY, first - BEFORE_DAYS, zone), until)
    start, slices = used_days(scope, by, last)
    if not slices:
        return ()
    found = find(slices, max(0, first - start), _share_over(scope, until))
    return tuple(_spike(each, start, scope) for each in reversed(found[-MOST_SPIKES:]))


def _share_over(scope: Scope, until: datetime) -> float:
    """The part of a usual day that is over at the end of the window."""
    local = until.astimezone(scope.selection.window.zone)
    elapsed = local.hour + local.minute / 60
    if not elapsed and not local.second:
        return 1.0
    hours = list(hours_of(scope, until, RECENT_DAYS).values())
    weekdays = [(local.weekday() - RECENT_DAYS + place) % 7 for place in range(RECENT_DAYS)]
    return spent_share(usual_hours(hours[:RECENT_DAYS], weekdays, local.weekday()), elapsed)


def _spike(found: Found, start: int, scope: Scope) -> Spike:
    parts, zone = found.parts, scope.selection.window.zone
    at, end = (buckets.start(buckets.DAY, start + found.day + more, zone) for more in (0, 1))
    return Spike(
        at=at,
        bucket=buckets.DAY,
        dimension=found.slice.dimension,
        value=found.slice.value,
        cost_usd=usd(found.cost),
        expected_usd=usd(found.expected),
        ratio=ratio(found.cost, found.expected),
        cause=found.cause.value,
        explanation=explain(found) if found.lasts else f"{explain(found)}{_when(found, scope.within(at, end))}",
        parts=CostParts(usd(parts.volume), usd(parts.tokens), usd(parts.model), usd(parts.price)),
    )


def _when(found: Found, scope: Scope) -> str:
    """In which hours most of the day's cost came, where that were few."""
    name = found.slice.dimension
    chosen = scope if name is None else scope.having(Filter(name, (found.slice.value,)))
    hours = [0] * HOURS
    zone = scope.selection.window.zone
    for line in chosen.rows("amounts", bucket=buckets.HOUR, named="bucket"):
        hours[buckets.start(buckets.HOUR, line["bucket"], zone).hour] += pico(line["cost_usd"])
    burst = shortest(hours, MOSTLY)
    if burst is None or burst[1] - burst[0] > SHORT_HOURS:
        return ""
    share = sum(hours[burst[0] : burst[1]]) * 100 // sum(hours)
    return f" {share} % of it came between {burst[0]:02}:00 and {burst[1] % HOURS:02}:00."
