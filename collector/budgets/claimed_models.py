"""The model of a claim by the name that the ledger counts it by, and what other models would cost.

A claim says what a request asks for (`gpt-4o-2024-08-06`), counters have the canonical name of the model that priced
the call (`gpt-4o`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from fractions import Fraction
from types import MappingProxyType

from collector.budgets.model import Claim, Rule
from otel_cost.pricing import units
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.choice import pick_row, remembered_choice
from otel_cost.pricing.money import divide_half_even
from otel_cost.pricing.rates import RateRow


def counted_model(card: RateCard, provider: str | None, model: str | None) -> str | None:
    """The canonical name, or the one given where the card has none."""
    if model is None:
        return None
    row = _row(card, provider, model, 0)
    return row.model if row is not None else model


def with_counted_models(rule: Rule, card: RateCard) -> Rule:
    """The rule with its replacements also by the names that the ledger counts the models by: claims have those."""
    found = dict(rule.cheaper)
    for model, replacement in rule.cheaper.items():
        provider, slash, name = model.partition("/")
        for counted in {counted_model(card, None, model), counted_model(card, provider, name) if slash else None}:
            if counted is not None and counted != counted_model(card, None, replacement):
                found.setdefault(counted, replacement)
    for replacement in rule.cheaper.values():
        own = found.get(counted_model(card, None, replacement) or "")
        if own is not None and own != replacement:
            found.setdefault(replacement, own)
    return replace(rule, cheaper=MappingProxyType(found))


def unknown_models(rule: Rule, card: RateCard) -> Mapping[str, str | None]:
    """Models of a rule's replacements that the card has not, with what is spelt most like them there. That need be no
    mistake: a model of one's own is on no card."""
    found: dict[str, str | None] = {}
    names: list[str] = []
    for model in dict.fromkeys((*rule.cheaper, *rule.cheaper.values())):
        provider, slash, name = model.partition("/")
        if _row(card, None, model, 0) is None and (not slash or _row(card, provider, name, 0) is None):
            names = names or sorted({row.model for row in card.reopened().rows()})
            found[model] = next(iter(get_close_matches(model, names, n=1, cutoff=0.7)), None)
    return found


def other_cost(card: RateCard, claim: Claim, model: str) -> int | None:
    """What a claim would cost with another model of its provider, in pico-USD; None: not known.

    A claim does not say which of its tokens are output, so its cost is scaled by the dearer of the two ratios.
    """
    rows = [_row(card, claim.provider, name, claim.tokens) for name in (claim.model or "", model)]
    if claim.cost_pico_usd is None or rows[0] is None or rows[1] is None:
        return None
    ratios: list[Fraction] = []
    for unit in (units.INPUT, units.OUTPUT):
        now, other = (row.rate(unit) for row in rows if row is not None)
        if other is None or now is None or not now.numerator:
            return None
        ratios.append(Fraction(other.numerator * now.denominator, other.denominator * now.numerator))
    ratio = max(ratios)
    return divide_half_even(claim.cost_pico_usd * ratio.numerator, ratio.denominator)


def _row(card: RateCard, provider: str | None, model: str, tokens: int) -> RateRow | None:
    """What a call of now is priced by."""
    found = remembered_choice(card, provider, model, None, None)
    return pick_row(found, time.time_ns(), tokens)[0] if found.rows else None
