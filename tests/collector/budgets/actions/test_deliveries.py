"""Events reach real receivers: signed, in order, again after failures, and after the process was ended anywhere."""

from __future__ import annotations

import hmac
import json
import logging
from hashlib import sha256
from pathlib import Path
from threading import Event as Signal

import pytest

from collector.budgets.actions.config import SlackChannel
from collector.budgets.actions.deliveries import CannotRetry
from collector.budgets.actions.messages import Notice
from collector.budgets.actions.outbox import GIVE_UP_NS, DeliveryState
from collector.budgets.model import EventKind
from tests.collector.budgets.actions.telling import (
    DAY_START_NS,
    RULE,
    SECRET,
    event,
    eventually,
    happen,
    ledger,
    settled,
    telling,
    webhook,
)
from tests.support.http_receiver import Answer, HttpReceiver
from tests.support.ports import free_port


def test_a_webhook_is_signed_and_says_all_there_is(tmp_path: Path) -> None:
    """The signature is that of the timestamp and the body as it was sent: neither can be changed."""
    exceeded = event()
    with ledger(tmp_path) as store, HttpReceiver() as receiver, telling(store, [webhook(receiver.url)]) as deliveries:
        happen(store, deliveries, exceeded)
        (received,) = receiver.wait_for(1)
        done = settled(deliveries, DeliveryState.DELIVERED)
    assert received.path == "/hook?team=a"
    timestamp = received.headers["x-otel-cost-timestamp"]
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + received.payload, sha256).hexdigest()
    assert received.headers["x-otel-cost-signature"] == f"v1={expected}"
    assert abs(int(timestamp) - exceeded.happened_at_ns // 10**9) < 60
    assert received.headers["idempotency-key"] == received.body["id"] == Notice(exceeded).key
    told = {
        name: received.body[name] for name in ("kind", "rule", "scope", "spent", "limit", "window_start", "resets_at")
    }
    assert told == {
        "kind": "exceed",
        "rule": "each-customer",
        "scope": {"customer": "acme"},
        "spent": "5.01",
        "limit": "5",
        "window_start": "2026-11-22T00:00:00Z",
        "resets_at": "2026-11-23T00:00:00Z",
    }
    assert [(found.attempts, found.last_error) for found in done] == [(1, None)]


def test_an_event_is_told_by_every_channel_of_its_actions_and_by_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both webhooks and the chat hear of the limit; of the warning only the log does, as the rule wants it."""
    with (
        caplog.at_level(logging.WARNING),
        ledger(tmp_path) as store,
        HttpReceiver() as one,
        HttpReceiver() as two,
        HttpReceiver() as chat,
        telling(
            store, [webhook(one.url), webhook(two.url, "webhook/ops"), SlackChannel("slack", 5.0, chat.url)]
        ) as told,
    ):
        happen(store, told, event(kind=EventKind.WARN), event("<!channel> & co"))
        settled(told, DeliveryState.DELIVERED, 3)
        assert [len(receiver.received) for receiver in (one, two, chat)] == [1, 1, 1]
        said = chat.received[0].body["text"]
        assert "&lt;!channel&gt; &amp; co: the limit of 5 USD is used up" in said
        assert "<" not in said
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line for line in lines if "80% of 5 USD is used" in line and "Spent: 4.2 USD" in line]
    assert len([line for line in lines if "used up" in line]) == 1


def test_a_failing_receiver_is_asked_again_with_the_same_key(tmp_path: Path) -> None:
    """Whatever goes wrong on the way, it hears of the event in the end, and can tell that it is the same one."""
    failures = [Answer(503, {"Retry-After": "0"}, b"later"), Answer(None), Answer(429)]
    with (
        ledger(tmp_path) as store,
        HttpReceiver(lambda number: failures[number] if number < len(failures) else Answer(204, {}, b"")) as receiver,
        telling(store, [webhook(receiver.url)]) as deliveries,
    ):
        happen(store, deliveries, event())
        received = receiver.wait_for(4)
        (done,) = settled(deliveries, DeliveryState.DELIVERED)
    assert done.attempts == 4
    assert len({each.headers["idempotency-key"] for each in received}) == 1
    assert len({each.payload for each in received}) == 1


def test_a_receiver_that_refuses_for_good_gets_a_dead_letter_that_can_be_sent_again(tmp_path: Path) -> None:
    answers = [Answer(410, {}, b"gone"), Answer(200)]
    with (
        ledger(tmp_path) as store,
        HttpReceiver(lambda number: answers[number]) as receiver,
        telling(store, [webhook(receiver.url)]) as deliveries,
    ):
        happen(store, deliveries, event())
        (dead,) = settled(deliveries, DeliveryState.DEAD)
        assert (dead.attempts, dead.last_error) == (1, "HTTP 410: gone")
        with pytest.raises(CannotRetry, match="there is no delivery"):
            deliveries.retry("nothing", "ops")
        deliveries.retry(dead.id, "ops")
        (done,) = settled(deliveries, DeliveryState.DELIVERED)
        with pytest.raises(CannotRetry, match="it is delivered"):
            deliveries.retry(dead.id, "ops")
        audit = store.read(lambda reader: reader.rows("SELECT actor, action, subject FROM _ledger.budget_audit"))
    assert (done.id, done.attempts) == (dead.id, 2)
    assert audit == [("ops", "delivery retried", dead.id)]


def test_a_dead_receiver_holds_up_nobody_else(tmp_path: Path) -> None:
    """One takes requests and never answers; the other hears of all events meanwhile."""
    over = Signal()

    def never(_: int) -> Answer:
        over.wait(60)
        return Answer(None)

    with (
        ledger(tmp_path) as store,
        HttpReceiver(never) as dead,
        HttpReceiver() as alive,
        telling(store, [webhook(dead.url, "webhook/dead", 60.0), webhook(alive.url)]) as deliveries,
    ):
        happen(store, deliveries, *(event(f"c{number}") for number in range(20)))
        received = alive.wait_for(20)
        settled(deliveries, DeliveryState.DELIVERED, 20)
        waiting = settled(deliveries, DeliveryState.PENDING, 20)
        over.set()
    assert {each.body["scope_value"] for each in received} == {f"c{number}" for number in range(20)}
    assert {(found.channel, found.attempts) for found in waiting} == {("webhook/dead", 0)}
    assert len(dead.received) == 1


def test_what_was_not_told_before_the_end_is_told_after_the_next_start(tmp_path: Path) -> None:
    """An event that nobody looked at yet, and one whose receiver was away; each is then told once."""
    port = free_port()
    channel = webhook(f"http://127.0.0.1:{port}/", timeout_seconds=1.0)
    with ledger(tmp_path) as store:
        with telling(store, [channel]) as deliveries:
            happen(store, deliveries, event("away"))
            eventually(
                lambda: deliveries.listed([DeliveryState.PENDING], 9),
                lambda rows: bool(rows) and rows[0][0].attempts > 0,
            )
        happen(store, None, event("unseen"))
    with ledger(tmp_path) as store, HttpReceiver(port=port) as receiver, telling(store, [channel]) as deliveries:
        received = receiver.wait_for(2)
        settled(deliveries, DeliveryState.DELIVERED, 2)
    assert sorted(each.body["scope_value"] for each in received) == ["away", "unseen"]
    with ledger(tmp_path) as store, HttpReceiver(port=port) as receiver, telling(store, [channel]) as deliveries:
        happen(store, deliveries, event("later"))
        settled(deliveries, DeliveryState.DELIVERED, 3)
        assert [each.body["scope_value"] for each in receiver.received] == ["later"]


def test_after_a_day_a_message_is_a_dead_letter(tmp_path: Path) -> None:
    """The clock is a day further after the first try."""
    now_ns = [DAY_START_NS]

    def answer(_: int) -> Answer:
        now_ns[0] += GIVE_UP_NS
        return Answer(500)

    with (
        ledger(tmp_path) as store,
        HttpReceiver(answer) as receiver,
        telling(store, [webhook(receiver.url)], clock_ns=lambda: now_ns[0]) as deliveries,
    ):
        happen(store, deliveries, event())
        (dead,) = settled(deliveries, DeliveryState.DEAD)
    assert dead.attempts == 1


def test_a_channel_that_the_config_lost_leaves_dead_letters(tmp_path: Path) -> None:
    with ledger(tmp_path) as store:
        with telling(store, [webhook(f"http://127.0.0.1:{free_port()}/", "webhook/old")]) as deliveries:
            happen(store, deliveries, event())
            settled(deliveries, DeliveryState.PENDING)
        with telling(store, []) as deliveries:
            (dead,) = settled(deliveries, DeliveryState.DEAD)
            assert dead.last_error == "the config has no such channel any more"
            with pytest.raises(CannotRetry, match="the config has no channel webhook/old"):
                deliveries.retry(dead.id, "ops")


def test_a_name_that_an_app_sends_cannot_forge_headers_or_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Customers' names are what apps say; the JSON has them as they are."""
    nasty = 'a\r\nX-Forged: 1\n\u202eevil"\x00' + "x" * 1000
    with (
        caplog.at_level(logging.WARNING),
        ledger(tmp_path) as store,
        HttpReceiver() as receiver,
        telling(store, [webhook(receiver.url)]) as deliveries,
    ):
        happen(store, deliveries, event(nasty))
        (received,) = receiver.wait_for(1)
        settled(deliveries, DeliveryState.DELIVERED)
    assert "x-forged" not in received.headers
    assert received.body["scope_value"] == nasty
    assert received.body["text"].isprintable()
    assert [record.getMessage().isprintable() for record in caplog.records if "used up" in record.getMessage()] == [
        True
    ]
    assert json.loads(received.payload)["rule"] == RULE.name
