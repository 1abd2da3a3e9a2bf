"""genai-prices' published data as card data.

The data is a list of providers with their models, prices in USD (https://github.com/pydantic/genai-prices, the file
`data.json`). A pruned copy is kept beside this file; `python -m collector.catalogue.build.renew` renews it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.catalogue.build.genai_clauses import exact_names, matches, patterns
from collector.catalogue.build.model import Model, Provider, Rates, Rounding, Row, midnight_ns, rate_pico_usd
from otel_cost.pricing.units import UNITS

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
UNIT_OF_SUFFIX = {
    "_mtok": ("_tokens", 1_000_000),
    "_mchars": ("_characters", 1_000_000),
    "_kpages": ("_pages", 1_000),
    "_gpixels": ("_pixels", 1_000_000_000),
    "_hours": ("_seconds", 3_600),
    "_kcount": ("", 1_000),
}
"""How a price key ends -> how the unit that it prices ends, and per how many the price is."""
SNAPSHOT = Path(__file__).parent / "genai_prices.json.gz"
GROQ_LEAST_BILLED_SECONDS = 10  # in code, not in data, in genai-prices: https://groq.com/pricing (whisper)

_MODEL_KEYS = ("id", "match", "prices", "price_variants")

Prices = dict[str, Any]
"""Price key -> price (decimal text or int), or `{"base": price, "tiers": [{"start": tokens, "price": price}]}`."""


def snapshot() -> dict[str, Any]:
    """The pruned copy: `{"version", "providers"}`, prices as decimal text."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(SNAPSHOT.read_bytes()))
    return loaded


