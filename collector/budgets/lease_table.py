"""Which leases there are, what they keep of each counter together, and when they end. Pure: times are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from collector.budgets.held import CallUnderWay, Held, SettledCall
from collector.budgets.lease_lines import StoredCall
from collector.budgets.model import CounterKey, Refusal
from collector.budgets.slices import Pace

LEASE_NS = 30 * 10**9
"""A lease is held so long after its holder last spoke of it. Longer: a crash keeps budget from others for longer.
Shorter: a process that stands still for so long (swapped, paused) loses what is reserved for its calls under way."""
GRACE_NS = 60 * 10**9
"""A settled call waits so long for its span, and a lease is remembered so long after its end. Exporters send every
5 s and retry for about a minute. Longer: spans that never come keep budget from others. Shorter: spans that come late
are for a while in neither."""


@dataclass(slots=True)
class Leased:
    """What leases hold of one counter."""

    amount: int = 0
    leases: int = 0  # open ones, and closed ones that are remembered
    holders: dict[str, int] = field(default_factory=dict)  # -> open leases


@dataclass(slots=True)
class Holder:
    """What is remembered of a process."""

    seen_ns: int = 0
    leases: int = 0
    paces: dict[tuple[CounterKey, ...], Pace] = field(default_factory=dict)
    throttled_ns: dict[tuple[str, str], int] = field(default_factory=dict)  # rule, scope value -> last call let through

    def wait_ns(self, refusal: Refusal, now_ns: int) -> int:
        """How long it is until the next call that is throttled."""
        last_ns = self.throttled_ns.get((refusal.rule, refusal.scope_value))
        return 0 if last_ns is None else last_ns + int((refusal.retry_after_seconds or 0.0) * 1e9) - now_ns


class LeaseTable:
    """Leases by id, sums by counter, holders by name. Times are of a clock that cannot be set. Not thread-safe."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        """Open leases, and closed ones that are remembered."""
        self.leased: dict[CounterKey, Leased] = {}
        self.holders: dict[str, Holder] = {}
        self._ends: list[tuple[int, str]] = []  # a heap: each lease at the next time to look at it, or before

    def holder(self, name: str, steady_ns: int) -> Holder:
        """The holder of a name, heard of just now."""
        found = self.holders.get(name)
        if found is None:
            found = self.holders[name] = Holder()
        found.seen_ns = steady_ns
        return found

    def open(self, held: Held) -> None:
        """Have a lease, new or not."""
        self.held[held.lease_id] = held
        self.holders.setdefault(held.holder, Holder(held.ends_ns - LEASE_NS)).leases += 1
        holder = held.holder
        for grant, amount in zip(held.grants, held.outstanding(), strict=True):
            leased = self.leased.get(grant.key)
            if leased is None:
                leased = self.leased[grant.key] = Leased()
            leased.amount += amount
            leased.leases += 1
            if held.is_open:
                leased.holders[holder] = leased.holders.get(holder, 0) + 1
        heappush(self._ends, (held.ends_ns, held.lease_id))

    def settle(self, held: Held, calls: Iterable[SettledCall], steady_ns: int) -> None:
        """Calls cost so much; their holder is alive."""
        before = held.outstanding()
        for call in calls:
            held.settle(call, steady_ns + GRACE_NS)
        self._moved(held, before)
        self.holder(held.holder, steady_ns)
        if held.is_open and held.job is None:
            held.ends_ns = steady_ns + LEASE_NS
        self._forget_done(held)

    def hold(self, held: Held, job: str, ends_ns: int) -> None:
        """Keep an open lease for a job until then, whoever is heard of."""
        held.job, held.ends_ns = job, ends_ns
        heappush(self._ends, (ends_ns, held.lease_id))

    def held_for(self, job: str) -> list[Held]:
        """Open leases that are held for a job."""
        return [held for held in self.held.values() if held.is_open and held.job == job]

    def store(self, calls: Iterable[StoredCall]) -> None:
        """Spans of calls are in the ledger."""
        for call in calls:
            held = self.held.get(call.lease_id)
            if held is not None:
                before = held.outstanding()
                held.store(call.number, call.real)
                self._moved(held, before)
                self._forget_done(held)

    def release(self, held: Held, under_way: Iterable[CallUnderWay]) -> None:
        """Its holder gives a lease back."""
        self._close(held, under_way)
        held.is_released = True
        self._forget_done(held)

    def expire(self, now_ns: int) -> bool:
        """End what has ended by time. Whether anything has."""
        have_ended = False
        while self._ends and self._ends[0][0] <= now_ns:
            lease_id = heappop(self._ends)[1]
            held = self.held.get(lease_id)
            if held is None:
                continue
            have_ended |= held.ends_ns <= now_ns
            next_ns = self._look_at(held, now_ns)
            if next_ns is not None:
                heappush(self._ends, (next_ns, lease_id))
        return have_ended

    def prune(self, now_ns: int, kept_ns: int) -> None:
        """Forget holders that were not heard of for so long, and their paces of windows that are over."""
        for name, holder in list(self.holders.items()):
            holder.paces = {keys: pace for keys, pace in holder.paces.items() if now_ns - pace.granted_ns < kept_ns}
            if not holder.leases and now_ns - holder.seen_ns >= kept_ns:
                del self.holders[name]

    def _close(self, held: Held, under_way: Iterable[CallUnderWay] = ()) -> None:
        if not held.is_open:
            return
        before = held.outstanding()
        held.close(under_way)
        for grant in held.grants:
            leased = self.leased[grant.key]
            leased.holders[held.holder] -= 1
            if not leased.holders[held.holder]:
                del leased.holders[held.holder]
        self._moved(held, before)

    def _moved(self, held: Held, before: Sequence[int]) -> None:
        """The lease keeps something else than before."""
        for grant, was, now in zip(held.grants, before, held.outstanding(), strict=True):
            leased = self.leased[grant.key]
            leased.amount += now - was

    def _look_at(self, held: Held, now_ns: int) -> int | None:
        """End what has ended of a lease; when to look again, None: it is forgotten."""
        if held.is_open:
            if held.ends_ns > now_ns:
                return held.ends_ns
            self._close(held)
        before = held.outstanding()
        held.give_up(now_ns)
        seen_ns = self.holders[held.holder].seen_ns
        if seen_ns + LEASE_NS <= now_ns:
            held.give_up_under_way()
        self._moved(held, before)
        if held.is_released and not held.has_calls:
            self._forget(held)
            return None
        if held.first_deadline_ns is not None:
            return held.first_deadline_ns
        if held.has_calls_under_way:
            return seen_ns + LEASE_NS
        if held.ends_ns + GRACE_NS > now_ns:
            return held.ends_ns + GRACE_NS
        self._forget(held)
        return None

    def _forget_done(self, held: Held) -> None:
        """Of a lease that was given back nothing more is told once its calls are known; telling again does nothing."""
        if held.is_released and not held.has_calls:
            self._forget(held)

    def _forget(self, held: Held) -> None:
        del self.held[held.lease_id]
        self.holders[held.holder].leases -= 1
        for grant in held.grants:
            leased = self.leased[grant.key]
            leased.leases -= 1
            if not leased.leases:
                del self.leased[grant.key]
