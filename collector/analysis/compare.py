"""The same usage on other models: what each would cost, which is the cheapest, and what cannot be said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collector.analysis.compare_models import Target

Model = Target


@dataclass(slots=True)
class Amounts:
    """What calls would cost on one model, in pico-USD; the same amount twice where tokens need not be converted."""

    low_pico_usd: int = 0
    high_pico_usd: int = 0
    unpriced_calls: int = 0  # in neither amount
    partial_calls: int = 0  # a class of their tokens has no price there: more than the amounts
    fallback_calls: int = 0  # a class is billed as its parent, such as cached tokens as input
    variant_calls: int = 0  # the tier or region asked for has no price there; the standard one was taken
    too_long_calls: int = 0  # they do not fit the context window, so that model could not have done them

    def add(self, other: Amounts) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def complete(self) -> bool:
        """Whether the amounts are of all calls, in full: only then can they be compared."""
        return not self.unpriced_calls and not self.partial_calls

    @property
    def eligible(self) -> bool:
        """Whether the model could have done all calls, for these amounts."""
        return self.complete and not self.too_long_calls

    @property
    def exact(self) -> bool:
        return self.low_pico_usd == self.high_pico_usd

    @property
    def order(self) -> int:
        """By which models are ranked: twice the middle of the range."""
        return self.low_pico_usd + self.high_pico_usd


@dataclass(slots=True)
class Group:
    """The calls of one value: what they cost as they were made, and on each model."""

    value: str | None
    calls: int = 0
    cost_pico_usd: int = 0
    models: dict[Model, Amounts] = field(default_factory=dict)

    def add(self, other: Group) -> None:
        self.calls += other.calls
        self.cost_pico_usd += other.cost_pico_usd
        for model, amounts in other.models.items():
            self.models.setdefault(model, Amounts()).add(amounts)

    @property
    def cheapest(self) -> Model | None:
        """The model with the lowest middle of its range, among those that have a price and room for every call."""
        eligible = [(amounts.order, model) for model, amounts in self.models.items() if amounts.eligible]
        return min(eligible)[1] if eligible and self.calls else None

    @property
    def cheapest_is_certain(self) -> bool:
        """Whether the range of no other that could be it begins below the end of the cheapest one's."""
        first = self.cheapest
        return first is not None and all(
            amounts.low_pico_usd >= self.models[first].high_pico_usd
            for model, amounts in self.models.items()
            if model != first and amounts.eligible
        )

    def difference(self, model: Model) -> tuple[int, int] | None:
        """How much more the calls would cost on a model, at least and at most; None if that is not known of all."""
        amounts = self.models[model]
        if not amounts.complete:
            return None
        return amounts.low_pico_usd - self.cost_pico_usd, amounts.high_pico_usd - self.cost_pico_usd


@dataclass(frozen=True, slots=True)
class Comparison:
    """Groups, the dearest first; together they are `total`, exactly."""

    groups: tuple[Group, ...]
    total: Group


def comparison(groups: Mapping[str | None, Group] | Iterable[Group], models: Iterable[Model]) -> Comparison:
    """Order the groups and add them up. Every model is in every group, also where it has no call to price."""
    found = list(groups.values() if isinstance(groups, Mapping) else groups)
    total = together(found, models)
    found.sort(key=lambda group: (-group.cost_pico_usd, -group.calls, group.value is None, group.value or ""))
    return Comparison(tuple(found), total)


def together(groups: Iterable[Group], models: Iterable[Model]) -> Group:
    """Groups as one, without a value. Every model is in it, also where it has no call to price."""
    total = Group(None, models={model: Amounts() for model in models})
    for group in groups:
        total.add(group)
    return total
