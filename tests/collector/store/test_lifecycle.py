"""Starting, stopping, crashing: one owner, nothing acknowledged is lost, damage is said and never hidden."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from collector.store import Store, StoreConfig, schema
from collector.store.errors import LedgerDamaged, NotPublished, PathUnusable, SchemaTooNew, StoreLocked
from collector.store.query import query_published
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

VICTIM = """
import sys
from pathlib import Path
from collector.store import Store, StoreConfig
from tests.collector.store.ledger_rows import attribute, batch, call, span
store = Store(StoreConfig(Path(sys.argv[1]), checkpoint_wal_bytes=1 << 20))
store.start()
first = store.position.batch * 1000 + 1
for trace in range(first, first + 1000):
    store.append(batch([call(trace, number, 1) for number in range(2, 10)]), attribute)
    store.append(batch([span(trace, 1, agent=f"agent {trace % 5}")]), attribute)
    print(trace, flush=True)
"""


def start_victim(path: Path) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path)], stdout=subprocess.PIPE, text=True, env=environment, cwd=root
    )


def kill_after(path: Path, acknowledged: int) -> set[int]:
    """Run the victim until it acknowledged some traces, kill it, return all that it acknowledged."""
    with start_victim(path) as victim:
        assert victim.stdout is not None
        seen = {int(victim.stdout.readline()) for _ in range(acknowledged)}
        victim.send_signal(signal.SIGKILL)
        return seen | {int(line) for line in victim.stdout.read().split("\n")[:-1]}


def test_no_acknowledged_span_is_lost_by_kill_9(open_store: OpenStore, ledger_path: Path, reports: list[str]) -> None:
    """Killed three times while it appends; afterwards every acknowledged trace is whole, once, with its owner."""
    acknowledged: set[int] = set()
    for rounds in range(3):
        acknowledged |= kill_after(ledger_path, 3 + 4 * rounds)
    store = open_store()
    rows = store.read(
        lambda reader: reader.rows("SELECT trace_id, count(*), count(agent), sum(cost_usd) FROM calls GROUP BY ALL")
    )
    stored = {int(trace, 16): tuple(rest) for trace, *rest in rows}
    assert {trace: stored.get(trace) for trace in acknowledged} == {
        trace: (8, 8, Decimal("0.1")) for trace in acknowledged
    }
    assert all(count == 8 for count, _, _ in stored.values())
    assert reports == []


def test_an_answer_after_kill_9_is_complete(ledger_path: Path) -> None:
    """No collector runs, the ledger is ahead of its publication: a query publishes first."""
    acknowledged = kill_after(ledger_path, 3)
    count = query_published(ledger_path, "SELECT count(DISTINCT trace_id) FROM calls").column(0)[0].as_py()
    assert count >= len(acknowledged)


def test_a_second_collector_is_refused_and_told_who_holds_the_ledger(open_store: OpenStore, ledger_path: Path) -> None:
    """And the first one is not disturbed."""
    store = open_store()
    with pytest.raises(StoreLocked, match=rf"process {os.getpid()} on .*exporters\.duckdb\.path"):
        Store(StoreConfig(ledger_path, lock_wait_seconds=0)).start()
    store.append(batch([call(1, 1)]), attribute)
    store.stop()
    open_store().stop()


def test_a_newer_ledger_is_refused_and_not_touched(open_store: OpenStore) -> None:
    """The message names both versions; the file keeps every byte."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.stop()
    path = store.layout.ledger
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO _ledger.schema_version VALUES (99, '2030-01-01', '9.0')")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=rf"schema version 99.*understands up to {schema.VERSION}"):
        open_store()
    assert path.read_bytes() == before
    assert not store.layout.wal.exists()


