"""LiteLLM's price file as card data: models that genai-prices does not know, and what it leaves out of others.

Only data is read, from a pruned copy that is kept beside this file (`python -m collector.catalogue.build.renew`).
Its prices have no dates: they hold whenever the call was. Models whose prices are all zero are left out, because the
file says 0 both for "free" and for "not known".
"""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.catalogue.build.litellm_keys import (
    NOT_TAKEN,
    PROVIDER_SPECIFIC,
    PROVIDERS,
    SEARCH_FEES,
    TIERED,
    UPLIFTS,
    meaning,
)
from collector.catalogue.build.model import Model, Rates, Rounding, Row, rate_pico_usd

SOURCE = "litellm"
SNAPSHOT = Path(__file__).parent / "litellm_prices.json.gz"
ARCHIVE = Path(__file__).parent / "litellm_2025.json.gz"
"""The file as tokencost 0.1.26 carried it in September 2025, with models that LiteLLM has dropped since."""
STANDARD = "standard"
PPM = 1_000_000

Prices = dict[int, dict[str, Decimal]]
"""Input tokens above -> unit -> USD per natural unit."""

_REGION_PREFIX = re.compile(r"^(us-gov|us|eu|apac|au|jp|in|ca|global)\.")
_PRICED_BY_COMMITMENT = ("-month-commitment/", "*/")
_AUDIO_HOURS = frozenset({"audio_seconds"})
SECONDS_PER_HOUR = 3600
FIGURES_OF_A_ROUNDED_PRICE = 3


def snapshot(path: Path = SNAPSHOT) -> dict[str, Any]:
    """A pruned copy: `{"version", "sha256", "models": {name: entry}}`."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return loaded


def provider_and_name(key: str, entry: dict[str, Any]) -> tuple[str, str] | None:
    """Our provider and the bare model name of an entry; None for what we do not take."""
    theirs = entry.get("litellm_provider", "")
    ours = "google" if theirs.startswith("vertex_ai") else PROVIDERS.get(theirs, theirs)
    if not ours or theirs in NOT_TAKEN or any(part in key for part in _PRICED_BY_COMMITMENT):
        return None
    name = key.lower()
    head, slash, rest = name.partition("/")
    if slash and head in (theirs, ours, "vertex_ai", "bedrock", "azure", "azure_ai", "fireworks_ai", "gemini"):
        name = rest
    return ours, name


def usable_keys(entry: dict[str, Any]) -> dict[str, Any]:
    """What of an entry the conversion reads."""
    mode = entry.get("mode", "")
    kept: dict[str, Any] = {key: entry[key] for key in ("litellm_provider", "mode") if key in entry}
    kept |= {key: value for key, value in entry.items() if meaning(key, mode) and value is not None}
    kept |= {key: entry[key] for key in (SEARCH_FEES, TIERED, *UPLIFTS) if entry.get(key)}
    if us := entry.get(PROVIDER_SPECIFIC, {}).get("us"):
        kept[PROVIDER_SPECIFIC] = {"us": us}
    return kept


def to_model(ours: str, name: str, entry: dict[str, Any], rounding: Rounding) -> Model | None:
    """An entry as a model with the exact name only; None if it has no price above zero."""
    by_variant = prices(ours, entry)
    standard = by_variant.get(STANDARD, {})
    if not any(value > 0 for tier in standard.values() for value in tier.values()):
        return None
    model = Model(name, SOURCE, names=[name], uplifts=uplifts(entry))
    region = _REGION_PREFIX.match(name)
    model.region = region.group(1) if ours == "aws" and region else None
    for variant, own in by_variant.items():
        tiers = own if variant == STANDARD else _over(standard, own)
        model.rows.append(Row(variant, None, None, rates_of(f"{ours}/{name}", tiers, rounding)))
    return model


def prices(ours: str, entry: dict[str, Any]) -> dict[str, Prices]:
    """An entry's prices by variant and tier, as published."""
    by_variant: dict[str, Prices] = {}
    for key, value in entry.items():
        found = meaning(key, entry.get("mode", ""))
        if found is None or not _is_price(value):
            continue
        above = found.input_above - (1 if ours == "x-ai" and found.input_above > 0 else 0)  # x.ai: from, not above
        exact = whole_hour(Decimal(value)) if found.unit in _AUDIO_HOURS else Decimal(value)
        by_variant.setdefault(found.variant, {}).setdefault(above, {})[found.unit] = exact
    if tiers := _tiered(entry):
        by_variant[STANDARD] = tiers
    if fees := _search_fees(entry):
        by_variant.setdefault(STANDARD, {}).setdefault(-1, {}).update(fees)
    return by_variant


