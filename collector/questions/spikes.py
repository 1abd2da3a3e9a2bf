"""What cost more than it should have in a window: which days, whose calls, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from collector.analysis.anomalies import Found, Slice, find
from collector.analysis.causes import explain
from collector.analysis.decompose import Used
from collector.analysis.hours import HOURS, RECENT_DAYS, shortest, spent_share, usual_hours
from collector.questions import buckets
from collector.questions.arithmetic import ratio
from collector.questions.outlook import hours_of, pico, usd
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Filter, Selection

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
    begin = first - BEFORE_DAYS
    scope = Scope(ask, selection).within(buckets.start(buckets.DAY, begin, zone), until)
    slices = _slices(scope, by, begin, last)
    if not slices:
        return ()
    start = next((place for place, day in enumerate(slices[0].days) if day), 0)  # before, there was nothing to compare
    cut = [Slice(each.dimension, each.value, each.days[start:]) for each in slices]
    found = find(cut, max(0, first - begin - start), _share_over(scope, until))
    return tuple(_spike(each, begin + start, scope) for each in reversed(found[-MOST_SPIKES:]))


def _slices(scope: Scope, by: Sequence[str], begin: int, last: int) -> list[Slice]:
    """All calls first; then those of each of the largest values of each dimension, in the order of `by`."""
    by_model = [name for name in by if name not in (*MODELLESS, "model")]
    lines = _used(scope, by_model, has_models=True)
    if not lines:
        return []
    rates = {(line["bucket"], line["model"]): line["rate"] for line in _rates(scope)}
    whole = [line for line in lines if line["place"] < 0]
    found: dict[str | None, list[dict[str, Any]]] = {None: whole}
    for place, name in enumerate(by_model):
        found[name] = [line for line in lines if line["place"] == place]
    for name in by:
        if name in MODELLESS:
            found[name] = [line for line in _used(scope, (name,), has_models=False) if line["place"] == 0]
    if "model" in by:
        found["model"] = [{**line, "value": line["model"]} for line in whole]
    return [each for name in (None, *by) for each in _by_value(name, found[name], begin, last, rates)]


def _used(scope: Scope, names: Sequence[str], *, has_models: bool) -> list[dict[str, Any]]:
    """What was used, in one reading of all dimensions whose sums of days are kept together."""
    keys = (*names, "model", "cost_status") if has_models else tuple(names)
    model = f"key_{len(names)}" if has_models else "CAST(NULL AS VARCHAR)"
    columns = [f"key_{at}" for at in range(len(names))]
    base = ["bucket", model] if has_models else ["bucket"]
    sets = [base, *([*base, column] for column in columns)]
    whens = " ".join(f"WHEN grouping({column}) = 0 THEN {{}}" for column in columns)
    places, values = whens.format(*range(len(columns))), whens.format(*columns)
    return scope.rows(
        "used",
        {"limit": LARGEST},
        keys=keys,
        bucket=buckets.DAY,
        model=model,
        place=f"CASE {places} ELSE -1 END" if columns else "-1",
        value=f"CASE {values} END" if columns else "CAST(NULL AS VARCHAR)",
        sets=", ".join(f"({', '.join(each)})" for each in sets),
    )


def _by_value(
    name: str | None,
    lines: Sequence[Mapping[str, Any]],
    begin: int,
    last: int,
    rates: Mapping[tuple[int, str | None], str],
) -> list[Slice]:
    values: dict[str | None, list[list[Used]]] = {}
    for line in lines:
        days = values.setdefault(line["value"], [[] for _ in range(last - begin + 1)])
        rate = rates.get((line["bucket"], line["model"]))
        used = Used(line["model"], rate, line["calls"], line["tokens"] or 0, pico(line["cost_usd"]))
        days[line["bucket"] - begin].append(used)
    largest = sorted(values.items(), key=lambda pair: -sum(used.cost_pico_usd for day in pair[1] for used in day))
    return [Slice(name, value, days) for value, days in largest[:LARGEST]]


def _rates(scope: Scope) -> list[dict[str, Any]]:
    """What each model was billed by, day by day: nearly always one row of one card."""
    return scope.rows("billed_by", keys=("model", "rate_row", "card"), bucket=buckets.DAY)


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
    parts, zone = found.parts, scope.selection.window.zone
    at, end = (buckets.start(buckets.DAY, begin + found.day + more, zone) for more in (0, 1))
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
