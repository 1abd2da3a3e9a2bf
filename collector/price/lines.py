"""Quantities times rates, over columns."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from collector.price.builder import Array
from collector.price.rows import RowTable
from otel_cost.call import Flag
from otel_cost.pricing import units
from otel_cost.usage import Count

SAFE = 2**62
"""Products and sums that stay below this are exact in int64."""

LEAF_BIT = {leaf: 1 << position for position, leaf in enumerate(units.LEAVES)}
"""Leaf -> its bit in `Amounts.missing`. There are fewer leaves than bits."""


@dataclass(slots=True)
class Amounts:
    """What the calls of a batch cost at their rows."""

    total_pico_usd: Array
    missing: Array  # bits of the used leaves without a rate
    unsafe: Array  # rows whose amounts might not fit int64: to be priced by the scalar reader


def line_amounts(table: RowTable, numbers: Array, cells: list[tuple[str, Count]], flags: Array) -> Amounts:
    """Sum of the lines of each call; `numbers` says which row of `table` prices it. Flags are added in place."""
    size = len(numbers)
    amounts = Amounts(np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_))
    bound = 0
    for leaf, quantity in cells:
        if not isinstance(quantity, np.ndarray):
            continue
        high = int(quantity.max(initial=0))
        if not high:
            continue
        rates, pers, own = _leaf_rates(table, leaf)
        highest = max(rates)
        if min(rates) < 0:
            amounts.missing |= np.where((np.array(rates)[numbers] < 0) & (quantity > 0), LEAF_BIT[leaf], 0)
        if not all(own) and leaf not in units.BILLED_AS_PARENT:
            flags |= np.where(~np.array(own)[numbers] & (quantity > 0), int(Flag.RATE_FALLBACK), 0)
        rate = np.array([max(rate, 0) for rate in rates], np.int64)[numbers]
        bound += high * max(highest, 0)
        with np.errstate(over="ignore"):
            amounts.total_pico_usd += _half_even(quantity * rate, pers, numbers)
    if bound >= SAFE:
        amounts.unsafe = _may_overflow(table, numbers, cells)
    return amounts


def _leaf_rates(table: RowTable, leaf: str) -> tuple[list[int], list[int], list[bool]]:
    """Rate (-1: none), divisor and "is its own" of a leaf by row number, in lowest terms."""
    rates, pers, own = [], [], []
    for row in table.rows:
        rate = row.rate(leaf)
        if rate is None:
            rates.append(-1)
            pers.append(1)
            own.append(True)
            continue
        common = gcd(rate.pico_usd, rate.per) or 1
        rates.append(rate.pico_usd // common)
        pers.append(rate.per // common)
        own.append(rate.explicit)
    return rates, pers, own


def _half_even(numerator: Array, pers: list[int], numbers: Array) -> Array:
    if max(pers) == 1:
        return numerator
    per = np.array(pers, np.int64)[numbers]
    quotient, remainder = np.divmod(numerator, per)
    twice = 2 * remainder
    up = (twice > per) | ((twice == per) & (quotient & 1 == 1))
    rounded: Array = quotient + up
    return rounded


def _may_overflow(table: RowTable, numbers: Array, cells: list[tuple[str, Count]]) -> Array:
    """Rows whose products, added up as floats, come near the bound."""
    near = np.zeros(len(numbers), np.float64)
    for leaf, quantity in cells:
        if isinstance(quantity, np.ndarray):
            rates, _, _ = _leaf_rates(table, leaf)
            near += quantity.astype(np.float64) * np.array([float(max(rate, 0)) for rate in rates])[numbers]
    unsafe: Array = near >= SAFE / 2
    return unsafe
