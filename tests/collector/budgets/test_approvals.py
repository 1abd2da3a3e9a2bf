"""Requests to raise a limit: asked once, decided once, bounded, over in time, and still there after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.budgets.approvals import OPEN_NS, RAISE_NS, Approvals, CannotDecide
from collector.budgets.counters import Raise
from collector.budgets.event_rows import events_of
from collector.budgets.model import (
    Action,
    CounterKey,
    Event,
    EventKind,
    Rule,
    Window,
    WindowKind,
)
from collector.budgets.tickets import TicketState
from collector.store import Store
from otel_cost.pricing.money import PICO_PER_USD
from tests.collector.budgets.actions.telling import DAY_START_NS, RULE, ledger

HOUR_NS = 3600 * 10**9
DAY_END_NS = DAY_START_NS + 24 * HOUR_NS
KEY = CounterKey("default", RULE.name, "acme", DAY_START_NS)
DAILY = replace(RULE, on_exceed=(Action.APPROVAL,))
ROLLING = replace(DAILY, window=Window(WindowKind.ROLLING, 24 * HOUR_NS))
USD = PICO_PER_USD


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = DAY_START_NS + HOUR_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with ledger(tmp_path) as opened:
        yield opened


def started(store: Store, clock: Clock, rule: Rule = DAILY) -> Approvals:
    approvals = Approvals(store, lambda: [rule], clock_ns=clock)
    approvals.start()
    return approvals


def asked(approvals: Approvals, clock: Clock, limit: int = RULE.limit, rule: Rule = DAILY) -> str:
    return approvals.request(rule, KEY, limit, limit, "customer acme", clock())


def events(store: Store) -> list[Event]:
    return events_of(
        store.read(lambda reader: reader.table("SELECT * FROM _ledger.budget_event ORDER BY happened_at_ns"))
    )


def test_a_call_that_needs_approval_opens_one_ticket_however_often_it_asks(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    tickets = {asked(approvals, clock) for _ in range(3)}
    (name,) = tickets
    assert approvals.settle()
    assert not approvals.settle()
    found = approvals.get(name)
    assert found is not None
    assert (found.key, found.asked_by, found.ends_at_ns) == (KEY, "customer acme", DAY_END_NS)
    assert [(event.kind, event.detail) for event in events(store)] == [(EventKind.APPROVAL_REQUESTED, name)]


def test_an_approval_raises_the_limit_of_that_counter_until_it_ends(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    approvals.approve(asked(approvals, clock), 2 * USD, HOUR_NS, "jane", "month end")
    ends_ns = clock() + HOUR_NS
    assert approvals.raises() == {KEY: Raise(2 * USD, ends_ns)}
    assert approvals.raised(KEY, ends_ns - 1) == 2 * USD
    assert approvals.raised(KEY._replace(scope_value="other"), clock()) == 0
    clock.now_ns = ends_ns
    assert approvals.raises() == {}
    assert approvals.raised(KEY, ends_ns) == 0
    last = events(store)[-1]
    assert (last.kind, last.limit) == (EventKind.APPROVED, 7 * USD)


def test_raises_add_up_and_each_ends_by_itself(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    approvals.approve(asked(approvals, clock), 2 * USD, HOUR_NS, "jane")
    approvals.approve(asked(approvals, clock, 7 * USD), 3 * USD, 2 * HOUR_NS, "jane")
    assert approvals.raises()[KEY] == Raise(5 * USD, clock() + HOUR_NS)
    clock.now_ns += HOUR_NS
    assert approvals.raises()[KEY] == Raise(3 * USD, clock() + HOUR_NS)


@pytest.mark.parametrize(("max_raise", "most"), [(None, 50 * USD), (3 * USD, 3 * USD), (0, 0)])
def test_raises_together_stay_within_the_bound_of_the_rule(
    store: Store, clock: Clock, max_raise: int | None, most: int
) -> None:
    """Ten times the limit where the rule says nothing."""
    rule = replace(DAILY, max_raise=max_raise)
    approvals = started(store, clock, rule)
    ticket = asked(approvals, clock, rule=rule)
    for amount in (most + 1, 0, -1):
        with pytest.raises(CannotDecide, match="not within the bound"):
            approvals.approve(ticket, amount, None, "jane")
    if most:
        approvals.approve(ticket, most, None, "jane")
        again = asked(approvals, clock, RULE.limit + most, rule)
        with pytest.raises(CannotDecide, match="not within the bound") as raised:
            approvals.approve(again, 1, None, "jane")
        assert raised.value.allowed == "nothing more"


def test_a_ticket_is_decided_once(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    ticket = asked(approvals, clock)
    approvals.deny(ticket, "jane", "no")
    with pytest.raises(CannotDecide, match="it is denied already, by jane"):
        approvals.deny(ticket, "joe")
    with pytest.raises(CannotDecide, match="it is denied already, by jane"):
        approvals.approve(ticket, 1, None, "joe")
    with pytest.raises(CannotDecide, match="there is no ticket nothing") as raised:
        approvals.deny("nothing", "joe")
    assert raised.value.is_unknown
    assert approvals.raises() == {}


@pytest.mark.parametrize("ask_again_ns", [2 * HOUR_NS, None])
def test_a_denial_stands_for_as_long_as_the_rule_says_and_no_longer_than_its_window(
    store: Store, clock: Clock, ask_again_ns: int | None
) -> None:
    rule = replace(DAILY, ask_again_ns=ask_again_ns)
    approvals = started(store, clock, rule)

    def standing() -> tuple[str | None, bool]:
        return approvals.asked(rule, KEY, RULE.limit, 0, None, clock())

    assert standing() == (None, False)
    ticket = asked(approvals, clock, rule=rule)
    assert standing() == (ticket, False)
    approvals.deny(ticket, "jane")
    clock.now_ns += 2 * HOUR_NS - 1
    assert asked(approvals, clock, rule=rule) == ticket
    assert standing() == (ticket, True)
    clock.now_ns += 1
    again = asked(approvals, clock, rule=rule)
    assert (again == ticket) == (ask_again_ns is None)
    clock.now_ns = DAY_END_NS
    tomorrow = approvals.request(rule, KEY._replace(window_start_ns=DAY_END_NS), RULE.limit, 0, "x", clock())
    assert tomorrow not in (ticket, again)


def test_a_raise_that_has_run_out_may_be_asked_for_again_and_is_told_as_something_new(
    store: Store, clock: Clock
) -> None:
    approvals = started(store, clock)
    first = asked(approvals, clock)
    approvals.approve(first, USD, HOUR_NS, "jane")
    assert asked(approvals, clock) == first
    clock.now_ns += HOUR_NS
    second = asked(approvals, clock)
    assert second != first
    approvals.settle()
    requested = [event.event_id for event in events(store) if event.kind is EventKind.APPROVAL_REQUESTED]
    assert len(set(requested)) == len(requested) == 2


def test_a_ticket_that_nobody_decides_on_ends_with_its_window(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    ticket = asked(approvals, clock)
    approvals.settle()
    clock.now_ns = DAY_END_NS
    with pytest.raises(CannotDecide, match="it is expired already"):
        approvals.approve(ticket, USD, None, "jane")
    assert [each.ticket for each in approvals.listed([TicketState.EXPIRED])] == [ticket]


def test_of_a_rolling_window_any_bucket_is_the_same_counter(store: Store, clock: Clock) -> None:
    """It has no end of its own: tickets wait a week, raises last a day unless somebody says otherwise."""
    approvals = started(store, clock, ROLLING)
    ticket = asked(approvals, clock, rule=ROLLING)
    assert approvals.request(ROLLING, KEY._replace(window_start_ns=7), RULE.limit, 0, "x", clock()) == ticket
    found = approvals.get(ticket)
    assert found is not None
    assert (found.key.window_start_ns, found.ends_at_ns) == (0, clock() + OPEN_NS)
    approvals.approve(ticket, USD, None, "jane")
    assert approvals.raises() == {KEY._replace(window_start_ns=0): Raise(USD, clock() + RAISE_NS)}


def test_a_raise_lasts_until_the_window_ends_at_most(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    approvals.approve(asked(approvals, clock), USD, 100 * HOUR_NS, "jane")
    assert approvals.raises()[KEY].expires_at_ns == DAY_END_NS


def test_all_is_known_again_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    """Also a ticket that was not written before a kill: it gets the same name when it is asked for again."""
    with ledger(tmp_path) as store:
        approvals = started(store, clock)
        approvals.approve(asked(approvals, clock), USD, HOUR_NS, "jane", "ok")
        approvals.deny(asked(approvals, clock, 6 * USD), "joe")
        lost = asked(approvals, clock, 9 * USD)
        before = {each.ticket: each for each in approvals.listed(list(TicketState))}
    with ledger(tmp_path) as store:
        again = started(store, clock)
        found = {each.ticket: each for each in again.listed(list(TicketState))}
        assert found == {name: each for name, each in before.items() if name != lost}
        assert again.raises() == approvals.raises()
        assert asked(again, clock, 9 * USD) == lost
        assert asked(again, clock) == asked(approvals, clock)


def test_every_step_is_in_the_audit_trail(store: Store, clock: Clock) -> None:
    approvals = started(store, clock)
    ticket = asked(approvals, clock)
    approvals.approve(ticket, USD, None, "jane", "ok")
    rows = store.read(
        lambda reader: reader.rows(
            "SELECT actor, action, subject, before->>'state', after->>'state', after->>'raise' "
            "FROM _ledger.budget_audit"
        )
    )
    assert rows == [
        ("customer acme", "approval requested", ticket, None, "open", None),
        ("jane", "approval approved", ticket, "open", "approved", "1"),
    ]
