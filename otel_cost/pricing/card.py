"""The rate card: what each model costs, compiled from catalogues into shipped data and read lazily.

On disk (`data/`): `index.json` and one JSON file per provider, one line per model; `data/PROVENANCE.md` says where the
figures come from. A provider's file is parsed when the provider is first asked for.
A model's rows are chosen by variant (standard, batch, ...), then time, then size of the input. Rates are whole
pico-USD per `Unit.per` natural units.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from otel_cost.errors import RateCardError
from otel_cost.pricing import units

STANDARD = "standard"
DATA_DIRECTORY = Path(__file__).parent / "data"
BEGINNING_NS, END_NS = -(2**63), 2**63 - 1
DAY_NS = 86_400_000_000_000
SECOND_NS = 1_000_000_000
EVERY_DAY = 0b1111111
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


class Rate(NamedTuple):
    """What bills a class: pico-USD per `per` counted quantities; `explicit` unless it is its parent's rate."""

    pico_usd: int
    per: int
    explicit: bool


class CommonRates(NamedTuple):
    """The rates of the usual call (text tokens) at hand, per token, and what using them says."""

    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    reasoning: int
    read_is_fallback: bool
    write_is_fallback: bool
    has_long_write: bool


class Window(NamedTuple):
    """Hours of the day in which a row applies: seconds of the UTC day, and days of the week (bit 0 is Monday)."""

    start_seconds: int
    end_seconds: int
    weekdays: int = EVERY_DAY

    def contains(self, at_ns: int) -> bool:
        """Whether `at_ns` (UTC) is inside. A window may cross midnight."""
        day, rest_ns = divmod(at_ns, DAY_NS)
        if not self.weekdays >> ((day + EPOCH_WEEKDAY) % 7) & 1:
            return False
        second = rest_ns // SECOND_NS
        if self.start_seconds <= self.end_seconds:
            return self.start_seconds <= second < self.end_seconds
        return second >= self.start_seconds or second < self.end_seconds


@dataclass(frozen=True, slots=True, eq=False)
class RateRow:
    """Rates of one model in one variant, period and input-size tier."""

    key: str  # provider|model|variant|valid from|input above|window: enough to find the row again
    provider: str
    model: str  # canonical name, as shown; several entries of the card can share one (an alias that moved)
    variant: str
    region: str | None
    valid_from_ns: int
    valid_to_ns: int
    input_tokens_above: int  # applies to calls with more input tokens than this; -1: to all
    window: Window | None
    source: str
    explicit: Mapping[str, int]  # unit -> pico-USD per Unit.per, as the catalogue has it
    common: CommonRates | None = None  # None: the row is not priced by text tokens alone
    _rates: dict[str, Rate | None] = field(default_factory=dict, repr=False)

    @property
    def always(self) -> bool:
        """Whether the row prices calls of any time and size."""
        return (
            self.valid_from_ns == BEGINNING_NS
            and self.valid_to_ns == END_NS
            and self.input_tokens_above < 0
            and self.window is None
        )

    @property
    def has_long_write(self) -> bool:
        """Whether cache writes of an hour cost something else than short ones."""
        short, hour = self.rate(units.CACHE_WRITE), self.rate(units.CACHE_WRITE_1H)
        return short is not None and hour is not None and short.pico_usd != hour.pico_usd

    def rate(self, leaf: str) -> Rate | None:
        """The rate that bills a leaf, its own or the nearest parent's; None if the model has no price for it."""
        try:
            return self._rates[leaf]
        except KeyError:
            found = self._rates[leaf] = resolve_rate(self.explicit, leaf)
            return found

    def applies(self, at_ns: int, input_tokens: int) -> bool:
        """Whether the row prices a call at that time with that many input tokens in total."""
        return (
            self.valid_from_ns <= at_ns < self.valid_to_ns
            and input_tokens > self.input_tokens_above
            and (self.window is None or self.window.contains(at_ns))
        )


def resolve_rate(explicit: Mapping[str, int], leaf: str) -> Rate | None:
    """The rate that bills a leaf among explicit ones (`units.FALLBACKS`)."""
    for position, key in enumerate(units.FALLBACKS.get(leaf, ())):
        pico_usd = explicit.get(key)
        if pico_usd is not None:
            unit = units.UNITS[key]
            return Rate(pico_usd, unit.per * unit.quantum, position == 0)
    return None


