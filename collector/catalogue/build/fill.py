"""What LiteLLM says of models that another catalogue already prices: places, tiers of service, fees, missing rates.

A price is only taken over where both catalogues agree on what the model's tokens cost: then they speak of the same
price list. What the first catalogue says is never changed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from collector.catalogue.build import from_litellm
from collector.catalogue.build.litellm_keys import sized_name
from collector.catalogue.build.model import Model, Provider, Rates, Rounding, Row, plain_unit, rate_pico_usd
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.match import resolve_name

STANDARD = from_litellm.STANDARD
TOKENS = ("input_tokens", "output_tokens")
FILLED = frozenset(
    {
        "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "cache_write_12h_tokens",
        "web_searches", "map_searches", "output_images", "output_video_seconds",
    }
)  # fmt: skip
FILLED_WHERE_AUDIO = frozenset({"input_audio_tokens", "output_audio_tokens", "cache_audio_read_tokens"})
NOT_FILLED: dict[str, frozenset[str]] = {"openai": frozenset({"cache_read_tokens"})}
"""Provider -> rates that its own price page says do not exist where the first catalogue has none."""
_AUDIO_NAMES = re.compile(r"audio|realtime|live|sonic")
_SOLD_BY_AZURE = re.compile(r"^(?:gpt-4o|gpt-4\.1|gpt-[56]|o[134])")
"""OpenAI's models that Azure sells at OpenAI's prices, but with fees and places of its own."""
_PLACES: dict[str, re.Pattern[str]] = {
    "aws": re.compile(
        r"^(?P<place>[a-z]{2}(?:-gov)?-[a-z]+-\d)/(?P<rest>.+)$"
        r"|^(?P<prefix>us-gov|eu|apac|au|jp|ca)\.(?P<name>.+)$"
    ),
    "azure": re.compile(r"^(?P<place>eu|us)/(?P<rest>.+)$"),
}  # fmt: skip
"""Provider -> names that carry the place of the call, and the name that is left."""


class Known:
    """The models of the card so far, by the names that they answer to."""

    def __init__(self, providers: list[Provider], card: RateCard) -> None:
        self.providers = {provider.id: provider for provider in providers}
        self._card = card
        self._models = {(p.id, m.id): m for p in providers for m in p.models}

    def model(self, provider_id: str, name: str) -> Model | None:
        """The provider's own model of a name; a region that is not priced apart is not the plain model."""
        found = self._found(provider_id, name)
        return self._models.get(found) if found and found[0] == provider_id else None

    def taken_over(self, provider_id: str, name: str) -> Model | None:
        """Like `model`; one that the provider sells at a lab's prices becomes one of its own first."""
        found = self._found(provider_id, name)
        if found is None or provider_id not in self.providers:
            return None
        lab, key = self._models[found], (provider_id, found[1])
        if key not in self._models:
            self._models[key] = copy.deepcopy(lab)
            self.providers[provider_id].models.append(self._models[key])
        return self._models[key]

    def _found(self, provider_id: str, name: str) -> tuple[str, str] | None:
        """Provider and id of the model that a name means: several models can be shown by one name, so rows say it."""
        found = resolve_name(self._card, provider_id, name)
        rows = found.model.variants.get(STANDARD, ()) if found.model else ()
        if found.model is None or found.flags or not rows:
            return None
        key = (found.model.provider, rows[0].key.split("|")[1])
        return key if key in self._models else None


def fill(providers: list[Provider], card: RateCard, entries: dict[str, dict[str, Any]], rounding: Rounding) -> int:
    """Fill in place; how many models got something."""
    known = Known(providers, card)
    found = [(*named, entry) for key, entry in entries.items() if (named := from_litellm.provider_and_name(key, entry))]
    plain = [each for each in found if not _placed(*each[:2])]
    filled: set[int] = set()
    _fill_each(known, plain, rounding, filled)
    for model in list(known.providers["openai"].models if "openai" in known.providers else ()):
        if _SOLD_BY_AZURE.match(model.id) and model.names:
            known.taken_over("azure", model.names[0])
    _fill_each(known, [each for each in found if _placed(*each[:2])], rounding, filled)
    return len(filled)


def _fill_each(
    known: Known, entries: list[tuple[str, str, dict[str, Any]]], rounding: Rounding, filled: set[int]
) -> None:
    for provider_id, name, entry in entries:
        model = _fill_one(known, provider_id, name, entry, rounding)
        if model is not None and from_litellm.SOURCE not in model.source:
            model.source = f"{model.source}+{from_litellm.SOURCE}"
            filled.add(id(model))


def _fill_one(known: Known, provider_id: str, name: str, entry: dict[str, Any], rounding: Rounding) -> Model | None:
    """The model that got something from an entry, if any did."""
    if sized := sized_name(name):
        model = known.model(provider_id, sized.model)
        usd = _picture_usd(name, entry)
        if model is None or usd is None:
            return None
        return model if _add_to_rows(model, {f"output_images_{sized.qualifier}": usd}, rounding) else None
    if placed := _placed(provider_id, name):
        place, plain = placed
        model = known.taken_over(provider_id, plain)
        return model if model is not None and _add_place(model, place, entry, rounding, provider_id) else None
    model = known.model(provider_id, name)
    if model is None or from_litellm.SOURCE in model.source.split("+")[:1]:
        return None
    changed = [_add_uplifts(model, entry), *_add_prices(model, provider_id, entry, rounding)]
    return model if any(changed) else None


