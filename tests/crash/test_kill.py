"""`kill -9` under load: nothing acknowledged is missing, nothing is there twice, the money and its owner are right.

The load reopens every trace several times, so that kills hit verdicts on their way from one form to the next.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from collector.cli.importing import Importer
from collector.store.query import query_published
from tests.crash.sender import GrpcTransport, HttpTransport, Sender, Transport
from tests.crash.workload import Counted, Part
from tests.faults.ledger import wait_for
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls
from tests.support.wire import varint

CLIENTS = 16
"""A kill hits one request of each; a commit costs the same for all of them as for one."""
LONGEST_LIFE_SECONDS = 1.5
SENDER_END_SECONDS = 180.0
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Storm:
    """What clients do beside sending each request until it is acknowledged."""

    copies: int = 0  # of each request, sent later and in another order
    pause_seconds: float = 0.0  # after each request, so that a long run ends with a ledger that can be compared


@pytest.mark.parametrize(
    ("kills", "seed", "storm"),
    [
        (2, 1, Storm()),
        pytest.param(200, 2, Storm(4, 0.1), marks=[pytest.mark.soak, pytest.mark.timeout(2400)]),
    ],
)
def test_killed_at_random_every_acknowledged_span_is_there_once(
    tmp_path: Path, kills: int, seed: int, storm: Storm
) -> None:
    """Clients over gRPC and HTTP resend what was not acknowledged, and in a storm all the rest too; the ledger says
    what theirs add up to, and what one undisturbed load of the same requests says."""
    chance, enough = random.Random(seed), Event()
    senders: list[Sender] = []
    try:
        with CollectorProcess(tmp_path) as collector:
            for number in range(1, CLIENTS + 1):
                transport: Transport = GrpcTransport(collector.grpc_port)
                if number % 2:
                    transport = HttpTransport(collector.http_port)
                chance_of_sender = random.Random(f"{seed}/{number}")
                senders.append(Sender(number, transport, enough, chance_of_sender, storm.copies, storm.pause_seconds))
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
            # A stop leaves what it has no time to apply to the next start; what is compared here is the ledger.
            wait_for(lambda: collector.metric("otel_cost_apply_lag_seconds") == 0, "the ledger has everything")
    finally:
        enough.set()
        for sender in senders:
            sender.abandoned.set()
    assert sum(sender.resent for sender in senders) > 0, "no kill hit a request: the test proves nothing"
    acknowledged = [part for sender in senders for part in sender.acknowledged]
    _holds_each_span_once(collector.database, acknowledged)
    _counts_each_call_once(collector.database, acknowledged)
    _equals_an_undisturbed_load(collector.database, acknowledged, tmp_path / "undisturbed")


def test_what_was_acknowledged_a_moment_before_the_kill_is_there(tmp_path: Path) -> None:
    """Nobody sends anything again: an acknowledgement is a promise, whether or not the ledger has the spans by then."""
    costs: dict[str, int] = {}
    with CollectorProcess(tmp_path) as collector:
        for turn in range(3):
            transport = GrpcTransport(collector.grpc_port) if turn % 2 else HttpTransport(collector.http_port)
            for number in range(turn * 20 + 1, turn * 20 + 21):
                request, added = plain_calls(number)
                assert transport.send(request.SerializeToString()) == ""
                costs.update(added)
            collector.kill()
            transport.close()
            collector.spawn()
            collector.wait_until_ready()
    rows = query_published(
        collector.database, "SELECT span_id, CAST(cost_usd * 1000000000000 AS BIGINT) AS pico_usd FROM calls"
    ).to_pylist()
    assert {row["span_id"]: row["pico_usd"] for row in rows} == costs
    assert len(rows) == len(costs)
    assert not list((tmp_path / "otel-cost.duckdb.live" / "journal").iterdir()), "applied, and still kept"


def _holds_each_span_once(ledger: Path, parts: list[Part]) -> None:
    expected = {span_id for part in parts for span_id in part.span_ids}
    found = query_published(ledger, "SELECT span_id FROM spans").column("span_id").to_pylist()
    assert len(expected) > 100
    assert sorted(expected - set(found)) == [], "acknowledged and lost"
    assert [span_id for span_id, times in Counter(found).items() if times > 1] == [], "stored twice"
    assert set(found) == expected


def _counts_each_call_once(ledger: Path, parts: list[Part]) -> None:
    expected = {response_id: counted for part in parts for response_id, counted in part.counted.items()}
    rows = query_published(
        ledger,
        "SELECT response_id, CAST(cost_usd * 1000000000000 AS BIGINT) AS pico_usd, agent, customer FROM calls",
    ).to_pylist()
    found = {row["response_id"]: Counted(row["pico_usd"], row["agent"], row["customer"]) for row in rows}
    times = Counter(row["response_id"] for row in rows)
    assert [response_id for response_id, count in times.items() if count > 1] == [], "counted twice"
    assert sorted(set(expected) - set(found)) == [], "not counted"
    assert found == expected
    assert sum(row["pico_usd"] for row in rows) == sum(counted.cost_pico_usd for counted in expected.values())


def _equals_an_undisturbed_load(ledger: Path, parts: list[Part], folder: Path) -> None:
    """Nothing that the ledger says of a call, counted or not, depends on how and when its trace arrived."""
    folder.mkdir()
    file, fresh = folder / "requests.binpb", folder / "otel-cost.duckdb"
    bodies = [part.body for part in sorted(parts, key=lambda part: part.place)]
    file.write_bytes(b"".join(varint(len(body)) + body for body in bodies))
    importer = Importer(fresh)
    importer.start()
    try:
        importer.take(file, lambda *_: None)
    finally:
        importer.stop()
    assert importer.tally.problems == []
    assert importer.tally.requests == len(parts)
    times = "epoch_ns(start_time) AS start_time, epoch_ns(end_time) AS end_time"
    for view in ("calls", "attempts"):
        question = f"SELECT * EXCLUDE (seq) REPLACE ({times}) FROM {view} ORDER BY trace_id, span_id"
        found, expected = (query_published(path, question) for path in (ledger, fresh))
        assert found.num_rows == expected.num_rows, view
        for start in range(0, found.num_rows, ROWS_AT_ONCE):
            some = (table.slice(start, ROWS_AT_ONCE).to_pylist() for table in (found, expected))
            different = [pair for pair in zip(*some, strict=True) if pair[0] != pair[1]]
            assert different[:3] == [], f"rows of {view} differ"
