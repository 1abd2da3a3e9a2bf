"""The names that an override may use: providers and models of a card, and providers that the user declares."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from otel_cost.pricing.card import RateCard
from otel_cost.pricing.match import resolve_name
from otel_cost.pricing.overrides.entry import Bad
from otel_cost.pricing.overrides.overlay import names_of
from otel_cost.pricing.overrides.values import Target
from otel_cost.pricing.providers import FRAMEWORKS, PROVIDER_ALIASES, UNPRICED_PROVIDERS


class Known:
    """Names of a card and of the user's own providers."""

    def __init__(self, card: RateCard, own: tuple[str, ...]) -> None:
        self.own = own
        self._card = card
        self._own_models: list[Target] = []
        self._models = lru_cache(maxsize=None)(self._read_models)

    def provider(self, value: Any) -> str:
        """A provider's canonical name, from any spelling that spans use. Raises Bad."""
        said = value.strip().lower() if isinstance(value, str) else ""
        found = PROVIDER_ALIASES.get(said, said)
        if found in self._card.provider_ids or found in UNPRICED_PROVIDERS or found in self.own:
            return found
        words = sorted({*self._card.provider_ids, *UNPRICED_PROVIDERS, *self.own, *PROVIDER_ALIASES})
        if said in FRAMEWORKS:
            raise Bad("is the name of a framework; name who bills", allowed="a provider's name")
        raise Bad("unknown provider", words=words, allowed="a provider of the rate card, or one listed under providers")

    def add(self, target: Target) -> None:
        """Note models that an override prices."""
        self._own_models.append(target)

    def names(self, provider: str) -> tuple[str, ...]:
        """Names of all models at a provider's price lists."""
        return tuple(sorted({name for model in self._models(provider) for name in model}))

    def nearest(self, target: Target) -> tuple[str, ...] | None:
        """None if a model fits the target's pattern; else all names, to find the nearest spelling in."""
        if any(target.matches(names) for names in self._models(target.provider)):
            return None
        return self.names(target.provider)

    def resolves(self, provider: str, model: str) -> bool:
        """Whether the card, or an override, prices calls of that name."""
        if any(own.provider == provider and own.matches([model]) for own in self._own_models):
            return True
        return resolve_name(self._card, provider, model).model is not None

    def _read_models(self, provider: str) -> list[set[str]]:
        found = []
        for listed in (provider, *self._sold(provider)):
            if listed in self._card.provider_ids:
                found += [names_of(model) for model in self._card.read(listed)["models"]]
        return found

    def _sold(self, provider: str) -> list[str]:
        if provider not in self._card.provider_ids:
            return []
        return list(self._card.read(provider).get("fallback_providers", ()))
