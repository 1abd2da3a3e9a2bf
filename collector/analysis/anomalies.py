"""Days and hours that cost more than they should have, and why: more calls, longer ones, another model, another price.

A day is odd if it is far beyond what such a day usually costs, and beyond the oddest of the weeks before, by an amount
that matters to the whole. New prices and new models are looked for by themselves, since they are known for certain and
stay: they are told once. Of what one thing shows in several dimensions, only the one that says most is told.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from collector.analysis.decompose import Parts, Used, decompose, model_shares
from collector.analysis.usual import WEEKS, Usual, usual_days

ODD = 5.0
"""Scatters beyond the expected. Lower: false alarms. With these three, one in half a year on the noisiest of what is
measured in docs/projections.md."""
LEAST_MORE = 0.4
"""More than expected by this share at least."""
BEYOND = 1.3
"""Times the oddest day of the weeks before that was not odd."""
MATTERS = 0.1
"""Of a usual day of everything: what is less is no news."""
CHANGE_MATTERS = 0.03
"""The same for prices and models, whose effect is each day's from then on."""
PRICE_CHANGES = 0.05
"""A price must change what a model costs by this share."""
NEW_SHARE, OLD_SHARE = 0.25, 0.05
"""A model that had at most the one of the calls and has at least the other was switched to."""
USUAL_DAYS = 14
"""Days before, whose calls are the usual ones."""
LATE_DAYS = 2
"""A change that begins in the evening may matter only on the day after, or after a weekend."""
ADAPTS_DAYS = 5
"""After so many days with another level, it is the usual one."""
ABOUT = 0.85
"""Of two dimensions, the one that was asked for first tells a thing if it has this share of what the other has."""
TELLS_ALL = 0.5
"""Share of what one dimension has more that a found cause must explain, for the rest not to be told."""


class Cause(StrEnum):
    """What most of the difference is. `MIX`: no single one of them."""

    VOLUME = "volume"
    TOKENS = "tokens_per_call"
    MODEL = "model_switch"
    PRICE = "price_change"
    MIX = "mix"


@dataclass(frozen=True, slots=True)
class Slice:
    """The calls of one value of a dimension, day by day; None and None: all calls."""

    dimension: str | None
    value: str | None
    days: Sequence[Sequence[Used]]
    amounts: Sequence[int] | None = None
    """What each day cost, in whole pico-USD, where that is known."""
    switches: Container[int] | None = None
    """Days on which another model may have taken over; None: any day."""


@dataclass(frozen=True, slots=True)
class Found:
    """One odd day. Amounts in whole pico-USD; the parts are the difference of cost and expected."""

    day: int  # place in the slices
    slice: Slice
    cost: int
    expected: int
    cause: Cause
    parts: Parts
    now: Sequence[Used]
    usual: Sequence[Used]
    new_models: frozenset[str | None]
    lasts: bool
    """Whether it is another price or model, so that tomorrow will be the same."""

    @property
    def more(self) -> int:
        """Than expected; less than 0 after a cut of prices."""
        return self.cost - self.expected


@dataclass(slots=True)
class _Judged:
    """A slice with what was usual on each day."""

    slice: Slice
    amounts: Sequence[int]
    usual: list[Usual | None]
    odd: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)


def find(slices: Sequence[Slice], first: int, share_of_last_day: float = 1.0) -> list[Found]:
    """The odd days from the `first`th on, in order. The first slice is of all calls; all have the same days.

    The last day may be incomplete: so much of a usual one is over.
    """
    judged = [_judge(each, share_of_last_day) for each in slices]
    whole = judged[0]
    found: list[Found] = []
    for day, usual in enumerate(whole.usual):
        if usual is None:
            continue
        candidates = [each for one in judged if (each := _look(one, day, usual.level)) is not None]
        found += _chosen(candidates, [each for each in found if each.day >= day - 7 * WEEKS], day)
    return [each for each in found if each.day >= first]


def _judge(slice: Slice, share_of_last_day: float) -> _Judged:
    amounts = slice.amounts or [sum(each.cost_pico_usd for each in day) for day in slice.days]
    usual = usual_days(amounts, odd=ODD)
    last = usual[-1] if usual else None
    if last is not None and share_of_last_day < 1:
        expected = last.expected * share_of_last_day
        off = (amounts[-1] - expected) / max(1.0, last.expected)
        usual[-1] = Usual(expected, last.level, off, last.scatter, last.most)
    return _Judged(slice, amounts, usual)


def _look(judged: _Judged, day: int, level: float) -> Found | None:
    """Whether this day of a slice is odd, or the first with another price or model."""
    usual, cost = judged.usual[day], judged.amounts[day]
    if usual is None:
        return None
    is_odd, switches = _is_odd(usual, cost, level), judged.slice.switches
    if not is_odd and switches is not None and day not in switches:
        return None
    now = judged.slice.days[day]
    known = _calls(judged, range(day - USUAL_DAYS - LATE_DAYS, day - LATE_DAYS))
    change = _change(judged.slice, now, known)
    if not now or (not is_odd and change is None):
        return None
    before = _usual_calls(judged, day)
    parts = decompose(now, before, round(usual.expected))
    lately = set(range(day - LATE_DAYS, day))
    is_going_on, is_told = bool(lately & (judged.odd | judged.changed)), bool(judged.changed & set(range(day - 7, day)))
    if change is not None and not is_told and _matters(change, parts, cost, level):
        judged.changed.add(day)
    else:
        change = None
    if is_odd:
        judged.odd.add(day)
    if change is None and (is_going_on or not is_odd):
        return None
    expected, cause, models = round(usual.expected), change or _cause(parts), _new_models(now, known)
    return Found(day, judged.slice, cost, expected, cause, parts, now, before, models, change is not None)


