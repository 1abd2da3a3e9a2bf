"""The figures of a group of calls as answers show them: what was summed, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Context, Decimal

from collector.questions.measures import Measures

_STORED = Decimal("1e-12")
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)
_NAMES = tuple(field.name for field in fields(Measures))


@dataclass(frozen=True, slots=True)
class Figures(Measures):
    """Sums over calls. `cost_usd` leaves out `unpriced_calls`; null: not known, or nothing to divide by."""

    cost_per_execution_usd: Decimal | None
    cost_per_call_usd: Decimal | None
    cost_per_1k_useful_output_tokens_usd: Decimal | None
    cache_hit_ratio: float | None
    error_ratio: float | None


def figures(measures: Measures) -> Figures:
    """The figures of a group. Quotients of money are rounded to the pico-USD."""
    cost_usd, calls = measures.cost_usd, measures.calls
    return Figures(
        **{name: getattr(measures, name) for name in _NAMES},
        cost_per_execution_usd=quotient(cost_usd, measures.executions),
        cost_per_call_usd=quotient(cost_usd, calls),
        cost_per_1k_useful_output_tokens_usd=quotient(cost_usd * 1000, measures.useful_output_tokens),
        cache_hit_ratio=ratio(measures.cache_read_tokens, measures.input_tokens),
        error_ratio=ratio(measures.failed_calls, calls),
    )


def quotient(amount: Decimal, by: int | None) -> Decimal | None:
    """None when there is nothing to divide by."""
    return _WIDE.divide(amount, Decimal(by)).quantize(_STORED, context=_WIDE) if by else None


def ratio(part: int | Decimal | None, whole: int | Decimal | None) -> float | None:
    """For display, so that six digits do. None when either is not known or there is no whole."""
    return None if part is None or not whole else rounded(Decimal(part) / Decimal(whole))


def rounded(value: Decimal | None) -> float | None:
    """A ratio as a number of JSON."""
    return None if value is None else float(round(value, 6))