def _placed(provider_id: str, name: str) -> tuple[str, str] | None:
    pattern = _PLACES.get(provider_id)
    found = pattern.match(name) if pattern else None
    if found is None:
        return None
    parts = found.groupdict()
    return (parts["place"], parts["rest"]) if parts["place"] else (parts["prefix"], parts["name"])


def _picture_usd(name: str, entry: dict[str, Any]) -> Decimal | None:
    """What one picture of a sized name costs."""
    for key in ("input_cost_per_image", "output_cost_per_image"):
        if key in entry:
            return Decimal(entry[key])
    pixels = re.search(r"(\d+)-x-(\d+)", name)
    per_pixel = Decimal(entry.get("input_cost_per_pixel", 0))
    if pixels is None or not per_pixel:
        return None
    return (per_pixel * int(pixels.group(1)) * int(pixels.group(2))).quantize(Decimal("0.001"))


def _add_uplifts(model: Model, entry: dict[str, Any]) -> bool:
    new = {place: ppm for place, ppm in from_litellm.uplifts(entry).items() if place not in model.uplifts}
    model.uplifts |= new
    return bool(new)


def _add_prices(model: Model, provider_id: str, entry: dict[str, Any], rounding: Rounding) -> Iterator[bool]:
    published = from_litellm.prices(provider_id, entry)
    where = f"{provider_id}/{model.id}"
    tiers = {v: dict(from_litellm.rates_of(where, own, rounding)) for v, own in published.items()}
    standard = tiers.get(STANDARD, {})
    current = _current(model, standard.get(-1, {}))
    if current is None:
        return
    allowed = FILLED | (FILLED_WHERE_AUDIO if _AUDIO_NAMES.search(model.id) else frozenset())
    allowed -= NOT_FILLED.get(provider_id, frozenset())
    for row in model.rows:
        theirs = tiers.get(row.variant)
        if theirs and row.window is None and _same_tokens(row.tiers[0][1], theirs.get(-1, {})):
            yield _add_rates(row, theirs, allowed)
    for variant in sorted(tiers.keys() - {row.variant for row in model.rows}):
        if not all(unit in tiers[variant].get(-1, {}) for unit in TOKENS if unit in standard[-1]):
            continue
        model.rows.append(Row(variant, current.start_ns, current.end_ns, _over(current, tiers[variant])))
        yield True


def _over(current: Row, own: dict[int, Rates]) -> list[tuple[int, Rates]]:
    """A new variant's tiers: its own rates over those of the standard row at the same size."""
    sizes = sorted({above for above, _ in current.tiers} | own.keys())
    standard, mine = dict(current.tiers), dict(own)
    result: list[tuple[int, Rates]] = []
    below: Rates = {}
    mine_below: Rates = {}
    for above in sizes:
        below, mine_below = standard.get(above, below), mine.get(above, mine_below)
        result.append((above, below | mine_below))
    return result


def _current(model: Model, same: Rates | None = None) -> Row | None:
    """The newest standard row; of those with the same token prices as LiteLLM's entry, if it is to have them."""
    rows = [row for row in model.rows if row.variant == STANDARD and row.window is None and row.tiers]
    return next((row for row in rows if same is None or _same_tokens(row.tiers[0][1], same)), None)


def _same_tokens(ours: Rates, theirs: Rates) -> bool:
    return any(ours.get(unit) for unit in TOKENS) and all(ours.get(unit, 0) == theirs.get(unit, 0) for unit in TOKENS)


def _add_rates(row: Row, theirs: dict[int, Rates], allowed: frozenset[str]) -> bool:
    changed = False
    their_rates: Rates = {}
    for above, own in row.tiers:
        their_rates = theirs.get(above, their_rates)
        missing = {
            unit: rate
            for unit, rate in their_rates.items()
            if rate and unit not in own and plain_unit(unit) in allowed and _sensible(unit, rate, own)
        }
        own.update(missing)
        changed = changed or bool(missing)
    return changed


def _sensible(unit: str, rate: int, own: Rates) -> bool:
    """A cached token that costs as much as a new one says nothing; writing costs at least what reading anew does."""
    new = own.get("input_tokens", 0)
    return rate < new if unit == "cache_read_tokens" else rate >= new or not unit.startswith("cache_write")


def _add_to_rows(model: Model, usd: dict[str, Decimal], rounding: Rounding) -> bool:
    for row in model.rows:
        for _, own in row.tiers:
            for unit, price in usd.items():
                own.setdefault(unit, rate_pico_usd(model.id, unit, price, 1, rounding))
    return bool(model.rows)


def _add_place(model: Model, place: str, entry: dict[str, Any], rounding: Rounding, provider_id: str) -> bool:
    """Rows for calls of a place that has prices of its own."""
    current = _current(model)
    if current is None:
        return False
    changed = False
    for variant, own in from_litellm.prices(provider_id, entry).items():
        name = f"region={place}" if variant == STANDARD else f"{variant},region={place}"
        tiers = _over(current, dict(from_litellm.rates_of(f"{provider_id}/{place}/{model.id}", own, rounding)))
        if name in {row.variant for row in model.rows} or (variant == STANDARD and tiers == current.tiers):
            continue
        model.rows.append(Row(name, current.start_ns, None, tiers))
        changed = True
    return changed