def _is_odd(usual: Usual, cost: int, level: float) -> bool:
    is_far = usual.off >= max(LEAST_MORE, ODD * usual.scatter, BEYOND * usual.most)
    return is_far and cost - usual.expected >= MATTERS * level


def _usual_calls(judged: _Judged, day: int) -> list[Used]:
    """The calls to compare a day with: those of the days before that were not odd; since the last change, if there are
    some."""
    first = day - USUAL_DAYS
    changed = max((known for known in judged.changed if known >= first), default=None)
    if changed is not None:
        since = range(changed + 1, day)
        days = since if len(since) > LATE_DAYS else range(first, changed)
    else:
        days = range(first, day)
    calm = [known for known in days if known not in judged.odd]
    return _calls(judged, calm if len(calm) * 2 >= len(days) else days)


def _calls(judged: _Judged, days: Iterable[int]) -> list[Used]:
    return [each for day in days if day >= 0 for each in judged.slice.days[day]]


def _change(slice: Slice, now: Sequence[Used], before: Sequence[Used]) -> Cause | None:
    """Whether a model is billed at a rate that was not known, or took over from others."""
    if slice.dimension == "model":
        known = {each.rate for each in before}
        return Cause.PRICE if known and any(each.rate not in known for each in now) else None
    if slice.dimension is None:
        return None
    return Cause.MODEL if _new_models(now, before) else None


def _matters(change: Cause, parts: Parts, cost: int, level: float) -> bool:
    if change is Cause.PRICE:
        return abs(parts.price) >= max(PRICE_CHANGES * (cost - parts.price), CHANGE_MATTERS * level)
    return abs(parts.model) >= CHANGE_MATTERS * level


def _cause(parts: Parts) -> Cause:
    """The part that is most of what the parts add."""
    by_cause = {
        Cause.VOLUME: parts.volume,
        Cause.TOKENS: parts.tokens,
        Cause.MODEL: parts.model,
        Cause.PRICE: parts.price,
    }
    added = sum(part for part in by_cause.values() if part > 0)
    cause, most = max(by_cause.items(), key=lambda pair: pair[1])
    return cause if most * 10 >= added * 6 else Cause.MIX


def _chosen(candidates: Sequence[Found], earlier: Sequence[Found], day: int) -> list[Found]:
    """Of one day: changes first, then what has most more; nothing twice, nor what earlier changes still add to it."""
    chosen: list[Found] = []
    lasting = [each for each in earlier if each.lasts]
    for each in _by_size([one for one in candidates if one.lasts]):
        if not any(_is_same(other, each) for other in (*lasting, *chosen)):
            chosen.append(each)
    added = sum(each.more for each in lasting if each.day >= day - ADAPTS_DAYS)
    for each in _by_size([one for one in candidates if not one.lasts and not _is_new(one.slice, lasting)]):
        others = (other.more for other in chosen if other.slice.dimension != each.slice.dimension)
        if sum(others) + added < TELLS_ALL * each.more:
            chosen.append(each)
    return chosen


def _by_size(found: Sequence[Found]) -> Iterator[Found]:
    """The largest first; of about as large ones that of the dimension that was asked for first. What has no value, and
    what all calls say, come last."""
    left = sorted(found, key=lambda each: (each.slice.dimension is None, each.slice.value is None))
    while left:
        has_value = left[0].slice.value is not None
        most = max(abs(each.more) for each in left if (each.slice.value is not None) is has_value)
        alike = (each for each in left if (each.slice.value is not None) is has_value)
        best = next(each for each in alike if abs(each.more) >= ABOUT * most)
        left.remove(best)
        yield best


def _is_new(slice: Slice, lasting: Iterable[Found]) -> bool:
    """Whether it is a model that others moved to, whose weekdays are not known yet."""
    return slice.dimension == "model" and any(slice.value in each.new_models for each in lasting)


def _is_same(one: Found, other: Found) -> bool:
    """Whether two changes are one: of the same cause and the same models, seen from two dimensions."""
    if one.cause is not other.cause or one.slice.dimension == other.slice.dimension:
        return False
    return not one.new_models.isdisjoint(other.new_models)


def _new_models(now: Sequence[Used], before: Sequence[Used]) -> frozenset[str | None]:
    """Models that took over from others; none where there was nothing before."""
    usual: dict[str | None, int] = {}
    for each in before:
        usual[each.model] = usual.get(each.model, 0) + each.cost_pico_usd
    total = sum(usual.values())
    if all(usual.get(each.model, 0) > OLD_SHARE * total for each in now):
        return frozenset()  # as on nearly every day
    earlier = model_shares(before)
    shares = model_shares(now).items() if earlier else ()
    return frozenset(name for name, share in shares if share >= NEW_SHARE and earlier.get(name, 0) <= OLD_SHARE)
