"""What a user's own contract says of prices: discounts, own prices, aliases, flat plans, GPU rates, router fees.

Values only: `reader` makes them of plain dicts and lists, `overlay` lays them over a rate card.
Of several entries of one kind that hold for the same call, the first in the list counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeVar

from otel_cost.pricing.rates import BEGINNING_NS, END_NS

When = tuple[tuple[str, str], ...]
"""Pairs of (what a call carries, pattern of its value): all of them must hold. Empty: every call."""

GPU_SECONDS, SPAN_DURATION = "gpu_seconds", "duration_seconds"
"""Units in which self-hosted models are billed: what the span says its GPUs took, or how long it lasted."""
TOKENS, REQUESTS = "tokens", "requests"
"""By what a plan's fee is shared out."""

Entry = TypeVar("Entry", "Discount", "OwnPrice", "Alias", "Plan", "Gpu", "RouterFee")


class Target(NamedTuple):
    """What an entry holds for: models of a provider, in a period, for calls that carry something."""

    name: str
    provider: str
    models: str  # `*` stands for any text; lower case
    when: When = ()
    valid_from_ns: int = BEGINNING_NS
    valid_to_ns: int = END_NS  # exclusive

    def matches(self, names: Iterable[str]) -> bool:
        """Whether one of a model's names fits the pattern."""
        fits = pattern(self.models).fullmatch
        return any(fits(name) for name in names)


class Discount(NamedTuple):
    """Rates times `multiplier_ppm` / 1,000,000: below a million a discount, above it a markup."""

    target: Target
    multiplier_ppm: int


class OwnPrice(NamedTuple):
    """Rates of one's own. `variants`: (variant, ((input tokens above, ((unit, pico-USD per Unit.per), ...)), ...))."""

    target: Target
    variants: tuple[tuple[str, tuple[tuple[int, tuple[tuple[str, int], ...]], ...]], ...]


class Alias(NamedTuple):
    """A name that means a model of the card. `target.models` is the name itself."""

    target: Target
    model_provider: str
    model: str


class Plan(NamedTuple):
    """A subscription: calls cost nothing, the fee is shared out by what was used."""

    target: Target
    fee_pico_usd_per_month: int
    share_by: str = TOKENS


class Gpu(NamedTuple):
    """Self-hosted models, billed by time on all their GPUs together."""

    target: Target
    pico_usd_per_hour: int
    unit: str = GPU_SECONDS


class RouterFee(NamedTuple):
    """What a router takes on top of the model's price. `rates`: (unit, rate): a router bills by input token or by part.

    With a `router`, it is taken of calls that ask for that name and are served by another model; else of all calls.
    """

    target: Target
    rates: tuple[tuple[str, int], ...]
    router: str = ""


@dataclass(frozen=True)
class Overrides:
    """Everything that a user overrides. The empty one changes nothing."""

    providers: tuple[str, ...] = ()
    """Provider names that no price list knows, and that entries may use."""
    discounts: tuple[Discount, ...] = ()
    prices: tuple[OwnPrice, ...] = ()
    aliases: tuple[Alias, ...] = ()
    plans: tuple[Plan, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    router_fees: tuple[RouterFee, ...] = ()

    @cached_property
    def entries(self) -> tuple[Discount | OwnPrice | Alias | Plan | Gpu | RouterFee, ...]:
        """All entries, by kind."""
        return (*self.discounts, *self.prices, *self.aliases, *self.plans, *self.gpus, *self.router_fees)

    @cached_property
    def conditions(self) -> tuple[When, ...]:
        """The distinct conditions that entries have, in order."""
        return tuple(dict.fromkeys(entry.target.when for entry in self.entries if entry.target.when))

    def __bool__(self) -> bool:
        return bool(self.entries)

    def for_calls(self, holding: frozenset[When]) -> Overrides:
        """What applies to calls for which just these conditions hold; no entry of the result has a condition."""

        return Overrides(
            self.providers,
            _kept(self.discounts, holding),
            _kept(self.prices, holding),
            _kept(self.aliases, holding),
            _kept(self.plans, holding),
            _kept(self.gpus, holding),
            _kept(self.router_fees, holding),
        )


def _kept(entries: tuple[Entry, ...], holding: frozenset[When]) -> tuple[Entry, ...]:
    return tuple(
        entry._replace(target=entry.target._replace(when=()))
        for entry in entries
        if not entry.target.when or entry.target.when in holding
    )


def holds(when: When, carried: Mapping[str, str | None]) -> bool:
    """Whether a condition holds for a call that carries these values."""
    return all((value := carried.get(key)) is not None and pattern(text).fullmatch(value) for key, text in when)


@lru_cache(maxsize=512)
def pattern(text: str) -> re.Pattern[str]:
    """A pattern in which `*` stands for any text."""
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
