"""Why calls cost more (or less) than usual, in four parts that add up to the difference, to the pico-dollar.

Against the usual calls, one thing is changed after the other, always on what the one before has left:

    volume   as many calls as there were, at what a usual call costs
    model    of the models that were used, each at what its calls usually cost; one without history as it was
    tokens   as long as they were, at what a token of the model usually costs
    price    what is left where a model was billed at other rates than usual; where it was not, it is the tokens' too,
             since what else changes the cost of a token is which sort it is: input, cached, output
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

OTHER_RATES = Fraction(1, 5)
"""Share of a model's calls that must be billed at other rates than usual before a price has changed."""


class Used(NamedTuple):
    """Calls of one model at one rate (whatever names it). Only such as have a price."""

    model: str | None
    rate: str | None
    calls: int
    tokens: int  # input and output
    cost_pico_usd: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Whole pico-USD each."""

    volume: int
    tokens: int
    model: int
    price: int

    @property
    def total(self) -> int:
        """All of the difference."""
        return self.volume + self.tokens + self.model + self.price


@dataclass(slots=True)
class _Model:
    """Of one model: calls, tokens, cost, and calls by rate."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0
    rates: dict[str | None, int] = field(default_factory=dict)


def decompose(now: Iterable[Used], usual: Iterable[Used], expected: int) -> Parts:
    """What makes `now` cost other than `expected`. `usual` are calls to compare with, of any length of time."""
    today, before = _models(now), _models(usual)
    cost = sum(each.cost for each in today.values())
    calls = sum(each.calls for each in today.values())
    usual_cost, usual_calls = (sum(getattr(each, name) for each in before.values()) for name in ("cost", "calls"))
    if not usual_calls:
        return Parts(cost - expected, 0, 0, 0)
    at_usual_mix = Fraction(calls * usual_cost, usual_calls)
    at_usual_calls, at_usual_tokens, at_usual_rates = Fraction(0), Fraction(0), Fraction(0)
    for name, each in today.items():
        known = before.get(name)
        per_call = Fraction(known.cost, known.calls) if known else Fraction(each.cost, each.calls)
        per_token = Fraction(known.cost, known.tokens) if known and known.tokens else None
        at_usual_calls += per_call * each.calls
        by_tokens = per_call * each.calls if per_token is None else per_token * each.tokens
        at_usual_tokens += by_tokens
        at_usual_rates += by_tokens if known and _is_billed_anew(each, known) else each.cost
    volume, model = round(at_usual_mix - expected), round(at_usual_calls - at_usual_mix)
    price = round(cost - at_usual_rates)
    return Parts(volume, cost - expected - volume - model - price, model, price)


def model_shares(used: Iterable[Used]) -> dict[str | None, Fraction]:
    """Each model's part of the cost; of the calls, where all are free."""
    models = _models(used)
    total = sum(each.cost for each in models.values())
    if total:
        return {name: Fraction(each.cost, total) for name, each in models.items()}
    calls = sum(each.calls for each in models.values())
    return {name: Fraction(each.calls, calls) for name, each in models.items()}


def _models(used: Iterable[Used]) -> Mapping[str | None, _Model]:
    found: dict[str | None, _Model] = {}
    for each in used:
        if each.calls:
            model = found.setdefault(each.model, _Model())
            model.calls += each.calls
            model.tokens += each.tokens
            model.cost += each.cost_pico_usd
            model.rates[each.rate] = model.rates.get(each.rate, 0) + each.calls
    return found


def _is_billed_anew(now: _Model, usual: _Model) -> bool:
    other = sum(
        max(Fraction(0), Fraction(calls, now.calls) - Fraction(usual.rates.get(rate, 0), usual.calls))
        for rate, calls in now.rates.items()
    )
    return other >= OTHER_RATES
