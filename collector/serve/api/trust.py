"""How far the figures can be trusted: unpriced calls, price runs, the rate card, and money that bought nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from collector.catalogue.describe import hours, iso, quoted
from collector.questions import price_runs as repriced
from collector.questions import unpriced as reasons
from collector.questions import used_rates as rating
from collector.questions import waste as wasted
from collector.serve.api.config import Role
from collector.serve.api.figures import rounded
from collector.serve.api.parameters import Parameter, flag, text, whole
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_response
from collector.serve.api.selected import PARAMETERS, filter_of
from collector.serve.api.shapes import as_json
from collector.serve.api.viewing import Asked, Question, View, Viewer
from collector.serve.api.views import OFFSET
from otel_cost.pricing import RateCard
from otel_cost.pricing.money import PPM
from otel_cost.pricing.rates import RateRow

CardInUse = Callable[[], RateCard]
REASONS = whole("limit", "Rows at most", 200, 1, 1000)
MODELS = whole("limit", "Models at most", 100, 1, 1000)
PROVIDER, MODEL = (filter_of(name) for name in ("provider", "model"))
NAME = text("search", "Only models with this in their name, whatever the case")
CURRENT = flag("current", "Only rows that hold now")
USED = flag("used", "Only models that priced a call of the selection")
PRICES: tuple[Parameter[Any], ...] = (NAME, CURRENT, USED, MODELS, OFFSET, *PARAMETERS)
"""Provider and model are those of the card here; the rest of the selection is for `used`."""


@dataclass(frozen=True, slots=True)
class UnpricedShown:
    """Calls without a price, or with one for a part only; `calls` and `groups` are of all rows, shown or not."""

    rows: tuple[reasons.Reason, ...]
    calls: int
    groups: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How much of the input came from a cache, and what less it would have cost, had all of it; null: not known."""

    input_tokens: int | None
    cache_read_tokens: int | None
    hit_ratio: float | None
    perfect_saving_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class WasteShown:
    """Money that bought nothing, or might have bought more."""

    retry_cost_usd: Decimal
    wasted_cost_usd: Decimal
    failed_calls: int
    unpriced_calls: int
    cache: CacheUse
    longest: tuple[wasted.Longest, ...]
    retries: tuple[wasted.Retried, ...]


@dataclass(frozen=True, slots=True)
class CardShown:
    """The rate card in use. `rows`: its models; `updated_at`: as of which day its sources were read."""

    digest: str
    rows: int
    updated_at: str | None
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PriceShown:
    """US dollars per so many of a unit."""

    usd: Decimal
    per: int


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Prices of one model from one time to another; null: open, or of any size, hour or region."""

    provider: str
    model: str
    variant: str
    region: str | None
    valid_from: str | None
    valid_to: str | None
    input_tokens_above: int | None
    hours_utc: str | None
    multiplier: Decimal | None
    rates: Mapping[str, PriceShown]
    source: str
    rate_row: str


@dataclass(frozen=True, slots=True)
class PricesShown:
    """All rows of some models; `groups`: how many models there are to show."""

    card: CardShown
    rows: tuple[PriceRow, ...]
    groups: int


def trust_views() -> list[View[Any]]:
    """Views over the calls of a selection."""
    return [
        View("/unpriced", "calls without a price, by reason, and what to write in the config",
             lambda asked: Question(reasons.unpriced, (asked.selection, asked[REASONS])), _unpriced, UnpricedShown,
             (REASONS,)),
        View("/price-runs", "calls that were priced again, and what that changed",
             lambda asked: Question(repriced.price_runs, (asked.selection, asked[REASONS])), lambda found, _: found,
             repriced.PriceRuns, (REASONS,)),
        View("/waste", "retries, failures, cache misses, and the longest outputs",
             lambda asked: Question(wasted.waste, (asked.selection,)), _waste, WasteShown),
    ]  # fmt: skip


def price_path(viewer: Viewer, card_in_use: CardInUse) -> Path:
    """The rate card: the same for everybody, but for which rates somebody's calls have."""

    async def prices(request: Request) -> Response:
        asked = viewer.read(request, PRICES)
        card = card_in_use()
        known = _entries(card)
        used = await _used(viewer, asked) if asked[USED] else None
        providers, models, name = asked[PROVIDER], asked[MODEL], (asked[NAME] or "").lower()
        fit = [
            each
            for each in known
            if (not providers or each[0] in providers)
            and (not models or each[1] in models or each[2] in models)
            and name in each[3]
            and (used is None or each[:2] in used)
        ]
        page = fit[asked[OFFSET] : asked[OFFSET] + asked[MODELS]]
        now_ns = time.time_ns() if asked[CURRENT] else None
        rows = tuple(row for provider_id, entry, _, _ in page for row in _rows(card, provider_id, entry, now_ns))
        return json_response(request, as_json(PricesShown(_card(card, len(known)), rows, len(fit))))

    return Path(
        "GET",
        "/prices",
        Role.VIEWER,
        prices,
        "the rate card in use: every model's prices, dated, with their source",
        parameters=PRICES,
        takes_attributes=True,
        returns=Returns(PricesShown),
    )


