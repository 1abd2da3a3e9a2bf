"""What a call costs: usage x rates = lines, and the total is the sum of the lines."""

from collections.abc import Mapping
from typing import NamedTuple

from otel_cost import usage as counting
from otel_cost.call import Call, CallKind, Flag, flag_of
from otel_cost.pricing import units
from otel_cost.pricing.card import BEGINNING_NS, STANDARD, ModelCard, RateCard, RateRow, choose, default_card
from otel_cost.pricing.common import price_common
from otel_cost.pricing.match import remember, resolve
from otel_cost.pricing.money import MAX_COST_PICO_USD, divide_half_even
from otel_cost.pricing.result import (
    REASON_CACHE_HIT,
    REASON_FAILED,
    REASON_NO_USAGE,
    REASON_TOO_HIGH,
    REASON_UNREADABLE,
    Cost,
    Line,
    Status,
)
from otel_cost.pricing.variants import REGION_KEYS, variant_of, variant_of_tier

UNREADABLE = int(Flag.NEGATIVE | Flag.NOT_A_NUMBER | Flag.TOO_LARGE)
_ESTIMATED, _CACHE_HIT = int(Flag.ESTIMATED), int(Flag.CACHE_HIT)
_VARIANT_NOT_PRICED, _BEFORE_FIRST = int(Flag.VARIANT_NOT_PRICED), int(Flag.BEFORE_FIRST_PRICE)
_RATE_FALLBACK, _TTL_ASSUMED = int(Flag.RATE_FALLBACK), int(Flag.TTL_ASSUMED)
_UNUSUAL = UNREADABLE | _ESTIMATED | _CACHE_HIT
"""Flags that make a cost something else than priced."""
_IGNORE = CallKind.IGNORE


class Choice(NamedTuple):
    """What is fixed for a (model, variant): the rows to choose from and the flags that this brings."""

    model: ModelCard | None
    rows: tuple[RateRow, ...]  # of the variant; may cover only some periods
    standard: tuple[RateRow, ...]
    reason: str
    flags: int
    only: RateRow | None  # the one row that prices every call, if there is but one


def choice(
    card: RateCard, provider: str | None, request_model: str | None, response_model: str | None, variant: str
) -> Choice:
    """The rows that may price a call, found once per distinct key."""
    found = resolve(card, provider, request_model, response_model)
    model, flags = found.model, int(found.flags)
    if model is None:
        return Choice(None, (), (), found.reason, flags, None)
    if not model.has_price:
        return Choice(None, (), (), f"{model.provider} lists {model.model} without a price", flags, None)
    standard = model.variants[STANDARD]
    rows = model.variants.get(variant, ())
    return Choice(model, rows, standard, found.reason, flags, _only(model, rows, flags))


def remembered_choice(
    card: RateCard,
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    service_tier: str | None,
) -> Choice:
    """`choice` by the tier that a span says, found once per distinct key."""
    key = (provider, request_model, response_model, service_tier)
    found: Choice | None = card.memo.get(key)
    if found is None:
        found = choice(card, provider, request_model, response_model, variant_of_tier(service_tier))
        remember(card, key, found)
    return found


def _only(model: ModelCard, rows: tuple[RateRow, ...], flags: int) -> RateRow | None:
    if len(rows) != 1 or flags or model.first_price_ns != BEGINNING_NS:
        return None
    return rows[0] if rows[0].always else None


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
    flags = 0
    if found.model is not None:
        for key, value in context.items():
            own = f"{key}={value}".lower()
            if own in found.model.variants:
                found = found._replace(rows=found.model.variants[own], only=None)
            elif key in REGION_KEYS and value.strip().lower() not in REGION_KEYS[key]:
                flags |= _VARIANT_NOT_PRICED
    return price_usage(found, request_model, response_model, at_ns, usage, card.digest, flags)


def price_call(call: Call, *, start_time_ns: int, card: RateCard | None = None) -> Cost | None:
    """Price a normalised span; None when it is no billable call. Never raises."""
    if call.kind is _IGNORE:
        return None
    if card is None:
        card = default_card()
    usage = call.usage
    flags = call.flags._value_  # arithmetic on flags costs a microsecond per step
    if not usage or call.reported_cost_pico_usd is not None or flags & _CACHE_HIT:
        settled, cost = _price_special(call, card.digest)
        if settled:
            return cost
    found = remembered_choice(card, call.provider, call.request_model, call.response_model, call.service_tier)
    if not flags & _UNUSUAL and (row := found.only or _row_for_common(found, start_time_ns, usage)) is not None:
        usual = price_common(row, usage, card.digest, flags)
        if usual is not None:
            return usual
    return price_usage(found, call.request_model, call.response_model, start_time_ns, usage, card.digest, flags)


def _row_for_common(found: Choice, at_ns: int, usage: Mapping[str, int]) -> RateRow | None:
    """The row among several, where nothing but time and the plain input total decides."""
    whole = usage.get(units.INPUT, 0)
    if found.model is None or found.flags or type(whole) is not int or at_ns < found.model.first_price_ns:
        return None
    return choose(found.rows, at_ns, whole)


