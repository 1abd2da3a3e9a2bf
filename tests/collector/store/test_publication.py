"""The published file: readable by others while the collector writes, whole at any time, cheap to refresh."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from collector.store import Store, StoreConfig, manifest, publisher, views
from collector.store.amendment_versions import Versions
from collector.store.query import query_published
from collector.store.readers import Reader
from collector.store.retired import forget
from collector.store.rows import ROW_SCHEMA
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

TOTALS = "SELECT count(*), count(cost_usd), sum(cost_usd), sum(input_tokens), count(agent) FROM calls"
OUTSIDER = """
import sys, duckdb
for line in sys.stdin:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        print(*connection.execute(line).fetchall()[0], flush=True)
"""


def published(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return rows


def ledger(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows(sql))


def grow(store: Store, traces: range) -> None:
    """Calls first, their agent three traces later: every row is judged twice."""
    store.append(batch([call(trace, number, 1) for trace in traces for number in range(2, 8)]), attribute)
    store.append(batch([span(trace - 3, 1, agent=f"agent {trace % 3}") for trace in traces if trace > 3]), attribute)


def test_an_empty_ledger_is_published_at_start(open_store: OpenStore, ledger_path: Path) -> None:
    """Every view can be asked before the first span comes."""
    open_store()
    for name in views.NAMES:
        assert published(ledger_path, f"SELECT count(*) FROM {name}") == [(1 if name == "publication" else 0,)]


def test_another_process_reads_while_the_collector_writes(open_store: OpenStore, ledger_path: Path) -> None:
    """It sees each refresh, and never more or less than what `publication` says."""
    store = open_store()
    command = [sys.executable, "-c", OUTSIDER, str(ledger_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as outsider:
        assert outsider.stdin is not None
        assert outsider.stdout is not None
        for first in range(1, 30, 4):
            grow(store, range(first, first + 4))
            store.publish()
            expected = ledger(store, "SELECT count(*), max(seq) FROM spans")[0]
            grow(store, range(first + 1000, first + 1002))
            outsider.stdin.write(
                "SELECT count(*), max(seq), (SELECT spans FROM publication), (SELECT last_seq FROM publication) "
                "FROM spans\n"
            )
            outsider.stdin.flush()
            assert outsider.stdout.readline().split() == [str(number) for number in (*expected, *expected)]
        outsider.stdin.close()


def merge(store: Store) -> None:
    """All live segments become one, without the amendments in it: what a merge that folds none does."""

    def read(reader: Reader) -> tuple[list[manifest.Segment], pa.Table]:
        files = [store.layout.segments / segment.file for segment in reader.segments]
        rows = pa.concat_tables([parquet.read_table(file) for file in files]).cast(ROW_SCHEMA)
        return list(reader.segments), rows.sort_by("seq")

    old, rows = store.read(read)
    new = manifest.write(store.layout.segments, [rows], 1)
    store._write(lambda connection: manifest.replace(connection, old, [new]))
    store._ledger.catalog.replaced(old, [new])


def test_published_and_live_views_agree_through_merges_and_corrections(
    open_store: OpenStore, ledger_path: Path
) -> None:
    """Same rows in every view, whatever was merged or amended; also after a restart."""
    store = open_store()
    for first in range(1, 61, 5):
        grow(store, range(first, first + 5))
        if first % 20 == 1:
            merge(store)
        store.publish()
        assert published(ledger_path, TOTALS) == ledger(store, TOTALS)
    assert published(ledger_path, "SELECT segments > 3, amendments > 50 FROM publication") == [(True, True)]
    store.stop()
    store = open_store()
    for name in views.NAMES:
        if name != "publication":
            rows = f"SELECT * FROM {name} ORDER BY ALL"
            assert published(ledger_path, rows) == ledger(store, rows), name


def test_views_say_what_counting_from_scratch_says(open_store: OpenStore, ledger_path: Path, tmp_path: Path) -> None:
    """Verdicts beside the rows, or in amendments: no difference to a ledger that got everything at once."""
    store = open_store()
    traces = range(4, 30)
    grow(store, traces)
    store.publish()
    whole = Store(StoreConfig(tmp_path / "whole.duckdb"))
    whole.start()
    calls = [call(trace, number, 1) for trace in traces for number in range(2, 8)]
    whole.append(batch([*calls, *(span(trace - 3, 1, agent=f"agent {trace % 3}") for trace in traces)]), attribute)
    whole.stop()
    for name in ("attempts", "calls", "agents", "runs", "unpriced"):
        rows = f"SELECT * FROM {name} ORDER BY ALL"
        assert published(ledger_path, rows) == published(tmp_path / "whole.duckdb", rows), name


def test_amendments_are_subtracted_only_from_segments_that_have_some(open_store: OpenStore, ledger_path: Path) -> None:
    """A subtraction costs every row that is read: ten million rows do not pay for one late span."""
    store = open_store()
    store.append(batch([call(trace, 2, 1) for trace in range(1, 40)]), attribute)
    store.append(batch([call(trace, 2, 1) for trace in range(40, 80)]), attribute)
    store.append(batch([span(7, 1, agent="late")]), attribute)
    store.publish()
    assert published(ledger_path, "SELECT calls FROM agents ORDER BY agent NULLS LAST") == [(1,), (78,)]
    (view,) = published(ledger_path, "SELECT sql FROM duckdb_views() WHERE view_name = 'call_log'")[0]
    first, second, *_ = (segment.file for segment in store.read(lambda reader: reader.segments))
    _, amended, clean = view.split("UNION ALL")
    assert (first in clean, second in clean, first in amended, second in amended) == (False, True, True, False)


def _forget(first: int, last: int, connection: Any) -> None:
    connection.execute("DELETE FROM _ledger.amendment WHERE seq BETWEEN ? AND ? AND seq % 5 = 0", [first, last])


def test_published_amendments_follow_the_ledgers_whatever_the_template_holds(
    open_store: OpenStore, ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added, replaced and gone ones: each refresh ends with those of the ledger, copied whole or changed in place."""
    monkeypatch.setattr(publisher, "CHANGED_AMENDMENTS", 30)
    amendments = "SELECT seq, revision, agent, counted FROM _ledger.amendment ORDER BY seq"
    made: list[int] = []
    make = publisher.Publisher._make_template

    def counting(self: publisher.Publisher, content: publisher.Content, prices: pa.Table) -> None:
        made.append(len(content.amended.seqs))
        make(self, content, prices)

    monkeypatch.setattr(publisher.Publisher, "_make_template", counting)
    store = open_store()
    for step in range(12):
        grow(store, range(1 + 3 * step, 4 + 3 * step))
        if step % 4 == 3:
            taken = ledger(store, "SELECT min(seq), max(seq) FROM _ledger.amendment")[0]
            store._write(partial(_forget, *taken))
        store.publish()
        assert published(ledger_path, amendments) == ledger(store, amendments)
        assert published(ledger_path, TOTALS) == ledger(store, TOTALS)
    assert len(published(ledger_path, amendments)) > 50
    assert 1 < len(made) < 12


