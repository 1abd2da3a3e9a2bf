"""Which models a comparison is with: those asked for, or some that cost less and some that cost more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import log
from typing import NamedTuple

from collector.analysis.compare_tokens import SAME, family_of, ratio
from otel_cost.pricing import units
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.choice import pick_row, remembered_choice
from otel_cost.pricing.match import resolve
from otel_cost.pricing.money import PPM

PRICES = (0.1, 0.25, 0.5, 0.8, 1.5, 3.0)
"""What models of a comparison should cost, as parts of what was paid: most of them less."""

_ONE_MORE_OF_A_PROVIDER = 0.5
"""How much further from such a price a model of another provider may be, as a logarithm, before a second one of the
same provider is taken."""

CANDIDATES: dict[str, tuple[str, ...]] = {
    "openai": (
        "gpt-6.1-sol",
        "gpt-6-luna",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
    ),
    "anthropic": ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    "google": (
        "gemini-3.1-pro-preview",
        "gemini-3.8-flash",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
    ),
    "deepseek": ("deepseek-v4-pro", "deepseek-v4-flash"),
    "mistral": ("mistral-large-4", "mistral-medium-3-5", "mistral-small-latest"),
    "x-ai": ("grok-4.7", "grok-4-fast-reasoning"),
}
"""General text models that a comparison offers by itself, by provider. What the card does not price is passed over."""


class Target(NamedTuple):
    """A model of the card: who sells it, and its canonical name."""

    provider: str
    model: str


class Used(NamedTuple):
    """What the calls of one model used and cost, together."""

    provider: str | None
    model: str | None
    calls: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost_pico_usd: int
    longest_tokens: int = 0  # input and output of one call, at most


def target_of(card: RateCard, name: str) -> Target | None:
    """A model by any of its names, also as `provider/name`; None if the card has no price for such a model.

    The name's own slashes come first: `openai/gpt-oss-120b` may be a model of some provider.
    """
    found = resolve(card, None, name, None).model
    if found is None or not found.has_price:
        provider, cut, rest = name.partition("/")
        found = resolve(card, provider, rest, None).model if cut and rest else None
    return Target(found.provider, found.model) if found is not None and found.has_price else None


def choose(
    card: RateCard,
    used: Sequence[Used],
    at_ns: int,
    window_of: Callable[[Target], int | None] = lambda _: None,
    among: Iterable[Target] | None = None,
) -> list[Target]:
    """Models of several providers, cheaper and dearer than those that were used, the cheapest first; `among`: of the
    `candidates`, without it all of them.

    What they cost is measured by all tokens at the rates of `at_ns`. A model that did all the calls is not among them:
    what it cost is known. Nor is one whose context window (None: not known) has no room for the longest call.
    """
    spent = sum(each.cost_pico_usd for each in used)
    alone = {each.model for each in used} if len({each.model for each in used}) == 1 else set()
    offers = {
        target: price
        for target in (candidates(card) if among is None else among)
        if target.model not in alone
        and _has_room(target, used, window_of)
        and (price := _price(card, target, used, at_ns))
    }
    chosen: list[Target] = []
    for part in PRICES:
        open_ = [target for target in offers if target not in chosen]
        if open_:
            wanted = spent * part or float(min(offers.values()))
            taken = Counter(target.provider for target in chosen)
            chosen.append(min(open_, key=lambda target: _distance(offers[target], wanted, taken[target.provider])))
    return sorted(chosen, key=lambda target: offers[target])


def _has_room(target: Target, used: Sequence[Used], window_of: Callable[[Target], int | None]) -> bool:
    """For the longest call of each model, by the fewest tokens that its texts may have there."""
    window = window_of(target)
    return window is None or all(each.longest_tokens * _least_ppm(each.model, target) // PPM <= window for each in used)


def _least_ppm(model: str | None, target: Target) -> int:
    """The fewest tokens on a target per million of a model's own."""
    found = SAME if model == target.model else ratio(family_of(model or ""), family_of(target.model))
    return found.least_ppm


def _distance(price: Fraction, wanted: float, taken: int) -> float:
    return abs(log(float(price) / wanted)) + _ONE_MORE_OF_A_PROVIDER * taken


def candidates(card: RateCard) -> Iterable[Target]:
    """Models of `CANDIDATES` that a card prices."""
    for provider, models in CANDIDATES.items():
        for name in models:
            found = resolve(card, provider, name, None).model
            if found is not None and found.has_price:
                yield Target(provider, found.model)


def _price(card: RateCard, target: Target, used: Sequence[Used], at_ns: int) -> Fraction | None:
    """What all tokens would cost, roughly: each model's calls as if they were of equal size."""
    sums: dict[int, int] = {}  # denominator -> numerators: hundreds of fractions that are added one by one take longer
    choice = remembered_choice(card, target.provider, target.model, None, None)
    if choice.model is None:
        return None
    for each in used:
        row, _ = pick_row(choice, at_ns, each.input_tokens // max(each.calls, 1))
        counts = (
            (units.INPUT, max(each.input_tokens - each.cache_read_tokens, 0)),
            (units.CACHE_READ, each.cache_read_tokens),
            (units.OUTPUT, each.output_tokens),
        )
        for unit, count in counts:
            rate = row.rate(unit)
            if rate is None:
                return None
            sums[rate.denominator] = sums.get(rate.denominator, 0) + count * rate.numerator
    return sum((Fraction(numerator, denominator) for denominator, numerator in sums.items()), Fraction(0))
