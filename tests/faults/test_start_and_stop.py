"""Starts and ends at bad moments and in odd places."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from collector.store.query import query_published
from tests.crash.sender import HttpTransport
from tests.faults.ledger import Ledger, injected, soak, wait_for, wait_until_applied
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls


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


def test_a_symbolic_link_is_no_way_around_the_lock(ledger: Ledger, tmp_path: Path) -> None:
    """Neither to the folder of the ledger nor to the published file, which is not overwritten either."""
    ledger.send(1)
    wait_until_applied(ledger.collector)
    wait_for(ledger.collector.database.exists, "the ledger is published")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "folder").symlink_to(tmp_path)
    (tmp_path / "other" / "link.duckdb").symlink_to(ledger.collector.database)
    for name, why in (("folder/otel-cost.duckdb", "another collector holds this ledger"), ("link.duckdb", "Move it")):
        second = CollectorProcess(tmp_path / "other", database=tmp_path / "other" / name)
        second.spawn()
        assert second.wait() == 1
        assert why in second.log
        assert "Traceback" not in second.log
    assert ledger.send(2)[0].status == 200
    assert ledger.collector.stop() == 0
    ledger.check()


def test_a_lock_file_that_was_left_behind_is_no_lock(tmp_path: Path) -> None:
    """It names a process that is gone, or one that is something else today."""
    collector = CollectorProcess(tmp_path)
    collector.live.mkdir()
    (collector.live / "lock").write_text(f"process {os.getpid()} on a machine that is gone\n")
    with collector:
        ledger = Ledger(collector)
        assert ledger.send(1)[0].status == 200
        assert collector.stop() == 0
        assert collector.log.endswith("stopping: storing what waits (again to end at once)\n")
    ledger.check()


@pytest.mark.parametrize("kills", [3, soak(60)])
def test_killed_at_any_moment_of_its_start_it_starts_the_next_time(tmp_path: Path, kills: int) -> None:
    """With acknowledged spans in the journal, which each of the starts begins to apply."""
    chance = Random(5)
    with CollectorProcess(tmp_path) as collector:
        ledger = Ledger(collector)
        assert {answer.status for answer in ledger.send(*range(1, 60))} == {200}
        collector.kill()
        for _ in range(kills):
            collector.spawn()
            time.sleep(chance.uniform(0.2, 1.4))
            collector.kill()
        collector.spawn()
        collector.wait_until_ready()
        assert collector.stop() == 0
    ledger.check()


@pytest.mark.parametrize("count", [200, soak(2_500)])
def test_a_stop_amid_the_replay_of_a_long_journal_leaves_the_rest_to_the_next_start(tmp_path: Path, count: int) -> None:
    """Nothing could be applied, then the collector was killed; the next one is told to end as soon as it listens. The
    longer one is four fifths of what may wait to be applied before senders are told to come back."""
    with injected(tmp_path) as collector:
        ledger = Ledger(collector)
        segments = collector.live / "segments"
        segments.chmod(0o555)
        assert {answer.status for answer in ledger.send(*range(1, count), clients=16)} == {200}
        collector.kill()
        collector.spawn()
        collector.wait_until_it_answers()  # it may have found already that nothing can be applied
        assert collector.stop() == 0
        segments.chmod(0o755)
        for _ in range(2):
            collector.spawn()
            collector.wait_until_ready()
            assert collector.stop() == 0
    ledger.check()


def test_a_collector_that_stands_still_longer_than_senders_wait_stores_each_span_once(ledger: Ledger) -> None:
    """SIGSTOP; every sender gives up and sends again after SIGCONT."""
    collector = ledger.collector
    ledger.send(1)
    bodies = {number: plain_calls(number)[0].SerializeToString() for number in range(2, 12)}
    collector.signal(signal.SIGSTOP)
    for body in bodies.values():
        impatient = HttpTransport(collector.http_port, answer_seconds=0.1)
        assert "timed out" in impatient.send(body)
        impatient.close()
    collector.signal(signal.SIGCONT)
    assert {answer.status for answer in ledger.send(*bodies)} == {200}
    assert collector.stop() == 0
    ledger.check()


def test_a_journal_stays_with_its_ledger_when_the_config_names_another_place(tmp_path: Path) -> None:
    """What was acknowledged at the old place is applied there by the next collector at that place, and `doctor` says so
    until then; the new place begins empty."""
    (tmp_path / "new").mkdir()
    with injected(tmp_path) as collector:
        ledger = Ledger(collector)
        (collector.live / "segments").chmod(0o555)
        assert {answer.status for answer in ledger.send(*range(1, 20))} == {200}
        collector.kill()
        (collector.live / "segments").chmod(0o755)
        with CollectorProcess(tmp_path / "new") as other:
            elsewhere = Ledger(other)
            assert elsewhere.send(100)[0].status == 200
            assert other.stop() == 0
        elsewhere.check()
        calls = query_published(other.database, "SELECT count(*) AS n FROM calls").to_pylist()[0]["n"]
        assert calls == len(elsewhere.costs)
        found = collector.command("doctor", str(collector.database))
        assert "19 acknowledged requests wait in the journal" in found.stdout
        collector.spawn()
        collector.wait_until_ready()
        assert collector.stop() == 0
    ledger.check()