def test_versions_differ_by_seq_and_revision() -> None:
    """What one has and the other has not, or in another revision; order and emptiness do not matter."""
    some = Versions.of(pa.table({"seq": [9, 2, 5], "revision": [1, 1, 1]}))
    later = Versions.of(pa.table({"seq": [2, 5, 7], "revision": [1, 4, 4]}))
    assert (later.without(some).tolist(), some.without(later).tolist()) == ([5, 7], [5, 9])
    assert (some.without(Versions()).tolist(), Versions().without(some).tolist()) == ([2, 5, 9], [])


def test_newest_segments_are_read_first(open_store: OpenStore, ledger_path: Path) -> None:
    """The latest calls are found at once, and statistics rule out the rest of the history."""
    store = open_store()
    for trace in (1, 2, 3):
        store.append(batch([call(trace, 2)]), attribute)
    store.publish()
    files = [segment.file for segment in store.read(lambda reader: reader.segments)]
    for (text,) in (
        *published(ledger_path, "SELECT sql FROM duckdb_views() WHERE view_name IN ('span_log', 'call_log')"),
        *ledger(store, "SELECT getvariable('segments')::VARCHAR"),
    ):
        assert text.index(files[2]) < text.index(files[1]) < text.index(files[0])


def test_a_publication_names_its_own_catalog_nowhere(open_store: OpenStore, ledger_path: Path) -> None:
    """It is built under another name than it is opened under, also as a part of another database."""
    store = open_store()
    store.append(batch([call(1, 2, 1)]), attribute)
    store.append(batch([span(1, 1, agent="late")]), attribute)
    store.publish()
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{str(ledger_path).replace(chr(39), chr(39) * 2)}' AS other (READ_ONLY)")
        connection.execute("USE other")
        assert connection.execute("SELECT agent, calls FROM agents").fetchall() == [("late", 1)]


