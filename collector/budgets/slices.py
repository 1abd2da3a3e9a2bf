"""How large a lease is: for how many calls like the one that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from collector.budgets.deciding import Standing

SHARE = 4
"""A lease takes at most one part in so many of a holder's fair share of what is free. Lower: idle leases keep more from
others near a limit. Higher: holders ask more often."""
MOST_CALLS = 4096
"""A lease is for no more calls. Higher: a crash keeps more from others for a lease time. Lower: a process that makes
thousands of calls a second asks more than once a second."""
_NEAR = 5
"""Little is left when less than one part in so many of the limit is free."""


class Pace(NamedTuple):
    """The last lease that a holder had of certain counters."""

    calls: int
    granted_ns: int
    use_ns: int

    def next_calls(self, now_ns: int) -> int:
        """Twice as many when it was used up in half of its time, half as many when it was not used up in it."""
        age_ns = now_ns - self.granted_ns
        if 2 * age_ns < self.use_ns:
            return min(2 * self.calls, MOST_CALLS)
        return self.calls if age_ns <= self.use_ns else max(1, self.calls // 2)


def calls_of(standings: Sequence[Standing], wanted: int) -> int:
    """How many calls a lease is for: at most `wanted`, at least one.

    What is left shrinks with each lease, so leases shrink with it, to
    exactly the claim at last: little is then idle in leases when the limit is reached.
    """
    calls = wanted
    for standing in standings:
        if standing.need:
            share = _free(standing) // (SHARE * (standing.holders + 1))
            calls = min(calls, share // standing.need)
    return max(1, calls)


def is_near(standing: Standing) -> bool:
    """Whether little is left."""
    return _NEAR * standing.free < standing.limit


def _free(standing: Standing) -> int:
    """What is left up to the next stage at which the rule decides."""
    taken = standing.spent + standing.leased
    quiet = standing.hard.quiet(standing.limit)
    return max(0, (quiet if taken < quiet else standing.limit) - taken)
