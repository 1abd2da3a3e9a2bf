"""Raw rows of the rate card, cut in time, multiplied, replaced: what overrides do to them.

A raw row is `[variant, from ns, to ns, window, tiers, multiplier in ppm, {"source": ...}]`, the last two optional
(docs/pricing.md, "The rate card"); None is an open end, or no window. Rows stand in order of precedence, the oldest
last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from otel_cost.pricing import units
from otel_cost.pricing.card import STANDARD
from otel_cost.pricing.money import PPM, divide_half_even
from otel_cost.pricing.overrides.values import Gpu, OwnPrice, Plan, Target
from otel_cost.pricing.rates import BEGINNING_NS, END_NS

Row = list[Any]
Replacing = OwnPrice | Gpu | Plan

PREFIX = "override: "
FREE_RATES = dict.fromkeys((units.INPUT, units.OUTPUT, *units.OTHER_KEYS), 0)
"""Everything that can be used, at nothing."""


def source_of(target: Target) -> str:
    """What a row says of where its rates come from."""
    return f"{PREFIX}{target.name}"


def model_of(model: Mapping[str, Any]) -> str:
    """The name under which a raw model is shown."""
    return str(model.get("canonical", model["id"]))


def no_rates() -> Row:
    """A row for every time and nothing that it prices."""
    return [STANDARD, None, None, None, [[-1, {}]], PPM, {}]


def discounted(rows: Iterable[Row], target: Target, multiplier_ppm: int) -> list[Row]:
    """Rows times a multiplier inside the target's period, except those that an earlier discount has changed."""
    result: list[Row] = []
    for row in map(_complete, rows):
        if "source" in row[6]:
            result.append(row)
            continue
        later, inside, earlier = _parts(row, target)
        for part in inside:
            part[5] = divide_half_even(part[5] * multiplier_ppm, PPM)
            part[6] = {**part[6], "source": source_of(target)}
        result += (*later, *inside, *earlier)
    return result


def replaced(model: Mapping[str, Any], entry: Replacing) -> dict[str, Any]:
    """What changes of a raw model when an entry prices it in its period: its rows, and whatever belongs to them."""
    target = entry.target
    own = _own_rows(entry, model)
    variants = {row[0] for row in own}
    kept = [part for row in map(_complete, model.get("rows", ())) for part in _outside(row, target, variants)]
    changes: dict[str, Any] = {"rows": own + kept}
    if isinstance(entry, Gpu):
        changes["bills"] = [entry.unit]
    if "first_price_ns" in model:
        changes["first_price_ns"] = min(model["first_price_ns"], target.valid_from_ns)
    return changes


def _own_rows(entry: Replacing, model: Mapping[str, Any]) -> list[Row]:
    start = None if entry.target.valid_from_ns == BEGINNING_NS else entry.target.valid_from_ns
    end = None if entry.target.valid_to_ns == END_NS else entry.target.valid_to_ns
    extra = {"source": source_of(entry.target)}
    if isinstance(entry, OwnPrice):
        priced = [(variant, [[above, dict(rates)] for above, rates in tiers]) for variant, tiers in entry.variants]
    else:
        rates = {entry.unit: entry.pico_usd_per_hour} if isinstance(entry, Gpu) else FREE_RATES
        variants = dict.fromkeys([STANDARD, *(row[0] for row in model.get("rows", ()))])
        priced = [(variant, [[-1, rates]]) for variant in variants]
    return [[variant, start, end, None, tiers, PPM, extra] for variant, tiers in priced]


def with_fees(rows: Iterable[Row], target: Target, rates: Iterable[tuple[str, int]]) -> list[Row]:
    """Rows with fees beside their rates inside the target's period; a fee alone prices nothing."""
    fees = dict(rates)
    result: list[Row] = []
    for row in map(_complete, rows):
        later, inside, earlier = _parts(row, target)
        for part in inside:
            if any(tier for _, tier in part[4]) and not fees.keys() & part[4][0][1].keys():
                part[4] = [[above, {**tier, **fees}] for above, tier in part[4]]
                part[6] = {**part[6], "source": _and(part[6].get("source"), target)}
        result += (*later, *inside, *earlier)
    return result


def aliased(before: Mapping[str, Any], meant: Mapping[str, Any], target: Target) -> list[Row]:
    """The rows of what a name means now, inside the period; outside, those of what it meant before."""
    model = model_of(meant)
    result: list[Row] = []
    for row in map(_complete, meant["rows"]):
        for part in _parts(row, target)[1]:
            part[6] = {"model": model, **part[6], "source": _and(part[6].get("source"), target)}
            result.append(part)
    earlier_model = model_of(before)
    for row in map(_complete, before["rows"]):
        for part in _outside(row, target, None):
            part[6] = {"model": earlier_model, **part[6]}
            result.append(part)
    return result


def _and(source: str | None, target: Target) -> str:
    return f"{source} + {target.name}" if source else source_of(target)


def _complete(row: Row) -> Row:
    """A copy with all seven fields."""
    return [*row, *(PPM, {})[len(row) - 5 :]] if len(row) < 7 else [*row[:6], dict(row[6])]


def _outside(row: Row, target: Target, variants: set[str] | None) -> list[Row]:
    if variants is not None and row[0] not in variants:
        return [row]
    later, _, earlier = _parts(row, target)
    return [*later, *earlier]


def _parts(row: Row, target: Target) -> tuple[list[Row], list[Row], list[Row]]:
    """A row after, inside and before a period: none or one each."""
    start = BEGINNING_NS if row[1] is None else row[1]
    end = END_NS if row[2] is None else row[2]
    edges = (BEGINNING_NS, target.valid_from_ns, target.valid_to_ns, END_NS)
    found: list[list[Row]] = []
    for low, high in pairwise(edges):
        low, high = max(low, start), min(high, end)
        part = [row[0], _open(low, BEGINNING_NS), _open(high, END_NS), *row[3:6], dict(row[6])]
        found.append([part] if low < high else [])
    return found[2], found[1], found[0]


def _open(at_ns: int, end_ns: int) -> int | None:
    return None if at_ns == end_ns else at_ns
