"""Lay overrides over a rate card: the result is a rate card like any other, so that nobody who prices knows of them.

A discount splits rows in time and multiplies those inside. Own prices, GPU rates and flat plans replace rows in their
period. An alias is a model whose rows, in its period, are those of the model that it means. Router fees are rates more.
Outside its period a name that only overrides know has a row without rates: such calls are unpriced.

Some providers sell at the price lists of others (Azure at OpenAI's). What is agreed with one of the two must not
change calls of the other, so that the first then has a copy of the list, under the name `azure/openai`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from otel_cost.pricing.card import DIGEST_LENGTH, RateCard
from otel_cost.pricing.match import resolve_name
from otel_cost.pricing.overrides import rows as raw_rows
from otel_cost.pricing.overrides.values import Alias, Overrides, RouterFee, Target, pattern

Raw = dict[str, Any]

UNKNOWN = "*"
"""The list `vllm/*` prices models that no list of vllm's names, by the pattern of an override."""


def overlay(card: RateCard, overrides: Overrides) -> RateCard:
    """The card with overrides on it, read as lazily as the card itself; the card itself where there are none.

    Its digest follows from the card's and the overrides'. Conditions of entries are not looked at (`for_calls`).
    """
    if not overrides:
        return card
    if not overrides.aliases:
        return _Overlay(card, overrides).card()
    without = overlay(card, replace(overrides, aliases=()))  # what aliases mean is looked up there
    return _Overlay(card, overrides, without).card()


def names_of(model: Mapping[str, Any]) -> set[str]:
    """Every name that a raw model is sure to have, lower case."""
    return {str(name).lower() for name in (model["id"], model.get("canonical", model["id"]), *model.get("names", ()))}