def test_a_log_that_cannot_be_replayed_is_moved_aside_and_the_gap_is_reported(
    open_store: OpenStore, ledger_path: Path, reports: list[str]
) -> None:
    """What the last checkpoint holds is served; how much is missing is said; new spans do not reuse old numbers."""
    kill_after(ledger_path, 2)
    wal = ledger_path.with_name(ledger_path.name + ".live") / "ledger.duckdb.wal"
    damaged = bytearray(wal.read_bytes())
    for at in range(2000, len(damaged), 997):
        damaged[at] ^= 0xFF
    wal.write_bytes(damaged)
    store = open_store()
    assert any("acknowledged spans" in report and "missing" in report for report in reports)
    store.append(batch([span(70_000, 1)]), attribute)
    seqs = store.read(lambda reader: reader.rows("SELECT count(seq), count(DISTINCT seq), max(seq) FROM spans"))[0]
    assert seqs[0] == seqs[1]
    assert seqs[2] == store.position.seq


def test_missing_rows_are_reported_at_start(open_store: OpenStore, reports: list[str]) -> None:
    """The batch ledger says what must be there: spans, their highest number, their cost."""
    store = open_store()
    store.append(batch([call(1, number) for number in range(1, 5)]), attribute)
    store.append(batch([call(2, 1)]), attribute)
    store.append(batch([call(3, 1)]), attribute)
    store.stop()
    with duckdb.connect(str(store.layout.ledger)) as connection:
        connection.execute("DELETE FROM _ledger.segment WHERE first_seq = 6")
        connection.execute("DELETE FROM _ledger.batch WHERE batch = 2")
    open_store()
    text = "\n".join(reports)
    assert "1 of 3 batch rows are missing" in text
    assert "batch rows promise 5 spans up to 6, stored or expired are 5 up to 5" in text


def test_spans_that_are_missing_are_reported_with_their_cost(open_store: OpenStore, reports: list[str]) -> None:
    store = open_store()
    store.append(batch([call(1, number) for number in range(1, 5)]), attribute)
    store.append(batch([call(2, 1)]), attribute)
    store.stop()
    with duckdb.connect(str(store.layout.ledger)) as connection:
        connection.execute("DELETE FROM _ledger.segment WHERE first_seq = 5")
    open_store()
    text = "\n".join(reports)
    assert "batch rows promise 5 spans up to 5, stored or expired are 4 up to 4" in text
    assert "batch rows promise 0.062500000000 USD, stored or expired are 0.050000000000 USD" in text


@pytest.mark.parametrize("damage", ["missing", "shorter", "scrambled"])
def test_a_bad_segment_is_set_aside_and_its_loss_is_said(
    open_store: OpenStore, reports: list[str], damage: str
) -> None:
    """Everything else is served and ingested. When the file is back it counts again; what was sent anew stays once."""
    store = open_store()
    store.append(batch([call(1, number) for number in range(1, 5)]), attribute)
    store.append(batch([call(2, 1)]), attribute)
    store.stop()
    (bad,) = store.layout.segments.glob("1-4-*")
    intact = bad.read_bytes()
    bad.chmod(0o644)
    if damage == "missing":
        bad.unlink()
    else:
        bad.write_bytes(intact[:-100] if damage == "shorter" else b"x" * len(intact))
    store = open_store()
    text = "\n".join(reports)
    assert bad.name in text
    assert "4 spans that cost 0.050000000000 USD, started from 2025-10-09T" in text
    assert "batch rows promise 5 spans up to 5, stored or expired are 1 up to 5" in text
    assert store.append(batch([call(3, 1)]), attribute).accepted == 1
    assert store.read(lambda reader: reader.rows("SELECT count(*) FROM calls")) == [(2,)]
    aside = [path.name for path in (store.layout.folder / "damaged").glob("*")]
    assert aside == ([] if damage == "missing" else [bad.name])
    store.stop()
    bad.write_bytes(intact)
    reports.clear()
    store = open_store()
    assert [report for report in reports if "promise" in report] == []
    assert store.read(lambda reader: reader.rows("SELECT count(*) FROM calls")) == [(6,)]
    assert store.append(batch([call(1, number) for number in range(1, 5)]), attribute).duplicates == 4


def test_a_segment_that_goes_bad_while_running_does_not_stop_ingest(open_store: OpenStore, reports: list[str]) -> None:
    """Found when a resend is compared with it: the resend takes the place of what is lost."""
    store = open_store()
    rows = [call(1, number) for number in range(1, 5)]
    store.append(batch(rows), attribute)
    (bad,) = store.layout.segments.glob("1-4-*")
    bad.unlink()
    assert store.append(batch([*rows, call(1, 9)]), attribute).accepted == 5
    assert any(bad.name in report for report in reports)
    total = "SELECT count(*), sum(cost_usd)::VARCHAR FROM calls"
    assert store.read(lambda reader: reader.rows(total)) == [(5, "0.062500000000")]


