"""The disk: full, read-only, slow. Senders are told to come back or wait, health says why, nothing is lost."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger, injected, wait_for, wait_until_applied
from tests.support.collector_process import CollectorProcess


def test_a_full_disk_is_refused_retryably_and_left_behind_when_there_is_room(ledger: Ledger) -> None:
    """The kernel's limit on file size stands in for the disk; it is set and lifted from outside."""
    ledger.send(*range(1, 50))
    process = ledger.collector.process_id
    hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, hard))
    refused = ledger.send(*range(50, 100)) + ledger.send(*range(100, 120), transport="grpc")
    assert 503 in {answer.status for answer in refused}
    assert {answer.status for answer in refused} <= {200, 503}
    assert "File too large" in ledger.collector.why_unhealthy()
    status = ledger.collector.command("status", "--config", str(ledger.collector.config_file))
    assert status.returncode == 1
    assert "File too large" in status.stdout
    resource.prlimit(process, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: {answer.status for answer in ledger.send(200)} == {200}, "spans are taken again")
    assert {answer.status for answer in ledger.send(*range(50, 200))} == {200}
    wait_until_applied(ledger.collector)
    assert ledger.collector.health() == 200
    assert "spans are refused, senders are told to come back" in ledger.collector.log
    assert "Traceback" not in ledger.collector.log
    assert ledger.collector.stop() == 0
    ledger.check()


def test_a_nearly_full_disk_is_known_before_anybody_sends(tmp_path: Path) -> None:
    """Health says so at once and is well again as soon as there is room, without a request to show it."""
    with injected(tmp_path) as collector:
        ledger = Ledger(collector)
        assert ledger.send(1)[0].status == 200
        (tmp_path / "free_bytes").write_text(str(100 << 20))
        assert collector.health() == 503
        assert collector.why_unhealthy().startswith("spans are refused: ")
        assert "100 MiB of disk left, nothing is accepted" in collector.why_unhealthy()
        assert {answer.status for answer in ledger.send(2) + ledger.send(3, transport="grpc")} == {503}
        assert collector.metric('otel_cost_requests_refused_total{reason="store"}') == 2
        (tmp_path / "free_bytes").unlink()
        wait_for(lambda: ledger.send(2)[0].status == 200, "spans are taken again")
        wait_until_applied(collector)
        assert collector.health() == 200
        assert collector.stop() == 0
    ledger.check()


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Nobody may write there for a while."""
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_folder_that_becomes_read_only_holds_up_the_ledger_and_nothing_else(tmp_path: Path) -> None:
    """The journal's file is open, so spans are taken on; they wait in it, and health says why. A `kill -9` there, and a
    start that finds the folder read-only still, change nothing."""
    with injected(tmp_path) as collector:
        ledger = Ledger(collector)
        ledger.send(*range(1, 20))
        wait_until_applied(collector)
        with read_only(collector.live, collector.live / "segments"):
            assert {answer.status for answer in ledger.send(*range(20, 40))} == {200}
            wait_for(lambda: "Permission denied" in collector.why_unhealthy(), "health says why")
            assert collector.why_unhealthy().startswith("acknowledged spans wait in the journal: ")
            assert "acknowledged spans wait in the journal, will keep trying" in collector.log
        wait_until_applied(collector)
        assert collector.health() == 200
        assert "acknowledged spans reach the ledger again" in collector.log
        with read_only(collector.live, collector.live / "segments"):
            assert {answer.status for answer in ledger.send(*range(40, 60))} == {200}
            collector.kill()
            collector.spawn()
            assert collector.wait() == 1
            assert "otel-cost: cannot start" in collector.log
            assert "Traceback" not in collector.log
        waiting = collector.command("doctor", str(collector.database))
        assert "acknowledged requests wait in the journal" in waiting.stdout
        collector.spawn()
        collector.wait_until_ready()
        assert collector.stop() == 0
    ledger.check()


def test_a_folder_that_is_read_only_from_the_start_is_said_in_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    collector = injected(tmp_path, database=place / "otel-cost.duckdb")
    with read_only(place):
        collector.spawn()
        assert collector.wait() == 1
    assert f"cannot start: {place}" in collector.log
    assert "Traceback" not in collector.log


@pytest.mark.parametrize("place", ["/proc/otel-cost.duckdb", "/dev/null/otel-cost.duckdb"])
def test_a_place_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path, place: str) -> None:
    collector = CollectorProcess(tmp_path, database=Path(place))
    collector.spawn()
    assert collector.wait() == 1
    assert place in collector.log
    assert "Traceback" not in collector.log


def test_a_slow_disk_slows_acknowledgements_down_and_then_refuses_some(tmp_path: Path) -> None:
    """Each sync takes a second. Beyond four requests of nearly a megabyte that wait senders are told to come back."""
    with injected(tmp_path, most_mib=1) as collector:
        ledger = Ledger(collector)
        (tmp_path / "sync_seconds").write_text("1")
        statuses = [answer.status for answer in ledger.send(*range(1, 25), clients=24, padding_bytes=900_000)]
        assert set(statuses) == {200, 503}
        assert collector.metric('otel_cost_requests_refused_total{reason="queue_full"}') == statuses.count(503)
        assert "too much waits to be stored" in collector.log
        (tmp_path / "sync_seconds").unlink()
        wait_for(lambda: {answer.status for answer in ledger.send(*range(1, 25))} == {200}, "all are taken")
        assert collector.health() == 200
        assert collector.stop() == 0
    ledger.check()