class _Overlay:
    """Reads providers of a card as overrides change them. Immutable."""

    def __init__(self, card: RateCard, overrides: Overrides, meant: RateCard | None = None) -> None:
        self._card = card
        self._overrides = overrides
        self._meant = meant or card
        self._touched = {entry.target.provider for entry in overrides.entries}
        sold = {provider_id: self._sold(provider_id) for provider_id in {*card.provider_ids, *self._touched}}
        self._fallbacks = {
            seller: [f"{seller}/{other}" if self._touched & {seller, other} else other for other in others]
            + [f"{seller}/{UNKNOWN}"] * any(self._catches(entry.target) for entry in self._replacing(seller))
            for seller, others in sold.items()
        }

    def card(self) -> RateCard:
        """The overlaid card."""
        digest = hashlib.sha256(f"{self._card.digest}\n{self._overrides!r}".encode()).hexdigest()
        others = {listed for lists in self._fallbacks.values() for listed in lists}
        index = {**self._card.index, "providers": sorted({*self._fallbacks, *others})}
        return RateCard(digest=digest[:DIGEST_LENGTH], index=index, read=self._read)

    def _read(self, provider_id: str) -> Raw:
        seller, _, listed = provider_id.partition("/")
        if listed and provider_id in self._fallbacks.get(seller, ()):
            if listed == UNKNOWN:
                return {"provider": provider_id, "models": self._unknown_models(seller)}
            raw = self._base(listed)
            return {**raw, "provider": provider_id, "fallback_providers": [], "models": self._models(seller, raw)}
        raw = self._base(provider_id)
        models = self._models(provider_id, raw)
        models += [self._replaced(_new(name), provider_id) for name in self._new_names(provider_id)]
        models = self._aliases(provider_id, models) + models
        return {**raw, "fallback_providers": self._fallbacks[provider_id], "models": self._routers(provider_id, models)}

    def _base(self, provider_id: str) -> Raw:
        if provider_id in self._card.provider_ids:
            return dict(self._card.read(provider_id))
        return {"provider": provider_id, "fallback_providers": [], "models": []}

    def _sold(self, seller: str) -> list[str]:
        return list(self._base(seller).get("fallback_providers", ()))

    def _replacing(self, seller: str) -> list[raw_rows.Replacing]:
        """Entries that replace rows, from the weakest: of one kind, the first in the list counts most."""
        overrides = self._overrides
        kinds: tuple[Sequence[raw_rows.Replacing], ...] = (overrides.prices, overrides.gpus, overrides.plans)
        return [entry for kind in kinds for entry in reversed(kind) if entry.target.provider == seller]

    def _models(self, seller: str, raw: Mapping[str, Any]) -> list[Raw]:
        return [self._replaced(self._discounted(dict(model), seller), seller) for model in raw["models"]]

    def _discounted(self, model: Raw, seller: str) -> Raw:
        for discount in self._overrides.discounts:
            if discount.target.provider == seller and discount.target.matches(names_of(model)):
                rows = raw_rows.discounted(model.get("rows", ()), discount.target, discount.multiplier_ppm)
                model["rows"] = rows
        return model

    def _replaced(self, model: Raw, seller: str) -> Raw:
        names = names_of(model)
        for entry in self._replacing(seller):
            if entry.target.matches(names):
                model |= raw_rows.replaced(model, entry)
        for fee in self._overrides.router_fees:
            if not fee.router and fee.target.provider == seller and fee.target.matches(names):
                model["rows"] = raw_rows.with_fees(model.get("rows", ()), fee.target, fee.rates)
        return model

    def _known(self, target: Target) -> bool:
        """Whether a list of the target's provider names a model that it fits."""
        lists = [target.provider, *self._sold(target.provider)]
        return any(target.matches(names_of(model)) for listed in lists for model in self._base(listed)["models"])

    def _catches(self, target: Target) -> bool:
        return "*" in target.models

    def _new_names(self, seller: str) -> Iterable[str]:
        """Models that only overrides know."""
        targets = [entry.target for entry in self._replacing(seller) if not self._catches(entry.target)]
        return dict.fromkeys(target.models for target in targets if not self._known(target))

    def _unknown_models(self, seller: str) -> list[Raw]:
        patterns = dict.fromkeys(
            entry.target.models for entry in reversed(self._replacing(seller)) if self._catches(entry.target)
        )
        models = []
        for text in patterns:
            model = _new(text) | {"names": [], "patterns": [["regex", f"^(?:{pattern(text).pattern})$"]]}
            models.append(self._replaced(model, seller))
        return models

    def _routers(self, seller: str, models: list[Raw]) -> list[Raw]:
        for fee in self._overrides.router_fees:
            if fee.router and fee.target.provider == seller:
                models = _with_router(models, fee)
        return models

    def _aliases(self, seller: str, models: list[Raw]) -> list[Raw]:
        """Models that stand before all others, so that their names are found first."""
        taken = {model["id"] for model in models}
        made: dict[str, Raw] = {}
        for alias in reversed(self._overrides.aliases):
            name = alias.target.models
            if alias.target.provider == seller:
                made[name] = self._alias(made.get(name) or self._before(seller, name), alias)
                made[name]["id"] = f"{name}@alias" if name in taken else name
        return list(made.values())

    def _before(self, seller: str, name: str) -> Raw:
        """What a name means without its aliases: a model of the card, or nothing that has a price."""
        found = resolve_name(self._meant, seller, name)
        known = found.model is not None and found.reason.startswith("exact name")
        return self._entry(seller, name) if known else _new(name)

    def _alias(self, before: Raw, alias: Alias) -> Raw:
        meant = self._entry(alias.model_provider, alias.model)
        rows = raw_rows.aliased(before, meant, alias.target)
        return {**meant, "canonical": raw_rows.model_of(meant), "names": [alias.target.models], "rows": rows}

    def _entry(self, provider: str, name: str) -> Raw:
        """The raw model that a name means; without rows where it means none with a price."""
        model = resolve_name(self._meant, provider, name).model
        rows = [row for variant in model.variants.values() for row in variant] if model is not None else []
        if not rows:
            return _new(name)
        listed, entry, *_ = rows[0].key.split("|")
        found = self._meant.provider(listed)
        assert found is not None  # the row came from it
        return dict(found.models[entry])


def _new(name: str) -> Raw:
    """A model that nothing prices yet."""
    return {"id": name, "source": "override", "names": [name], "rows": [raw_rows.no_rates()]}


def _with_router(models: list[Raw], fee: RouterFee) -> list[Raw]:
    fees = dict(fee.rates)
    if any(fee.router in names_of(model) for model in models):
        return [{**model, "fees": fees} if fee.router in names_of(model) else model for model in models]
    source = raw_rows.source_of(fee.target)
    return [*models, {"id": fee.router, "source": source, "names": [fee.router], "fees": fees, "rows": []}]
