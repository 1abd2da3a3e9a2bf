"""Which rate row prices each call of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from collector.price.builder import Array
from otel_cost.call import Flag
from otel_cost.pricing.choice import Choice
from otel_cost.pricing.rates import DAY_NS, EPOCH_WEEKDAY, SECOND_NS, RateRow, Window

NO_ROW = -1


@dataclass(slots=True)
class RowTable:
    """The rate rows that a batch uses, numbered."""

    rows: list[RateRow] = field(default_factory=list)
    _number: dict[int, int] = field(default_factory=dict)

    def number(self, row: RateRow) -> int:
        """The row's number in this batch."""
        found = self._number.get(id(row))
        if found is None:
            found = self._number[id(row)] = len(self.rows)
            self.rows.append(row)
        return found


def choose_rows(
    choices: list[Choice | None], key_of_row: Array, at_ns: Array, input_tokens: Array, flags: Array
) -> tuple[RowTable, Array]:
    """Row numbers per call (NO_ROW where the model is unknown), as `pick_row` chooses; flags are added in place."""
    table = RowTable()
    only = [table.number(c.only) if c and c.only else NO_ROW for c in choices]
    numbers = np.array(only, np.int64)[key_of_row]
    for key, found in enumerate(choices):
        if found is None or found.model is None:
            continue
        if found.only is None:
            where = np.flatnonzero(key_of_row == key)
            numbers[where] = _choose(table, found, at_ns[where], input_tokens[where], flags, where)
            flags[where] |= found.flags
            flags[where[at_ns[where] < found.model.first_price_ns]] |= int(Flag.BEFORE_FIRST_PRICE)
    return table, numbers


def _choose(table: RowTable, found: Choice, at_ns: Array, input_tokens: Array, flags: Array, where: Array) -> Array:
    numbers = np.full(len(at_ns), NO_ROW, np.int64)
    open_ = _fill(table, found.rows, numbers, at_ns, input_tokens)
    if open_.any():
        if found.rows is not found.standard:
            flags[where[open_]] |= int(Flag.VARIANT_NOT_PRICED)
        open_ = _fill(table, found.standard, numbers, at_ns, input_tokens)
        numbers[open_] = table.number(found.standard[-1])
    return numbers


def _fill(table: RowTable, rows: tuple[RateRow, ...], numbers: Array, at_ns: Array, input_tokens: Array) -> Array:
    """Give calls without a row the first that applies; what stays without."""
    for row in rows:
        hit = (numbers == NO_ROW) & (at_ns >= row.valid_from_ns) & (at_ns < row.valid_to_ns)
        hit &= input_tokens > row.input_tokens_above
        if row.window is not None:
            hit &= _inside(row.window, at_ns)
        if hit.any():
            numbers[hit] = table.number(row)
    open_: Array = numbers == NO_ROW
    return open_


def _inside(window: Window, at_ns: Array) -> Array:
    day, rest_ns = np.divmod(at_ns, DAY_NS)
    second = rest_ns // SECOND_NS
    weekday: Array = (window.weekdays >> ((day + EPOCH_WEEKDAY) % 7)) & 1 == 1
    if window.start_seconds <= window.end_seconds:
        return weekday & (second >= window.start_seconds) & (second < window.end_seconds)
    return weekday & ((second >= window.start_seconds) | (second < window.end_seconds))
