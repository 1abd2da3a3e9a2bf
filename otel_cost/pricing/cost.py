"""What a call costs: usage x rates = lines, and the total is the sum of the lines."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from otel_cost.call import Call, CallKind, Flag
from otel_cost.pricing import units
from otel_cost.pricing.card import STANDARD, ModelCard, RateCard, RateRow, choose, default_card
from otel_cost.pricing.match import Resolution, resolve
from otel_cost.pricing.money import MAX_COST_PICO_USD, divide_half_even
from otel_cost.pricing.variants import REGION_KEYS, variant_of, variant_of_tier
from otel_cost.usage import clean, split


class Status(StrEnum):
    """How far a cost can be trusted (meaning of each: docs/pricing.md)."""

    PRICED = "priced"  # every used class had a rate
    FREE = "free"  # costs nothing, and we know it
    REPORTED = "reported"  # the provider said what it billed
    ESTIMATED = "estimated"  # the emitter estimated the tokens
    PARTIAL = "partial"  # a used class has no rate, or a count was unreadable: the total is a lower bound
    UNPRICED = "unpriced"  # unknown: no total, never 0


class Line(NamedTuple):
    """One class of a receipt. `quantity` is in the unit's quantum; the rate is pico-USD per `per` of them."""

    unit: str
    quantity: int
    rate_pico_usd: int
    per: int
    cost_pico_usd: int


class Cost(NamedTuple):
    """A call's price and its receipt. `total_pico_usd` is the sum of the lines, None when unpriced."""

    status: Status
    total_pico_usd: int | None
    model: str | None
    card: str
    rate_row: str | None
    lines: tuple[Line, ...]
    reason: str | None
    flags: Flag


UNREADABLE = Flag.NEGATIVE | Flag.NOT_A_NUMBER | Flag.TOO_LARGE
REASON_UNREADABLE = "a count was no usable number"
REASON_NO_USAGE = "no usage reported"
REASON_TOO_HIGH = "the total is above 999,999 USD"


class Choice(NamedTuple):
    """What is fixed for a (model, variant): the rows to choose from and the flags that this brings."""

    model: ModelCard | None
    rows: tuple[RateRow, ...]  # of the variant; may cover only some periods
    standard: tuple[RateRow, ...]
    reason: str
    flags: Flag


def choice(
    card: RateCard, provider: str | None, request_model: str | None, response_model: str | None, variant: str
) -> Choice:
    """The rows that may price a call, found once per distinct key."""
    found: Resolution = resolve(card, provider, request_model, response_model)
    model = found.model
    if model is None:
        return Choice(None, (), (), found.reason, found.flags)
    if not model.has_price:
        return Choice(None, (), (), f"{model.provider} lists {model.model} without a price", found.flags)
    standard = model.variants[STANDARD]
    rows = model.variants.get(variant, ())
    return Choice(model, rows, standard, found.reason, found.flags)


def pick_row(found: Choice, at_ns: int, input_tokens: int) -> tuple[RateRow, Flag]:
    """The row for a time and an input size; the standard one, flagged, where the variant has none."""
    row = choose(found.rows, at_ns, input_tokens)
    if row is not None:
        return row, Flag.NONE
    flags = Flag.NONE if found.rows is found.standard else Flag.VARIANT_NOT_PRICED
    return choose(found.standard, at_ns, input_tokens) or found.standard[-1], flags


def price(
    *,
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    at_ns: int,
    usage: Mapping[str, int],
    context: Mapping[str, str],
    card: RateCard,
) -> Cost:
    """Price one call. Never raises.

    Args:
        at_ns: when the call started, nanoseconds since the epoch.
        usage: unit -> inclusive quantity in the unit's quantum (`otel_cost.pricing.units`).
        context: what selects a variant of the price: `service_tier`, `processing`, `speed`, ... (docs/pricing.md).
    """
    variant = variant_of(context)
    found = choice(card, provider, request_model, response_model, variant)
    flags = Flag.NONE
    if found.model is not None:
        for key, value in context.items():
            own = f"{key}={value}".lower()
            if own in found.model.variants:
                found = found._replace(rows=found.model.variants[own])
            elif key in REGION_KEYS and value.strip().lower() not in REGION_KEYS[key]:
                flags |= Flag.VARIANT_NOT_PRICED
    return _price(found, request_model, response_model, at_ns, usage, card.digest, flags)


def price_call(call: Call, *, start_time_ns: int, card: RateCard | None = None) -> Cost | None:
    """Price a normalised span; None when it is no billable call. Never raises."""
    if call.kind is CallKind.IGNORE:
        return None
    if card is None:
        card = default_card()
    reported = call.reported_cost_pico_usd
    if reported is not None and reported < 0:
        reported = None
    usage = call.usage
    if not usage and reported is None:
        without = _price_without_usage(call, card.digest)
        if without is not None or call.kind is CallKind.AGGREGATE:
            return without
        if not (call.request_model or call.response_model) and not call.flags & UNREADABLE:
            return None
    if call.flags & Flag.CACHE_HIT:
        return _plain(Status.FREE, 0, call, card.digest, "answered from a cache")
    if reported is not None and (call.reported_by_provider or not usage):
        if reported > MAX_COST_PICO_USD:
            return _plain(Status.UNPRICED, None, call, card.digest, REASON_TOO_HIGH)
        return _plain(Status.REPORTED, reported, call, card.digest, None)
    key = (call.provider, call.request_model, call.response_model, call.service_tier)
    found = card.memo.get(key)
    if found is None:
        variant = variant_of_tier(call.service_tier)
        found = card.memo[key] = choice(card, *key[:3], variant)
    return _price(found, call.request_model, call.response_model, start_time_ns, usage, card.digest, call.flags)


