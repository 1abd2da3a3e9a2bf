"""Exact arithmetic on figures: what is left of a total, and ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from collector.questions.measures import Measures

STORED_DECIMALS = Decimal("1e-12")
"""A pico-USD: the finest amount that the ledger holds."""
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)


def ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """`part / whole` to twelve decimals; None when there is nothing to divide by."""
    return _WIDE.divide(Decimal(part), Decimal(whole)).quantize(STORED_DECIMALS, context=_WIDE) if whole else None


def change(now: Decimal, before: Decimal) -> Decimal | None:
    """0.1: a tenth more than before. None: nothing to compare with."""
    return ratio(now - before, before)


def left(total: Measures, rows: Sequence[Measures]) -> Measures:
    """What `rows` leave of `total`, figure by figure. Executions do not add up, so they are not known."""
    found: dict[str, Any] = {"executions": None}
    for field in fields(Measures):
        if field.name not in found:
            whole = getattr(total, field.name)
            parts = (getattr(row, field.name) or 0 for row in rows)
            found[field.name] = None if whole is None else whole - sum(parts)
    return Measures(**found)


NOTHING = Measures(
    calls=0,
    cost_usd=Decimal(0),
    unpriced_calls=0,
    partial_calls=0,
    estimated_calls=0,
    estimated_cost_usd=Decimal(0),
    reported_calls=0,
    failed_calls=0,
    retries=0,
    retry_cost_usd=Decimal(0),
    wasted_cost_usd=Decimal(0),
    input_tokens=None,
    output_tokens=None,
    cache_read_tokens=None,
    cache_write_tokens=None,
    reasoning_tokens=None,
    useful_output_tokens=0,
    executions=0,
)
"""Of no calls."""
