"""Which thresholds of a budget are crossed, each once: pure decisions over amounts and what has fired before.

A threshold of a calendar window, of a run or of a total fires once per counter: when its amount is there and it has
not fired yet, whatever the order in which calls came. Going down and up again changes nothing. Where a limit was
raised since (by an approval, or in the rule) it fires once more, for the new limit, when the counter comes from below.
Of a window that has ended only what crosses it now is told: a rule that is new says nothing of what was over before.

Of a rolling window the sum is looked at as of the end of each bucket that a batch has changed it for, up to now. The
event is of the bucket at whose end the sum is over the threshold; it fires again only for a bucket that is at least
the window's length before or after every one that it has fired for. So a sum that stays over a threshold of "20 USD in
24 hours" is told of once in 24 hours, not every five minutes, and one that comes back a week later is told of again.

0 is never over anything: a budget of 0 is crossed by the first call that costs something.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from collector.budgets.model import PPM, CounterKey, Event, EventKind, Rule, WindowKind

NEVER = 2**63 - 1
"""As an amount: nothing waits for it."""

Threshold = tuple[EventKind, int]
_Mark = tuple[str, str, str, EventKind, int]
"""org_id, rule, scope value, kind, parts per million."""


class Reached(NamedTuple):
    """What a counter, or a rolling window as of a bucket's end, holds before and after a batch, and its limit now."""

    key: CounterKey
    before: int
    after: int
    limit: int
    is_over: bool = False
    """Whether its window has ended: what it held before is told no more."""


def thresholds_of(rule: Rule) -> list[Threshold]:
    """What may fire, in the order of amounts."""
    return [*((EventKind.WARN, ppm) for ppm in rule.warn_at_ppm), (EventKind.EXCEED, PPM)]


def needed(ppm: int, limit: int) -> int:
    """The least amount that is over a threshold."""
    return max(1, -(-ppm * limit // PPM))


class Fired:
    """Which thresholds have fired for which counters, and for which limit."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._limits: dict[_Mark, dict[int, int]] = {}  # mark -> window start -> the largest limit
        self.add(events)

    def add(self, events: Iterable[Event]) -> None:
        """These have fired."""
        for event in events:
            if event.kind in (EventKind.WARN, EventKind.EXCEED):
                limits = self._limits.setdefault(_mark(event.key, event.kind, event.threshold_ppm), {})
                start_ns = event.key.window_start_ns
                limits[start_ns] = max(event.limit, limits.get(start_ns, event.limit))

    def let_go(self, rule: str, before_ns: int) -> None:
        """Forget what has fired in a rule's windows that start before."""
        for mark, limits in list(self._limits.items()):
            if mark[1] == rule and min(limits) < before_ns:
                kept = {start_ns: limit for start_ns, limit in limits.items() if start_ns >= before_ns}
                if kept:
                    self._limits[mark] = kept
                else:
                    del self._limits[mark]

    def events(self, rule: Rule, reached: Reached, now_ns: int, also: Fired | None = None) -> Iterator[Event]:
        """What fires; `also`: has fired in the same batch."""
        for kind, ppm in thresholds_of(rule):
            amount = needed(ppm, reached.limit)
            if reached.after < amount:
                continue
            mark = _mark(reached.key, kind, ppm)
            priors = [self._prior(rule, mark, reached.key.window_start_ns)]
            if also is not None:
                priors.append(also._prior(rule, mark, reached.key.window_start_ns))
            prior = max((each for each in priors if each is not None), default=None)
            is_crossed = reached.before < amount
            if (is_crossed or not reached.is_over) if prior is None else (is_crossed and reached.limit > prior):
                yield Event(reached.key, kind, ppm, now_ns, reached.after, reached.limit, rule.unit)

    def next_amount(self, rule: Rule, key: CounterKey, after: int) -> int:
        """A bound below which the counter need not be looked at, at the rule's own limit."""
        waits = [NEVER]
        for kind, ppm in thresholds_of(rule):
            prior = self._prior(rule, _mark(key, kind, ppm), key.window_start_ns)
            amount = needed(ppm, rule.limit)
            if prior is None or (rule.limit > prior and after < amount):
                waits.append(amount)
        return min(waits)

    def _prior(self, rule: Rule, mark: _Mark, start_ns: int) -> int | None:
        limits = self._limits.get(mark)
        if limits is None:
            return None
        if rule.window.kind is not WindowKind.ROLLING:
            return limits.get(start_ns)
        starts = sorted(limits)
        at = bisect_left(starts, start_ns - rule.window.rolling_ns + 1)
        near = [limits[each] for each in starts[at:] if each < start_ns + rule.window.rolling_ns]
        return max(near, default=None)


def _mark(key: CounterKey, kind: EventKind, ppm: int) -> _Mark:
    return (key.org_id, key.rule, key.scope_value, kind, ppm)