def _price_without_usage(call: Call, digest: str) -> Cost | None:
    if call.flags & Flag.CACHE_HIT:
        return _plain(Status.FREE, 0, call, digest, "answered from a cache")
    if call.failed and call.kind is CallKind.LEAF and not call.flags & UNREADABLE:
        return _plain(Status.FREE, 0, call, digest, "failed without usage")
    return None


def _plain(status: Status, total: int | None, call: Call, digest: str, reason: str | None) -> Cost:
    model = call.response_model or call.request_model
    return Cost(status, total, model, digest, None, (), reason, call.flags)


def _price(
    found: Choice,
    request_model: str | None,
    response_model: str | None,
    at_ns: int,
    usage: Mapping[str, int],
    digest: str,
    flags: Flag,
) -> Cost:
    said = response_model or request_model
    usage, unreadable = clean(usage)
    flags |= unreadable | found.flags
    if found.model is None:
        return Cost(Status.UNPRICED, None, said, digest, None, (), found.reason, flags)
    parts, input_tokens, split_flags = split(usage)
    row, row_flags = pick_row(found, at_ns, input_tokens)
    flags |= split_flags | row_flags
    if at_ns < found.model.first_price_ns:
        flags |= Flag.BEFORE_FIRST_PRICE
    if units.REQUESTS not in usage and units.REQUESTS in row.explicit:
        parts[units.REQUESTS] = 1
    elif not usage:
        return Cost(Status.UNPRICED, None, found.model.model, digest, None, (), _unreadable_or_missing(flags), flags)
    for unit, least in found.model.minimums.items():
        _raise_to_minimum(parts, unit, least)
    lines, missing, line_flags = receipt(row, parts)
    flags |= line_flags | _ttl_flag(row, parts, usage)
    missing += [key for key, quantity in usage.items() if key not in units.UNITS and quantity]
    return _settle(found.model.model, row, lines, missing, digest, flags)


def _unreadable_or_missing(flags: Flag) -> str:
    return REASON_UNREADABLE if flags & UNREADABLE else REASON_NO_USAGE


def _raise_to_minimum(parts: dict[str, int], unit: str, least: int) -> None:
    used = parts.get(unit, 0) + sum(parts.get(part, 0) for part in units.OTHER_WHOLES.get(unit, ()))
    if 0 < used < least:
        parts[unit] = parts.get(unit, 0) + least - used


def receipt(row: RateRow, parts: Mapping[str, int]) -> tuple[list[Line], list[str], Flag]:
    """Lines of exclusive quantities at a row's rates; the classes without a rate; flags."""
    lines: list[Line] = []
    missing: list[str] = []
    flags = Flag.NONE
    for unit in units.LEAVES:
        quantity = parts.get(unit)
        if not quantity:
            continue
        rate = row.rate(unit)
        if rate is None:
            missing.append(unit)
            continue
        if not rate.explicit and unit not in units.BILLED_AS_PARENT:
            flags |= Flag.RATE_FALLBACK
        amount = divide_half_even(quantity * rate.pico_usd, rate.per)
        lines.append(Line(unit, quantity, rate.pico_usd, rate.per, amount))
    return lines, missing, flags


def _ttl_flag(row: RateRow, parts: Mapping[str, int], usage: Mapping[str, int]) -> Flag:
    """Short-lived writes assumed, where a longer life has a price of its own and the span does not say which it was."""
    if not parts.get(units.CACHE_WRITE) or units.CACHE_WRITE_5M in usage or units.CACHE_WRITE_1H in usage:
        return Flag.NONE
    return Flag.TTL_ASSUMED if row.has_long_write else Flag.NONE


def _settle(model: str, row: RateRow, lines: list[Line], missing: list[str], digest: str, flags: Flag) -> Cost:
    reason = f"no rate for {', '.join(missing)}" if missing else None
    if missing and not lines:
        return Cost(Status.UNPRICED, None, model, digest, row.key, (), reason, flags)
    total = sum(line.cost_pico_usd for line in lines)
    if total > MAX_COST_PICO_USD:
        return Cost(Status.UNPRICED, None, model, digest, row.key, (), REASON_TOO_HIGH, flags)
    if flags & UNREADABLE:
        reason = f"{reason}; {REASON_UNREADABLE}" if reason else REASON_UNREADABLE
    if reason:
        status = Status.PARTIAL
    elif flags & Flag.ESTIMATED:
        status = Status.ESTIMATED
    elif lines and all(line.rate_pico_usd == 0 for line in lines):
        status = Status.FREE
    else:
        status = Status.PRICED
    return Cost(status, total, model, digest, row.key, tuple(lines), reason, flags)


def receipt_lines(card: RateCard, rate_row: str, usage: Mapping[str, int]) -> tuple[Line, ...]:
    """A stored price's lines, derived again from its row and its usage.

    Raises:
        KeyError: the card has no such row (it is another card version).
    """
    row = card.row(rate_row)
    usage, _ = clean(usage)
    parts, _, _ = split(usage)
    if units.REQUESTS not in usage and units.REQUESTS in row.explicit:
        parts[units.REQUESTS] = 1
    for unit, least in card.model(row.provider, row.model).minimums.items():
        _raise_to_minimum(parts, unit, least)
    return tuple(receipt(row, parts)[0])
