"""The rate card: what each model costs, compiled from catalogues into shipped data and read lazily.

Shipped (`data/`): `index.json` and one JSON file per provider, one line per model; `data/PROVENANCE.md` says where the
figures come from. A provider is read when it is first asked for; it may come from anywhere (`RateCard.read`).
A model's rows are chosen by variant (standard, batch, ...), then time, then size of the input. Rates are whole
pico-USD per `Unit.per` natural units. The format: docs/pricing.md, "The rate card".
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from otel_cost.errors import RateCardError
from otel_cost.pricing import units
from otel_cost.pricing.money import PPM
from otel_cost.pricing.rates import BEGINNING_NS, END_NS, RateRow, Terms, Window, terms_of_key

STANDARD = "standard"
DATA_DIRECTORY = Path(__file__).parent / "data"
DIGEST_LENGTH = 12

ReadProvider = Callable[[str], Mapping[str, Any]]
"""Canonical provider -> its raw card. Raises RateCardError if it cannot be read."""


class ModelCard(NamedTuple):
    """A model's rows by variant, in the order in which they are tried, and what its card says beside them."""

    provider: str
    model: str
    source: str
    region: str | None
    variants: Mapping[str, tuple[RateRow, ...]]
    minimums: Mapping[str, int]  # unit -> least billed quantity, in its quantum
    first_price_ns: int  # before this the first known price is used, and flagged
    has_price: bool
    uplifts: Mapping[str, int]  # lower-case region, or "*" for any other -> millionths
    fees: Mapping[str, int]  # of a router: what it adds to the rates of the model that served
    bills: frozenset[str] | None  # the only classes that cost something; None: all
    billed_at_end: bool  # rows are chosen by the time at which the call ended
    qualified: frozenset[str]  # rate keys of a certain size, quality, ... (`units.QUALIFIERS`)
    under_terms: dict[tuple[str, Terms], tuple[RateRow, ...]]  # what `rows` has made so far

    def rows(self, variant: str, terms: Terms = ()) -> tuple[RateRow, ...]:
        """The rows of a variant for calls with these terms; none if the model has no such variant."""
        found = self.variants.get(variant, ())
        if not terms or not found:
            return found
        made = self.under_terms.get((variant, terms))
        if made is None:
            made = self.under_terms[variant, terms] = tuple(row.under(terms, self.uplifts) for row in found)
        return made


class Pattern(NamedTuple):
    """A family of names of one model: `kind` is prefix, inside, end or regex (see `otel_cost.pricing.match`)."""

    kind: str
    text: str
    model: str


class ProviderCard(NamedTuple):
    """A provider's models: exact names, name patterns in order, and rows (parsed when asked for)."""

    provider: str
    names: Mapping[str, str]  # lower-case name -> model
    patterns: tuple[Pattern, ...]
    fallback_providers: tuple[str, ...]
    billed_at_end: bool
    models: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class RateCard:
    """A card version. Immutable: what it caches is only what it has read. Safe to share between threads."""

    digest: str  # first 12 hex digits of the sha256 over all provider files; stored with every price
    index: Mapping[str, Any]  # "providers": canonical ids
    read: ReadProvider
    _providers: dict[str, ProviderCard] = field(default_factory=dict, repr=False)
    _models: dict[tuple[str, str], ModelCard] = field(default_factory=dict, repr=False)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)  # resolutions, kept by `match` and `cost`

    def reopened(self) -> "RateCard":
        """The same card, nothing of it read: to go through all of it and let it go again."""
        return RateCard(self.digest, self.index, self.read)

    @property
    def provider_ids(self) -> tuple[str, ...]:
        """Canonical providers of the card, sorted."""
        return tuple(self.index["providers"])

    def provider(self, provider_id: str) -> ProviderCard | None:
        """A provider's card, or None if the card has none of that name.

        Raises:
            RateCardError: its file cannot be read.
        """
        found = self._providers.get(provider_id)
        if found is None and provider_id in self.index["providers"]:
            found = self._providers[provider_id] = _provider_card(provider_id, self.read(provider_id))
        return found

    def model(self, provider_id: str, model: str) -> ModelCard:
        """A model's card. Raises KeyError for a model that the provider's card does not list."""
        key = (provider_id, model)
        found = self._models.get(key)
        if found is None:
            provider = self.provider(provider_id)
            if provider is None:
                raise KeyError(provider_id)
            found = self._models[key] = _model_card(provider, model)
        return found

    def row(self, key: str) -> RateRow:
        """The row that a stored `rate_row` names. Raises KeyError if this card has no such row."""
        provider_id, model, variant, *_ = key.split("|")
        for row in self.model(provider_id, model).rows(variant, terms_of_key(key)):
            if row.key == key:
                return row
        raise KeyError(key)

    def rows(self) -> Iterator[RateRow]:
        """Every row of the card, providers and models in order."""
        for provider_id in self.provider_ids:
            provider = self.provider(provider_id)
            for model in provider.models if provider else ():
                for rows in self.model(provider_id, model).variants.values():
                    yield from rows


