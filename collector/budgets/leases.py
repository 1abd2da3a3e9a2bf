"""Slices of budgets that processes hold, so that they can decide about calls by themselves.

A lease holds, of every hard budget that a kind of call counts in, enough for one call or for several. All budgets must
have room: spent + what leases hold + the claim <= limit. The book has the counters' lock: who holds it finds a leased
call in the counter or in its lease, never in both and never in neither.

What is promised, for calls that count in a budget whose `on_exceed` has block or approval, and whose holders keep to
docs/budgets-protocol.md: **spent - limit <= the sum of `real - reserved` over calls that cost more than was reserved
for them and were not settled when the last lease of that budget was granted, or have begun since.** With exact
estimates that is nothing. **No claim is refused by a limit while spent + leases + claim <= limit.** Reasons, and what
lies outside, are in docs/adr/0012-leases.md: spending that nobody asked for, and holders that were not heard of for
`LEASE_NS` while their calls were under way.

Times are of a clock that cannot be set; only windows go by the wall clock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from collector.budgets.deciding import NEVER_NS, HardRule, Standing, decide, hard_rules, match_on, need_of
from collector.budgets.held import Amounts, CallUnderWay, Held, SettledCall
from collector.budgets.lease_lines import StoredCall, closed_line, settled_line, state_line, stored_line, time_line
from collector.budgets.lease_log import LeaseLog
from collector.budgets.lease_replay import replay
from collector.budgets.lease_table import GRACE_NS, LEASE_NS, Holder, LeaseTable
from collector.budgets.model import Claim, CounterKey, Decision, Grant, Lease, Refusal, Rule
from collector.budgets.slices import Pace, calls_of, is_near
from collector.budgets.spent_reader import SpentReader

if TYPE_CHECKING:
    from collector.budgets.counters import LeasedCall, Moves

NEAR_NS = 10**9
"""A lease is used so long, unless it is renewed, when little is left: then spending of others, and approvals withdrawn,
are heard of in time. Shorter: more requests, one each such time from every process with calls."""
MAX_ORGANIZATIONS = 1000
"""For so many it is remembered what their leases depend on. Of others it is found out each time: some microseconds a
rule."""
MAX_HOLD_NS = 48 * 3600 * 10**9
"""Longest that something is held for a job. Longer: what nobody reads the results of keeps budget from others for so
long. Shorter: batches that take a day are not held to their end."""
_PRUNE_NS = 30 * 10**9
MAX_CLOSED = 50
"""Rules that are told to holders with each answer. More, and answers are longer than what they are about."""

Price = Callable[[Claim, str], int | None]
"""What a claim would cost with another model, in pico-USD; None: not known."""
Ask = Callable[[Rule, CounterKey, int, int, str | None, int], tuple[str | None, bool]]
"""Ask people to raise a limit: rule, counter, limit, spent, who asks, wall clock's time -> ticket, the same while it is
open or a denial stands, and whether it was denied. Where nobody asks (None): what was asked before, if that stands.
Called under the lock."""


class LeaseBook:
    """All leases. Thread-safe: `lock` is that of the counters, and may be held over several steps."""

    def __init__(
        self,
        counters: SpentReader,
        log: LeaseLog | None = None,
        price: Price | None = None,
        ask: Ask | None = None,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.lock = counters.lock
        self.revision = ""
        self._counters = counters
        self._log = log
        self._price = price
        self._ask = ask
        self._steady_ns = steady_ns
        self._rules: tuple[HardRule, ...] = ()
        self._by_name: dict[str, HardRule] = {}
        self._match_on: dict[str, tuple[str, ...]] = {}  # by organisation
        self._table = LeaseTable()
        self._pruned_ns = steady_ns()
        self._prefix = secrets.token_urlsafe(6)
        self._count = 0

    def __len__(self) -> int:
        """Open leases, and closed ones that are remembered."""
        return len(self._table.held)

    def set_rules(self, rules: Sequence[Rule], revision: str) -> None:
        """Have these rules from now on. Leases go on; holders hear of the revision and ask for others."""
        with self.lock:
            self._rules, self.revision = hard_rules(rules), revision
            self._by_name = {hard.rule.name: hard for hard in self._rules}
            self._match_on = {}

    def match_on(self, org_id: str) -> tuple[str, ...]:
        """Dimensions that tell which budgets a call of an organisation counts in: it hears of no other's rules."""
        with self.lock:
            found = self._match_on.get(org_id)
            if found is None:
                found = match_on([hard for hard in self._rules if hard.is_for(org_id)])
                if len(self._match_on) < MAX_ORGANIZATIONS:
                    self._match_on[org_id] = found
            return found

    def check(self, claim: Claim, now_ns: int) -> Refusal | None:
        """What `lease` would say; changes nothing. Where it depends on the process whether it must wait, it must."""
        with self.lock:
            self.expire()
            standings, refusal = self._decide(claim, now_ns)
            return refusal and self._with_hint(refusal, standings, None, now_ns)

    def is_closed_when_unreachable(self, claim: Claim, now_ns: int) -> bool:
        """Whether one of the claim's budgets wants calls not made while there is no answer."""
        with self.lock:
            found = (hard for hard in self._rules if hard.rule.is_closed_when_unreachable)
            return any(hard.key(claim, now_ns) is not None for hard in found)

    def closed_when_unreachable(self, org_id: str, now_ns: int) -> list[tuple[Rule, dict[str, str | None]]]:
        """Rules that want calls of an organisation not made while there is no answer, and which calls: `MAX_CLOSED` of
        them, templates first."""
        with self.lock:
            closed = [hard for hard in self._rules if hard.rule.is_closed_when_unreachable]
            found = [(hard.rule, hard.matches(org_id, now_ns)) for hard in closed]
        said = [(rule, calls) for rule, calls in found if calls is not None]
        return sorted(said, key=lambda each: sum(value is not None for value in each[1].values()))[:MAX_CLOSED]

    def lease(
        self, claim: Claim, holder: str, now_ns: int, most_calls: int | None = None, *, has_waited: bool = False
    ) -> Lease | Refusal:
        """A slice of every hard budget that the claim counts in, for it and perhaps more like it; or why not.

        `now_ns` is the wall clock's. `most_calls`: no more calls than that. `has_waited`: the call was slowed down for
        long enough, so nothing but that is left out.
        """
        with self.lock:
            steady_ns = self._steady_ns()
            self._expire(steady_ns)
            process = self._table.holder(holder, steady_ns)
            standings, refusal = self._decide(claim, now_ns)
            if refusal is not None and refusal.decision is Decision.THROTTLE:
                counter = refusal.rule, refusal.scope_value
                wait_ns = process.wait_ns(refusal, steady_ns)
                if wait_ns > 0 and not has_waited:
                    return refusal._replace(retry_after_seconds=wait_ns / 1e9)
                refusal = self._decide(claim, now_ns, has_waited=True)[1]
                if refusal is None:
                    process.throttled_ns[counter] = steady_ns
                    most_calls = 1
            if refusal is not None:
                return self._with_hint(refusal, standings, holder, now_ns)
            return self._grant(standings, holder, process, now_ns, most_calls)

    def is_foreign(self, lease_id: str, org_id: str | None) -> bool:
        """Whether a lease takes from budgets of another organisation; None: none is another."""
        with self.lock:
            held = self._table.held.get(lease_id)
            return org_id is not None and held is not None and any(grant.key.org_id != org_id for grant in held.grants)

    def settle(self, lease_id: str, calls: Iterable[SettledCall], now_ns: int) -> int | None:
        """Calls cost so much; their holder is alive. How many nanoseconds the lease may be used; None: unknown."""
        with self.lock:
            self.expire()
            held = self._table.held.get(lease_id)
            if held is None:
                return None
            steady_ns, calls = self._steady_ns(), tuple(calls)
            self._table.settle(held, calls, steady_ns)
            if self._log is not None:
                self._write(settled_line(self._steady_ns(), lease_id, calls))
            return self._use_ns(held, now_ns) if held.is_open else 0

    def hold(self, lease_id: str, job: str, hold_ns: int) -> bool:
        """Keep an open lease for so long, or until the job is `read`, whether or not its holder is heard of. Whether
        there is such a lease."""
        with self.lock:
            self.expire()
            held = self._table.held.get(lease_id)
            if held is None or not held.is_open:
                return False
            self._hold(held, job, min(hold_ns, MAX_HOLD_NS))
            return True

    def read(self, job: str, org_id: str | None = None) -> bool:
        """The results of a job are known, and their spans will come: what is held for it is free in `GRACE_NS`. Whether
        anything is. `org_id`: only what that organisation's budgets hold."""
        with self.lock:
            self.expire()
            found = [held for held in self._table.held_for(job) if not self.is_foreign(held.lease_id, org_id)]
            for held in found:
                self._hold(held, job, min(GRACE_NS, held.ends_ns - self._steady_ns()))
            return bool(found)

    def _hold(self, held: Held, job: str, hold_ns: int) -> None:
        now_ns = self._steady_ns()
        self._table.hold(held, job, now_ns + hold_ns)
        self._write(state_line(now_ns, held))

    def release(self, lease_id: str, under_way: Iterable[CallUnderWay] = ()) -> bool:
        """Give the rest of a lease back, but what is reserved for calls under way. Whether it is known."""
        with self.lock:
            held = self._table.held.get(lease_id)
            if held is None:
                return False
            under_way = tuple(under_way)
            self._table.holder(held.holder, self._steady_ns())
            self._table.release(held, under_way)
            if self._log is not None:
                self._write(closed_line(self._steady_ns(), lease_id, under_way))
            return True

    def applied(self, moves: Moves) -> None:
        """A listener of `Counters.on_applied`: spans of leased calls are in the ledger, and in the counters."""
        if moves.leased:
            self.spans_stored(moves.leased)

    def spans_stored(self, calls: Iterable[LeasedCall]) -> None:
        """Spans of leased calls are in the ledger. `lease_id` is `<lease>/<number of the call>`, as the span says."""
        stored: list[StoredCall] = []
        for call in calls:
            lease_id, _, number = call.lease_id.partition("/")
            real = Amounts(call.cost_pico_usd, call.tokens, 1) if call.is_counted else Amounts(0, 0, 0)
            is_number = number.isascii() and number.isdigit() and len(number) < _MAX_DIGITS
            stored.append(StoredCall(lease_id, int(number) if is_number else None, real))
        with self.lock:
            known = [each for each in stored if each.lease_id in self._table.held]
            self._table.store(known)
            if known and self._log is not None:
                self._write(stored_line(self._steady_ns(), known))

    def leased(self, key: CounterKey) -> int:
        """What leases hold of a counter, in its rule's unit. Of a rolling window: of all of it, whichever bucket."""
        with self.lock:
            self.expire()
            found = self._table.leased.get(key) or self._table.leased.get(key._replace(window_start_ns=0))
            return found.amount if found is not None else 0

    def keys(self, rule: str) -> list[CounterKey]:
        """The counters of a rule that leases hold something of. Of a rolling window the start is 0."""
        with self.lock:
            self.expire()
            return [key for key, found in self._table.leased.items() if key.rule == rule and found.amount]

    def expire(self) -> None:
        """End what has ended by time. Each step does so too; a timer is for books that nobody asks."""
        with self.lock:
            self._expire(self._steady_ns())

    def restore(self) -> int:
        """Read the log: leases of a collector that is gone are honoured until they end. How many there are.

        The time since its last line does not count: no holder could be heard, or nothing has happened.
        """
        if self._log is None:
            return 0
        with self.lock:
            log, self._log = self._log, None
            now_ns = self._steady_ns()
            lines = list(log.lines())
            offset_ns = now_ns - max((line.at_ns for line in lines), default=0)
            for line in lines:
                self._expire(line.at_ns + offset_ns)
                replay(self._table, line, line.at_ns + offset_ns, offset_ns)
            self._expire(now_ns)
            self._log = log
            log.start(self._states())
            return len(self._table.held)

    def close(self) -> None:
        """Nothing is written any more."""
        with self.lock:
            if self._log is not None:
                self._log.close()

    def _decide(self, claim: Claim, now_ns: int, *, has_waited: bool = False) -> tuple[list[Standing], Refusal | None]:
        standings = self._standings(claim, now_ns)
        passes, room_at = partial(self._passes, claim, now_ns), partial(self._room_at, now_ns)
        return standings, decide(standings, claim.model, now_ns, passes, room_at, has_waited=has_waited)

    def _standings(self, claim: Claim, now_ns: int) -> list[Standing]:
        found: list[Standing] = []
        is_unpriced = claim.cost_pico_usd is None
        for hard in self._rules:
            key = hard.key(claim, now_ns)
            if key is not None:
                rates = self._counters.worst.get(hard.rule.name) if is_unpriced else None
                need = need_of(hard.rule, claim, max(rates) if rates is not None else 0)
                found.append(self._standing(hard, key, need, now_ns))
        return found

    def _standing(self, hard: HardRule, key: CounterKey, need: int | None, now_ns: int) -> Standing:
        rule = hard.rule
        spent = self._counters.amount(key, now_ns)
        limit = self._counters.limit(rule, key, now_ns)
        leased = self._table.leased.get(key)
        if leased is None:
            return Standing(hard, key, need, spent, 0, limit, 0)
        return Standing(hard, key, need, spent, leased.amount, limit, len(leased.holders))

    def _passes(self, claim: Claim, now_ns: int, model: str) -> bool:
        """Whether the claim may be made with another model."""
        cost = self._price(claim, model) if self._price is not None else None
        other = claim._replace(model=model, cost_pico_usd=claim.cost_pico_usd if cost is None else cost)
        standings = self._standings(other, now_ns)
        refusal = decide(standings, model, now_ns, lambda _: False, partial(self._room_at, now_ns))
        return refusal is None or refusal.decision is Decision.THROTTLE

    def _room_at(self, now_ns: int, standing: Standing, most: int) -> int | None:
        key = standing.key
        return self._counters.room_at(key.rule, key.org_id, key.scope_value, now_ns, most)

    def _with_hint(self, refusal: Refusal, standings: Sequence[Standing], holder: str | None, now_ns: int) -> Refusal:
        """With an approval's ticket, whose denial blocks; where only leases are in the way, with when to ask again."""
        standing = next(each for each in standings if each.key[1:3] == (refusal.rule, refusal.scope_value))
        if refusal.decision is Decision.APPROVAL and self._ask is not None:
            about = standing.hard.rule, standing.key, standing.limit, standing.spent
            ticket, is_denied = self._ask(*about, holder, now_ns)
            refusal = refusal._replace(ticket=ticket, decision=Decision.BLOCK if is_denied else Decision.APPROVAL)
        is_full = standing.need is None or standing.spent + standing.need > standing.limit
        if is_full or not standing.leased or refusal.retry_after_seconds is not None:
            return refusal
        return refusal._replace(retry_after_seconds=NEAR_NS / 1e9)

    def _grant(
        self, standings: Sequence[Standing], holder: str, process: Holder, now_ns: int, most_calls: int | None
    ) -> Lease:
        keys = tuple([standing.key for standing in standings])
        each = tuple([standing.need or 0 for standing in standings])
        steady_ns = self._steady_ns()
        pace = process.paces.get(keys)
        wanted = pace.next_calls(steady_ns) if pace is not None else 1
        wanted = wanted if most_calls is None else min(wanted, most_calls)
        calls = calls_of(standings, wanted)
        grants = tuple([Grant(found.key, found.hard.rule.unit, calls * (found.need or 0)) for found in standings])
        self._count += 1
        held = Held(f"{self._prefix}{self._count:x}{secrets.token_urlsafe(3)}", holder, grants, each)
        held.until_ns = min([self._ends_ns(found, now_ns) for found in standings], default=NEVER_NS)
        held.ends_ns = steady_ns + LEASE_NS
        near = any(found.need and is_near(found) for found in standings)
        use_ns = _until(held, now_ns, NEAR_NS if near else LEASE_NS)
        process.paces[keys] = Pace(calls, steady_ns, use_ns)
        if grants:
            self._table.open(held)
        if grants and self._log is not None:
            self._write(state_line(steady_ns, held))
        return Lease(held.lease_id, holder, grants, now_ns + use_ns, use_ns, each)

    def _ends_ns(self, standing: Standing, now_ns: int) -> int:
        """When what is granted has no more right to be spent: the window is over, or what has raised the limit."""
        hard = standing.hard
        raised_until_ns = self._counters.raised_until_ns(hard.rule, standing.key, now_ns)
        return hard.end_ns(now_ns) if raised_until_ns is None else min(hard.end_ns(now_ns), raised_until_ns)

    def _use_ns(self, held: Held, now_ns: int) -> int:
        """For how long an open lease may be used from now on; 0 if others have overspent one of its budgets."""
        near = False
        for grant in held.grants:
            hard = self._by_name.get(grant.key.rule)
            if hard is None or not grant.amount:
                continue
            standing = self._standing(hard, grant.key, 0, now_ns)
            if standing.free < 0:
                return 0
            near = near or is_near(standing)
        return _until(held, now_ns, NEAR_NS if near else LEASE_NS)

    def _expire(self, now_ns: int) -> None:
        if self._table.expire(now_ns):
            self._write(time_line(now_ns))
        if now_ns - self._pruned_ns >= _PRUNE_NS:
            self._pruned_ns = now_ns
            longest_s = max((hard.rule.throttle_seconds for hard in self._rules), default=0.0)
            self._table.prune(now_ns, max(2 * LEASE_NS, int(longest_s * 1e9)))

    def _write(self, line: str) -> None:
        if self._log is not None and self._log.append(line):
            self._log.start(self._states())

    def _states(self) -> list[str]:
        now_ns = self._steady_ns()
        return [state_line(now_ns, held) for held in self._table.held.values()]


def _until(held: Held, now_ns: int, use_ns: int) -> int:
    """For how long a lease may be used: no longer than its first window, or the first raise that it was granted by."""
    return max(0, min(use_ns, held.until_ns - now_ns))


_MAX_DIGITS = 16
"""Of a call's number; what has more was not written by a holder."""
