"""Fees of flat plans, shared out: what each customer, agent or team has of them, month by month. Exact and pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from otel_cost.pricing.money import divide_half_even
from otel_cost.pricing.overrides.values import TOKENS, Plan

_PICO = Decimal(1).scaleb(-12)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC: its nanoseconds since the epoch, end excluded."""

    name: str  # 2026-11
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one value used of a plan in a month, and what it has of the fee. `value` None: calls without one."""

    value: str | None
    calls: int
    tokens: int
    fee_usd: Decimal


@dataclass(frozen=True, slots=True)
class PlanMonth:
    """A plan in a month. Without calls there is nobody to pay: `shares` is empty, and the fee is unallocated."""

    plan: str
    provider: str
    month: str
    share_by: str
    fee_usd: Decimal
    shares: tuple[Share, ...]

    @property
    def unallocated_usd(self) -> Decimal:
        return self.fee_usd if not self.shares else Decimal(0)


def months(first: str, last: str) -> list[Month]:
    """The calendar months from one to another, both included, given as `2026-11`."""
    year, month = _parsed(first)
    end = _parsed(last)
    found = []
    while (year, month) <= end:
        following = (year + month // 12, month % 12 + 1)
        found.append(Month(f"{year}-{month:02}", _ns(year, month), _ns(*following)))
        year, month = following
    return found


def _parsed(name: str) -> tuple[int, int]:
    year, _, month = name.partition("-")
    return int(year), int(month)


def _ns(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 10**9


def shared_out(plans: Sequence[Plan], periods: Sequence[Month], lines: Iterable[dict[str, Any]]) -> list[PlanMonth]:
    """Each plan in each month in which it holds, the newest first; `lines` as `plan_shares.sql` gives them."""
    used: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        used.setdefault((line["plan"], line["month"]), []).append(line)
    found = []
    for period in reversed(periods):
        for plan in plans:
            fee_pico_usd = _fee(plan, period)
            if fee_pico_usd:
                found.append(_month(plan, period, fee_pico_usd, used.get((plan.target.name, period.name), [])))
    return found


def _fee(plan: Plan, month: Month) -> int:
    """The part of the monthly fee that falls into a month, pico-USD: by the time for which the plan holds in it."""
    held_ns = min(plan.target.valid_to_ns, month.end_ns) - max(plan.target.valid_from_ns, month.start_ns)
    return divide_half_even(plan.fee_pico_usd_per_month * max(held_ns, 0), month.end_ns - month.start_ns)


def _month(plan: Plan, month: Month, fee_pico_usd: int, lines: Sequence[dict[str, Any]]) -> PlanMonth:
    by = "tokens" if plan.share_by == TOKENS and any(line["tokens"] for line in lines) else "calls"
    parts = allocated(fee_pico_usd, [line[by] for line in lines])
    shares = tuple(
        Share(line["value"], line["calls"], line["tokens"], part * _PICO)
        for line, part in zip(lines, parts, strict=True)
    )
    return PlanMonth(plan.target.name, plan.target.provider, month.name, plan.share_by, fee_pico_usd * _PICO, shares)


def allocated(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by weight, which add up to it exactly: what rounding leaves goes to the largest rests.

    Weights are not negative; if all are 0, so are all parts.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda at: (-(total * weights[at] % whole), at))
    for at in by_rest[: total - sum(parts)]:
        parts[at] += 1
    return parts
