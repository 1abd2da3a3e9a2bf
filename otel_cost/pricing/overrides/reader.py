"""Overrides out of plain dicts and lists, from YAML, JSON or code: every problem is found before any is told.

The grammar is `docs/overrides.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from otel_cost.errors import OverridesError
from otel_cost.pricing import units
from otel_cost.pricing.card import STANDARD, RateCard
from otel_cost.pricing.money import PICO_PER_USD, PPM
from otel_cost.pricing.overrides import fields as read
from otel_cost.pricing.overrides import values
from otel_cost.pricing.overrides.entry import Bad, Entry, Problem
from otel_cost.pricing.overrides.known import Known
from otel_cost.pricing.overrides.values import Overrides, Target
from otel_cost.pricing.rates import BEGINNING_NS, END_NS

_TARGET = ("name", "provider", "when", "valid_from", "valid_to")
KEYS: Mapping[str, tuple[str, ...]] = {
    "providers": (),
    "discounts": (*_TARGET, "models", "percent", "markup", "multiplier"),
    "prices": (*_TARGET, "model", "rates", "tiers", "variants"),
    "aliases": (*_TARGET, "alias", "model", "model_provider"),
    "plans": (*_TARGET, "models", "fee", "share_by"),
    "gpus": (*_TARGET, "models", "usd_per_hour", "gpus", "time"),
    "router_fees": (*_TARGET, "models", "router", "usd_per_million_input_tokens", "percent"),
}
"""Every key of the grammar: kind of entry -> the keys of an entry."""
TIER_KEYS, VARIANT_KEYS = ("above", "rates"), ("rates", "tiers")
VARIANTS = ("batch", "flex", "priority", "fast")
TIMES = {"gpu_seconds": values.GPU_SECONDS, "span_duration": values.SPAN_DURATION}
SHARES = (values.TOKENS, values.REQUESTS)
NO_ENTRIES: Sequence[Any] = ()
NOTHING: Mapping[Any, Any] = {}


def overrides_from(raw: object, card: RateCard) -> Overrides:
    """The overrides in plain dicts and lists; names are checked against the card.

    Raises:
        OverridesError: with every problem, one per line.
    """
    overrides, problems = read_overrides(raw, card)
    if problems:
        raise OverridesError("\n".join(map(str, problems)))
    return overrides


def read_overrides(raw: object, card: RateCard) -> tuple[Overrides, list[Problem]]:
    """The overrides that could be read, and everything that is wrong."""
    problems: list[Problem] = []
    top = Entry(problems, "", raw, tuple(KEYS))
    known = Known(card, top.take("providers", read.names, ()))
    found = {
        kind: tuple(
            of_kind(Entry(problems, f"{kind}[{number}]", entry, KEYS[kind]), known)
            for number, entry in enumerate(top.take(kind, read.entries, NO_ENTRIES))
        )
        for kind, of_kind in _READERS.items()
    }
    overrides = Overrides(known.own, **found)
    _names_once(overrides, problems)
    return overrides, problems


def _target(entry: Entry, known: Known, pattern_key: str, *, must_exist: bool) -> Target:
    provider = entry.require("provider", known.provider, "")
    whole = pattern_key != "models"
    given = entry.require(pattern_key, read.text, "*") if whole else entry.take(pattern_key, read.text, "*")
    models = given.strip().lower()
    if whole and "*" in models and entry.path.startswith("aliases"):
        entry.problem(pattern_key, Bad("must be one name, without *"), given)
    start = entry.take("valid_from", read.instant_ns, BEGINNING_NS)
    end = entry.take("valid_to", read.instant_ns, END_NS)
    if end <= start:
        entry.problem("valid_to", Bad("must be after valid_from"))
    target = Target(
        name=entry.take("name", read.name, entry.path),
        provider=provider,
        models=models,
        when=entry.take("when", read.when, ()),
        valid_from_ns=start,
        valid_to_ns=end,
    )
    if must_exist and provider and (near := known.nearest(target)) is not None:
        what = f"no model of {provider} has such a name"
        entry.problem(pattern_key, Bad(what, words=near, allowed="names of models, * for any text"), given)
    return target


def _discount(entry: Entry, known: Known) -> values.Discount:
    target = _target(entry, known, "models", must_exist=True)
    key = entry.one_of("percent", "markup", "multiplier")
    if key == "multiplier":
        return values.Discount(target, entry.take(key, read.multiplier_ppm, PPM))
    part = entry.take(key, read.percent_ppm, 0)
    if key == "percent" and part > PPM:
        entry.problem(key, Bad("must be at most 100%"), f"{Decimal(part) / 10_000:f}%")
    return values.Discount(target, PPM - part if key == "percent" else PPM + part)


def _own_price(entry: Entry, known: Known) -> values.OwnPrice:
    target = _target(entry, known, "model", must_exist=False)
    variants = [(STANDARD, _tiers(entry))]
    for name, raw in entry.take("variants", read.mapping, NOTHING).items():
        if name not in VARIANTS:
            entry.problem("variants", Bad("unknown variant", words=VARIANTS, got=name))
        below = entry.below(f"variants.{name}", VARIANT_KEYS, raw)
        variants.append((str(name), _tiers(below)))
    known.add(target)
    return values.OwnPrice(target, tuple(variants))


_Tier = tuple[int, tuple[tuple[str, int], ...]]


def _tiers(entry: Entry) -> tuple[_Tier, ...]:
    """Rates by size of the input, the smallest first."""
    if "rates" not in entry:
        entry.problem("rates", Bad("is required"))
    tiers: list[_Tier] = [(-1, _rates(entry))]
    for number, raw in enumerate(entry.take("tiers", read.entries, NO_ENTRIES)):
        tier = entry.below(f"tiers[{number}]", TIER_KEYS, raw)
        above = tier.require("above", read.count(0, units.MAX_QUANTITY), 0)
        if above <= tiers[-1][0]:
            tier.problem("above", Bad("must be above that of the tier before"), above)
        if "rates" not in tier:
            tier.problem("rates", Bad("is required"))
        tiers.append((above, _rates(tier)))
    return tuple(tiers)


def _rates(entry: Entry) -> tuple[tuple[str, int], ...]:
    found = []
    for unit, value in entry.take("rates", read.mapping, NOTHING).items():
        below = entry.below("rates", (str(unit),), {unit: value})
        if unit not in units.UNITS or units.UNITS[unit].family == units.FEES:
            below.problem(
                str(unit), Bad("unknown unit", words=_PRICED_UNITS, allowed="docs/pricing.md, Usage", got=unit)
            )
        else:
            found.append((str(unit), below.require(str(unit), read.rate(units.UNITS[unit]), 0)))
    return tuple(found)


_PRICED_UNITS = tuple(unit.key for unit in units.UNITS.values() if unit.family != units.FEES)


def _alias(entry: Entry, known: Known) -> values.Alias:
    target = _target(entry, known, "alias", must_exist=False)
    provider = entry.take("model_provider", known.provider, target.provider)
    model = entry.require("model", read.text, "").strip().lower()
    if model and provider and not known.resolves(provider, model):
        words = known.names(provider)
        entry.problem(
            "model", Bad(f"no model of {provider} has this name", words=words, allowed="a model's name"), model
        )
    return values.Alias(target, provider, model)


def _plan(entry: Entry, known: Known) -> values.Plan:
    target = _target(entry, known, "models", must_exist=False)
    known.add(target)
    fee = entry.require("fee", read.fee, 0)
    return values.Plan(target, fee, entry.take("share_by", read.choice(SHARES), values.TOKENS))


def _gpu(entry: Entry, known: Known) -> values.Gpu:
    target = _target(entry, known, "models", must_exist=False)
    known.add(target)
    per_hour = entry.require("usd_per_hour", read.usd, Decimal(0))
    gpus = entry.take("gpus", read.count(1, 100_000), 1)
    time = entry.take("time", read.choice(TIMES), "gpu_seconds")
    return values.Gpu(target, int(per_hour * gpus * PICO_PER_USD), TIMES[time])


def _router_fee(entry: Entry, known: Known) -> values.RouterFee:
    router = entry.take("router", read.text, "").strip().lower()
    target = _target(entry, known, "models", must_exist=not router)
    if router:
        for key in ("models", "valid_from", "valid_to"):
            if key in entry:
                entry.problem(key, Bad("does not go with router, whose fee is taken of every call that asks for it"))
    if entry.one_of("usd_per_million_input_tokens", "percent") == "percent":
        rates = (("router_fee", entry.take("percent", read.percent_ppm, 0)),)
    else:
        unit = units.UNITS["router_input_tokens"]
        rates = ((unit.key, entry.take("usd_per_million_input_tokens", read.rate(units.UNITS[units.INPUT]), 0)),)
    return values.RouterFee(target, rates, router)


_READERS: Mapping[str, Callable[[Entry, Known], Any]] = {
    "discounts": _discount,
    "prices": _own_price,
    "gpus": _gpu,
    "plans": _plan,
    "aliases": _alias,  # after the models that they may mean
    "router_fees": _router_fee,
}


def _names_once(overrides: Overrides, problems: list[Problem]) -> None:
    """Names are in every receipt: two entries with one name could not be told apart."""
    taken: set[str] = set()
    for kind in _READERS:
        for number, entry in enumerate(getattr(overrides, kind)):
            if entry.target.name in taken:
                problems.append(Problem(f"{kind}[{number}].name", "another entry has this name", entry.target.name))
            taken.add(entry.target.name)
