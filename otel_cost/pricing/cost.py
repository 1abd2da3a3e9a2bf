"""What a call costs: usage x rates = lines, and the total is the sum of the lines."""

from collections.abc import Mapping
from operator import attrgetter

from otel_cost import usage as counting
from otel_cost.call import Call, CallKind, Flag, flag_of
from otel_cost.pricing import units
from otel_cost.pricing.card import ModelCard, RateCard, default_card
from otel_cost.pricing.choice import Choice, choice, pick_row, remembered_choice
from otel_cost.pricing.common import price_common
from otel_cost.pricing.money import MAX_COST_PICO_USD, PPM, divide_half_even
from otel_cost.pricing.rates import RateRow, choose
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

UNREADABLE = int(Flag.NEGATIVE | Flag.NOT_A_NUMBER | Flag.TOO_LARGE)
_ESTIMATED, _CACHE_HIT = int(Flag.ESTIMATED), int(Flag.CACHE_HIT)
_BEFORE_FIRST = int(Flag.BEFORE_FIRST_PRICE)
_RATE_FALLBACK, _TTL_ASSUMED = int(Flag.RATE_FALLBACK), int(Flag.TTL_ASSUMED)
_UNUSUAL = UNREADABLE | _ESTIMATED | _CACHE_HIT
"""Flags that make a cost something else than priced."""
_IGNORE = CallKind.IGNORE
_PRICED = Status.PRICED
NS_PER_MICRO = 1_000
_new = tuple.__new__
_amount = attrgetter("cost_pico_usd")


def price(
    *,
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    at_ns: int,
    usage: Mapping[str, int],
    context: Mapping[str, str],
    card: RateCard,
    end_ns: int | None = None,
) -> Cost:
    """Price one call. Never raises.

    Args:
        at_ns: when the call started, nanoseconds since the epoch.
        usage: unit -> inclusive quantity in the unit's quantum (`otel_cost.pricing.units`).
        context: what selects a variant of the price: `service_tier`, `processing`, `speed`, ... (docs/pricing.md).
        end_ns: when it ended, for providers that bill by that and for time on machines; None: unknown.
    """
    found = choice(card, provider, request_model, response_model, context)
    return price_usage(found, request_model, response_model, at_ns, usage, card.digest, 0, end_ns)


def price_call(
    call: Call, *, start_time_ns: int, end_time_ns: int | None = None, card: RateCard | None = None
) -> Cost | None:
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
    at_ns = billed_at_ns(found, start_time_ns, end_time_ns)
    if not flags & _UNUSUAL and (row := found.only or _row_for_common(found, at_ns, usage)) is not None:
        usual = price_common(row, usage, card.digest, flags)
        if usual is not None:
            return usual
    return price_usage(
        found, call.request_model, call.response_model, start_time_ns, usage, card.digest, flags, end_time_ns
    )


def billed_at_ns(found: Choice, start_ns: int, end_ns: int | None) -> int:
    """The time that decides which rates hold: the call's start, or its end where the provider says so."""
    return start_ns if end_ns is None or found.model is None or not found.model.billed_at_end else end_ns


def _row_for_common(found: Choice, at_ns: int, usage: Mapping[str, int]) -> RateRow | None:
    """The row among several, where nothing but time and the plain input total decides."""
    whole = usage.get(units.INPUT, 0)
    model = found.model
    if model is None or found.flags or type(whole) is not int or at_ns < model.first_price_ns or model.bills:
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
    start_ns: int,
    usage: Mapping[str, int],
    digest: str,
    flags: int,
    end_ns: int | None,
) -> Cost:
    """Price usage at a choice already made; `flags` are the call's own."""
    usage, (parts, input_tokens, split_flags) = counting.counted(usage)
    model = found.model
    if model is None:
        flags |= found.flags | split_flags & UNREADABLE
        said = response_model or request_model
        return Cost(Status.UNPRICED, None, said, digest, None, (), found.reason, flag_of(flags))
    at_ns = billed_at_ns(found, start_ns, end_ns)
    row, row_flags = pick_row(found, at_ns, input_tokens)
    flags |= found.flags | split_flags | row_flags
    if at_ns < model.first_price_ns:
        flags |= _BEFORE_FIRST
    if row.derived or model.minimums or model.bills is not None:
        parts = apply_rules(model, row, parts, usage, input_tokens, None if end_ns is None else end_ns - start_ns)
    if not parts and not usage:
        reason = REASON_UNREADABLE if flags & UNREADABLE else REASON_NO_USAGE
        return Cost(Status.UNPRICED, None, row.model, digest, None, (), reason, flag_of(flags))
    lines, missing, line_flags = receipt(row, parts)
    if units.CACHE_WRITE in parts and row.has_long_write and not _says_ttl(usage):
        line_flags |= _TTL_ASSUMED
    if not usage.keys() <= units.UNITS.keys():
        missing += sorted(key for key, quantity in usage.items() if key not in units.UNITS and quantity)
    return _settle(model, row, lines, missing, digest, flags | line_flags)


def _says_ttl(usage: Mapping[str, int]) -> bool:
    """Whether the span says how long what it wrote to the cache lives; else short is assumed."""
    return units.CACHE_WRITE_5M in usage or units.CACHE_WRITE_1H in usage


