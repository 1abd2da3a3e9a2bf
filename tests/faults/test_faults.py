"""What goes wrong on machines, done to a running collector: one outcome each, and no acknowledged span is lost."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from collector.store.query import query_published
from tests.faults.clients import Answer, Sent, send_all
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls

WAIT_SECONDS = 60.0


class Ledger:
    """What was acknowledged, and whether it is there."""

    def __init__(self, collector: CollectorProcess) -> None:
        self.collector = collector
        self.costs: dict[str, int] = {}

    def send(self, *numbers: int, transport: str = "http", clients: int = 4) -> list[Answer]:
        """The requests with these numbers; what is acknowledged is remembered."""
        sent = {request.SerializeToString(): costs for request, costs in map(plain_calls, numbers)}
        answers: list[Answer] = []

        def check(request: Sent, answer: Answer) -> None:
            answers.append(answer)
            if answer.status == 200:
                self.costs.update(sent[request.body])

        port = self.collector.http_port if transport == "http" else self.collector.grpc_port
        send_all((Sent(body, "", body) for body in sent), transport, port, check, clients)
        return answers

    def check(self) -> None:
        """After a stop: every acknowledged span once, with its cost to the pico-dollar."""
        question = "SELECT span_id, CAST(cost_usd * 1000000000000 AS BIGINT) AS pico_usd FROM calls"
        rows = query_published(self.collector.database, question).to_pylist()
        assert len(rows) == len({row["span_id"] for row in rows}), "stored twice"
        found = {row["span_id"]: row["pico_usd"] for row in rows}
        assert {span_id: found.get(span_id) for span_id in self.costs} == self.costs


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with CollectorProcess(tmp_path) as collector:
        yield Ledger(collector)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until it holds."""
    deadline_seconds = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline_seconds, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.02)


def test_a_full_disk_is_refused_retryably_and_left_behind_when_there_is_room(ledger: Ledger) -> None:
    """The kernel's limit on file size stands in for the disk; it is set and lifted from outside."""
    ledger.send(*range(1, 50))
    process = ledger.collector.process_id
    hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, hard))
    refused = ledger.send(*range(50, 100)) + ledger.send(*range(100, 120), transport="grpc")
    assert 503 in {answer.status for answer in refused}
    assert {answer.status for answer in refused} <= {200, 503}
    resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: {answer.status for answer in ledger.send(200)} == {200}, "spans are taken again")
    assert {answer.status for answer in ledger.send(*range(50, 200))} == {200}
    assert ledger.collector.stop() == 0
    ledger.check()


def test_memory_that_runs_out_costs_a_refusal_and_not_the_collector(ledger: Ledger) -> None:
    """The address space is cut to little more than is in use, then lifted."""
    ledger.send(*range(1, 50))
    process = ledger.collector.process_id
    hard = resource.prlimit(process, resource.RLIMIT_AS)[1]
    resource.prlimit(process, resource.RLIMIT_AS, (ledger.collector.virtual_bytes() + (8 << 20), hard))
    statuses = {answer.status for answer in ledger.send(*range(50, 450), clients=16)}
    assert statuses <= {200, 503}
    resource.prlimit(process, resource.RLIMIT_AS, (hard, hard))
    wait_for(lambda: {answer.status for answer in ledger.send(*range(50, 450))} == {200}, "spans are taken again")
    assert ledger.collector.stop() == 0
    ledger.check()


def test_each_batch_five_times_in_any_order_across_restarts_counts_once(tmp_path: Path) -> None:
    """A storm of resends over both transports, with `kill -9` and clean ends in between."""
    chance = Random(7)
    storm = [number for number in range(1, 120) for _ in range(5)]
    chance.shuffle(storm)
    with CollectorProcess(tmp_path) as collector:
        ledger = Ledger(collector)
        for turn, start in enumerate(range(0, len(storm), 60)):
            for transport in ("grpc", "http"):
                half = storm[start : start + 60][transport == "grpc" :: 2]
                assert {answer.status for answer in ledger.send(*half, transport=transport)} == {200}
            if turn % 3 != 2:
                collector.kill() if turn % 2 else collector.stop()
                collector.spawn()
                collector.wait_until_ready()
        assert collector.stop() == 0
    ledger.check()
    total = query_published(collector.database, "SELECT count(*) AS spans, sum(cost_usd) AS usd FROM calls").to_pylist()
    assert total[0]["spans"] == len(ledger.costs)
    assert int(total[0]["usd"] * 10**12) == sum(ledger.costs.values())


