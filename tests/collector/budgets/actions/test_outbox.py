"""What becomes of a message after each try: how long it waits, and when it is given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budgets.actions.config import SlackChannel
from collector.budgets.actions.messages import Notice
from collector.budgets.actions.outbox import GIVE_UP_NS, LONGEST_WAIT_SECONDS, DeliveryState, after, planned
from collector.budgets.actions.receivers import Tried, Verdict, send
from tests.collector.budgets.actions.telling import event
from tests.support.http_receiver import Answer, HttpReceiver

RETRY = Tried(Verdict.RETRY, "later")


@given(st.lists(st.floats(0, 1), max_size=300))
def test_waits_grow_to_a_bound_and_end_after_a_day(chances: list[float]) -> None:
    """A receiver that comes back within the day hears of everything at most a quarter of an hour later."""
    delivery, now_ns = planned("event", "webhook", 0), 0
    for number, chance in enumerate(chances):
        delivery = after(delivery, RETRY, now_ns, chance)
        if delivery.state is DeliveryState.DEAD:
            assert now_ns > GIVE_UP_NS - LONGEST_WAIT_SECONDS * 10**9
            return
        wait_seconds = (delivery.next_try_at_ns - now_ns) / 10**9
        most = min(2.0**number, LONGEST_WAIT_SECONDS)
        assert most / 2 <= wait_seconds <= most
        now_ns = delivery.next_try_at_ns
    assert delivery.attempts == len(chances)


def test_a_receivers_hint_is_honoured_within_the_bound() -> None:
    delivery = planned("event", "webhook", 0)
    hinted = after(delivery, RETRY._replace(retry_after_seconds=60), 0, 1.0)
    assert hinted.next_try_at_ns == 60 * 10**9
    patient = after(delivery, RETRY._replace(retry_after_seconds=1e9), 0, 1.0)
    assert patient.next_try_at_ns == LONGEST_WAIT_SECONDS * 10**9


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.DELIVERED) for status in (200, 201, 202, 204)),
        *((status, Verdict.RETRY) for status in (301, 408, 425, 429, 500, 502, 503, 504, 599, None)),
        *((status, Verdict.DEAD) for status in (400, 401, 403, 404, 409, 410, 413, 422)),
    ],
)
def test_an_answer_decides_whether_to_try_again(status: int | None, verdict: Verdict) -> None:
    """2xx is taken, 4xx says that it never will be but for three that mean later; the rest may pass."""
    payload = b"" if status == 204 else b"words"
    with HttpReceiver(lambda _: Answer(status, {"Retry-After": "7"}, payload)) as receiver:
        tried = send(SlackChannel("slack", 5.0, receiver.url), Notice(event()))
    assert tried.verdict is verdict
    assert tried.retry_after_seconds == (7 if verdict is Verdict.RETRY and status else 0)
