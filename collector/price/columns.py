"""Pricing a batch: each distinct (provider, models, tier) is resolved once, then int64 columns are multiplied, added.

The rules are those of `otel_cost.pricing.cost`, whose functions choose and whose split runs here over columns; the two
give equal results, row by row. A row whose amounts might not fit int64 is priced by the scalar function itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from collector.decode.columns import CallColumns
from collector.price.arrow import Names, bools, codes, combined, ints, names, valid
from collector.price.builder import Array, CostColumns
from collector.price.lines import Amounts, half_even, line_amounts
from collector.price.rows import RowTable, choose_rows
from otel_cost.call import CallKind, Flag
from otel_cost.pricing import units
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.choice import Choice, remembered_choice
from otel_cost.pricing.cost import NS_PER_MICRO, UNREADABLE, price_usage
from otel_cost.pricing.money import MAX_COST_PICO_USD
from otel_cost.pricing.result import (
    REASON_CACHE_HIT,
    REASON_FAILED,
    REASON_NO_USAGE,
    REASON_TOO_HIGH,
    REASON_UNREADABLE,
    Status,
)
from otel_cost.usage import Count, Ops, split_counts

COLUMNS = Ops(np.minimum, np.maximum)


def price_columns(
    calls: CallColumns, start_time_ns: pa.ChunkedArray, card: RateCard, end_time_ns: pa.ChunkedArray | None = None
) -> pa.Table:
    """Price every call of a batch.

    Args:
        start_time_ns: int64, one per row of `calls.calls`.
        end_time_ns: the same, for providers that bill by it and for time on machines; None: unknown.

    Returns:
        COST_SCHEMA, one row per row of `calls.calls`, equal to what `otel_cost.pricing.price_call` says of the same
        call. Never raises for what a call says: an amount that cannot be stored is unpriced, with the reason.
    """
    batch = _Batch(
        names=names(calls.calls),
        said=np.array([], np.int32),
        usage={key: (ints(column), valid(combined(column))) for key, column in calls.usage.items()},
        result=CostColumns.of(ints(calls.calls["flags"]).copy()),
    )
    batch.said = batch.result.model.table_of(batch.names.said())
    to_price = _settle_without_rates(calls.calls, batch)
    if to_price.any():
        end_ns = None if end_time_ns is None else ints(end_time_ns)
        _price(np.flatnonzero(to_price), batch, ints(start_time_ns), end_ns, card)
    return batch.result.table(card.digest)


@dataclass(slots=True)
class _Batch:
    names: Names
    said: Array  # key -> code of what the spans call the model
    usage: dict[str, tuple[Array, Array]]  # unit -> counts (NULL as 0), and where there is one
    result: CostColumns

    def settle_as_said(self, where: Array, status: Status, amount: int | Array | None, reason: str | None) -> None:
        self.result.settle(where, status, amount, reason)
        self.result.model.codes[where] = self.said[self.names.of_row[where]]


def _settle_without_rates(table: pa.Table, batch: _Batch) -> Array:
    """Rows that need no rates: no calls, cache hits, reported costs, failures. Returns the mask of the others."""
    kind_codes, kinds = codes(table["call_kind"])
    known = np.array([kind is not None and kind != CallKind.IGNORE for kind in kinds])[kind_codes]
    leaf = np.array([kind == CallKind.LEAF for kind in kinds])[kind_codes]
    has_usage = np.zeros(table.num_rows, np.bool_)
    for _, mask in batch.usage.values():
        has_usage |= mask
    reported_column = combined(table["reported_cost_pico_usd"])
    reported, has_reported = ints(reported_column), valid(reported_column)
    by_provider, failures = bools(table["reported_by_provider"]), bools(table["failed"])
    if has_reported.any():
        has_reported &= (reported >= 0) & ((reported > 0) | ~failures | by_provider)
    billable = has_usage | has_reported
    flags = batch.result.flags
    open_ = known & (leaf | billable)
    hit = open_ & (flags & int(Flag.CACHE_HIT) != 0)
    if hit.any():
        batch.settle_as_said(hit, Status.FREE, 0, REASON_CACHE_HIT)
    open_ &= ~hit
    if has_reported.any():
        taken = open_ & has_reported & (by_provider | ~has_usage)
        too_high = taken & (reported > MAX_COST_PICO_USD)
        batch.settle_as_said(too_high, Status.UNPRICED, None, REASON_TOO_HIGH)
        fits = taken & ~too_high
        batch.settle_as_said(fits, Status.REPORTED, reported[fits], None)
        open_ &= ~taken
    silent = open_ & ~billable & (flags & UNREADABLE == 0)
    if silent.any():
        failed = silent & failures
        batch.settle_as_said(failed, Status.FREE, 0, REASON_FAILED)
        named = np.array([bool(said) for said in batch.names.said()])[batch.names.of_row]
        open_ &= ~failed & ~(silent & ~named)
    return open_


def _price(positions: Array, batch: _Batch, start_time_ns: Array, end_time_ns: Array | None, card: RateCard) -> None:
    """Price the rows at `positions`; those of unknown models first."""
    result, flags = batch.result, batch.result.flags
    choices = _choices(batch.names, positions, card)
    modelled = np.array([found is not None and found.model is not None for found in choices])
    counts, present = _counts(batch, positions, flags)
    has_model = modelled[batch.names.of_row[positions]]
    if not has_model.all():
        _settle_unknown(positions[~has_model], batch, choices)
        positions = positions[has_model]
        counts = {key: count[has_model] for key, count in counts.items()}
        present = {key: mask[has_model] for key, mask in present.items()}
    if not len(positions):
        return
    own_flags = flags[positions]  # a copy
    key_of_row, start_ns = batch.names.of_row[positions], start_time_ns[positions]
    end_ns = None if end_time_ns is None else end_time_ns[positions]
    cells, input_tokens, split_flags = split_counts(counts.keys(), lambda key: counts.get(key, 0), COLUMNS)
    own_flags |= split_flags
    total_input = input_tokens if isinstance(input_tokens, np.ndarray) else np.zeros(len(positions), np.int64)
    at_ns = _billed_at_ns(choices, key_of_row, start_ns, end_ns)
    table, numbers = choose_rows(choices, key_of_row, at_ns, total_input, own_flags)
    calls = _Calls(present, total_input, None if end_ns is None else end_ns - start_ns)
    cells, used = _with_rules(cells, choices, key_of_row, table, numbers, calls)
    own_flags |= _ttl_flags(dict(cells), table, numbers, present)
    amounts = line_amounts(table, numbers, cells, own_flags)
    priced = _Priced(positions, table, numbers, cells, amounts, used)
    _settle_priced(priced, own_flags, result)
    _settle_unbilled(priced, choices, key_of_row, result)
    flags_before = flags[positions]
    flags[positions] = own_flags
    again = amounts.unsafe
    for key in counts.keys() - units.UNITS.keys():
        again = again | (counts[key] > 0)
    for at in np.flatnonzero(again).tolist():
        times_ns = int(start_ns[at]), None if end_ns is None else int(end_ns[at])
        _price_singly(int(positions[at]), int(flags_before[at]), batch, choices, times_ns, card)


def _billed_at_ns(choices: list[Choice | None], key_of_row: Array, start_ns: Array, end_ns: Array | None) -> Array:
    """The time that decides which rates hold, as `otel_cost.pricing.cost.billed_at_ns` says."""
    by_end = [bool(found and found.model and found.model.billed_at_end) for found in choices]
    if end_ns is None or not any(by_end):
        return start_ns
    chosen: Array = np.where(np.array(by_end)[key_of_row], end_ns, start_ns)
    return chosen


def _choices(names_: Names, positions: Array, card: RateCard) -> list[Choice | None]:
    """The choice of each distinct name key that a call to price has."""
    wanted = set(np.flatnonzero(np.bincount(names_.of_row[positions])).tolist())
    return [remembered_choice(card, *key) if number in wanted else None for number, key in enumerate(names_.keys)]


def _counts(batch: _Batch, positions: Array, flags: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Usable counts per unit (0 where there is none) and where there is one; flags are added in place."""
    counts: dict[str, Array] = {}
    present: dict[str, Array] = {}
    for key, (said, is_said) in batch.usage.items():
        count, mask = said[positions], is_said[positions]
        low, high = int(count.min(initial=0)), int(count.max(initial=0))
        if low < 0 or high > units.MAX_QUANTITY:
            negative, large = count < 0, count > units.MAX_QUANTITY
            flags[positions[negative]] |= int(Flag.NEGATIVE)
            flags[positions[large]] |= int(Flag.TOO_LARGE)
            count[negative | large] = 0
            mask = mask & ~(negative | large)
        if mask.any():
            counts[key], present[key] = count, mask
    return counts, present