def _price_special(call: Call, digest: str) -> tuple[bool, Cost | None]:
    """Calls that are settled without rates: no usage, a reported cost, a cache hit. (False, None): they are not."""
    reported = call.reported_cost_pico_usd
    if reported is not None and (reported < 0 or (reported == 0 and call.failed and not call.reported_by_provider)):
        reported = None  # that a failure without usage cost nothing is no amount that somebody reported
    usage, flags = call.usage, int(call.flags)
    billable = bool(usage) or reported is not None
    leaf = call.kind is CallKind.LEAF
    if not billable and not leaf:
        return True, None
    if flags & _CACHE_HIT:
        return True, _plain(Status.FREE, 0, call, digest, REASON_CACHE_HIT)
    if reported is not None and (call.reported_by_provider or not usage):
        if reported > MAX_COST_PICO_USD:
            return True, _plain(Status.UNPRICED, None, call, digest, REASON_TOO_HIGH)
        return True, _plain(Status.REPORTED, reported, call, digest, None)
    if not billable and call.failed and not flags & UNREADABLE:
        return True, _plain(Status.FREE, 0, call, digest, REASON_FAILED)
    if not billable and not (call.request_model or call.response_model) and not flags & UNREADABLE:
        return True, None
    return False, None


def _plain(status: Status, total: int | None, call: Call, digest: str, reason: str | None) -> Cost:
    model = call.response_model or call.request_model
    return Cost(status, total, model, digest, None, (), reason, call.flags)


def price_usage(
    found: Choice,
    request_model: str | None,
    response_model: str | None,
    at_ns: int,
    usage: Mapping[str, int],
    digest: str,
    flags: int,
) -> Cost:
    """Price usage at a choice already made; `flags` are the call's own."""
    said = response_model or request_model
    usage, unreadable = counting.clean(usage)
    flags |= unreadable | found.flags
    if found.model is None:
        return Cost(Status.UNPRICED, None, said, digest, None, (), found.reason, flag_of(flags))
    parts, input_tokens, split_flags = counting.split(usage)
    row, row_flags = pick_row(found, at_ns, input_tokens)
    flags |= split_flags | row_flags
    if at_ns < found.model.first_price_ns:
        flags |= _BEFORE_FIRST
    if units.REQUESTS not in usage and units.REQUESTS in row.explicit:
        parts[units.REQUESTS] = 1
    elif not usage:
        return Cost(Status.UNPRICED, None, found.model.model, digest, None, (), _missing_reason(flags), flag_of(flags))
    for unit, least in found.model.minimums.items():
        _raise_to_minimum(parts, unit, least)
    lines, missing, line_flags = receipt(row, parts)
    flags |= line_flags | _ttl_flag(row, parts, usage)
    missing += sorted(key for key, quantity in usage.items() if key not in units.UNITS and quantity)
    return _settle(found.model.model, row, lines, missing, digest, flags)


def _missing_reason(flags: int) -> str:
    return REASON_UNREADABLE if flags & UNREADABLE else REASON_NO_USAGE


def _raise_to_minimum(parts: dict[str, int], unit: str, least: int) -> None:
    used = parts.get(unit, 0) + sum(parts.get(part, 0) for part in units.OTHER_WHOLES.get(unit, ()))
    if 0 < used < least:
        parts[unit] = parts.get(unit, 0) + least - used


def receipt(row: RateRow, parts: Mapping[str, int]) -> tuple[list[Line], list[str], int]:
    """Lines of exclusive quantities at a row's rates; the classes without a rate; flags."""
    lines: list[Line] = []
    missing: list[str] = []
    flags = 0
    for unit in sorted(parts, key=units.LEAF_ORDER.__getitem__):
        quantity = parts[unit]
        rate = row.rate(unit)
        if rate is None:
            missing.append(unit)
            continue
        if not rate.explicit and unit not in units.BILLED_AS_PARENT:
            flags |= _RATE_FALLBACK
        amount = divide_half_even(quantity * rate.pico_usd, rate.per)
        lines.append(Line(unit, quantity, rate.pico_usd, rate.per, amount))
    return lines, missing, flags


def _ttl_flag(row: RateRow, parts: Mapping[str, int], usage: Mapping[str, int]) -> int:
    """Short-lived writes assumed, where a longer life has a price of its own and the span does not say which it was."""
    if not parts.get(units.CACHE_WRITE) or units.CACHE_WRITE_5M in usage or units.CACHE_WRITE_1H in usage:
        return 0
    return _TTL_ASSUMED if row.has_long_write else 0


def _settle(model: str, row: RateRow, lines: list[Line], missing: list[str], digest: str, flags: int) -> Cost:
    reason = f"no rate for {', '.join(missing)}" if missing else None
    if missing and not lines:
        return Cost(Status.UNPRICED, None, model, digest, row.key, (), reason, flag_of(flags))
    total = sum(line.cost_pico_usd for line in lines)
    if total > MAX_COST_PICO_USD:
        return Cost(Status.UNPRICED, None, model, digest, row.key, (), REASON_TOO_HIGH, flag_of(flags))
    if flags & UNREADABLE:
        reason = f"{reason}; {REASON_UNREADABLE}" if reason else REASON_UNREADABLE
    if reason:
        status = Status.PARTIAL
    elif flags & _ESTIMATED:
        status = Status.ESTIMATED
    elif lines and all(line.rate_pico_usd == 0 for line in lines):
        status = Status.FREE
    else:
        status = Status.PRICED
    return Cost(status, total, model, digest, row.key, tuple(lines), reason, flag_of(flags))


def receipt_lines(card: RateCard, rate_row: str, usage: Mapping[str, int]) -> tuple[Line, ...]:
    """A stored price's lines, derived again from its row and its usage.

    Raises:
        KeyError: the card has no such row (it is another card version).
    """
    row = card.row(rate_row)
    usage, _ = counting.clean(usage)
    parts, _, _ = counting.split(usage)
    if units.REQUESTS not in usage and units.REQUESTS in row.explicit:
        parts[units.REQUESTS] = 1
    provider_id, entry, *_ = rate_row.split("|")
    for unit, least in card.model(provider_id, entry).minimums.items():
        _raise_to_minimum(parts, unit, least)
    return tuple(receipt(row, parts)[0])
