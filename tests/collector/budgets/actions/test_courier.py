"""One channel's messages, one at a time."""

from __future__ import annotations

from queue import Queue

from collector.budgets.actions.courier import Courier
from collector.budgets.actions.messages import Notice
from collector.budgets.actions.outbox import Delivery, DeliveryState, planned, renewed
from collector.budgets.actions.receivers import Tried, Verdict
from tests.collector.budgets.actions.telling import event

WAIT_SECONDS = 30.0


def test_a_message_that_was_read_as_pending_before_its_last_try_is_not_sent_again() -> None:
    """Who looks for what is not sent may hand over what has been sent meanwhile. Asked for again it is."""
    sent: list[str] = []
    recorded: Queue[Delivery] = Queue()
    happened = event()

    def send(notice: Notice) -> Tried:
        sent.append(notice.event.event_id)
        return Tried(Verdict.DEAD, "no")

    courier = Courier("webhook", send, recorded.put, lambda found: Notice(found, None, None))
    courier.start()
    try:
        first, second = (planned(event_id, "webhook", 0) for event_id in ("one", "two"))
        courier.add(first, happened)
        dead = recorded.get(timeout=WAIT_SECONDS)
        assert (dead.id, dead.state, dead.attempts) == (first.id, DeliveryState.DEAD, 1)
        courier.add(second, happened)
        assert recorded.get(timeout=WAIT_SECONDS).id == second.id, "the first one is put away"
        courier.add(first, happened)
        courier.add(renewed(dead, 0), happened)
        again = recorded.get(timeout=WAIT_SECONDS)
        assert (again.id, again.attempts) == (first.id, 2)
        assert len(sent) == 3
    finally:
        courier.ask_to_stop()
        courier.join(WAIT_SECONDS)
