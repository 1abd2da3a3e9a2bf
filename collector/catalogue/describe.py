"""A model of a card as plain values: its dated rows, where they come from, and which names lead to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from collector.catalogue.build import corrections, from_genai_prices
from otel_cost.call import Flag
from otel_cost.errors import RateCardError
from otel_cost.pricing.card import ModelCard, ProviderCard, RateCard
from otel_cost.pricing.match import resolve
from otel_cost.pricing.money import PPM, format_usd
from otel_cost.pricing.rates import BEGINNING_NS, END_NS, EVERY_DAY, SECOND_NS, RateRow, Window
from otel_cost.pricing.units import unit_of

MAX_NEAREST = 5
_LEAST_LIKENESS = 0.55
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_NS = 86_400 * SECOND_NS

Json = dict[str, Any]


def describe(card: RateCard, provider: str | None, name: str, at_ns: int | None = None) -> Json | None:
    """What the card says of a model; with `at_ns` only the rows of that moment. None if no model has that name."""
    found = resolve(card, provider, name, None)
    if found.model is None:
        return None
    model = found.model
    listed = card.provider(model.provider)
    assert listed is not None
    entry = _entry(listed, model)
    rows = [row for rows in model.variants.values() for row in rows if at_ns is None or _holds(row, at_ns)]
    return {
        "model": model.model,
        "provider": model.provider,
        "found_by": found.reason,
        "flags": [flag.name for flag in Flag if flag in found.flags and flag.name],
        "card": card.digest,
        "source": model.source,
        "catalogues": dict(card.index.get("sources", {})),
        "corrections": _corrections(model.provider, entry),
        "price_pages": _price_pages(model.provider),
        "names": [each for each, owner in listed.names.items() if owner == entry],
        "patterns": [f"{pattern.kind} {pattern.text}" for pattern in listed.patterns if pattern.model == entry],
        "dated_names": _dated_names(card, listed, model, entry),
        "also_listed_by": _others(card, model.provider, name),
        "region": model.region,
        "uplifts": {place: _factor(ppm) for place, ppm in model.uplifts.items()},
        "fees": [rate_json(unit, rate) for unit, rate in model.fees.items()],
        "least_billed": dict(listed.models[entry].get("minimums", {})),
        "bills_only": sorted(model.bills or ()),
        "priced_by": "end of the call" if model.billed_at_end else "start of the call",
        "rows": [row_json(row) for row in rows],
    }


def nearest(card: RateCard, provider: str | None, name: str) -> list[str]:
    """Names of the card that look like one that it does not have, the most alike first."""
    found = resolve(card, provider, "?", None)  # only to learn whether the provider is known
    wanted = [provider.lower()] if provider and provider.lower() in card.provider_ids and not found.model else []
    names: set[str] = set()
    for each in wanted or card.provider_ids:
        listed = _listed(card, each)
        names |= listed.names.keys() if listed else set()
    return get_close_matches(name.lower(), names, n=MAX_NEAREST, cutoff=_LEAST_LIKENESS)


def row_json(row: RateRow) -> Json:
    """A row with its rates in USD, times as ISO 8601 (UTC), null where open."""
    return {
        "variant": row.variant,
        "from": iso(row.valid_from_ns),
        "to": iso(row.valid_to_ns),
        "input_tokens_above": None if row.input_tokens_above < 0 else row.input_tokens_above,
        "hours_utc": None if row.window is None else hours(row.window),
        "multiplier": None if row.multiplier_ppm == PPM else _factor(row.multiplier_ppm),
        "source": row.source,
        "rate_row": row.key,
        "rates": [rate_json(unit, rate) for unit, rate in row.explicit.items()],
    }


def rate_json(rate_key: str, rate_pico_usd: int) -> Json:
    """A rate as people quote it: USD per million tokens, per thousand calls, per hour, per piece."""
    usd, per = quoted(rate_key, rate_pico_usd)
    return {"class": rate_key, "usd": usd, "per": per, "rate_pico_usd": rate_pico_usd}


def quoted(rate_key: str, rate_pico_usd: int) -> tuple[str, int]:
    """USD and per how many natural units: a million for tokens and characters, else as the card has it."""
    unit = unit_of(rate_key)
    if unit.per == 1 and unit.family in ("tokens", "characters", "fees"):
        return format_usd(rate_pico_usd * 1_000_000), 1_000_000
    return format_usd(rate_pico_usd), unit.per


def iso(moment_ns: int) -> str | None:
    """A day, or a time where it is none; None for an open end."""
    if moment_ns in (BEGINNING_NS, END_NS):
        return None
    at = datetime.fromtimestamp(moment_ns // SECOND_NS, UTC)
    rest_ns = moment_ns % SECOND_NS
    fraction = f".{rest_ns:09d}".rstrip("0") if rest_ns else ""
    return f"{at:%Y-%m-%d}" if moment_ns % _DAY_NS == 0 else f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def hours(window: Window) -> str:
    """`16:30-00:30`, and the days of the week if not all."""
    ends = (f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}" for seconds in window[:2])
    days = ""
    if window.weekdays != EVERY_DAY:
        days = " " + ",".join(day for bit, day in enumerate(_DAYS) if window.weekdays >> bit & 1)
    return "-".join(ends) + days


def entry_of(row: RateRow) -> str:
    """The card's entry that a row belongs to; several entries may be shown as one model."""
    return row.key.split("|")[1]