def uplifts(entry: dict[str, Any]) -> dict[str, int]:
    """Place -> what its calls cost, in millionths of the price."""
    found = {place: entry[key] for key, place in UPLIFTS.items() if key in entry}
    found |= entry.get(PROVIDER_SPECIFIC, {})
    return {place: int(Decimal(factor) * PPM) for place, factor in sorted(found.items())}


def whole_hour(usd_per_second: Decimal) -> Decimal:
    """USD per second such that an hour costs what the provider quotes, where the file has it divided and rounded.

    That is the price per hour with the fewest decimals which, divided by 3600 and rounded to as many figures, gives
    the published one: 0.0000611 per second is 0.22 per hour.
    """
    hour = usd_per_second * SECONDS_PER_HOUR
    published = usd_per_second.normalize()
    figures = len(published.as_tuple().digits)
    for decimals in range(1, 5):
        if hour == round(hour, decimals):
            return usd_per_second
        candidate = round(hour, decimals)
        again = candidate / SECONDS_PER_HOUR
        if (
            figures >= FIGURES_OF_A_ROUNDED_PRICE
            and again
            and round(again, figures - 1 - again.adjusted()) == published
        ):
            return again
    return usd_per_second


def _search_fees(entry: dict[str, Any]) -> dict[str, Decimal]:
    """Fees per web search by context size; the plain one is the default size's, medium."""
    sizes = entry.get(SEARCH_FEES) or {}
    fees = {
        size: Decimal(sizes[key])
        for size in ("low", "medium", "high")
        if (key := f"search_context_size_{size}") in sizes
    }
    if not fees:
        return {}
    plain = fees.get("medium", next(iter(fees.values())))
    if len(set(fees.values())) == 1:
        return {"web_searches": plain}
    return {"web_searches": plain} | {f"web_searches_{size}": fee for size, fee in fees.items()}


def _tiered(entry: dict[str, Any]) -> Prices:
    """`tiered_pricing`: a tier holds above its start, and prices the whole call."""
    tiers: Prices = {}
    for tier in entry.get(TIERED) or ():
        if "range" not in tier:
            return {}
        start = int(Decimal(tier["range"][0]))
        found = {m.unit: Decimal(value) for key, value in tier.items() if (m := meaning(key, "")) and _is_price(value)}
        tiers[start if start else -1] = found
    return tiers


def _is_price(value: Any) -> bool:
    """Prices are kept as decimal text; dictionaries and flags of the same name are none."""
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _over(standard: Prices, own: Prices) -> Prices:
    """A variant's tiers with the standard rates under them, where the variant has none at any size."""
    units = {unit for tier in own.values() for unit in tier}
    under = {above: {u: v for u, v in tier.items() if u not in units} for above, tier in standard.items()}
    return {above: under.get(above, {}) | own.get(above, {}) for above in sorted(under.keys() | own.keys())}


def rates_of(where: str, tiers: Prices, rounding: Rounding) -> list[tuple[int, Rates]]:
    """Each tier with all its rates: what it does not say is that of the tier below."""
    result: list[tuple[int, Rates]] = []
    current: dict[str, Decimal] = {}
    for above in sorted(tiers):
        current = current | tiers[above]
        rates = {unit: rate_pico_usd(where, unit, current[unit], 1, rounding) for unit in sorted(current)}
        result.append((above, rates))
    if result and result[0][0] != -1:
        result[0] = (-1, result[0][1])
    return result
