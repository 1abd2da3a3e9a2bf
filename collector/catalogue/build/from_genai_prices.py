"""genai-prices' `providers` objects as card data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from genai_prices.data import providers as catalogue
from genai_prices.data_units import unit_data
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from collector.catalogue.build.model import Model, Provider, Rates, Rounding, Row, midnight_ns, rate_pico_usd

SOURCE = "genai-prices"
STANDARD = "standard"
TIER_VARIANTS = {
    ("processing", "batch"): "batch",
    ("service_tier", "default"): STANDARD,
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}
UNIT_OF_PRICE = {raw["price_key"]: (key, raw["per"]) for key, raw in unit_data.items()}
GROQ_LEAST_BILLED_SECONDS = 10  # in code, not in data, in genai-prices: https://groq.com/pricing (whisper)

Prices = dict[str, Any]
"""Price key -> Decimal or TieredPrices."""


def providers(rounding: Rounding) -> list[Provider]:
    """Every provider of the installed genai-prices, converted."""
    return [_provider(raw, rounding) for raw in catalogue]


def _provider(raw: Any, rounding: Rounding) -> Provider:
    provider = Provider(raw.id, list(raw.fallback_model_providers or ()))
    by_id = {info.id: Model(info.id, SOURCE, region=_region(raw.id, info.id)) for info in raw.models}
    for info in raw.models:
        model = by_id[info.id]
        model.rows = _rows(f"{raw.id}/{info.id}", info, rounding)
        model.patterns = list(_patterns(info.match))
        for name in (*_exact_names(info.match), info.id):
            name = name.lower()
            owner = raw._match_model(name) or info  # the catalogue's own first hit
            if name not in by_id[owner.id].names:
                by_id[owner.id].names.append(name)
        if raw.id == "groq" and info.id.startswith("whisper-large-v3"):
            model.minimums = {"audio_seconds": GROQ_LEAST_BILLED_SECONDS}
    provider.models = list(by_id.values())
    return provider


def _region(provider_id: str, model_id: str) -> str | None:
    prefix = model_id.partition(".")[0]
    return prefix if provider_id == "aws" and prefix in ("global", "regional") else None


def _exact_names(clause: Any) -> Iterable[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseOr):
        for inner in clause.or_:
            yield from _exact_names(inner)


def _patterns(clause: Any) -> Iterable[tuple[str, str]]:
    match clause:
        case ClauseStartsWith():
            yield "prefix", clause.starts_with.lower()
        case ClauseContains():
            yield "inside", clause.contains.lower()
        case ClauseEndsWith():
            yield "end", clause.ends_with.lower().lstrip("/")
        case ClauseRegex():
            yield "regex", clause.regex
        case ClauseOr():
            for inner in clause.or_:
                yield from _patterns(inner)
        case ClauseAnd():  # the second clause only excludes suffixes that name matching excludes anyway
            yield from _patterns(clause.and_[0])


def _rows(where: str, info: Any, rounding: Rounding) -> list[Row]:
    conditional = info.prices if isinstance(info.prices, list) else [ConditionalPrice(prices=info.prices)]
    dated = [
        (_start(c.constraint), c.prices) for c in conditional if not isinstance(c.constraint, TimeOfDateConstraint)
    ]
    windows = [entry for entry in conditional if isinstance(entry.constraint, TimeOfDateConstraint)]
    rows = [_window_row(where, entry, dated, rounding) for entry in windows]
    if ":free" in info.id and not any(_prices(prices) for _, prices in dated):
        dated = [(None, ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0)))]
    rows += _dated_rows(where, STANDARD, [(start, _prices(prices)) for start, prices in dated], rounding)
    grouped: dict[str, list[Any]] = {}
    for variant in info.price_variants or ():
        ((key, value),) = variant.when.items()
        grouped.setdefault(TIER_VARIANTS.get((key, value), f"{key}={value}"), []).append(variant)
    for name, entries in grouped.items():
        if name != STANDARD:
            rows += _dated_rows(where, name, _variant_periods(dated, entries), rounding)
    return rows


def _window_row(where: str, entry: Any, dated: list[tuple[date | None, Any]], rounding: Rounding) -> Row:
    """Hours of the day, from the last dated price on: that is the price which they vary."""
    window = entry.constraint
    seconds = tuple(t.hour * 3600 + t.minute * 60 + t.second for t in (window.start_time, window.end_time))
    start = dated[-1][0]
    start_ns = None if start is None else midnight_ns(start)
    return Row(STANDARD, start_ns, None, _tiers(where, _prices(entry.prices), rounding), seconds)


def _start(constraint: Any) -> date | None:
    return constraint.start_date if isinstance(constraint, StartDateConstraint) else None


def _prices(prices: Any) -> Prices:
    return {key: value for key, value in prices.__dict__.items() if value is not None}


def _variant_periods(
    dated: list[tuple[date | None, Any]], entries: list[Any]
) -> list[tuple[date | None, Prices | None]]:
    """Periods of a variant: the standard prices with the variant's own laid over them.

    The catalogue dates most variants with the day on which it verified them. The first one known is taken to hold
    since the standard price that it belongs to; before that nothing is known (None).
    """
    starts = [_start(entry.constraint) for entry in entries]
    first = min((start for start in starts if start is not None), default=None)
    if None not in starts and first is not None:
        since = [start for start, _ in dated if start is None or start <= first][-1]
        starts = [since if start == first else start for start in starts]
    breaks = {start for start, _ in dated} | set(starts)
    periods: list[tuple[date | None, Prices | None]] = []
    for at in sorted(breaks, key=lambda day: day or date.min):
        active = [e for e, start in zip(entries, starts, strict=True) if start is None or (at and at >= start)]
        standard = [prices for start, prices in dated if start is None or (at and at >= start)][-1]
        merged = _prices(standard)
        for entry in reversed(active):  # the first active one wins
            merged |= _prices(entry.prices)
        periods.append((at, merged if active else None))
    return periods


def _dated_rows(
    where: str, variant: str, periods: list[tuple[date | None, Prices | None]], rounding: Rounding
) -> list[Row]:
    """Rows, newest first; equal neighbours become one."""
    rows: list[Row] = []
    previous: Prices | None = None
    for start, prices in periods:
        start_ns = None if start is None else midnight_ns(start)
        if prices is not None and rows and prices == previous:
            continue
        if rows and rows[-1].end_ns is None:
            rows[-1].end_ns = start_ns
        previous = prices
        if prices:
            rows.append(Row(variant, start_ns, None, _tiers(where, prices, rounding)))
    return rows[::-1]


def _tiers(where: str, prices: Prices, rounding: Rounding) -> list[tuple[int, Rates]]:
    thresholds = sorted({t.start for p in prices.values() if isinstance(p, TieredPrices) for t in p.tiers})
    tiers: list[tuple[int, Rates]] = []
    for above in (-1, *thresholds):
        rates: Rates = {}
        for price_key, price in prices.items():
            unit, per = UNIT_OF_PRICE[price_key]
            rates[unit] = rate_pico_usd(where, unit, _price_above(price, above), per, rounding)
        tiers.append((above, rates))
    return tiers


def _price_above(price: Any, above: int) -> Decimal:
    if not isinstance(price, TieredPrices):
        assert isinstance(price, Decimal)
        return price
    chosen: Decimal = price.base
    for tier in price.tiers:
        if above >= tier.start:
            chosen = tier.price
    return chosen