def _entry(listed: ProviderCard, model: ModelCard) -> str:
    for rows in model.variants.values():
        return entry_of(rows[0])
    found = (entry for entry, raw in listed.models.items() if raw.get("canonical", entry) == model.model)
    return next(found)


def _holds(row: RateRow, at_ns: int) -> bool:
    return row.valid_from_ns <= at_ns < row.valid_to_ns


def _factor(ppm: int) -> str:
    return format_usd(ppm * PPM)  # a millionth of a factor is a millionth of a USD, written alike


def _corrections(provider: str, entry: str) -> list[Json]:
    """The corrections of the catalogues that this program has for a model, with their sources."""
    return [
        {"why": correction["why"], "source": correction["source"]}
        for correction in corrections.load()
        if correction["provider"] == provider and _corrects(correction, entry)
    ]


def _corrects(correction: Mapping[str, Any], entry: str) -> bool:
    if wanted := correction.get("models"):
        return bool(re.search(wanted, entry)) and not re.search(correction.get("except", "^$"), entry)
    return entry in (correction["model"], f"{correction['model']} (moved)")


def _price_pages(provider: str) -> list[str]:
    published = from_genai_prices.snapshot()["providers"]
    return [page for each in published if each["id"] == provider for page in each.get("pricing_urls", ())]


def _dated_names(card: RateCard, listed: ProviderCard, model: ModelCard, entry: str) -> list[Json]:
    """Names that mean or meant this model for some time, with rows of their own."""
    same = [each for each, raw in listed.models.items() if each != entry and raw.get("canonical") == model.model]
    return [
        {
            "names": [name for name, owner in listed.names.items() if owner == each],
            "rows": [row_json(row) for rows in card.model(model.provider, each).variants.values() for row in rows],
        }
        for each in same
    ]


def _others(card: RateCard, provider: str, name: str) -> list[str]:
    """Other providers that list exactly this name."""
    return [
        each
        for each in card.provider_ids
        if each != provider and (listed := _listed(card, each)) and name.lower() in listed.names
    ]


def _listed(card: RateCard, provider: str) -> ProviderCard | None:
    try:
        return card.provider(provider)
    except RateCardError:
        return None


def current_rows(card: RateCard, at_ns: int, wanted: str = "", provider: str | None = None) -> Iterator[Json]:
    """The standard price of every model whose name contains `wanted`, as of a moment: one object per model."""
    for provider_id in card.provider_ids:
        listed = _listed(card, provider_id)
        for entry in listed.models if listed and provider in (None, provider_id) else ():
            model = card.model(provider_id, entry)
            if wanted.lower() not in entry.lower() and wanted.lower() not in model.model.lower():
                continue
            rows = [row for row in model.variants.get("standard", ()) if _holds(row, at_ns) and row.window is None]
            row = min(rows, key=lambda row: row.input_tokens_above, default=None)
            rates = [] if row is None else [rate_json(unit, rate) for unit, rate in row.explicit.items()]
            yield {
                "provider": provider_id,
                "model": model.model,
                "entry": entry,
                "source": model.source,
                "variants": list(model.variants),
                "priced": model.has_price,
                "rates": rates,
            }
