"""kill -9 between a try and its being written down: nothing is lost, and what is told again has the same key."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from collector.budgets.actions import outbox
from collector.budgets.actions.outbox import DeliveryState
from tests.collector.budgets.actions.telling import event, happen, ledger, settled, telling, webhook
from tests.support.http_receiver import HttpReceiver

EVENTS = 3


def child(folder: str, url: str, fatal: int) -> None:
    """Tell of some events; die when that of number `fatal` was told, and is about to be written down."""
    record, tries = outbox.record, 0

    def dying(connection: Any, delivery: outbox.Delivery) -> None:
        nonlocal tries
        tries += 1
        if tries > fatal:
            signal.raise_signal(signal.SIGKILL)
        record(connection, delivery)

    outbox.record = dying
    with ledger(Path(folder)) as store, telling(store, [webhook(url)]) as deliveries:
        happen(store, deliveries, *(event(f"c{number}") for number in range(EVENTS)))
        settled(deliveries, DeliveryState.DELIVERED, EVENTS)


def test_a_kill_between_telling_and_writing_repeats_that_one_only(tmp_path: Path) -> None:
    """For each place at which it may happen."""
    for fatal in range(EVENTS):
        folder = tmp_path / str(fatal)
        folder.mkdir()
        with HttpReceiver() as receiver:
            code = f"from {__name__} import child; child({str(folder)!r}, {receiver.url!r}, {fatal})"
            done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, capture_output=True)
            assert done.returncode == -signal.SIGKILL, done.stderr.decode()
            assert len(receiver.received) == fatal + 1
            with ledger(folder) as store, telling(store, [webhook(receiver.url)]) as deliveries:
                settled(deliveries, DeliveryState.DELIVERED, EVENTS)
            keys = [each.headers["idempotency-key"] for each in receiver.received]
        assert len(keys) == EVENTS + 1
        assert len(set(keys)) == EVENTS
        assert keys[fatal] in keys[fatal + 1 :]