def _settle_unknown(positions: Array, batch: _Batch, choices: list[Choice | None]) -> None:
    reasons = batch.result.reason.table_of([found.reason if found else None for found in choices])
    added = np.array([found.flags if found else 0 for found in choices], np.int64)
    keys = batch.names.of_row[positions]
    batch.settle_as_said(positions, Status.UNPRICED, None, None)
    batch.result.reason.codes[positions] = reasons[keys]
    batch.result.flags[positions] |= added[keys]


def _with_rules(
    cells: list[tuple[str, Count]],
    choices: list[Choice | None],
    key_of_row: Array,
    table: RowTable,
    numbers: Array,
    call: _Calls,
) -> tuple[list[tuple[str, Count]], Array]:
    """Cells after the rules of rows and models (`otel_cost.pricing.cost.apply_rules`), and who used anything."""
    used = np.zeros(len(numbers), np.bool_)
    for mask in call.present.values():
        used |= mask
    quantities = dict(cells)
    for unit in units.DERIVED:
        priced = [unit in row.derived for row in table.rows]
        if unit == units.ROUTER_FEE or not any(priced):
            continue
        own = np.where(np.array(priced)[numbers], call.derived(unit), 0)
        if unit in call.present:
            own[call.present[unit]] = 0
        quantities[unit] = quantities.get(unit, 0) + own
    minimums = [found.model.minimums if found and found.model else {} for found in choices]
    for unit in sorted({unit for least in minimums for unit in least}):
        least = np.array([found.get(unit, 0) for found in minimums], np.int64)[key_of_row]
        sum_ = quantities.get(unit, 0) + sum(quantities.get(part, 0) for part in units.OTHER_WHOLES.get(unit, ()))
        more = np.where((sum_ > 0) & (sum_ < least), least - sum_, 0)
        quantities[unit] = quantities.get(unit, 0) + more
    bills = [found.model.bills if found and found.model else None for found in choices]
    if any(each is not None for each in bills):
        for unit in quantities:
            billed = np.array([each is None or unit in each for each in bills])[key_of_row]
            quantities[unit] = np.where(billed, quantities[unit], 0)
    for unit in quantities.keys() & set(units.DERIVED):
        used |= quantities[unit] > 0
    return list(quantities.items()), used


