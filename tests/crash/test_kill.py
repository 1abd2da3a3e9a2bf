"""`kill -9` under load: nothing acknowledged is missing, nothing is there twice, the money is exact."""

from __future__ import annotations

import random
import time
from pathlib import Path
from threading import Event

import pytest

from collector.store.query import query_published
from tests.crash.sender import GrpcTransport, HttpTransport, Sender, Transport
from tests.support.collector_process import CollectorProcess

LONGEST_LIFE_SECONDS = 1.5
SENDER_END_SECONDS = 60.0


@pytest.mark.parametrize(
    ("kills", "seed"),
    [(3, 1), pytest.param(20, 2, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_killed_at_random_every_acknowledged_span_is_there_once(tmp_path: Path, kills: int, seed: int) -> None:
    """Four clients over gRPC and HTTP resend what was not acknowledged; the ledger's total equals theirs."""
    chance, enough = random.Random(seed), Event()
    senders: list[Sender] = []
    try:
        with CollectorProcess(tmp_path) as collector:
            transports: list[Transport] = [GrpcTransport(collector.grpc_port), HttpTransport(collector.http_port)]
            transports += [GrpcTransport(collector.grpc_port), HttpTransport(collector.http_port)]
            for number, transport in enumerate(transports, start=1):
                senders.append(Sender(number, transport, enough, random.Random(f"{seed}/{number}")))
                senders[-1].thread.start()
            for turn in range(kills):
                time.sleep(chance.uniform(0.0, LONGEST_LIFE_SECONDS))
                collector.kill()
                collector.spawn()
                if turn % 4:  # every fourth time it is killed while it starts
                    collector.wait_until_ready()
            collector.wait_until_ready()
            time.sleep(LONGEST_LIFE_SECONDS)
            enough.set()
            for sender in senders:
                sender.thread.join(SENDER_END_SECONDS)
                assert not sender.thread.is_alive(), f"sender {sender.number} is stuck: {sender.problem}"
    finally:
        enough.set()
        for sender in senders:
            sender.abandoned.set()
    assert sum(sender.resent for sender in senders) > 0, "no kill hit a request: the test proves nothing"
    _compare(collector, senders)


def _compare(collector: CollectorProcess, senders: list[Sender]) -> None:
    expected = {span_id: cost for sender in senders for span_id, cost in sender.acknowledged.items()}
    rows = query_published(
        collector.database, "SELECT span_id, CAST(cost_usd * 1000000000000 AS BIGINT) AS pico_usd FROM calls"
    ).to_pylist()
    found = [row["span_id"] for row in rows]
    assert len(expected) > 100
    assert sorted(set(expected) - set(found)) == [], "acknowledged and lost"
    assert len(found) == len(set(found)), "stored twice"
    assert {row["span_id"]: row["pico_usd"] for row in rows} == expected
    stored = query_published(collector.database, "SELECT count(*) AS spans FROM spans").to_pylist()
    assert stored == [{"spans": len(expected)}]
