"""All sources to one card, in order of precedence: corrections, genai-prices, LiteLLM for what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from tools.build_card import from_genai_prices
from tools.build_card.model import Rounding
from tools.build_card.write import card_files


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
    sources = {"genai-prices": version("genai-prices")}
    files = card_files(providers, sources)
    models = sum(len(provider.models) for provider in providers)
    return Built(files, "", f"{len(providers)} providers, {models} models, {len(rounding.entries)} rates rounded")