def _ttl_flags(quantities: dict[str, Count], table: RowTable, numbers: Array, present: dict[str, Array]) -> Array | int:
    written = quantities.get(units.CACHE_WRITE, 0)
    if not isinstance(written, np.ndarray) or not written.any():
        return 0
    assumed = np.array([row.has_long_write for row in table.rows])[numbers] & (written > 0)
    for key in (units.CACHE_WRITE_5M, units.CACHE_WRITE_1H):
        if key in present:
            assumed &= ~present[key]
    flags: Array = np.where(assumed, int(Flag.TTL_ASSUMED), 0)
    return flags


@dataclass(frozen=True, slots=True)
class _Calls:
    """The rows to price, by themselves."""

    present: dict[str, Array]  # unit -> where the call counts it
    input_tokens: Array
    duration_ns: Array | None

    def derived(self, unit: str) -> Array | int:
        """The quantity of a unit that follows from the call (`units.DERIVED`)."""
        if unit == units.REQUESTS:
            return 1
        if unit == units.ROUTER_INPUT:
            return self.input_tokens
        if self.duration_ns is None:
            return 0
        duration: Array = np.maximum(half_even(self.duration_ns, NS_PER_MICRO), 0)
        return duration


@dataclass(frozen=True, slots=True)
class _Priced:
    positions: Array
    table: RowTable
    numbers: Array
    cells: list[tuple[str, Count]]
    amounts: Amounts
    used: Array  # rows with any usage at all


