"""Inclusive counts, as telemetry reports them, split into exclusive cells, as providers bill them.

`input_tokens` contains the cached, cache-written, audio, image and video tokens; `output_tokens` contains reasoning.
Every token lands in exactly one cell of the grid modality x type, the most specific one that the counts allow.
Never raises: what cannot be is cut, and flagged (`otel_cost.call.Flag`).

`split_counts` is written in plain arithmetic plus a minimum and a maximum, so that the same lines read whole numbers
here and int64 columns in the collector.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from otel_cost.call import Flag
from otel_cost.pricing import units

Count = Any
"""A whole number, or an int64 column of them."""

MODALITY_PARTS: dict[tuple[str, str], tuple[str, ...]] = {
    (direction, modality): tuple(
        units.token_key(direction, modality, kind)
        for kind in ((*units.INPUT_TYPES, "write_5m") if direction == "input" else units.OUTPUT_TYPES)
    )
    for direction in ("input", "output")
    for modality in ("text", *units.MODALITIES)
}
"""(direction, modality) -> the keys that say anything about it."""


_CELLS: dict[tuple[str, str], tuple[str, ...]] = {
    (direction, modality): tuple(units.token_key(direction, modality, kind) for kind in kinds)
    for direction, kinds in (("input", units.INPUT_TYPES), ("output", units.OUTPUT_TYPES))
    for modality in ("", "text", *units.MODALITIES)
}
"""(direction, modality) -> its cells, in the order of the types."""

_OVERLAPS: dict[tuple[str, str], frozenset[str]] = {
    key: frozenset(parts) - {_CELLS[key][0]} for key, parts in MODALITY_PARTS.items()
}
"""(direction, modality) -> the keys of its overlaps with the types."""

_SHORT_WRITES = {
    modality: units.token_key("input", modality, "write_5m") for modality in ("", "text", *units.MODALITIES)
}


class Split(NamedTuple):
    """Cells with a quantity above zero, in the units' quantum.

    `input_tokens` is the total that size tiers look at, `flags` are bits of `otel_cost.call.Flag`.
    """

    parts: Mapping[str, int]
    input_tokens: int
    flags: int


_TOKEN_KEYS = frozenset(key for key, unit in units.UNITS.items() if unit.family == "tokens")


class Ops(NamedTuple):
    """How to take the smaller and the larger of two counts, element by element."""

    low: Callable[[Count, Count], Count]
    high: Callable[[Count, Count], Count]


SCALAR = Ops(min, max)

MAX_PLANS = 1_024
"""Sets of keys remembered. An app has tens; an emitter that invents more must not grow it for ever."""
_seen: set[tuple[str, ...]] = set()
_plans: dict[tuple[str, ...], Callable[[Mapping[str, Any]], tuple[Mapping[str, int], int] | None]] = {}
_new = tuple.__new__


_NOT_A_NUMBER, _NEGATIVE, _TOO_LARGE = int(Flag.NOT_A_NUMBER), int(Flag.NEGATIVE), int(Flag.TOO_LARGE)
_CACHE_EXCLUSIVE, _CLAMPED = int(Flag.CACHE_EXCLUSIVE), int(Flag.CLAMPED)


def clean(usage: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Counts that can be priced: whole, not negative, at most 2**40. The rest is dropped and flagged."""
    good: dict[str, int] = {}
    flags = 0
    for key, value in usage.items():
        if value is None:
            continue
        if type(value) is not int:
            flags |= _NOT_A_NUMBER
        elif value < 0:
            flags |= _NEGATIVE
        elif value > units.MAX_QUANTITY:
            flags |= _TOO_LARGE
        else:
            good[key] = value
    return good, flags


def counted(usage: Mapping[str, Any]) -> tuple[Mapping[str, int], Split]:
    """Usage as telemetry has it, clean (see `clean`) and split, with the flags of both."""
    keys = tuple(usage)
    plan = _plans.get(keys)
    if plan is not None:
        planned = plan(usage)
        if planned is not None:
            return usage, _new(Split, (*planned, 0))
    else:
        _consider(keys)
    good, unclean = clean(usage)
    return good, split(good, unclean)