async def _used(viewer: Viewer, asked: Asked) -> set[tuple[str, str]]:
    """Provider and entry, as the card calls them, of what priced the chosen calls, whatever these call it."""
    filters = tuple(each for each in asked.selection.filters if each.key not in (PROVIDER.name, MODEL.name))
    answered = await viewer.answer(Question(rating.used_rates, (replace(asked.selection, filters=filters),)))
    return {(key.split("|")[0], key.split("|")[1]) for key in answered.value if key.count("|")}


def _unpriced(found: reasons.Unpriced, _: Asked) -> UnpricedShown:
    return UnpricedShown(found.rows, found.calls, found.groups)


def _waste(found: wasted.Waste, _: Asked) -> WasteShown:
    total, cache = found.total, found.cache
    use = CacheUse(cache.input_tokens, cache.cache_read_tokens, rounded(cache.hit_ratio), cache.perfect_saving_usd)
    return WasteShown(
        total.retry_cost_usd,
        total.wasted_cost_usd,
        total.failed_calls,
        total.unpriced_calls,
        use,
        found.longest,
        found.retries,
    )


@lru_cache(maxsize=2)
def _entries(card: RateCard) -> tuple[tuple[str, str, str, str], ...]:
    """Provider, entry, the name that it is shown by, and both in lower case: of every model. Reads the whole card."""
    whole_card = card.reopened()
    found = []
    for provider_id in whole_card.provider_ids:
        provider = whole_card.provider(provider_id)
        for entry, raw in provider.models.items() if provider else ():
            shown = str(raw.get("canonical", entry))
            found.append((provider_id, entry, shown, f"{entry}\n{shown}".lower()))
    return tuple(found)


def _card(card: RateCard, models: int) -> CardShown:
    sources: Mapping[str, str] = card.index.get("sources", {})
    return CardShown(
        card.digest,
        models,
        sources.get("dated"),
        tuple(f"{name} {version}" for name, version in sources.items() if name != "dated"),
    )


def _rows(card: RateCard, provider_id: str, entry: str, at_ns: int | None) -> list[PriceRow]:
    model = card.model(provider_id, entry)
    rows = (row for each in model.variants.values() for row in each)
    return [
        _row(provider_id, model.model, model.region, row)
        for row in rows
        if at_ns is None or row.valid_from_ns <= at_ns < row.valid_to_ns
    ]


def _row(provider_id: str, model: str, region: str | None, row: RateRow) -> PriceRow:
    rates = {unit: quoted(unit, rate) for unit, rate in row.explicit.items()}
    return PriceRow(
        provider=provider_id,
        model=model,
        variant=row.variant,
        region=region,
        valid_from=iso(row.valid_from_ns),
        valid_to=iso(row.valid_to_ns),
        input_tokens_above=None if row.input_tokens_above < 0 else row.input_tokens_above,
        hours_utc=None if row.window is None else hours(row.window),
        multiplier=None if row.multiplier_ppm == PPM else Decimal(row.multiplier_ppm) / PPM,
        rates={unit: PriceShown(Decimal(usd), per) for unit, (usd, per) in rates.items()},
        source=row.source,
        rate_row=row.key,
    )
