"""What changed between two cards: models that came or went, and every rate that differs, with when it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from collector.catalogue.describe import entry_of
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.money import PPM
from otel_cost.pricing.rates import BEGINNING_NS, END_NS, RateRow, Window

Place = tuple[str, str, str, int, Window | None, str]
"""Provider, the card's entry, variant, input above, hours, rate key: where a rate stands."""
Period = tuple[int, int, int]
"""From ns, to ns, pico-USD with the row's multiplier in it."""
Rates = dict[Place, list[Period]]


@dataclass(frozen=True, slots=True)
class Change:
    """A rate that differs in a period: None where one of the cards has none."""

    provider: str
    model: str
    variant: str
    input_tokens_above: int
    window: Window | None
    rate_key: str
    from_ns: int
    to_ns: int
    old_pico_usd: int | None
    new_pico_usd: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """`added` and `removed` are (provider, model); `changes` are those of models that both cards have."""

    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]


def compare(old: RateCard, new: RateCard) -> Difference:
    """The differences from one card to another. Periods are compared, not rows: how rows are cut does not matter."""
    added: list[tuple[str, str]] = []
    removed: list[tuple[str, str]] = []
    changes: list[Change] = []
    for provider in sorted({*old.provider_ids, *new.provider_ids}):
        before, after = (_models(card, provider) for card in (old, new))
        added += [(provider, entry) for entry in after if entry not in before]
        removed += [(provider, entry) for entry in before if entry not in after]
        for entry in sorted(before.keys() & after.keys()):
            if before[entry] != after[entry]:
                changes += _changes(_rates(old, provider, entry), _rates(new, provider, entry))
    return Difference(tuple(sorted(added)), tuple(sorted(removed)), tuple(changes))


def _models(card: RateCard, provider: str) -> dict[str, Any]:
    """The raw models by entry: most are equal in both cards, and are looked at no further."""
    return {model["id"]: model for model in card.read(provider)["models"]} if provider in card.provider_ids else {}


def _changes(before: Rates, after: Rates) -> Iterator[Change]:
    for place in sorted(before.keys() | after.keys(), key=lambda place: (*place[:4], place[4] or (-1,), place[5])):
        for difference in _differences(before.get(place, ()), after.get(place, ())):
            yield Change(*place, *difference)


def _rates(card: RateCard, provider: str, entry: str) -> Rates:
    found: Rates = {}
    for rows in card.model(provider, entry).variants.values():
        for row in rows:
            for rate_key, rate in row.explicit.items():
                amount = rate if row.multiplier_ppm == PPM else rate * row.multiplier_ppm // PPM
                found.setdefault(_place(row, rate_key), []).append((row.valid_from_ns, row.valid_to_ns, amount))
    return found


def _place(row: RateRow, rate_key: str) -> Place:
    return (row.provider, entry_of(row), row.variant, row.input_tokens_above, row.window, rate_key)


def _differences(old: Iterable[Period], new: Iterable[Period]) -> Iterator[tuple[int, int, int | None, int | None]]:
    """The periods in which two timelines differ; neighbours with the same two rates are one."""
    old, new = list(old), list(new)
    edges = sorted({BEGINNING_NS, END_NS, *(edge for period in (*old, *new) for edge in period[:2])})
    pieces = [(start, end, _at(old, start), _at(new, start)) for start, end in pairwise(edges)]
    for (before, after), group in groupby(pieces, key=lambda piece: piece[2:]):
        same = list(group)
        if before != after:
            yield same[0][0], same[-1][1], before, after


def _at(periods: Iterable[Period], at_ns: int) -> int | None:
    """The rate of the first row that holds: rows are in order of precedence."""
    return next((rate for start, end, rate in periods if start <= at_ns < end), None)