def split(usage: Mapping[str, int], flags: int = 0) -> Split:
    """Inclusive usage to exclusive cells, in the order of a receipt. `usage` must be clean; `flags` are added."""
    cells, total, split_flags = split_counts(usage.keys(), lambda key: usage.get(key, 0), SCALAR)
    parts = {key: quantity for key, quantity in sorted(cells, key=_by_order) if quantity > 0}
    return Split(parts, total, flags | int(split_flags))


def _by_order(cell: tuple[str, int]) -> int:
    return units.LEAF_ORDER[cell[0]]


def _consider(keys: tuple[str, ...]) -> None:
    """Make a plan for a set of keys that was seen before."""
    if keys not in _seen:
        if len(_seen) >= MAX_PLANS:
            _seen.clear()
            _plans.clear()
        _seen.add(keys)
    elif keys and units.UNITS.keys() >= set(keys):
        from otel_cost.usage_plan import Sum, high, low, plan_of  # most apps use text alone, and never come here

        said = frozenset(keys)
        found = split_counts(said, lambda key: Sum({key: 1}) if key in said else 0, Ops(low, high))
        _plans[keys] = plan_of(keys, *found)


def split_counts(
    present: Iterable[str], count: Callable[[str], Count], ops: Ops
) -> tuple[list[tuple[str, Count]], Count, Count]:
    """The split, for numbers or columns.

    Args:
        present: the keys that have a count at all; the others are never asked for.
        count: key -> its count, 0 where it is unknown.
        ops: minimum and maximum for the kind of counts given.

    Returns:
        (cell, exclusive count) pairs, the total of input tokens, and the flags as bits.
    """
    keys = frozenset(present)
    cells, total, flags = _split_input(keys, count, ops)
    out_cells, _, out_flags = _split_output(keys, count, ops)
    cells += out_cells
    flags = flags | out_flags
    for key in () if keys <= _TOKEN_KEYS else units.OTHER_KEYS:
        parts = units.OTHER_WHOLES.get(key)
        if parts is not None and not keys.isdisjoint(parts):
            inside = sum(count(part) for part in parts if part in keys)
            cells.append((key, ops.high(count(key), inside) - inside))
        elif key in keys:
            cells.append((key, count(key)))
    return cells, total, flags


def _modalities(direction: str, keys: frozenset[str]) -> list[str]:
    return [m for m in ("text", *units.MODALITIES) if not keys.isdisjoint(MODALITY_PARTS[direction, m])]


def _write_kinds(modality: str, count: Callable[[str], Count], ops: Ops) -> tuple[Count, Count, Count]:
    """Cache writes as (short, 1 hour, 12 hours). The part of the total without a TTL counts as short."""
    _, _, total_key, hour_key, half_day_key, _ = _CELLS["input", modality]
    hour, half_day = count(hour_key), count(half_day_key)
    total = ops.high(count(total_key), count(_SHORT_WRITES[modality]) + hour + half_day)
    return total - hour - half_day, hour, half_day


