"""The card that a call is priced with: overrides may hold only for calls of some customer, team, organisation, ..."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from otel_cost.pricing.card import RateCard
from otel_cost.pricing.overrides.overlay import overlay
from otel_cost.pricing.overrides.values import Overrides, When, holds

MAX_COMBINED = 3
"""Conditions that hold at once, up to which a card is looked for by its digest: more are rare, and each is a card."""


class Cards:
    """A base card under overrides: one card for each combination of conditions that is met. Safe between threads."""

    def __init__(self, base: RateCard, overrides: Overrides | None = None) -> None:
        self.overrides = overrides or Overrides()
        self._base = base
        self._made: dict[frozenset[When], RateCard] = {}

    @property
    def conditions(self) -> tuple[When, ...]:
        """The conditions of which it depends with which card a call is priced."""
        return self.overrides.conditions

    @property
    def base(self) -> RateCard:
        """The card without overrides."""
        return self._base

    @property
    def made(self) -> tuple[RateCard, ...]:
        """The cards that were needed so far."""
        return tuple(self._made.values())

    def find(self, digest: str | None) -> RateCard | None:
        """The card of a digest: the base card, or one of a combination of conditions; None if none has it."""
        if digest == self._base.digest:
            return self._base
        for count in range(min(len(self.conditions), MAX_COMBINED) + 1):
            for holding in combinations(self.conditions, count):
                if self.card(frozenset(holding)).digest == digest:
                    return self.card(frozenset(holding))
        return None

    def use(self, base: RateCard) -> Cards:
        """The same overrides on another card, such as a newer version."""
        return Cards(base, self.overrides)

    def card(self, holding: frozenset[When] = frozenset()) -> RateCard:
        """The card of calls for which just these conditions hold."""
        found = self._made.get(holding)
        if found is None:
            found = self._made.setdefault(holding, overlay(self._base, self.overrides.for_calls(holding)))
        return found

    def card_for(self, carried: Mapping[str, str | None]) -> RateCard:
        """The card of a call that carries these values, by the keys of `fields.CONDITIONS`."""
        return self.card(frozenset(when for when in self.conditions if holds(when, carried)))
