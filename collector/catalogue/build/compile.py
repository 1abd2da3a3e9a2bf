"""All sources to one card, in order of precedence: corrections, genai-prices, LiteLLM for what is missing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.catalogue.build import corrections, from_genai_prices, from_litellm, government
from collector.catalogue.build.corrected_rows import moment_ns
from collector.catalogue.build.disagreements import disagreements, report_text
from collector.catalogue.build.fill import STANDARD, TOKENS, fill
from collector.catalogue.build.litellm_keys import sized_name
from collector.catalogue.build.model import Provider, Rounding
from collector.catalogue.build.provenance import provenance_page
from collector.catalogue.build.write import card_files, write_files
from otel_cost.pricing.card import ModelCard, RateCard, load_card
from otel_cost.pricing.match import resolve_name

_HAS_PLACE = re.compile(r"^(?:[a-z]{2}(?:-gov)?-[a-z]+-\d|eu|us|global|global-standard)/")
_PLACE_PREFIX = re.compile(r"^(?:eu|apac|au|jp|ca|us-gov)\.")
BILLED_AT_END = frozenset({"deepseek"})
"""Providers whose price is that of the moment at which the answer was complete (https://api-docs.deepseek.com)."""
SAME_PRICE_ELSEWHERE = ("openai", "anthropic")
"""Labs whose models cost the same on the clouds that resell them; others have prices of their own there."""


@dataclass(frozen=True, slots=True)
class Built:
    """The card's files by name, its provenance page, where its sources disagree and a line for people."""

    files: dict[str, str]
    provenance: str
    disagreements: str
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
    """Compile the copies of this folder, or other sources, which may lack models that are corrected. Same in, same out.

    Raises:
        LookupError: a correction names a model that the copies no longer have.
    """
    given, strict = sources or kept_sources(), sources is None
    rounding = Rounding()
    providers = from_genai_prices.providers(given.genai_prices, rounding)
    corrections.apply(providers, rounding, strict=strict)
    with _opened(providers, given.described) as card:
        filled = fill(providers, card, given.litellm, rounding)
    with _opened(providers, given.described) as card:
        added = _add_missing(providers, card, given.litellm, rounding)
    with _opened(providers, given.described) as card:
        archived = from_litellm.snapshot(from_litellm.ARCHIVE)["models"]
        added += _add_missing(providers, card, archived, rounding)
    corrections.apply(providers, rounding, filled=True, strict=strict)
    government.add(providers)
    for provider in providers:
        provider.billed_at_end = provider.id in BILLED_AT_END
    files = card_files(providers, given.described)
    models = sum(len(provider.models) for provider in providers)
    summary = (
        f"{len(providers)} providers, {models} models ({added} from LiteLLM, {filled} filled from it), "
        f"{len(rounding.entries)} rates rounded"
    )
    with _opened(providers, given.described) as card:
        differ = disagreements(card, given.litellm, moment_ns(given.described["dated"]))
    page = provenance_page(files, given.described, rounding, added)
    return Built(files, page, report_text(differ), f"{summary}, {len(differ)} names on which the catalogues disagree")


@contextmanager
def _opened(providers: list[Provider], sources: dict[str, str]) -> Iterator[RateCard]:
    """The card so far, to ask it what it knows."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), card_files(providers, sources))
        yield load_card(Path(folder))


def _add_missing(
    providers: list[Provider], card: RateCard, entries: dict[str, dict[str, Any]], rounding: Rounding
) -> int:
    """Models that the card so far does not resolve, by their exact names."""
    by_id = {provider.id: provider for provider in providers}
    names = {provider.id: {model.id for model in provider.models} for provider in providers}
    added = 0
    for key, entry in entries.items():
        found = from_litellm.provider_and_name(key, entry)
        if found is None or sized_name(found[1]) or _is_priced(card, *found, entry):
            continue
        provider_id, name = found
        provider = by_id.setdefault(provider_id, Provider(provider_id))
        model = from_litellm.to_model(provider_id, name, entry, rounding)
        if model is not None and model.id not in names.setdefault(provider_id, set()):
            if _PLACE_PREFIX.match(name):
                provider.take_names(model.names)
            provider.models.append(model)
            names[provider_id].add(model.id)
            added += 1
    providers[:] = by_id.values()
    return added


def _is_priced(card: RateCard, provider_id: str, name: str, entry: dict[str, Any]) -> bool:
    """Whether the card prices a name for what it is: a region of its own price does not count as the plain model."""
    found = resolve_name(card, provider_id, name)
    if found.model is None or found.flags or _HAS_PLACE.match(name):
        return False
    if provider_id == "aws" and _PLACE_PREFIX.match(name) and not _same_price(found.model, entry):
        return False
    return found.model.provider in (provider_id, *SAME_PRICE_ELSEWHERE)


def _same_price(model: ModelCard, entry: dict[str, Any]) -> bool:
    theirs = dict(from_litellm.rates_of("", from_litellm.prices("aws", entry).get(STANDARD, {}), Rounding()))
    current = [row for row in model.variants.get(STANDARD, ()) if row.input_tokens_above < 0]
    return bool(current) and all(
        current[0].explicit.get(unit) == rate for unit, rate in theirs.get(-1, {}).items() if unit in TOKENS
    )
