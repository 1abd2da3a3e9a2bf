"""Whatever holders do and whatever happens to them: the bound of `collector.budgets.leases`, and no false refusals."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector.budgets.counters import LeasedCall
from collector.budgets.held import Amounts, CallUnderWay, SettledCall
from collector.budgets.lease_log import LeaseLog
from collector.budgets.lease_table import GRACE_NS, LEASE_NS
from collector.budgets.leases import LeaseBook
from collector.budgets.model import CounterKey, Decision, Refusal, Unit, WindowKind
from tests.collector.budgets.leasing import SECOND_NS, Clocks, MadeCall, Spending, UsedLease, claim_of, in_unit, rule_of

RULES = (
    rule_of("all", 90),
    rule_of("each", 60, scope=(("customer", None),), kind=WindowKind.TOTAL),
    rule_of("tokens", 100, Unit.TOKENS, scope=(("customer", None), ("agent", "a")), kind=WindowKind.MONTH),
    rule_of("calls", 14, Unit.CALLS),
)
UNITS = {each.name: each.unit for each in RULES}
LIMITS = {each.name: each.limit for each in RULES}
AMOUNT = st.integers(1, 25)


class Leasing(RuleBasedStateMachine):
    """Several holders at once, each with several leases; spans that come late or never; kills; clocks that are set."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clocks = Clocks()
        self.spending = Spending(RULES)
        self.leases: list[UsedLease] = []
        self.unknown_at_grant: dict[CounterKey, set[MadeCall]] = {}
        self.counted: dict[CounterKey, list[MadeCall]] = {}
        self.uncovered: set[MadeCall] = set()
        self.restarted_ns = -LEASE_NS
        self.open_book()

    def open_book(self) -> None:
        log = LeaseLog(Path(self.folder.name) / "leases.log")
        self.book = LeaseBook(self.spending, log, steady_ns=self.clocks.steady)
        self.book.restore()
        self.book.set_rules(RULES, "1")

    def teardown(self) -> None:
        """In the end, when all are gone and time has passed, nothing is kept."""
        self.clocks.advance((LEASE_NS + 2 * GRACE_NS) / SECOND_NS)
        assert all(self.book.leased(grant.key) == 0 for used in self.leases for grant in used.lease.grants)
        assert len(self.book) == 0
        self.book.close()
        self.folder.cleanup()

    def live(self) -> list[UsedLease]:
        return [each for each in self.leases if not each.is_dead]

    def made(self) -> list[MadeCall]:
        return [call for lease in self.leases for call in lease.calls]

    @rule(
        holder=st.sampled_from("xyz"),
        customer=st.sampled_from("cd"),
        agent=st.sampled_from("ab"),
        cost=AMOUNT,
        tokens=AMOUNT,
        error=st.tuples(st.integers(-10, 10), st.integers(-10, 10)),
        is_exact=st.booleans(),
    )
    def begin(
        self, holder: str, customer: str, agent: str, cost: int, tokens: int, error: tuple[int, int], is_exact: bool
    ) -> None:
        """A holder makes a call, under a lease that it has or another one."""
        claim = claim_of(cost, tokens, customer=customer, agent=agent)
        keys = set(self.book_keys(claim))
        more = (0, 0) if is_exact else error
        real = Amounts(max(0, cost + more[0]), max(0, tokens + more[1]), 1)
        for used in self.live():
            is_mine = used.holder == holder and {grant.key for grant in used.lease.grants} == keys
            if is_mine and not used.is_released and self.clocks.steady_ns < used.use_until_ns:
                call = used.begin(claim, real, self.clocks.wall_ns)
                if call is not None:
                    self.count_in(call)
                    return
        found = self.book.lease(claim, holder, self.clocks.wall_ns)
        if isinstance(found, Refusal):
            self.refused_rightly(found, claim_need={"USD": cost, "tokens": tokens, "calls": 1}[found.unit.value])
            return
        heard_ns = self.clocks.steady_ns
        used = UsedLease(
            found, holder, heard_ns + found.expires_in_ns, heard_ns, [each.amount for each in found.grants]
        )
        unknown = {call for call in self.made() if call.settled_ns is None}
        self.leases.append(used)
        for grant in found.grants:
            self.unknown_at_grant[grant.key] = set(unknown)
        call = used.begin(claim, real, self.clocks.wall_ns)
        assert call is not None, "a lease has room for the call it was asked for"
        self.count_in(call)

    def book_keys(self, claim: object) -> list[CounterKey]:
        return list(self.spending.keys(claim, self.clocks.wall_ns).values())  # type: ignore[arg-type]

    def count_in(self, call: MadeCall) -> None:
        """It is not settled, and may not be until the next grant."""
        for grant in call.lease.lease.grants:
            self.unknown_at_grant.setdefault(grant.key, set()).add(call)

    def refused_rightly(self, refusal: Refusal, claim_need: int) -> None:
        assert refusal.decision is Decision.BLOCK
        assert refusal.spent + refusal.leased + claim_need > refusal.limit

    @precondition(lambda self: any(lease.under_way for lease in self.live()))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """A call is over."""
        used = data.draw(st.sampled_from([lease for lease in self.live() if lease.under_way]))
        used.end(data.draw(st.sampled_from(used.under_way)))

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """A holder says what calls cost, perhaps again."""
        self.tell(data.draw(st.sampled_from(self.live())))

    def tell(self, used: UsedLease) -> None:
        ended = [call for call in used.calls if call.is_ended]
        said = [SettledCall(call.number, call.reserved, call.real) for call in ended]
        use_ns = self.book.settle(used.lease.lease_id, said, self.clocks.wall_ns)
        used.use_until_ns = self.clocks.steady_ns + (use_ns or 0)
        used.heard_ns = self.clocks.steady_ns
        for call in ended:
            if call.settled_ns is None:
                call.settled_ns = self.clocks.steady_ns
                if use_ns is None:  # nobody knows the lease any more
                    self.uncovered.add(call)

    @precondition(lambda self: any(not lease.is_released for lease in self.live()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A holder gives a lease back, with calls under way."""
        used = data.draw(st.sampled_from([lease for lease in self.live() if not lease.is_released]))
        self.tell(used)
        self.book.release(used.lease.lease_id, [CallUnderWay(call.number, call.reserved) for call in used.under_way])
        used.is_released = True

    @precondition(lambda self: any(call.is_ended and not call.is_stored for call in self.made()))
    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        """A span comes, in any order: counter and lease move in one step."""
        waiting = [call for call in self.made() if call.is_ended and not call.is_stored]
        call = data.draw(st.sampled_from(waiting))
        now_ns = self.clocks.steady_ns
        is_late = call.settled_ns is not None and now_ns - call.settled_ns >= GRACE_NS
        is_silent = call.settled_ns is None and now_ns - call.lease.heard_ns >= LEASE_NS
        if is_late or is_silent:
            self.uncovered.add(call)
        self.spending.count(call.claim, call.started_ns, call.real)
        span = LeasedCall(f"{call.lease.lease.lease_id}/{call.number}", call.real.cost_pico_usd, call.real.tokens, True)
        self.book.spans_stored([span])
        call.is_stored = True
        for key in self.spending.keys(call.claim, call.started_ns).values():
            self.counted.setdefault(key, []).append(call)

    @rule(holder=st.sampled_from("xyz"))
    def crash(self, holder: str) -> None:
        """A process is gone: it says nothing any more; spans that it has sent may still come."""
        for used in self.live():
            if used.holder == holder:
                used.is_dead = True
                for call in used.under_way:
                    call.is_ended = True

    @rule(seconds=st.sampled_from([0.4, 3.0, 9.0]), times=st.integers(1, 8))
    def wait(self, seconds: float, times: int) -> None:
        """Time passes; holders speak of leases with calls under way, as they must."""
        for _ in range(times):
            self.clocks.advance(seconds)
            for used in self.live():
                if used.under_way and self.clocks.steady_ns - used.heard_ns >= 9 * SECOND_NS:
                    self.tell(used)

    @rule(seconds=st.integers(-3600, 3600))
    def set_clock(self, seconds: int) -> None:
        """The clock on the wall is put forward or back, within the day."""
        if abs(self.clocks.wall_ns + seconds * SECOND_NS - Clocks().wall_ns) < 10 * 3600 * SECOND_NS:
            self.clocks.wall_ns += seconds * SECOND_NS

    @rule(steady_s=st.integers(0, 10_000))
    def restart(self, steady_s: int) -> None:
        """The collector is killed and starts again, at once; its steady clock may begin anywhere."""
        shift_ns = steady_s * SECOND_NS - self.clocks.steady_ns
        self.clocks.steady_ns += shift_ns
        for used in self.leases:
            used.use_until_ns += shift_ns
            used.heard_ns += shift_ns
            for call in used.calls:
                call.settled_ns = None if call.settled_ns is None else call.settled_ns + shift_ns
        self.restarted_ns = self.clocks.steady_ns
        self.book.close()
        self.open_book()

    @invariant()
    def overspend_is_within_the_bound(self) -> None:
        for key, calls in self.counted.items():
            unit = UNITS[key.rule]
            spent = self.spending.spends[key].of(unit)
            unknown = self.unknown_at_grant.get(key, set())
            errors = sum(in_unit(call.overrun, unit) for call in calls if call in unknown)
            beyond = sum(in_unit(call.real, unit) for call in calls if call in self.uncovered)
            assert spent <= LIMITS[key.rule] + errors + beyond

    @invariant()
    def nothing_is_kept_without_a_reason(self) -> None:
        keys = {grant.key for used in self.leases for grant in used.lease.grants}
        for key in keys:
            assert 0 <= self.book.leased(key) <= sum(self.reasons(used, key) for used in self.leases)

    def reasons(self, used: UsedLease, key: CounterKey) -> int:
        """What a lease may keep of a counter at most."""
        unit = UNITS[key.rule]
        if all(grant.key != key for grant in used.lease.grants):
            return 0
        calls = [call for call in used.calls if not call.is_stored]
        over = self.clocks.steady_ns - max(used.heard_ns, self.restarted_ns) >= LEASE_NS
        if used.is_released or over:
            kept = [call for call in calls if call.settled_ns is not None or (used.is_released and not used.is_dead)]
            kept += [call for call in calls if used.is_released and used.is_dead and call not in kept]
            return sum(max(in_unit(call.real, unit), in_unit(call.reserved, unit)) for call in kept)
        amount = next(grant.amount for grant in used.lease.grants if grant.key == key)
        return amount + sum(in_unit(call.overrun, unit) for call in used.calls)


class LongLeasing(Leasing):
    """The same, for longer."""


Leasing.TestCase.settings = settings(
    max_examples=30, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
LongLeasing.TestCase.settings = settings(Leasing.TestCase.settings, max_examples=2000)
TestLeasing = Leasing.TestCase
TestLongLeasing = pytest.mark.timeout(3600)(pytest.mark.soak(LongLeasing.TestCase))
