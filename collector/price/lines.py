"""Quantities times rates, over columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collector.price.builder import Array
from collector.price.rows import RowTable
from otel_cost.call import Flag
from otel_cost.pricing import units
from otel_cost.pricing.money import PPM
from otel_cost.usage import Count

SAFE = 2**62
"""Products and sums that stay below this are exact in int64."""

MAX_MISSING_LEAVES = 62
"""Classes without a rate that the bits of an int64 can name; rows with more kinds are priced by the scalar reader."""


@dataclass(slots=True)
class Amounts:
    """What the calls of a batch cost at their rows."""

    total_pico_usd: Array
    missing: Array  # bits of `missing_leaves`: used, and without a rate
    missing_leaves: list[str]
    unsafe: Array  # rows whose amounts might not fit int64: to be priced by the scalar reader

    def bit_of(self, leaf: str) -> int:
        """The leaf's bit in `missing`; 0 if every row that used it has a rate."""
        return 1 << self.missing_leaves.index(leaf) if leaf in self.missing_leaves else 0


def line_amounts(table: RowTable, numbers: Array, cells: list[tuple[str, Count]], flags: Array) -> Amounts:
    """Sum of the lines of each call; `numbers` says which row of `table` prices it. Flags are added in place."""
    size = len(numbers)
    amounts = Amounts(np.zeros(size, np.int64), np.zeros(size, np.int64), [], np.zeros(size, np.bool_))
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
            _note_missing(amounts, leaf, (np.array(rates)[numbers] < 0) & (quantity > 0))
        if not all(own) and leaf not in units.BILLED_AS_PARENT:
            flags |= np.where(~np.array(own)[numbers] & (quantity > 0), int(Flag.RATE_FALLBACK), 0)
        bound += high * max(highest, 0)
        if highest >= SAFE:  # no such rate exists; one that is given must not break the batch
            continue
        rate = np.array([max(rate, 0) for rate in rates], np.int64)[numbers]
        with np.errstate(over="ignore"):
            amounts.total_pico_usd += _divided(quantity * rate, pers, numbers)
    shares = [row.explicit.get(units.ROUTER_FEE, 0) for row in table.rows]
    if any(shares):
        bound += bound * max(shares)
        with np.errstate(over="ignore"):
            product = amounts.total_pico_usd * np.array(shares, np.int64)[numbers]
        amounts.total_pico_usd += half_even(product, PPM)
    if bound >= SAFE:
        amounts.unsafe |= _may_overflow(table, numbers, cells, shares)
    return amounts


def _note_missing(amounts: Amounts, leaf: str, rows: Array) -> None:
    if not rows.any():
        return
    if len(amounts.missing_leaves) >= MAX_MISSING_LEAVES:
        amounts.unsafe |= rows
        return
    amounts.missing_leaves.append(leaf)
    amounts.missing |= np.where(rows, amounts.bit_of(leaf), 0)


def _leaf_rates(table: RowTable, leaf: str) -> tuple[list[int], list[int], list[bool]]:
    """Numerator (-1: no rate), denominator and "is its own" of a leaf by row number."""
    rates, pers, own = [], [], []
    for row in table.rows:
        rate = row.rate(leaf)
        rates.append(-1 if rate is None else rate.numerator)
        pers.append(1 if rate is None else rate.denominator)
        own.append(rate is None or rate.explicit)
    return rates, pers, own


def _divided(numerator: Array, pers: list[int], numbers: Array) -> Array:
    return numerator if max(pers) == 1 else half_even(numerator, np.array(pers, np.int64)[numbers])


def half_even(numerator: Array, denominator: Array | int) -> Array:
    """`otel_cost.pricing.money.divide_half_even` over columns."""
    quotient, remainder = np.divmod(numerator, denominator)
    twice = 2 * remainder
    up = (twice > denominator) | ((twice == denominator) & (quotient & 1 == 1))
    rounded: Array = quotient + up
    return rounded


def _may_overflow(table: RowTable, numbers: Array, cells: list[tuple[str, Count]], shares: list[int]) -> Array:
    """Rows whose products, added up as floats, come near the bound."""
    near = np.zeros(len(numbers), np.float64)
    for leaf, quantity in cells:
        if isinstance(quantity, np.ndarray):
            rates, _, _ = _leaf_rates(table, leaf)
            near += quantity.astype(np.float64) * np.array([float(max(rate, 0)) for rate in rates])[numbers]
    near *= np.array([float(max(share, 1)) for share in shares])[numbers]
    unsafe: Array = near >= SAFE / 2
    return unsafe