def load_card(directory: Path = DATA_DIRECTORY) -> RateCard:
    """Open a compiled card. Reads its index only.

    Raises:
        RateCardError: the index is missing or unreadable.
    """
    path = directory / "index.json"
    try:
        index = json.loads(path.read_bytes())
        return RateCard(index["digest"][:DIGEST_LENGTH], index, partial(_read_file, directory))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RateCardError(f"{path}: cannot read the rate card's index: {error}") from error


@cache
def default_card() -> RateCard:
    """The card that ships with the package, opened once."""
    return load_card()


def _read_file(directory: Path, provider_id: str) -> Mapping[str, Any]:
    path = directory / f"{provider_id}.json"
    try:
        raw: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RateCardError(f"{path}: cannot read the provider's rates: {error}") from error
    return raw


def _provider_card(provider_id: str, raw: Mapping[str, Any]) -> ProviderCard:
    try:
        names: dict[str, str] = {}
        patterns: list[Pattern] = []
        for model in raw["models"]:
            for name in model.get("names", ()):
                names.setdefault(name, model["id"])
            patterns += [Pattern(kind, text, model["id"]) for kind, text in model.get("patterns", ())]
        return ProviderCard(
            provider_id,
            names,
            tuple(patterns),
            tuple(raw.get("fallback_providers", ())),
            raw.get("billed_at") == "end",
            {model["id"]: model for model in raw["models"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RateCardError(f"cannot read the rates of {provider_id}: {error!r}") from error


def _model_card(provider: ProviderCard, model: str) -> ModelCard:
    raw = provider.models[model]
    found: dict[str, list[RateRow]] = {}
    for raw_row in raw.get("rows", ()):
        found.setdefault(raw_row[0], []).extend(_rate_rows(provider.provider, model, raw, *raw_row))
    rows = {variant: tuple(each) for variant, each in found.items()}
    keys = {key for each in found.values() for row in each for key in row.explicit}
    bills = raw.get("bills")
    return ModelCard(
        provider=provider.provider,
        model=raw.get("canonical", model),
        source=raw["source"],
        region=raw.get("region"),
        variants=rows,
        minimums={key: quantity * units.UNITS[key].quantum for key, quantity in raw.get("minimums", {}).items()},
        first_price_ns=raw.get("first_price_ns", BEGINNING_NS),
        has_price=any(row.explicit for row in rows.get(STANDARD, ())),
        uplifts=raw.get("uplifts", {}),
        fees=raw.get("fees", {}),
        bills=None if bills is None else frozenset(bills),
        billed_at_end=provider.billed_at_end,
        qualified=frozenset(key for key in keys if units.is_qualified(key)),
        under_terms={},
    )


def _rate_rows(
    provider_id: str,
    model: str,
    raw: Mapping[str, Any],
    variant: str,
    start: int | None,
    end: int | None,
    window: list[int] | None,
    tiers: list[tuple[int, Mapping[str, int]]],
    multiplier_ppm: int = PPM,
    extra: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[RateRow]:
    """One row as it is on disk: a rate row per size tier, the largest first."""
    hours = Window(*window) if window else None
    source = extra.get("source")
    for above, rates in reversed(tiers):
        yield RateRow(
            key=_row_key(provider_id, model, variant, start, above, hours, source),
            provider=provider_id,
            model=extra.get("model") or raw.get("canonical", model),
            variant=variant,
            region=raw.get("region"),
            valid_from_ns=BEGINNING_NS if start is None else start,
            valid_to_ns=END_NS if end is None else end,
            input_tokens_above=above,
            window=hours,
            source=raw["source"] if source is None else source,
            explicit=rates,
            multiplier_ppm=multiplier_ppm,
        )


def _row_key(
    provider_id: str, model: str, variant: str, start: int | None, above: int, window: Window | None, source: str | None
) -> str:
    parts = [provider_id, model, variant, "" if start is None else str(start), "" if above < 0 else str(above)]
    if window:
        parts.append(f"{window.start_seconds}-{window.end_seconds}")
    if source is not None:
        parts.append(source.replace("|", "/").replace(";", "/"))
    return "|".join(parts)
