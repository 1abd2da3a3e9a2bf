"""What customers cost, beside what they pay: revenue is the config's, and joined to what was asked of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from collector.questions import breakdown as breakdowns
from collector.questions import customers as questions
from collector.serve.api.config import Revenue
from collector.serve.api.parameters import Parameter, choice
from collector.serve.api.viewing import Asked, Question, View
from collector.serve.api.views import ROWS, SORT, BreakdownRow, BreakdownShown, grouping_of, show_breakdown

BY = (questions.CUSTOMER,)
MARGINS = ("revenue_usd", "margin_usd", "margin_pct")
"""What a row has beside those of /breakdown."""
NO_REVENUE: Revenue = MappingProxyType({})
CUSTOMER_SORT = choice(
    SORT.name,
    f"{SORT.summary}; margin: the lowest first, unknown ones last",
    (*breakdowns.SORTS, breakdowns.MARGIN),
    "cost",
)
CUSTOMER_ROWS: tuple[Parameter[Any], ...] = tuple(CUSTOMER_SORT if each is SORT else each for each in ROWS)


@dataclass(frozen=True, slots=True)
class CustomerRow(BreakdownRow):
    """Revenue of this time, what is left of it after the cost, and that in per cent of it; null: not known.

    Calls without a price are in no cost: where there are some, the margin is at most this.
    """

    revenue_usd: Decimal | None
    margin_usd: Decimal | None
    margin_pct: float | None


@dataclass(frozen=True, slots=True)
class RevenueShown:
    """Sums over the rows that are shown and have a margin; revenue was counted from `since` to `until`."""

    since: datetime
    until: datetime
    customers: int
    unpriced_calls: int
    cost_usd: Decimal
    revenue_usd: Decimal
    margin_usd: Decimal
    margin_pct: float | None


@dataclass(frozen=True, slots=True)
class CustomersShown(BreakdownShown):
    """As /breakdown, with revenue. `revenue` null: none is configured, there was no call yet, or filters leave only a
    part of the costs of a customer."""

    rows: tuple[CustomerRow, ...]
    revenue: RevenueShown | None


def customers_view(revenue: Revenue) -> View[questions.Customers]:
    """`GET /customers`."""

    def ask(asked: Asked) -> Question:
        return ask_customers(asked, revenue)

    def show(found: questions.Customers, asked: Asked) -> CustomersShown:
        return show_customers(found, asked, revenue)

    summary = "cost by customer, as /breakdown, beside what they pay"
    return View("/customers", summary, ask, show, CustomersShown, CUSTOMER_ROWS)


def ask_customers(asked: Asked, revenue: Revenue) -> Question:
    """By customer, with the parameters of `CUSTOMER_ROWS`."""
    found = (asked.selection, grouping_of(asked, BY), asked.now, _of(revenue, asked.selection.org_id))
    return Question(questions.customers, found)


def show_customers(found: questions.Customers, asked: Asked, revenue: Revenue) -> CustomersShown:
    return _shown(found, show_breakdown(found.costs, asked), _of(revenue, asked.selection.org_id))


def _of(revenue: Revenue, org: str | None) -> dict[str, int]:
    """Customer -> pico-USD a month, of one organisation; who sees all of them sees customers of one name as one."""
    found: dict[str, int] = {}
    for whose in revenue if org is None else (org,):
        for customer, amount in revenue.get(whose, {}).items():
            found[customer] = found.get(customer, 0) + amount
    return found


def _shown(found: questions.Customers, plain: BreakdownShown, monthly: dict[str, int]) -> CustomersShown:
    counted, rows = found.counted, []
    for row in plain.rows:
        a_month = monthly.get(row.key[questions.CUSTOMER] or "")
        revenue = None if counted is None or a_month is None else counted.revenue_usd(a_month)
        rows.append(_row(row, revenue))
    shown = _fields(plain) | {"rows": tuple(rows)}
    return CustomersShown(**shown, revenue=None if counted is None else _sum(counted, rows))


def _row(row: BreakdownRow, revenue_usd: Decimal | None) -> CustomerRow:
    costs = row.measures
    if revenue_usd is None or 0 < costs.calls == costs.unpriced_calls:
        return CustomerRow(**_fields(row), revenue_usd=revenue_usd, margin_usd=None, margin_pct=None)
    left = revenue_usd - costs.cost_usd
    return CustomerRow(**_fields(row), revenue_usd=revenue_usd, margin_usd=left, margin_pct=_percent(left, revenue_usd))


def _sum(counted: questions.Span, rows: list[CustomerRow]) -> RevenueShown:
    known = [row for row in rows if row.margin_usd is not None]
    cost = sum((row.measures.cost_usd for row in known), Decimal(0))
    revenue = sum((row.revenue_usd for row in known if row.revenue_usd is not None), Decimal(0))
    unpriced = sum(row.measures.unpriced_calls for row in known)
    left = revenue - cost
    return RevenueShown(
        counted.since, counted.until, len(known), unpriced, cost, revenue, left, _percent(left, revenue)
    )


def _percent(part: Decimal, whole: Decimal) -> float | None:
    """For display."""
    return float(round(part / whole * 100, 4)) if whole else None


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}