def _common_rates(explicit: Mapping[str, int]) -> CommonRates | None:
    found = [resolve_rate(explicit, leaf) for leaf in units.COMMON_LEAVES]
    rates = [rate for rate in found if rate is not None]
    if len(rates) < len(found) or units.REQUESTS in explicit:
        return None
    whole, read, write, hour, output, reasoning = (rate.pico_usd for rate in rates)
    return CommonRates(
        whole, read, write, hour, output, reasoning, not rates[1].explicit, not rates[2].explicit, write != hour
    )


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
    models: Mapping[str, Mapping[str, Any]]


def choose(rows: tuple[RateRow, ...], at_ns: int, input_tokens: int) -> RateRow | None:
    """The row that prices a call: the first that applies, as rows are in order of precedence."""
    for row in rows:
        if row.applies(at_ns, input_tokens):
            return row
    return None


@dataclass(frozen=True, slots=True, eq=False)
class RateCard:
    """A card version. Immutable: what it caches is only what it has read. Safe to share between threads."""

    digest: str  # first 12 hex digits of the sha256 over all provider files; stored with every price
    directory: Path
    index: Mapping[str, Any]
    _providers: dict[str, ProviderCard] = field(default_factory=dict, repr=False)
    _models: dict[tuple[str, str], ModelCard] = field(default_factory=dict, repr=False)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)  # resolutions, kept by `match` and `cost`

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
            found = self._providers[provider_id] = _read_provider(self.directory, provider_id)
        return found

    def model(self, provider_id: str, model: str) -> ModelCard:
        """A model's card. Raises KeyError for a model that the provider's card does not list."""
        key = (provider_id, model)
        found = self._models.get(key)
        if found is None:
            provider = self.provider(provider_id)
            if provider is None:
                raise KeyError(provider_id)
            found = self._models[key] = _model_card(provider_id, model, provider.models[model])
        return found

    def row(self, key: str) -> RateRow:
        """The row that a stored `rate_row` names. Raises KeyError if this card has no such row."""
        provider_id, model, variant, *_ = key.split("|")
        for row in self.model(provider_id, model).variants[variant]:
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
        return RateCard(digest=index["digest"][:12], directory=directory, index=index)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RateCardError(f"{path}: cannot read the rate card's index: {error}") from error


@cache
def default_card() -> RateCard:
    """The card that ships with the package, opened once."""
    return load_card()


def _read_provider(directory: Path, provider_id: str) -> ProviderCard:
    path = directory / f"{provider_id}.json"
    try:
        raw = json.loads(path.read_bytes())
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
            {model["id"]: model for model in raw["models"]},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RateCardError(f"{path}: cannot read the provider's rates: {error}") from error


def _model_card(provider_id: str, model: str, raw: Mapping[str, Any]) -> ModelCard:
    """Rows of one model. A row on disk is [variant, from ns, to ns, window, [[input above, {unit: rate}], ...]]."""
    region = raw.get("region")
    canonical = raw.get("canonical", model)
    source = raw["source"]
    variants: dict[str, list[RateRow]] = {}
    for variant, start, end, window, tiers in raw.get("rows", ()):
        hours = Window(*window) if window else None
        for above, rates in reversed(tiers):
            row = RateRow(
                key=_row_key(provider_id, model, variant, start, above, hours),
                provider=provider_id,
                model=canonical,
                variant=variant,
                region=region,
                valid_from_ns=BEGINNING_NS if start is None else start,
                valid_to_ns=END_NS if end is None else end,
                input_tokens_above=above,
                window=hours,
                source=source,
                explicit=rates,
                common=_common_rates(rates),
            )
            variants.setdefault(variant, []).append(row)
    minimums = {key: quantity * units.UNITS[key].quantum for key, quantity in raw.get("minimums", {}).items()}
    rows = {variant: tuple(found) for variant, found in variants.items()}
    has_price = any(row.explicit for row in rows.get(STANDARD, ()))
    first = raw.get("first_price_ns", BEGINNING_NS)
    return ModelCard(provider_id, canonical, source, region, rows, minimums, first, has_price)


def _row_key(provider_id: str, model: str, variant: str, start: int | None, above: int, window: Window | None) -> str:
    key = f"{provider_id}|{model}|{variant}|{'' if start is None else start}|{'' if above < 0 else above}"
    return f"{key}|{window.start_seconds}-{window.end_seconds}" if window else key