def usable_keys(published: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What of the published data the conversion reads."""
    return [
        {key: raw[key] for key in ("id", "pricing_urls", "fallback_model_providers") if raw.get(key)}
        | {"models": [{key: info[key] for key in _MODEL_KEYS if info.get(key)} for info in raw["models"]]}
        for raw in published
    ]


def providers(published: Iterable[Mapping[str, Any]], rounding: Rounding) -> list[Provider]:
    """Every provider of the published data, converted.

    Raises:
        KeyError, TypeError, ValueError: the data is of another form.
    """
    return [_provider(raw, rounding) for raw in published]


def _provider(raw: Mapping[str, Any], rounding: Rounding) -> Provider:
    provider = Provider(raw["id"], list(raw.get("fallback_model_providers") or ()))
    infos = raw["models"]
    by_id = {info["id"]: Model(info["id"], SOURCE, region=_region(raw["id"], info["id"])) for info in infos}
    for info in infos:
        model = by_id[info["id"]]
        model.rows = _rows(f"{raw['id']}/{info['id']}", info, rounding)
        model.patterns = list(patterns(info["match"]))
        for name in (*exact_names(info["match"]), info["id"]):
            name = name.lower()
            owner = next((other for other in infos if matches(other["match"], name)), info)  # the catalogue's first hit
            if name not in by_id[owner["id"]].names:
                by_id[owner["id"]].names.append(name)
        if raw["id"] == "groq" and info["id"].startswith("whisper-large-v3"):
            model.minimums = {"audio_seconds": GROQ_LEAST_BILLED_SECONDS}
    provider.models = list(by_id.values())
    return provider


def _region(provider_id: str, model_id: str) -> str | None:
    prefix = model_id.partition(".")[0]
    return prefix if provider_id == "aws" and prefix in ("global", "regional") else None


def _rows(where: str, info: Mapping[str, Any], rounding: Rounding) -> list[Row]:
    prices = info.get("prices") or {}
    conditional = prices if isinstance(prices, list) else [{"prices": prices}]
    windows = [entry for entry in conditional if "start_time" in _constraint(entry)]
    dated = [(_start(entry), _prices(entry)) for entry in conditional if entry not in windows]
    rows = [_window_row(where, entry, dated, rounding) for entry in windows]
    if ":free" in info["id"] and not any(own for _, own in dated):
        dated = [(None, {"input_mtok": 0, "output_mtok": 0})]
    rows += _dated_rows(where, STANDARD, dated, rounding)
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for variant in info.get("price_variants") or ():
        ((key, value),) = variant["when"].items()
        grouped.setdefault(TIER_VARIANTS.get((key, value), f"{key}={value}"), []).append(variant)
    for name, entries in grouped.items():
        if name != STANDARD:
            rows += _dated_rows(where, name, _variant_periods(dated, entries), rounding)
    return rows


def _window_row(
    where: str, entry: Mapping[str, Any], dated: list[tuple[date | None, Prices]], rounding: Rounding
) -> Row:
    """Hours of the day, from the last dated price on: that is the price which they vary."""
    window = _constraint(entry)
    seconds = tuple(_utc_seconds(window[key]) for key in ("start_time", "end_time"))
    start = dated[-1][0]
    start_ns = None if start is None else midnight_ns(start)
    return Row(STANDARD, start_ns, None, _tiers(where, _prices(entry), rounding), seconds)


def _constraint(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = entry.get("constraint") or {}
    return found


def _utc_seconds(text: str) -> int:
    """A time of day as seconds of the UTC day; without an offset it is UTC."""
    at = time.fromisoformat(text)
    offset = at.replace(tzinfo=at.tzinfo or UTC).utcoffset()
    assert offset is not None
    return (at.hour * 3600 + at.minute * 60 + at.second - int(offset.total_seconds())) % 86_400


def _start(entry: Mapping[str, Any]) -> date | None:
    start = _constraint(entry).get("start_date")
    return None if start is None else date.fromisoformat(start)


def _prices(entry: Mapping[str, Any]) -> Prices:
    return {key: value for key, value in entry["prices"].items() if value is not None}


def _variant_periods(
    dated: list[tuple[date | None, Prices]], entries: list[Mapping[str, Any]]
) -> list[tuple[date | None, Prices | None]]:
    """Periods of a variant: the standard prices with the variant's own laid over them.

    The catalogue dates most variants with the day on which it verified them. The first one known is taken to hold
    since the standard price that it belongs to; before that nothing is known (None).
    """
    starts = [_start(entry) for entry in entries]
    first = min((start for start in starts if start is not None), default=None)
    if None not in starts and first is not None:
        since = [start for start, _ in dated if start is None or start <= first][-1]
        starts = [since if start == first else start for start in starts]
    breaks = {start for start, _ in dated} | set(starts)
    periods: list[tuple[date | None, Prices | None]] = []
    for at in sorted(breaks, key=lambda day: day or date.min):
        active = [e for e, start in zip(entries, starts, strict=True) if start is None or (at and at >= start)]
        merged = dict([prices for start, prices in dated if start is None or (at and at >= start)][-1])
        for entry in reversed(active):  # the first active one wins
            merged |= _prices(entry)
        periods.append((at, merged if active else None))
    return periods


def _dated_rows(
    where: str, variant: str, periods: Sequence[tuple[date | None, Prices | None]], rounding: Rounding
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
    priced = {unit: (price, per) for key, price in prices.items() for unit, per in _unit(key)}
    thresholds = sorted({tier["start"] for price, _ in priced.values() for tier in _steps(price)})
    return [
        (
            above,
            {
                unit: rate_pico_usd(where, unit, _price_above(price, above), per, rounding)
                for unit, (price, per) in priced.items()
            },
        )
        for above in (-1, *thresholds)
    ]


def _unit(price_key: str) -> Iterator[tuple[str, int]]:
    """The unit that a price key prices, and per how many; nothing for one that is not known here."""
    for suffix, (end, per) in UNIT_OF_SUFFIX.items():
        unit = price_key.removesuffix(suffix) + end
        if price_key.endswith(suffix) and unit in UNITS:
            yield unit, per


def _steps(price: Any) -> list[Mapping[str, Any]]:
    return sorted(price["tiers"], key=lambda tier: tier["start"]) if isinstance(price, Mapping) else []


def _price_above(price: Any, above: int) -> Decimal:
    chosen = price["base"] if isinstance(price, Mapping) else price
    for tier in _steps(price):
        if above >= tier["start"]:
            chosen = tier["price"]
    return Decimal(chosen)