def test_a_file_that_is_back_brings_only_what_was_not_sent_again(open_store: OpenStore, reports: list[str]) -> None:
    """Nothing is there twice, and the batch rows add up."""
    store = open_store()
    rows = [call(1, number, 9) for number in range(1, 5)]
    store.append(batch(rows), attribute)
    store.append(batch([span(1, 9, agent="late")]), attribute)
    store.stop()
    (file,) = store.layout.segments.glob("1-4-*")
    intact = file.read_bytes()
    file.unlink()
    store = open_store()
    assert store.read(lambda reader: reader.rows("SELECT count(*) FROM calls")) == [(0,)]
    assert store.append(batch(rows[:3]), attribute).accepted == 3
    store.stop()
    file.write_bytes(intact)
    total = "SELECT count(*), count(DISTINCT span_id), sum(cost_usd)::VARCHAR, min(agent) FROM calls"
    for _ in range(2):
        reports.clear()
        store = open_store()
        assert [report for report in reports if "promise" in report] == []
        assert store.read(lambda reader: reader.rows(total)) == [(4, 4, "0.050000000000", "late")]
        assert store.read(lambda reader: reader.rows("SELECT count(agent) FROM calls")) == [(4,)]
        assert store.append(batch(rows), attribute).duplicates == 4
        store.stop()


def test_the_journal_record_is_known_after_a_restart(open_store: OpenStore) -> None:
    """Also when all of its spans were there already."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute, journal=7)
    store.append(batch([call(1, 1)]), attribute, journal=8)
    assert store.journal == 8
    store.stop()
    assert open_store().journal == 8


def test_a_file_that_no_commit_names_is_removed_at_start(open_store: OpenStore) -> None:
    """A crash between the file and the commit leaves one."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.stop()
    (segment,) = store.layout.segments.iterdir()
    stray = segment.with_name("2-2-stray.parquet")
    stray.write_bytes(segment.read_bytes())
    store = open_store()
    assert [path.name for path in store.layout.segments.iterdir()] == [segment.name]


def test_a_file_that_is_no_ledger_is_refused(open_store: OpenStore) -> None:
    store = open_store()
    store.stop()
    store.layout.ledger.write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerDamaged, match="cannot be opened"):
        open_store()


def test_a_store_can_be_stopped_twice_and_without_start(ledger_path: Path) -> None:
    """Constructors open nothing; stopping is always safe."""
    store = Store(StoreConfig(ledger_path))
    assert not ledger_path.parent.joinpath(ledger_path.name + ".live").exists()
    store.stop()
    store.start()
    store.stop()
    store.stop()


def test_a_ledger_that_does_not_exist_is_said_so(ledger_path: Path) -> None:
    with pytest.raises(NotPublished, match="there is no ledger here"):
        query_published(ledger_path, "SELECT 1")
    assert not ledger_path.exists()


def test_a_file_of_somebody_else_is_never_overwritten(ledger_path: Path) -> None:
    """Publishing replaces the file as a whole, so a path at which something else lies is refused before that."""
    ledger_path.write_bytes(b"a spreadsheet")
    with pytest.raises(PathUnusable, match="would be overwritten"):
        Store(StoreConfig(ledger_path)).start()
    assert ledger_path.read_bytes() == b"a spreadsheet"
    assert [path.name for path in ledger_path.parent.iterdir()] == [ledger_path.name]


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(PathUnusable, match="is a directory"):
        Store(StoreConfig(tmp_path)).start()


def test_a_path_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Whatever the system says: here a parent that is a file."""
    (tmp_path / "file").touch()
    with pytest.raises(PathUnusable, match=r"file/costs.duckdb: no ledger can be kept here: .*Not a directory"):
        Store(StoreConfig(tmp_path / "file" / "costs.duckdb")).start()
