"""The rows of the card that may price a call: found once per distinct (provider, models, context), then kept."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from otel_cost.call import Flag
from otel_cost.pricing import units
from otel_cost.pricing.card import STANDARD, ModelCard, RateCard
from otel_cost.pricing.match import remember, resolve
from otel_cost.pricing.money import PPM
from otel_cost.pricing.rates import BEGINNING_NS, REGION, RateRow, Terms, choose
from otel_cost.pricing.variants import ANYWHERE, PLACE_KEYS, region_names, region_of, variant_of

SERVICE_TIER = "service_tier"
_ALWAYS_FLAGGED = ("data_residency", "inference_geo")
_NO_KIND = frozenset({"", "default", "auto", "standard", "none"})
"""Sizes, qualities, ... that ask for nothing in particular."""
_VARIANT_NOT_PRICED = int(Flag.VARIANT_NOT_PRICED)


class Choice(NamedTuple):
    """What is fixed for a (model, context): the rows to choose from and the flags that this brings."""

    model: ModelCard | None
    rows: tuple[RateRow, ...]  # of the variant; may cover only some periods
    standard: tuple[RateRow, ...]
    reason: str
    flags: int
    only: RateRow | None  # the one row that prices every call, if there is but one


@lru_cache(maxsize=1024)
def context_of(service_tier: str | None) -> Mapping[str, str]:
    """The context of a call whose `service_tier` may say more: `flex`, `priority;inference_geo=us;quality=hd`."""
    tier, *others = (service_tier or "").split(";")
    pairs = (other.partition("=") for other in others)
    return {SERVICE_TIER: tier} | {key.strip().lower(): value.strip() for key, _, value in pairs}


def remembered_choice(
    card: RateCard,
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    service_tier: str | None,
) -> Choice:
    """`choice` by what a span says of its service (`Call.service_tier`), found once per distinct key."""
    key = (provider, request_model, response_model, service_tier)
    found: Choice | None = card.memo.get(key)
    if found is None:
        found = choice(card, provider, request_model, response_model, context_of(service_tier))
        remember(card, key, found)
    return found


def choice(
    card: RateCard,
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    context: Mapping[str, str],
) -> Choice:
    """The rows that may price a call; the rules are those of docs/pricing.md, "Which rate"."""
    found = resolve(card, provider, request_model, response_model)
    model, flags = found.model, int(found.flags)
    if model is None:
        return Choice(None, (), (), found.reason, flags, None)
    if not model.has_price:
        return Choice(None, (), (), f"{model.provider} lists {model.model} without a price", flags, None)
    variant, region, place_flags = _place(model, _variant(model, context), context)
    kinds, kind_flags = _kinds(model, context)
    fees = _router_fees(card, provider, request_model, model) if response_model and request_model else ()
    terms = (*region, *kinds, *fees)
    standard = model.rows(STANDARD, terms)
    rows = standard if variant == STANDARD else model.rows(variant, terms)
    flags |= place_flags | kind_flags
    return Choice(model, rows, standard, found.reason, flags, _only(model, rows, flags))


def _only(model: ModelCard, rows: tuple[RateRow, ...], flags: int) -> RateRow | None:
    if len(rows) != 1 or flags or model.first_price_ns != BEGINNING_NS or model.bills is not None:
        return None
    return rows[0] if rows[0].always else None


def _variant(model: ModelCard, context: Mapping[str, str]) -> str:
    """The variant by the tier served, or the model's own by some other key of the context (`search_type=pro`)."""
    variant = variant_of(context)
    for key, value in context.items():
        own = f"{key}={value}".lower()
        if key not in PLACE_KEYS and own in model.variants:
            variant = own
    return variant


def _place(model: ModelCard, variant: str, context: Mapping[str, str]) -> tuple[str, Terms, int]:
    """The variant in the call's region, or how much dearer the region is: rows of its own before an uplift."""
    region = region_of(context)
    if region is None:
        return variant, (), 0
    names = region_names(region)
    for name in names:
        own = f"{REGION}={name}" if variant == STANDARD else f"{variant},{REGION}={name}"
        if own in model.variants:
            return own, (), 0
    for name in (*names, "*"):
        uplift_ppm = model.uplifts.get(name)
        if uplift_ppm is not None:
            return variant, ((REGION, name),) if uplift_ppm != PPM else (), 0
    asked = any(context.get(key, "").strip().lower() not in ANYWHERE for key in _ALWAYS_FLAGGED)
    known = model.uplifts or any(f"{REGION}=" in listed for listed in model.variants)
    return variant, (), _VARIANT_NOT_PRICED if (asked or known) and model.region not in names else 0


def _kinds(model: ModelCard, context: Mapping[str, str]) -> tuple[Terms, int]:
    """What of the size, quality, ... of the call this model has rates for; flagged where a kind asked for has none."""
    if not model.qualified:
        return (), 0
    said = {name: value.strip().lower() for name in units.QUALIFYING if (value := context.get(name)) is not None}
    used: list[str] = []
    flags = 0
    for unit, choices in units.QUALIFIERS.items():
        if not any(key.startswith(f"{unit}_") for key in model.qualified):
            continue
        asked = [name for names in choices for name in names if said.get(name, "") not in _NO_KIND]
        found = [names for names in choices if _has(model, unit, [said.get(name, "") for name in names])]
        used += [name for names in found for name in names]
        if asked and not found:
            flags = _VARIANT_NOT_PRICED
    return tuple((name, said[name]) for name in units.QUALIFYING if name in used), flags


def _has(model: ModelCard, unit: str, values: list[str]) -> bool:
    return all(values) and units.qualified(unit, values) in model.qualified


def _router_fees(card: RateCard, provider: str | None, request_model: str | None, served: ModelCard) -> Terms:
    """What a router that was asked adds to the price of the model that served."""
    asked = resolve(card, provider, request_model, None).model
    if asked is None or asked is served or not asked.fees:
        return ()
    return tuple((unit, str(rate)) for unit, rate in asked.fees.items())


def pick_row(found: Choice, at_ns: int, input_tokens: int) -> tuple[RateRow, int]:
    """The row for a time and an input size; the standard one, flagged, where the variant has none."""
    row = choose(found.rows, at_ns, input_tokens)
    if row is not None:
        return row, 0
    flags = 0 if found.rows is found.standard else _VARIANT_NOT_PRICED
    return choose(found.standard, at_ns, input_tokens) or found.standard[-1], flags


def rows_in_order(found: Choice) -> tuple[RateRow, ...]:
    """The rows as `pick_row` tries them: the first that applies, else the last."""
    return found.rows if found.rows is found.standard else (*found.rows, *found.standard)