def _settle_priced(priced: _Priced, flags: Array, result: CostColumns) -> None:
    """Status, reason and amount of rows with a rate row; the order is that of the scalar reader."""
    positions, numbers, total = priced.positions, priced.numbers, priced.amounts.total_pico_usd
    rows = priced.table.rows
    result.model.codes[positions] = result.model.table_of([row.model for row in rows])[numbers]
    result.rate_row.codes[positions] = result.rate_row.table_of([row.key for row in rows])[numbers]
    result.settle(positions, Status.PRICED, total, None)
    estimated = flags & int(Flag.ESTIMATED) != 0
    result.status.put(positions[estimated], Status.ESTIMATED)
    zero = np.flatnonzero(total == 0)
    if len(zero):
        free = zero[_all_rates_zero(priced, zero)]
        result.status.put(positions[free[~estimated[free]]], Status.FREE)
    unreadable = flags & UNREADABLE != 0
    incomplete = (priced.amounts.missing != 0) | unreadable
    if incomplete.any():
        result.status.put(positions[incomplete], Status.PARTIAL)
        _put_reasons(priced, unreadable, incomplete, result)
    too_high = total > MAX_COST_PICO_USD
    if too_high.any():
        result.settle(positions[too_high], Status.UNPRICED, None, REASON_TOO_HIGH)
    silent = ~priced.used
    if silent.any():
        result.rate_row.put(positions[silent], None)
        result.settle(positions[silent], Status.UNPRICED, None, REASON_NO_USAGE)
        result.settle(positions[silent & unreadable], Status.UNPRICED, None, REASON_UNREADABLE)


def _settle_unbilled(priced: _Priced, choices: list[Choice | None], key_of_row: Array, result: CostColumns) -> None:
    """Calls of models that bill only some classes, none of which was used."""
    for key, found in enumerate(choices):
        if found is None or found.model is None or found.model.bills is None:
            continue
        where = np.flatnonzero((key_of_row == key) & priced.used & (priced.amounts.missing == 0))
        without = where[~_has_line(priced, where, 0)]
        reason = f"no {', '.join(sorted(found.model.bills))} reported"
        result.settle(priced.positions[without], Status.UNPRICED, None, reason)


def _put_reasons(priced: _Priced, unreadable: Array, incomplete: Array, result: CostColumns) -> None:
    """Why rows are partial, or unpriced if no line is left of them."""
    missing = priced.amounts.missing
    for bits in np.unique(missing[incomplete]).tolist():
        names_ = ", ".join(leaf for leaf in units.LEAVES if bits & priced.amounts.bit_of(leaf))
        reason = f"no rate for {names_}" if bits else None
        where = incomplete & (missing == bits)
        result.reason.put(priced.positions[where & ~unreadable], reason)
        both = f"{reason}; {REASON_UNREADABLE}" if reason else REASON_UNREADABLE
        result.reason.put(priced.positions[where & unreadable], both)
        if bits:
            without = np.flatnonzero(where)
            without = without[~_has_line(priced, without, bits)]
            result.settle(priced.positions[without], Status.UNPRICED, None, reason)


def _has_line(priced: _Priced, where: Array, missing: int) -> Array:
    """Which of the rows used a class that has a rate."""
    found = np.zeros(len(where), np.bool_)
    for leaf, quantity in priced.cells:
        if isinstance(quantity, np.ndarray) and not missing & priced.amounts.bit_of(leaf):
            found |= quantity[where] > 0
    return found


def _all_rates_zero(priced: _Priced, where: Array) -> Array:
    """Which of the rows have lines, all of them at a rate of zero."""
    any_line = np.zeros(len(where), np.bool_)
    any_rate = np.zeros(len(where), np.bool_)
    for leaf, quantity in priced.cells:
        if isinstance(quantity, np.ndarray):
            rates = [row.rate(leaf) for row in priced.table.rows]
            has_rate = np.array([rate is not None for rate in rates])[priced.numbers[where]]
            above_zero = np.array([rate is not None and rate.numerator > 0 for rate in rates])[priced.numbers[where]]
            used = quantity[where] > 0
            any_line |= used & has_rate
            any_rate |= used & above_zero
    return any_line & ~any_rate


def _price_singly(
    position: int,
    flags: int,
    batch: _Batch,
    choices: list[Choice | None],
    times_ns: tuple[int, int | None],
    card: RateCard,
) -> None:
    """One row by the scalar reader: exact whatever the size of its numbers."""
    key = int(batch.names.of_row[position])
    found = choices[key]
    assert found is not None
    usage = {unit: int(count[position]) for unit, (count, mask) in batch.usage.items() if mask[position]}
    _, request_model, response_model, _ = batch.names.keys[key]
    start_ns, end_ns = times_ns
    cost = price_usage(found, request_model, response_model, start_ns, usage, card.digest, flags, end_ns)
    batch.result.put_cost(position, cost)