def test_a_refresh_costs_the_same_whatever_arrived(open_store: OpenStore, ledger_path: Path) -> None:
    """No span is in the file."""
    store = open_store()
    store.append(batch([call(1, 2, 1)]), attribute)
    store.publish()
    small = ledger_path.stat().st_size
    store.append(batch([call(trace, number, 1) for trace in range(2, 200) for number in range(2, 20)]), attribute)
    store.publish()
    assert ledger_path.stat().st_size == small
    assert published(ledger_path, "SELECT count(*) FROM spans") == [(1 + 198 * 18,)]


def test_views_have_the_columns_of_the_live_ones(open_store: OpenStore, ledger_path: Path) -> None:
    store = open_store()
    for name in views.NAMES:
        describe = f"SELECT column_name, column_type FROM (DESCRIBE {name})"
        assert published(ledger_path, describe) == ledger(store, describe), name


def test_a_refresh_replaces_the_file_and_old_readers_keep_theirs(open_store: OpenStore, ledger_path: Path) -> None:
    """A reader in the middle of a query is not disturbed."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.publish()
    inode = ledger_path.stat().st_ino
    descriptor = os.open(ledger_path, os.O_RDONLY)
    try:
        store.append(batch([call(1, 2)]), attribute)
        store.publish()
        assert ledger_path.stat().st_ino != inode
        assert os.fstat(descriptor).st_size > 0
    finally:
        os.close(descriptor)
    assert published(ledger_path, "SELECT count(*) FROM calls") == [(2,)]
    assert not list(store.layout.folder.glob("publishing-*"))


def test_nothing_is_written_when_nothing_changed(open_store: OpenStore, ledger_path: Path) -> None:
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    assert store.publish()
    inode = ledger_path.stat().st_ino
    assert not store.publish()
    store.append(batch([call(1, 1)]), attribute)
    assert not store.publish()
    assert ledger_path.stat().st_ino == inode


def test_merged_files_stay_for_the_grace_period(open_store: OpenStore, ledger_path: Path) -> None:
    """A reader of an older publication finds what it names, and what the current one names is never deleted."""
    store = open_store()
    grow(store, range(1, 5))
    store.publish()
    with duckdb.connect(str(ledger_path), read_only=True) as reader:
        merge(store)
        grow(store, range(5, 9))
        store.publish()
        assert reader.execute("SELECT count(*) FROM spans").fetchall() == [(25,)]
    files = {path.name for path in store.layout.segments.iterdir()}
    assert len(files) > len(store.read(lambda reader: reader.segments))


def test_merged_files_are_deleted_after_it(open_store: OpenStore, ledger_path: Path) -> None:
    store = open_store(segment_grace_seconds=0.0)
    grow(store, range(1, 5))
    store.publish()
    merge(store)
    grow(store, range(5, 9))
    store.publish()
    live = {segment.file for segment in store.read(lambda reader: reader.segments)}
    assert {path.name for path in store.layout.segments.iterdir()} == live
    assert ledger(store, "SELECT count(*) FROM _ledger.segment WHERE retired_at IS NOT NULL") == [(0,)]
    assert published(ledger_path, TOTALS) == ledger(store, TOTALS)


def test_merged_files_are_deleted_earlier_when_they_are_too_many(open_store: OpenStore) -> None:
    """The oldest first: at full rate an hour of them would be 20 GB."""
    store = open_store()
    for first in range(1, 20, 5):
        grow(store, range(first, first + 5))
        store.publish()
        merge(store)
    retired = sorted(
        ledger(store, "SELECT retired_at, file, size_bytes FROM _ledger.segment WHERE retired_at NOT NULL")
    )
    newest_bytes = sum(size for *_, size in retired[-3:])
    config = replace(store._config, retired_bytes=newest_bytes)
    store._write(lambda connection: forget(connection, store.layout.segments, config, {retired[0][1]}))
    left = ledger(store, "SELECT file FROM _ledger.segment WHERE retired_at NOT NULL ORDER BY retired_at")
    assert [file for (file,) in left] == [retired[0][1], *(file for _, file, _ in retired[-3:])]
    assert all((store.layout.segments / file).exists() for (file,) in left)


def test_a_file_that_a_read_uses_is_not_deleted_under_it(open_store: OpenStore) -> None:
    """However short the grace period: a read in process opens its files only when it comes to them."""
    store = open_store(segment_grace_seconds=0.0)
    grow(store, range(1, 5))
    store.publish()

    def work(reader: Reader) -> list[tuple[Any, ...]]:
        merge(store)
        grow(store, range(5, 9))
        store._publisher.publish(store.read, store._write, store._readers.files)
        return reader.rows("SELECT count(*) FROM spans")

    assert store.read(work) == [(25,)]
    store._publisher.publish(store.read, store._write, store._readers.files)
    live = {segment.file for segment in store.read(lambda reader: reader.segments)}
    assert {path.name for path in store.layout.segments.iterdir()} == live


def test_a_read_sees_one_state_from_begin_to_end(open_store: OpenStore) -> None:
    store = open_store()
    grow(store, range(1, 5))

    def work(reader: Reader) -> tuple[object, object]:
        before = reader.rows(TOTALS)
        grow(store, range(5, 9))
        return before, reader.rows(TOTALS)

    before, after = store.read(work)
    assert before == after
    assert ledger(store, TOTALS) != before


def test_an_archive_that_is_away_is_left_out_and_said(open_store: OpenStore, ledger_path: Path, tmp_path: Path) -> None:
    """Its disk may not be mounted: everything else is answered, and the file says how many spans are missing."""
    store = open_store()
    grow(store, range(1, 5))
    (old, *_) = store.read(lambda reader: reader.segments)
    cold = tmp_path / "org_id=default" / "day=2025-10-09"
    cold.mkdir(parents=True)
    os.link(store.layout.segments / old.file, cold / old.file)
    new = replace(old, file=str(cold / old.file), cold=True)
    store._write(lambda connection: manifest.replace(connection, [old], [new]))
    store._ledger.catalog.replaced([old], [new])
    store.append(batch([call(50, 1)]), attribute)
    store.publish()
    asked = "SELECT (SELECT count(*) FROM spans), spans, missing_spans FROM publication"
    assert published(ledger_path, asked) == [(26, 26, 0)]
    cold.rename(tmp_path / "away")
    store.append(batch([call(51, 1)]), attribute)
    store.publish()
    assert published(ledger_path, asked) == [(3, 3, 24)]


def test_changed_resends_are_published(open_store: OpenStore, ledger_path: Path) -> None:
    """A span that comes again with other content: the first stays, the difference is on record."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.append(batch([call(1, 1, input_tokens=9), call(1, 2)]), attribute)
    store.publish()
    columns = "trace_id, span_id, changed LIKE '%input_tokens%'"
    assert published(ledger_path, f"SELECT {columns} FROM changed_resends") == [(f"{1:032x}", f"{1:08x}{1:08x}", True)]


