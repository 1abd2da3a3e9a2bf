"""The published file: readable by others while the collector writes, whole at any time, cheap to refresh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from collector.store import Store, views
from collector.store.query import query_published
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

TOTALS = "SELECT count(*), count(cost_usd), sum(cost_usd), sum(input_tokens), count(agent) FROM calls"
SMALL = {"seal_spans": 20, "segment_fanout": 3, "segment_grace_seconds": 0.0}

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
    store = open_store(**SMALL)
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


def test_published_and_live_views_agree_through_sealing_merging_and_corrections(
    open_store: OpenStore, ledger_path: Path
) -> None:
    """Same rows in every view, whatever part of them is hot, sealed, merged or retracted; also after a restart."""
    store = open_store(**SMALL)
    for first in range(1, 61, 5):
        grow(store, range(first, first + 5))
        store.publish()
        assert published(ledger_path, TOTALS) == ledger(store, TOTALS)
    assert len(published(ledger_path, "SELECT * FROM _ledger.sealed_file")) > 2
    assert ledger(store, "SELECT count(*) FROM _ledger.segment WHERE last_key - first_key > 60")[0][0] > 0
    store.stop()
    store = open_store(**SMALL)
    for name in views.NAMES:
        if name != "publication":
            rows = f"SELECT * FROM {name} ORDER BY ALL"
            assert published(ledger_path, rows) == ledger(store, rows), name


def test_a_verdict_that_changes_after_sealing_is_published(open_store: OpenStore, ledger_path: Path) -> None:
    """A sealed segment is never written again for one late span; the old row is subtracted."""
    store = open_store(**SMALL)
    store.append(batch([call(trace, 2, 1) for trace in range(1, 40)]), attribute)
    store.publish()
    assert published(ledger_path, "SELECT count(*) FROM _ledger.hot_call_log") == [(0,)]
    store.append(batch([span(7, 1, agent="late")]), attribute)
    store.publish()
    assert published(ledger_path, "SELECT count(*) FROM _ledger.call_retraction") == [(1,)]
    assert published(ledger_path, "SELECT calls FROM agents ORDER BY agent NULLS LAST") == [(1,), (38,)]


def test_a_segment_that_lost_many_rows_is_written_again(open_store: OpenStore, ledger_path: Path) -> None:
    """Once more than a quarter of its verdicts have changed; until then they are subtracted at every query."""
    store = open_store(**{**SMALL, "segment_fanout": 100})
    store.append(batch([call(trace, 2, 1) for trace in range(1, 41)]), attribute)
    store.publish()
    for late, subtracted in ((range(1, 11), 10), (range(11, 16), 0)):
        store.append(batch([span(trace, 1, agent="late") for trace in late]), attribute)
        store.publish()
        assert published(ledger_path, "SELECT count(*) FROM _ledger.call_retraction") == [(subtracted,)]
        assert published(ledger_path, TOTALS) == ledger(store, TOTALS)


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


def test_segments_that_nobody_names_are_removed(open_store: OpenStore) -> None:
    """After the grace period; and files that a crash left are removed at start."""
    store = open_store(**SMALL)
    for first in range(1, 61, 5):
        grow(store, range(first, first + 5))
        store.publish()
    store.append(batch([span(999, 1)]), attribute)
    store.publish()
    stray = store.layout.segments / "span_log-1-2-crash.parquet"
    stray.write_bytes(b"half a file")
    store.stop()
    store = open_store(**SMALL)
    store.append(batch([span(999, 2)]), attribute)
    store.publish()
    named = {Path(row[0]).name for row in ledger(store, "SELECT file FROM _ledger.segment WHERE retired_at IS NULL")}
    assert {path.name for path in store.layout.segments.iterdir()} == named


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
        store.remember_card(pa.Table.from_pylist([{**rate, **period}]))
        store.publish()
    columns = "card, model, rate_pico_usd, valid_from, valid_to, input_tokens_above"
    assert published(ledger_path, f"SELECT {columns} FROM prices") == [("c1", "gpt-4o", 2_500_000, None, None, None)]


def test_spans_with_long_texts_are_sealed_by_size(open_store: OpenStore, ledger_path: Path) -> None:
    """Captured prompts make a few spans large: what is copied at each refresh, and each file, stays small."""
    store = open_store(seal_bytes=100_000, segment_bytes=300_000, segment_fanout=2, segment_grace_seconds=0.0)
    wide = '{"prompt":"' + "x" * 30_000 + '"}'
    for first in range(1, 41, 10):
        store.append(batch([call(trace, 2, attributes=wide) for trace in range(first, first + 10)]), attribute)
        store.publish()
        (hot,) = published(ledger_path, "SELECT coalesce(sum(strlen(attributes)), 0) FROM _ledger.hot_span_log")
        assert hot[0] < 200_000
        assert published(ledger_path, TOTALS) == ledger(store, TOTALS)
    assert len(published(ledger_path, "SELECT * FROM _ledger.sealed_file")) > 2


@pytest.mark.soak
def test_a_ledger_larger_than_its_memory_is_published(open_store: OpenStore, ledger_path: Path) -> None:
    """Many wide spans between two refreshes: DuckDB may hold 448 MiB, the texts take 600 MB."""
    store = open_store(memory_limit_mib=448)
    for first in range(1, 6001, 250):
        rows = [
            call(trace, 2, attributes=f'{{"prompt":"{os.urandom(50_000).hex()}"}}')
            for trace in range(first, first + 250)
        ]
        store.append(batch(rows), attribute)
    assert store.publish()
    assert published(ledger_path, "SELECT count(*), sum(strlen(attributes)) FROM spans") == [(6000, 6000 * 100_013)]
