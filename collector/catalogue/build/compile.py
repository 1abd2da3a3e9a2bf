"""All sources to one card, in order of precedence: corrections, genai-prices, LiteLLM for what is missing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.catalogue.build import corrections, from_genai_prices, from_litellm
from collector.catalogue.build.model import Provider, Rounding
from collector.catalogue.build.provenance import provenance_page
from collector.catalogue.build.write import card_files, write_files
from otel_cost.pricing.card import RateCard, load_card
from otel_cost.pricing.match import resolve_name

GOVERNMENT_PREFIX = "us-gov."
SAME_PRICE_ELSEWHERE = ("openai", "anthropic")
"""Labs whose models cost the same on the clouds that resell them; others have prices of their own there."""


@dataclass(frozen=True, slots=True)
class Built:
    """The card's files by name, its provenance page and a line for people."""

    files: dict[str, str]
    provenance: str
    summary: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The catalogues, as `collector.catalogue.build.published` reads them, and what to say of where they are from."""

    genai_prices: list[dict[str, Any]]
    litellm: dict[str, dict[str, Any]]
    described: dict[str, str]


def kept_sources() -> Sources:
    """The copies in this folder, which the shipped card is made of."""
    genai_prices, litellm = from_genai_prices.snapshot(), from_litellm.snapshot()
    described = {
        "dated": max(genai_prices["dated"], litellm.get("dated", "")),
        "genai-prices": genai_prices["version"],
        "litellm": litellm["version"],
        "litellm price file sha256": litellm["sha256"],
    }
    return Sources(genai_prices["providers"], litellm["models"], described)


def compile_card(sources: Sources | None = None) -> Built:
    """Compile the copies of this folder, or other sources. Same sources, same bytes."""
    given = sources or kept_sources()
    rounding = Rounding()
    providers = from_genai_prices.providers(given.genai_prices, rounding)
    corrections.apply(providers, rounding)
    added = _add_missing(providers, given.litellm, given.described, rounding)
    files = card_files(providers, given.described)
    models = sum(len(provider.models) for provider in providers)
    summary = (
        f"{len(providers)} providers, {models} models ({added} from LiteLLM), {len(rounding.entries)} rates rounded"
    )
    return Built(files, provenance_page(files, given.described, rounding, added), summary)


def _add_missing(
    providers: list[Provider], entries: dict[str, dict[str, object]], sources: dict[str, str], rounding: Rounding
) -> int:
    """Models that the card so far does not resolve, by their exact names."""
    by_id = {provider.id: provider for provider in providers}
    added = 0
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), card_files(providers, sources))
        card = load_card(Path(folder))
        for key, entry in entries.items():
            found = from_litellm.provider_and_name(key, entry)
            if found is None or _is_priced(card, *found):
                continue
            provider_id, name = found
            provider = by_id.setdefault(provider_id, Provider(provider_id))
            model = from_litellm.to_model(provider_id, name, entry, rounding)
            if model is not None and all(model.id != other.id for other in provider.models):
                provider.models.append(model)
                added += 1
    providers[:] = by_id.values()
    return added


def _is_priced(card: RateCard, provider_id: str, name: str) -> bool:
    """Whether the card prices a name for what it is: a region of its own price does not count as the plain model."""
    found = resolve_name(card, provider_id, name)
    if found.model is None or found.flags or name.startswith(GOVERNMENT_PREFIX):
        return False
    return found.model.provider in (provider_id, *SAME_PRICE_ELSEWHERE)