def test_what_a_crash_left_of_a_publication_is_removed_at_start(open_store: OpenStore) -> None:
    """Half a file would stay for ever: each process writes under a name of its own."""
    store = open_store()
    store.stop()
    left = store.layout.folder / "publishing-1.duckdb"
    left.write_bytes(b"half a file")
    open_store()
    assert not left.exists()


def test_a_publication_is_complete_after_stop_and_needs_no_collector(open_store: OpenStore, ledger_path: Path) -> None:
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.stop()
    assert published(ledger_path, "SELECT count(*) FROM calls") == [(1,)]
    assert not store.layout.dirty.exists()
    assert query_published(ledger_path, "SELECT trace_id FROM calls WHERE trace_id = ?", [f"{1:032x}"]).num_rows == 1


def test_prices_of_each_card_are_published_once(open_store: OpenStore, ledger_path: Path) -> None:
    """Remembering a card again adds nothing; open periods are NULL."""
    rate = {"card": "c1", "model": "gpt-4o", "unit": "input_tokens", "rate_pico_usd": 2_500_000, "per": 1}
    period = {"valid_from_ns": -(2**63), "valid_to_ns": 2**63 - 1, "input_tokens_above": -1}
    store = open_store()
    for _ in range(2):
        store.remember_card("c1", lambda: pa.Table.from_pylist([{**rate, **period}]))
        store.publish()
    columns = "card, model, rate_pico_usd, valid_from, valid_to, input_tokens_above"
    assert published(ledger_path, f"SELECT {columns} FROM prices") == [("c1", "gpt-4o", 2_500_000, None, None, None)]
