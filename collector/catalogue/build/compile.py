"""All sources to one card, in order of precedence: corrections, genai-prices, LiteLLM for what is missing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

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


def compile_card() -> Built:
    """Compile from what is installed and kept in this folder. Deterministic."""
    rounding = Rounding()
    providers = from_genai_prices.providers(rounding)
    corrections.apply(providers, rounding)
    snapshot = from_litellm.snapshot()
    sources = {
        "genai-prices": version("genai-prices"),
        "litellm": snapshot["version"],
        "litellm price file sha256": snapshot["sha256"],
    }
    added = _add_missing(providers, snapshot["models"], sources, rounding)
    files = card_files(providers, sources)
    models = sum(len(provider.models) for provider in providers)
    summary = (
        f"{len(providers)} providers, {models} models ({added} from LiteLLM), {len(rounding.entries)} rates rounded"
    )
    return Built(files, provenance_page(files, sources, rounding, added), summary)


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