def test_a_second_collector_on_the_ledger_is_refused_and_the_first_goes_on(ledger: Ledger, tmp_path: Path) -> None:
    ledger.send(1)
    (tmp_path / "second").mkdir()
    second = CollectorProcess(tmp_path / "second", database=ledger.collector.database)
    second.spawn()
    assert second.wait() == 1
    assert str(ledger.collector.process_id) in second.log
    assert "Traceback" not in second.log
    assert ledger.send(2)[0].status == 200
    assert ledger.collector.stop() == 0
    ledger.check()


@pytest.mark.parametrize("place", ["/proc/otel-cost.duckdb", "/dev/null/otel-cost.duckdb"])
def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path, place: str) -> None:
    collector = CollectorProcess(tmp_path, database=Path(place))
    collector.spawn()
    assert collector.wait() == 1
    assert place in collector.log
    assert "Traceback" not in collector.log


def test_clocks_that_jump_cost_no_span_that_a_clock_can_show(ledger: Ledger) -> None:
    """Spans from 1970, from 2262, of negative length, and of now are stored, and their resends recognised; times beyond
    that are refused one by one, and the sender is told."""
    request, costs = plain_calls(1)
    spans = request.resource_spans[0].scope_spans[0].spans
    times = (0, 1, 2**63 - 2, spans[0].start_time_unix_nano, 2**63 - 1, 2**64 - 1)
    for place, span in enumerate(spans):
        start_ns = times[place % len(times)]
        span.start_time_unix_nano, span.end_time_unix_nano = start_ns, max(0, start_ns - 10**9)
    kept = [span.span_id.hex() for span in spans if span.start_time_unix_nano < 2**63 - 1]
    assert 0 < len(kept) < len(spans)
    body = request.SerializeToString()
    answers: list[Answer] = []
    for transport, port in (("http", ledger.collector.http_port), ("grpc", ledger.collector.grpc_port)):
        send_all(iter([Sent(body, "", body)]), transport, port, lambda _, answer: answers.append(answer), 1)
    assert answers == [Answer(200, len(costs) - len(kept))] * 2
    ledger.send(*range(2, 20))
    assert ledger.collector.stop() == 0
    found = query_published(ledger.collector.database, "SELECT span_id FROM spans").column("span_id").to_pylist()
    assert sorted(found) == sorted([*kept, *ledger.costs])
    report = [sys.executable, "-m", "collector", "report", "--by", "day", "--db", str(ledger.collector.database)]
    done = subprocess.run(report, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("damage", ["header", "cut", "garbage"])
def test_a_damaged_manifest_is_named_and_never_overwritten(tmp_path: Path, damage: str) -> None:
    with CollectorProcess(tmp_path) as collector:
        ledger = Ledger(collector)
        ledger.send(*range(1, 30))
        assert collector.stop() == 0
        file = tmp_path / "otel-cost.duckdb.live" / "ledger.duckdb"
        whole = file.read_bytes()
        broken = {"header": bytes(8192) + whole[8192:], "cut": whole[:5000], "garbage": Random(1).randbytes(len(whole))}
        file.write_bytes(broken[damage])
        collector.spawn()
        assert collector.wait() == 1
        assert str(file) in collector.log
        assert "Traceback" not in collector.log
        assert file.read_bytes() == broken[damage]
        file.write_bytes(whole)
        collector.spawn()
        collector.wait_until_ready()
        ledger.send(*range(30, 40))
        assert collector.stop() == 0
    ledger.check()


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_log_of_the_manifest_loses_nothing(tmp_path: Path, damage: str) -> None:
    """The segments that its lost transactions named are still there: they are taken in again."""
    with CollectorProcess(tmp_path) as collector:
        ledger = Ledger(collector)
        for first in range(1, 100, 20):
            ledger.send(*range(first, first + 20))
        log = tmp_path / "otel-cost.duckdb.live" / "ledger.duckdb.wal"
        wait_for(lambda: log.exists() and log.stat().st_size > 4096, "a transaction is in the log")
        collector.kill()
        whole = log.read_bytes()
        middle = len(whole) // 2
        if damage == "gone":
            log.unlink()
        else:
            flipped = whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1 :]
            log.write_bytes(whole[:middle] if damage == "cut" else flipped)
        collector.spawn()
        collector.wait_until_ready()
        ledger.send(*range(100, 120))
        assert collector.stop() == 0
    ledger.check()
