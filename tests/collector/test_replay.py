"""What a start finds in the journal, after crashes and losses of every kind, ends in the ledger once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from collector.applier import ApplierConfig
from collector.decode.columns import CallColumns, SpanBatch
from collector.journal.attempts import DEATHS, HOPELESS
from collector.normalise import normalise_columns
from collector.store import append as appending
from collector.store.append import Committed, Ledger
from collector.store.attribution import Attribute
from tests.collector.applying import POISON, Collector, crash_with, request, running


def test_the_journal_keeps_what_only_the_log_of_the_manifest_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is let go once a checkpoint has it, so the loss of the log, at any time later, costs nothing."""
    monkeypatch.setattr("collector.store.store._CHECKPOINT_SECONDS", 3600.0)
    expected = [span_id for number in range(1, 7) for span_id in request(number)[1]]
    with running(Collector(tmp_path, ApplierConfig(group_spans=1))) as collector:
        for number in range(1, 4):
            collector.send(request(number)[0])
        collector.settle()
        assert collector.store._writer.submit(collector.store._settle).result()
        assert collector.store.settled(3) == 3
        for number in range(4, 7):
            collector.send(request(number)[0])
        collector.settle()
        assert [record.number for record in collector.journal.load(4, 6)] == [4, 5, 6]
        assert not list(collector.journal.load(1, 3))
        shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("copy"))
    (live,) = (tmp_path / "copy").glob("*.live")
    (live / "ledger.duckdb.wal").unlink()
    with running(Collector(tmp_path / "copy")) as collector:
        collector.settle()
        assert sorted(collector.span_ids()) == sorted(expected)
        assert list((live / "damaged").glob("*.parquet")), "segments of lost transactions are kept"


def test_a_request_that_kills_the_process_is_found_and_put_aside(tmp_path: Path) -> None:
    """Each start dies in it; the notes of the deaths narrow it down, and the rest is applied."""
    numbers = range(1, 8)
    crash_with(tmp_path, *(request(number, poisonous=number == 5)[0] for number in numbers))
    script = "from tests.collector.test_replay import replay_that_dies; replay_that_dies()"
    codes = []
    for _ in range(12):
        codes.append(subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60).returncode)
        if codes[-1] == 0:
            break
    assert codes == [9] * (len(codes) - 1) + [0]
    assert DEATHS < len(codes) <= HOPELESS + 2
    with running(Collector(tmp_path)) as collector:
        expected = [span_id for number in numbers if number != 5 for span_id in request(number)[1]]
        assert collector.span_ids() == expected
        (kept,) = collector.quarantine.glob("*.pb")
        assert kept.read_bytes() == request(5, poisonous=True)[0].body
        assert "died" in json.loads(kept.with_suffix(".json").read_text())["reason"]


def replay_that_dies() -> None:
    """A process of its own: one kind of span ends it, as a fault of a native library would."""

    def dying(batch: SpanBatch) -> CallColumns:
        if POISON in batch.spans.column("name").to_pylist():
            os._exit(9)
        return normalise_columns(batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("collector.pipeline.normalise_columns", dying)
        with running(Collector(Path(sys.argv[1]))) as collector:
            collector.settle()


def test_a_group_that_does_not_fit_the_memory_of_the_store_is_stored_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as a whole again and again would never succeed."""
    whole = appending.append

    def small(ledger: Ledger, batch: pa.Table, attribute: Attribute, journal: int) -> Committed:
        if batch.num_rows > 60:
            raise duckdb.OutOfMemoryException("could not allocate block")
        return whole(ledger, batch, attribute, journal)

    monkeypatch.setattr(appending, "append", small)
    sent = [request(number) for number in range(1, 12)]
    with running(Collector(tmp_path)) as collector:
        collector.store.gate.clear()
        for each, _ in sent:
            collector.send(each)
        collector.store.gate.set()
        collector.settle()
        assert collector.span_ids() == [span_id for _, ids in sent for span_id in ids]
        assert not collector.quarantine.exists()