def apply_rules(
    model: ModelCard,
    row: RateRow,
    parts: Mapping[str, int],
    usage: Mapping[str, int],
    input_tokens: int,
    duration_ns: int | None,
) -> Mapping[str, int]:
    """Add what follows from the call itself, raise to the least billed quantity, drop what is not billed."""
    found = dict(parts)
    for unit in row.derived:
        if unit not in usage and (quantity := _derived(unit, input_tokens, duration_ns)):
            found[unit] = quantity
    for unit, least in model.minimums.items():
        _raise_to_minimum(found, unit, least)
    in_order = sorted(found, key=units.LEAF_ORDER.__getitem__)
    return {unit: found[unit] for unit in in_order if model.bills is None or unit in model.bills}


def _derived(unit: str, input_tokens: int, duration_ns: int | None) -> int:
    if unit == units.REQUESTS:
        return 1
    if unit == units.ROUTER_INPUT:
        return input_tokens
    if unit == units.DURATION and duration_ns is not None and duration_ns > 0:
        return divide_half_even(duration_ns, NS_PER_MICRO)
    return 0


def _missing_reason(flags: int) -> str:
    return REASON_UNREADABLE if flags & UNREADABLE else REASON_NO_USAGE


def _raise_to_minimum(parts: dict[str, int], unit: str, least: int) -> None:
    used = parts.get(unit, 0) + sum(parts.get(part, 0) for part in units.OTHER_WHOLES.get(unit, ()))
    if 0 < used < least:
        parts[unit] = parts.get(unit, 0) + least - used


def receipt(row: RateRow, parts: Mapping[str, int]) -> tuple[list[Line], list[str], int]:
    """Lines of exclusive quantities, given in order, at a row's rates; the classes without a rate; flags."""
    heads = row.heads
    missing: list[str] = []
    try:  # three times as fast as one by one
        lines = [
            _new(Line, (unit, quantity, pico_usd, per, quantity * each, multiplier_ppm))
            for unit, quantity in parts.items()
            for pico_usd, per, each, multiplier_ppm in (heads[unit],)
        ]
    except KeyError:
        lines, missing = _one_by_one(row, parts)
    share_ppm = row.explicit.get(units.ROUTER_FEE)
    if share_ppm and (total := sum(map(_amount, lines))):
        fee = divide_half_even(total * share_ppm, PPM)
        lines.append(Line(units.ROUTER_FEE, total, share_ppm, PPM, fee))
    return lines, missing, 0 if row.fallbacks.isdisjoint(parts) else _RATE_FALLBACK


def _one_by_one(row: RateRow, parts: Mapping[str, int]) -> tuple[list[Line], list[str]]:
    """Lines where some class needs a division, has no rate, or is met for the first time."""
    lines: list[Line] = []
    missing: list[str] = []
    for unit, quantity in parts.items():
        rate = row.rate(unit)
        if rate is None:
            missing.append(unit)
            continue
        amount = divide_half_even(quantity * rate.numerator, rate.denominator)
        lines.append(Line(unit, quantity, rate.pico_usd, rate.per, amount, rate.multiplier_ppm))
    return lines, missing


def _settle(model: ModelCard, row: RateRow, lines: list[Line], missing: list[str], digest: str, flags: int) -> Cost:
    name = row.model
    total = sum(map(_amount, lines))
    if 0 < total <= MAX_COST_PICO_USD and not missing and not flags & _UNUSUAL:
        return _new(Cost, (_PRICED, total, name, digest, row.key, tuple(lines), None, flag_of(flags)))
    reason = f"no rate for {', '.join(missing)}" if missing else None
    if not lines and model.bills is not None and not missing:
        reason = f"no {', '.join(sorted(model.bills))} reported"
    if reason and not lines:
        return Cost(Status.UNPRICED, None, name, digest, row.key, (), reason, flag_of(flags))
    if total > MAX_COST_PICO_USD:
        return Cost(Status.UNPRICED, None, name, digest, row.key, (), REASON_TOO_HIGH, flag_of(flags))
    if flags & UNREADABLE:
        reason = f"{reason}; {REASON_UNREADABLE}" if reason else REASON_UNREADABLE
    if reason:
        status = Status.PARTIAL
    elif flags & _ESTIMATED:
        status = Status.ESTIMATED
    elif not total and lines and all(line.rate_pico_usd == 0 or line.multiplier_ppm == 0 for line in lines):
        status = Status.FREE
    else:
        status = Status.PRICED
    return Cost(status, total, name, digest, row.key, tuple(lines), reason, flag_of(flags))


def receipt_lines(
    card: RateCard, rate_row: str, usage: Mapping[str, int], duration_ns: int | None = None
) -> tuple[Line, ...]:
    """A stored price's lines, derived again from its row and its usage.

    Args:
        duration_ns: how long the call took; needed where machine time is billed.

    Raises:
        KeyError: the card has no such row (it is another card version).
    """
    row = card.row(rate_row)
    usage, (parts, input_tokens, _) = counting.counted(usage)
    provider_id, entry, *_ = rate_row.split("|")
    parts = apply_rules(card.model(provider_id, entry), row, parts, usage, input_tokens, duration_ns)
    return tuple(receipt(row, parts)[0])
