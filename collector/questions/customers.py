"""What customers cost, and of how much time: what a month's revenue is to be counted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from collector.questions import buckets
from collector.questions.breakdown import MARGIN, Breakdown, Grouping, breakdown
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection, Window
from otel_cost.pricing.money import PICO_PER_USD

CUSTOMER = "customer"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A time whose revenue is counted, and how many months it is: each counts by the part of it that is in here."""

    since: datetime
    until: datetime
    months: Fraction

    def revenue_usd(self, a_month_pico_usd: int) -> Decimal:
        """Of this time, to the pico-dollar."""
        return Decimal(round(a_month_pico_usd * self.months)) / PICO_PER_USD


@dataclass(frozen=True, slots=True)
class Customers:
    """`counted` None: not asked for, no call yet, or the costs are of a part of the calls of a customer."""

    costs: Breakdown
    counted: Span | None


def customers(
    ask: Ask, selection: Selection, grouping: Grouping, now: datetime, monthly_pico_usd: Mapping[str, int]
) -> Customers:
    """By the names of `grouping`, of which the customer is the first; without revenue a month nothing is counted.

    Raises ValueError for a wrong sort.
    """
    span = counted(ask, selection, now) if monthly_pico_usd else None
    if span is not None and grouping.sort == MARGIN:
        revenue = {customer: span.revenue_usd(a_month) for customer, a_month in monthly_pico_usd.items()}
        grouping = replace(grouping, revenue_usd=revenue)
    return Customers(breakdown(ask, selection, grouping), span)


def counted(ask: Ask, selection: Selection, now: datetime) -> Span | None:
    """The window, as far as there can be costs in it: from the organisation's first call on, and not after `now`.

    Revenue of a time of which the ledger knows no costs would look like a margin.
    """
    if any(each.key != CUSTOMER for each in selection.filters):
        return None
    window = selection.window
    every = Scope(ask, replace(selection, filters=(), window=Window(None, None, window.zone)))
    ends = every.instants()
    if ends is None:
        return None
    since, until = max(window.since or ends[0], ends[0]), min(window.until or now, now)
    return Span(since, until, months(Window(since, until, window.zone))) if since < until else None


def months(window: Window) -> Fraction:
    """How many months of its zone's calendar a closed window is: a whole one is 1, ten days of April are a third."""
    found = Fraction(0)
    if window.since is None or window.until is None:
        raise ValueError("the window is open")
    for number in buckets.numbers(buckets.MONTH, window.since, window.until, window.zone):
        start, end = (buckets.start(buckets.MONTH, each, window.zone).astimezone(UTC) for each in (number, number + 1))
        inside = min(window.until, end) - max(window.since, start)
        found += Fraction(inside // _TICK, (end - start) // _TICK)
    return found
