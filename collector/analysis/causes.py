"""What was found, in words."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal

from collector.analysis.anomalies import Cause, Found
from collector.analysis.decompose import Used, model_shares

_WIDE = Context(prec=60)


def explain(found: Found) -> str:
    """One sentence."""
    who = found.slice.value if found.slice.dimension is not None else "All calls together"
    who = who or f"What has no {found.slice.dimension}"
    more = f"${_usd(abs(found.more))} {'more' if found.more >= 0 else 'less'} than the ${_usd(found.expected)} expected"
    said = {
        Cause.VOLUME: _volume,
        Cause.TOKENS: _tokens,
        Cause.MODEL: _model,
        Cause.PRICE: _price,
        Cause.MIX: _mix,
    }[found.cause](found)
    return f"{who} cost {more}: {said}."


def _volume(found: Found) -> str:
    calls, usual_cost = _calls(found.now), sum(each.cost_pico_usd for each in found.usual)
    if not usual_cost:
        return f"{calls:,} calls where there are usually none"
    usual = _calls(found.usual) * found.expected // usual_cost  # of such a day
    return f"{calls:,} calls instead of about {usual:,}{_share(found, found.parts.volume)}"


def _tokens(found: Found) -> str:
    now, usual = _per_call(found.now), _per_call(found.usual)
    return f"{now:,} tokens a call instead of about {usual:,}{_share(found, found.parts.tokens)}"


def _model(found: Found) -> str:
    shares, earlier = model_shares(found.now), model_shares(found.usual)
    risen = max(shares, key=lambda name: shares[name] - earlier.get(name, 0))
    fallen = max(earlier, key=lambda name: earlier[name] - shares.get(name, 0))
    names = f"{risen or 'an unnamed model'} in the place of {fallen or 'an unnamed model'}"
    return f"{names}{_share(found, found.parts.model)}"


def _price(found: Found) -> str:
    at_old = found.cost - found.parts.price
    times = Decimal(found.cost) / Decimal(at_old) if at_old > 0 else None
    how = f", {times:.2f} times as much for the same" if times is not None else ""
    return f"its price changed{how}{_share(found, found.parts.price)}"


def _mix(found: Found) -> str:
    parts = found.parts
    named = [
        (parts.volume, "more calls" if parts.volume > 0 else "fewer calls"),
        (parts.tokens, "longer calls" if parts.tokens > 0 else "shorter calls"),
        (parts.model, "other models"),
        (parts.price, "other prices"),
    ]
    told = [
        f"{what} {'+' if part > 0 else '-'}${_usd(abs(part))}"
        for part, what in sorted(named, key=lambda p: -abs(p[0]))
        if part
    ]
    return ", ".join(told[:3])


def _share(found: Found, part: int) -> str:
    """How much of the difference that is, where it is not all of it."""
    if abs(part - found.more) * 20 <= abs(found.more):
        return ""
    return f" ({'+' if part > 0 else '-'}${_usd(abs(part))})"


def _calls(used: Sequence[Used]) -> int:
    return sum(each.calls for each in used)


def _per_call(used: Sequence[Used]) -> int:
    calls = _calls(used)
    return sum(each.tokens for each in used) // calls if calls else 0


def _usd(pico_usd: int) -> str:
    amount = Decimal(pico_usd).scaleb(-12, _WIDE)
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}" if amount >= Decimal("0.001") else f"{amount:f}"[:8]
