"""Files that are not as they were written: each is named, none is overwritten, and what is whole goes on."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from collector.journal.logfile import files_in
from collector.journal.record import HEADER_BYTES
from collector.store.query import query_published
from tests.faults.ledger import Ledger, injected, soak, wait_for, wait_until_applied
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls


@pytest.mark.parametrize("damage", [soak("header"), soak("cut"), "garbage"])
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


@pytest.mark.parametrize("damage", ["cut", soak("flipped"), soak("gone")])
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


def test_a_log_lost_after_the_journal_has_forgotten_loses_nothing(ledger: Ledger) -> None:
    """Each time the journal has deleted a file, the process is killed and the log is removed: what was let go of is in
    a checkpoint, with every file that the checkpoint names, and all that followed is in the journal."""
    live = ledger.collector.database.with_name(ledger.collector.database.name + ".live")
    number = 0
    for _ in range(2):
        files: set[str] = set()
        while True:
            ledger.send(*range(number + 1, number + 51), padding_bytes=800_000)
            number += 50
            left = {path.name for path in files_in(live / "journal")}
            if files - left:
                break
            files |= left
        ledger.collector.kill()
        (live / "ledger.duckdb.wal").unlink(missing_ok=True)
        ledger.collector.spawn()
        ledger.collector.wait_until_ready()
    question = "SELECT count(*) AS calls FROM calls"
    wait_for(
        lambda: query_published(ledger.collector.database, question).to_pylist() == [{"calls": len(ledger.costs)}],
        "the journal is replayed",
    )
    assert ledger.collector.stop() == 0
    ledger.check()
    assert not list((live / "journal").iterdir())


@pytest.mark.parametrize("damage", [soak("cut"), "flipped", soak("gone")])
def test_a_damaged_file_of_spans_is_set_aside_until_an_intact_copy_is_back(tmp_path: Path, damage: str) -> None:
    """Everything else goes on without it; `doctor` names it; with the copy in its place every span counts again."""
    with CollectorProcess(tmp_path) as collector:
        ledger = Ledger(collector)
        ledger.send(*range(1, 30))
        wait_until_applied(collector)
        assert collector.stop() == 0
        file = max((collector.live / "segments").iterdir(), key=lambda path: path.stat().st_size)
        whole = file.read_bytes()
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(whole[:-100] if damage == "cut" else Random(1).randbytes(len(whole)))
        found = collector.command("doctor", str(collector.database))
        assert found.returncode == 1
        assert file.name in found.stdout
        collector.spawn()
        collector.wait_until_ready()
        assert file.name in collector.log
        assert {answer.status for answer in ledger.send(*range(30, 40))} == {200}
        assert collector.stop() == 0
        found = collector.command("doctor", str(collector.database))
        assert found.returncode == 1
        assert f"{file.name} was lost" in found.stdout
        file.write_bytes(whole)
        collector.spawn()
        collector.wait_until_ready()
        assert collector.stop() == 0
        assert "spans count again" in collector.log
        assert "Traceback" not in collector.log
        assert collector.command("doctor", str(collector.database)).returncode == 0
    ledger.check()


def test_a_damaged_published_file_is_replaced_by_the_next_publication(ledger: Ledger) -> None:
    """While the collector runs and while it does not; nothing reads it but reports."""
    collector = ledger.collector
    ledger.send(*range(1, 10))
    wait_until_applied(collector)
    wait_for(collector.database.exists, "the ledger is published")
    collector.database.write_bytes(b"damaged")
    ledger.send(*range(10, 20))
    wait_for(lambda: collector.database.stat().st_size > 100, "it is published again")
    assert collector.stop() == 0
    ledger.check()
    collector.database.write_bytes(b"damaged")
    found = collector.command("doctor", str(collector.database))
    assert found.returncode == 1
    assert "the published file cannot be read" in found.stdout
    collector.spawn()
    collector.wait_until_ready()
    assert collector.stop() == 0
    ledger.check()


def test_a_damaged_journal_costs_what_the_damage_hits_and_is_kept(tmp_path: Path) -> None:
    """Only what was not in the ledger yet can be hit: here the second of forty requests, by a changed byte in it."""
    with injected(tmp_path) as collector:
        ledger = Ledger(collector)
        segments = collector.live / "segments"
        segments.chmod(0o555)
        assert {answer.status for answer in ledger.send(*range(1, 41), clients=1)} == {200}
        collector.kill()
        segments.chmod(0o755)
        (file,) = files_in(collector.live / "journal")
        whole = bytearray(file.read_bytes())
        lost, costs = plain_calls(2)
        body = lost.SerializeToString()
        whole[whole.index(body) + len(body) // 2] ^= 1
        file.write_bytes(whole)
        assert whole.index(body[:20]) > HEADER_BYTES
        found = collector.command("doctor", str(collector.database))
        assert found.returncode == 1
        assert "the journal is damaged in 1 places" in found.stdout
        collector.spawn()
        collector.wait_until_ready()
        wait_until_applied(collector)
        assert collector.stop() == 0
        assert "requests in them are lost, those before and behind are not" in collector.log
        assert file.with_suffix(".damaged").read_bytes() == whole
    for span_id in costs:
        del ledger.costs[span_id]
    ledger.check()


def test_a_request_that_no_stage_digests_is_kept_until_a_repaired_version_takes_it(tmp_path: Path) -> None:
    """Also when the quarantine cannot be written for a while: it waits in the journal."""
    with injected(tmp_path) as collector:
        ledger = Ledger(collector)
        (tmp_path / "poison").touch()
        quarantine = collector.live / "quarantine"
        quarantine.mkdir()
        quarantine.chmod(0o555)
        assert ledger.send(1)[0].status == 200
        wait_for(lambda: str(quarantine) in collector.why_unhealthy(), "health says why")
        quarantine.chmod(0o755)
        wait_for(lambda: collector.metric("otel_cost_quarantined_requests") == 1, "it is put aside")
        (tmp_path / "poison").unlink()
        assert ledger.send(2)[0].status == 200
        wait_until_applied(collector)
        assert collector.health() == 200
        assert collector.stop() == 0
    found = collector.command("doctor", str(collector.database))
    assert "1 acknowledged requests could not be digested" in found.stdout
    (request,) = quarantine.glob("*.pb")
    assert collector.command("import", str(request), "--db", str(collector.database)).returncode == 0
    ledger.check()
