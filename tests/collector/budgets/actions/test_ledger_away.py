"""The ledger cannot be written for a while, or nobody knows whether it was: every event is told all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from collector.budgets.actions.deliveries import Deliveries
from collector.budgets.actions.outbox import DeliveryState
from collector.budgets.approvals import Approvals
from collector.budgets.tickets import TicketState
from collector.errors import StoreUnavailable
from collector.store import Store
from tests.collector.budgets.actions.telling import RULE, event, eventually, happen, ledger, settled, webhook
from tests.collector.budgets.test_approvals import DAILY, KEY
from tests.support.http_receiver import Answer, HttpReceiver

T = TypeVar("T")

ANSWERS = Answer(503, {"Retry-After": "3"}), Answer(200)


class Failing:
    """A store of which some writes fail: after they were committed, or before anything was."""

    def __init__(self, store: Store, failing: set[int], *, is_committed: bool) -> None:
        self._store = store
        self._failing = failing
        self._is_committed = is_committed
        self.writes = 0

    def read(self, work: Callable[[Any], T]) -> T:
        return self._store.read(work)

    def write(self, work: Callable[[Any], T]) -> T:
        self.writes += 1
        if self.writes not in self._failing:
            return self._store.write(work)
        if self._is_committed:
            self._store.write(work)
        raise StoreUnavailable("the disk is full")


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("failing", [{1}, {2}, {1, 2}])
def test_every_event_is_told_though_writes_fail(tmp_path: Path, failing: set[int], is_committed: bool) -> None:
    """The first write is the plan, the second what became of the first message. No message is sent twice by it."""
    with ledger(tmp_path) as store, HttpReceiver() as receiver:
        flaky = Failing(store, failing, is_committed=is_committed)
        deliveries = Deliveries([webhook(receiver.url)], flaky, lambda: [RULE])
        deliveries.start()
        try:
            happen(store, deliveries, event("one"), event("two"))
            settled(deliveries, DeliveryState.DELIVERED, 2)
        finally:
            deliveries.stop()
        assert sorted(each.body["scope_value"] for each in receiver.received) == ["one", "two"]


def test_what_waits_for_another_try_is_not_taken_up_a_second_time(tmp_path: Path) -> None:
    """The first message waits when the plan of the second cannot be written, and all that is pending is looked for."""
    with ledger(tmp_path) as store, HttpReceiver(lambda number: ANSWERS[min(number, 1)]) as receiver:
        flaky = Failing(store, {3}, is_committed=False)
        deliveries = Deliveries([webhook(receiver.url)], flaky, lambda: [RULE])
        deliveries.start()
        try:
            happen(store, deliveries, event("one"))
            eventually(lambda: flaky.writes, lambda writes: writes == 2)
            happen(store, deliveries, event("two"))
            settled(deliveries, DeliveryState.DELIVERED, 2)
            happen(store, deliveries, event("z"))  # comes after whatever else waits
            settled(deliveries, DeliveryState.DELIVERED, 3)
        finally:
            deliveries.stop()
        assert sorted(each.body["scope_value"] for each in receiver.received) == ["one", "one", "two", "z"]


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_decision_that_could_not_be_written_holds_exactly_if_it_was(tmp_path: Path, is_committed: bool) -> None:
    """Whoever decided is told that it failed; the next look finds out what is in the ledger."""
    with ledger(tmp_path) as store:
        flaky = Failing(store, {2}, is_committed=is_committed)
        approvals = Approvals(flaky, lambda: [DAILY], clock_ns=lambda: KEY.window_start_ns + 1)
        approvals.start()
        ticket = approvals.request(DAILY, KEY, DAILY.limit, 0, "x", KEY.window_start_ns + 1)
        with pytest.raises(StoreUnavailable):
            approvals.approve(ticket, 5, None, "jane")
        assert approvals.raises() == {}
        approvals.settle()
        state = TicketState.APPROVED if is_committed else TicketState.OPEN
        assert [each.state for each in approvals.listed(list(TicketState))] == [state]
        assert (KEY in approvals.raises()) is is_committed