def _split_input(
    keys: frozenset[str], count: Callable[[str], Count], ops: Ops
) -> tuple[list[tuple[str, Count]], Count, Count]:
    kinds = [count(units.CACHE_READ), *_write_kinds("", count, ops), count(units.TOOL)]
    modal: dict[str, tuple[Count, list[Count]]] = {}
    for modality in _modalities("input", keys):
        cells = _CELLS["input", modality]
        if keys.isdisjoint(_OVERLAPS["input", modality]):
            modal[modality] = (count(cells[0]), [0] * (len(cells) - 1))
            continue
        joins = [count(cells[1]), *_write_kinds(modality, count, ops), count(cells[5])]
        modal[modality] = (ops.high(count(cells[0]), sum(joins)), joins)
    kinds = _at_least_the_joins(kinds, modal, ops)
    cached = kinds[0] + kinds[1] + kinds[2] + kinds[3]
    whole = count(units.INPUT)
    missing = whole == 0
    whole = whole + missing * ops.high(cached + kinds[4], sum(total for total, _ in modal.values()))
    # More cached than there is input: the emitter counts the cached tokens beside the input, not inside.
    exclusive = cached > whole
    whole = whole + exclusive * cached
    clamped = kinds[4] > whole - cached
    kinds[4] = ops.low(kinds[4], whole - cached)
    found, cut = _grid("input", whole, kinds, modal, ops)
    flags = exclusive * _CACHE_EXCLUSIVE | (clamped | cut) * _CLAMPED
    return found, whole, flags


def _at_least_the_joins(kinds: list[Count], modal: Mapping[str, tuple[Count, list[Count]]], ops: Ops) -> list[Count]:
    """A type has no fewer tokens than its modalities report together."""
    if not modal or all(type(join) is int and not join for _, joins in modal.values() for join in joins):
        return kinds
    return [ops.high(kind, sum(joins[i] for _, joins in modal.values())) for i, kind in enumerate(kinds)]


def _split_output(
    keys: frozenset[str], count: Callable[[str], Count], ops: Ops
) -> tuple[list[tuple[str, Count]], Count, Count]:
    kinds = [count(units.REASONING), count(units.CITATION)]
    modal: dict[str, tuple[Count, list[Count]]] = {}
    for modality in _modalities("output", keys):
        plain, *rest = _CELLS["output", modality]
        if keys.isdisjoint(_OVERLAPS["output", modality]):
            modal[modality] = (count(plain), [0] * len(rest))
            continue
        joins = [count(key) for key in rest]
        modal[modality] = (ops.high(count(plain), sum(joins)), joins)
    kinds = _at_least_the_joins(kinds, modal, ops)
    whole = count(units.OUTPUT)
    missing = whole == 0
    whole = whole + missing * ops.high(kinds[0] + kinds[1], sum(total for total, _ in modal.values()))
    clamped = kinds[0] + kinds[1] > whole
    kinds[0] = ops.low(kinds[0], whole)
    kinds[1] = ops.low(kinds[1], whole - kinds[0])
    cells, cut = _grid("output", whole, kinds, modal, ops)
    return cells, whole, (clamped | cut) * _CLAMPED


def _grid(
    direction: str,
    whole: Count,
    kinds: list[Count],
    modal: Mapping[str, tuple[Count, list[Count]]],
    ops: Ops,
) -> tuple[list[tuple[str, Count]], Count]:
    """Take each modality's tokens out of what is left of each type; what then is left is text.

    Where a modality has more tokens than plain ones are left, the rest must be cached (or written, ...): an overlap
    that the emitter did not report but that follows from its counts.
    """
    left = [whole - sum(kinds), *kinds]
    cut: Count = False
    cells: list[tuple[str, Count]] = []
    for modality in units.MODALITIES:
        if modality not in modal:
            continue
        total, joins = modal[modality]
        if type(total) is int and total <= left[0] and not any(joins):  # nearly always, where there are no columns
            cells.append((_CELLS[direction, modality][0], total))
            left[0] -= total
            continue
        taken = [ops.low(join, rest) for join, rest in zip(joins, left[1:], strict=True)]
        rest = total - sum(taken)
        plain = ops.low(rest, left[0])
        rest = rest - plain
        for i, free in enumerate(left[1:]):
            more = ops.low(rest, free - taken[i])
            taken[i] = taken[i] + more
            rest = rest - more
        cut = cut | (rest > 0)
        quantities = (plain, *taken)
        cells += zip(_CELLS[direction, modality], quantities, strict=True)
        left = [rest - quantity for rest, quantity in zip(left, quantities, strict=True)]
    cells += zip(_CELLS[direction, ""], left, strict=True)
    return cells, cut
