"""A ledger of version 1, as that version's program left it, opened by this one.

`testdata/ledger/v1.ledger.gz` has 468 spans of 100 traces in two organisations: verdicts that changed when later spans
came, duplicates that filled in what the kept record lacks, wrappers, unpriced and free calls, events, a budget.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from collector.store import Store, StoreConfig, manifest, migrate_v1, schema, views
from collector.store.layout import Layout
from collector.store.readers import Reader
from tests.collector.store.ledger_rows import attribute, batch, call, span

LEDGER = Path(__file__).parents[2] / "testdata" / "ledger" / "v1.ledger.gz"
SEGMENT = b"a published segment of version 1"
NEW_VIEWS = {"calls_as_billed", "changed_resends", "price_runs", "publication"}
OLD_COLUMNS = "COLUMNS(lambda name: name NOT IN ('suggested_override', 'reported_calls'))"
"""Those that version 1 had."""
OLD_COLUMNS_OF = {
    "budgets": "org_id, budget, scope, scope_value, period, period_start, limit_usd, spent_usd, state",
    "budget_events": "org_id, budget, scope_value, happened_at, event, spent_usd, limit_usd, detail",
}
"""The same of views that have got columns whose names other views had."""
OF_VERSION_4 = "'event_id', 'happened_at_ns', 'window_start_ns', 'threshold_ppm', 'spent', 'limit_amount'"
TABLES_OF_VERSION_4 = ("counter", "counted", "delivery", "approval", "rule", "audit")

Rows = list[tuple[Any, ...]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """The folder of a collector of version 1 that has stopped."""
    layout = Layout.of(tmp_path / "ledger's cost.duckdb")
    layout.segments.mkdir(parents=True)
    layout.ledger.write_bytes(gzip.decompress(LEDGER.read_bytes()))
    (layout.segments / "span_log-1-167-0a0b0c0d.parquet").write_bytes(SEGMENT)
    return layout


@pytest.fixture
def before(layout: Layout) -> dict[str, Rows]:
    """What the views of version 1 say, asked of its own file."""
    return said(layout.ledger)


def said(path: Path) -> dict[str, Rows]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return {
            name: connection.execute(
                f"SELECT {OLD_COLUMNS_OF.get(name, OLD_COLUMNS)} FROM {name} ORDER BY ALL"
            ).fetchall()
            for name in views.NAMES
            if name not in NEW_VIEWS
        }


def migrated(layout: Layout) -> Iterator[Store]:
    store = Store(StoreConfig(layout.published, lock_wait_seconds=0))
    store.start()
    yield store
    store.stop()


def backups(layout: Layout) -> list[Path]:
    return sorted(layout.backups.glob("*.duckdb"))


def test_every_view_says_the_same_before_and_after(layout: Layout, before: dict[str, Rows]) -> None:
    """Published and in process; also after the next start."""
    for _ in range(2):
        for store in migrated(layout):
            inside = store.read(
                lambda reader: {
                    name: reader.rows(f"SELECT {OLD_COLUMNS_OF.get(name, OLD_COLUMNS)} FROM {name} ORDER BY ALL")
                    for name in before
                }
            )
            assert inside == before
        assert said(layout.published) == before
    assert len(before["spans"]) == 468
    assert len(before["calls"]) == 310


def test_every_verdict_stands_in_its_row(layout: Layout) -> None:
    """Also those that say more than the span, learnt from a second record of the call: the row tells them apart."""
    names = ("provider", "request_model", "response_model", "response_id", "cache_read_tokens", "reasoning_tokens")
    differs = " OR ".join(f"attempts.{name} IS DISTINCT FROM spans.{name}" for name in names)
    more = f"SELECT count(*) FROM attempts JOIN spans USING (seq) WHERE {differs}"
    for store in migrated(layout):
        assert store.read(lambda reader: reader.rows("SELECT count(*) FROM _ledger.amendment")) == [(0,)]
        assert store.read(lambda reader: reader.rows(more)) == [(13,)]


def test_small_tables_stay(layout: Layout) -> None:
    asked = "SELECT COLUMNS(lambda name: name NOT IN ('unit', " + OF_VERSION_4 + ")) FROM _ledger.{} ORDER BY ALL"
    names = ("price_row", "budget", "budget_event")
    with duckdb.connect(str(layout.ledger), read_only=True) as connection:
        before = {name: connection.execute(asked.format(name)).fetchall() for name in names}
        batches = connection.execute("SELECT * FROM _ledger.batch ORDER BY batch").fetchall()
    assert all(before.values())
    for store in migrated(layout):
        after = store.read(lambda reader: {name: reader.rows(asked.format(name)) for name in names})
        assert after == before
        numbered = store.read(lambda reader: reader.rows("SELECT * FROM _ledger.batch ORDER BY batch"))
    assert numbered == [(*row, 0) for row in batches]


def test_the_ledger_is_copied_first_and_old_files_go(layout: Layout, before: dict[str, Rows]) -> None:
    for store in migrated(layout):
        live = {segment.file for segment in store.read(lambda reader: reader.segments)}
    assert {path.name for path in layout.segments.iterdir()} == live
    (backup,) = backups(layout)
    assert said(backup) == before


def test_a_migrated_ledger_goes_on(layout: Layout) -> None:
    """Resent spans are known, late spans change verdicts of before, new ones are numbered on."""
    for store in migrated(layout):
        again = store.read(lambda reader: reader.rows("SELECT trace_id, span_id FROM spans WHERE seq = 1"))
        trace = int(again[0][0], 16)
        assert store.append(batch([call(trace, 2, 1)]), attribute).duplicates == 1
        store.append(batch([call(500, 2, 1)]), attribute)
        store.append(batch([span(500, 1, agent="late")]), attribute)
        found = store.read(lambda reader: reader.rows("SELECT max(seq), count(*) FROM spans"))
        assert found == [(470, 470)]
        assert store.read(lambda reader: reader.rows("SELECT calls FROM agents WHERE agent = 'late'")) == [(1,)]


@pytest.mark.parametrize(("step", "succeed"), [("write", 0), ("write", 1), ("record", 1)])
def test_an_interrupted_migration_loses_nothing_and_runs_again(
    layout: Layout, before: dict[str, Rows], monkeypatch: pytest.MonkeyPatch, step: str, succeed: int
) -> None:
    """The disk fills up at the first, at a later segment, or while the manifest is written."""
    monkeypatch.setattr(migrate_v1, "RANGE_ROWS", 256)
    monkeypatch.setattr(migrate_v1, "SEGMENT_RANGES", 1)
    count = 0

    def fail(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count > succeed:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    real = getattr(manifest, step)
    with monkeypatch.context() as broken:
        broken.setattr(manifest, step, fail)
        with pytest.raises(Exception, match="No space left"):
            Store(StoreConfig(layout.published, lock_wait_seconds=0)).start()
    assert said(layout.ledger) == before
    assert (layout.segments / "span_log-1-167-0a0b0c0d.parquet").read_bytes() == SEGMENT
    for store in migrated(layout):
        segments = store.read(lambda reader: reader.segments)
        assert len(segments) > 1
        assert {path.name for path in layout.segments.iterdir()} == {segment.file for segment in segments}
    assert said(layout.published) == before


def test_ranges_are_bounded_in_rows_and_bytes(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured prompts of 100 KB do not come into memory 65,536 at a time."""
    with duckdb.connect(str(layout.ledger), read_only=True) as connection:
        assert migrate_v1._ranges(connection) == [(1, 468)]
        monkeypatch.setattr(migrate_v1, "RANGE_BYTES", 1)
        assert migrate_v1._ranges(connection) == [(1, 255), (256, 468)]
        monkeypatch.setattr(migrate_v1, "RANGE_BYTES", 1 << 30)
        monkeypatch.setattr(migrate_v1, "RANGE_ROWS", 300)
        assert migrate_v1._ranges(connection) == [(1, 255), (256, 468)]


def test_the_version_is_on_record(layout: Layout) -> None:
    for store in migrated(layout):
        found = store.read(lambda reader: reader.rows("SELECT version FROM _ledger.schema_version ORDER BY version"))
    assert found == [(version,) for version in range(1, schema.VERSION + 1)]


def test_version_2_gains_the_list_of_price_runs(tmp_path: Path) -> None:
    """After a backup; everything else stays as it is, segments too."""
    layout = Layout.of(tmp_path / "costs.duckdb")
    for store in migrated(layout):
        store.append(batch([call(1, 2, 1), span(1, 1, agent="a")]), attribute)
    before = said(layout.published)
    files = sorted(layout.segments.iterdir())
    with duckdb.connect(str(layout.ledger)) as connection:
        for view in ("calls_as_billed", "price_runs", "publication", "_ledger.billed"):
            connection.execute(f"DROP VIEW {view}")
        without_version_4(connection)
        connection.execute("DROP TABLE _ledger.price_run")
        connection.execute("UPDATE _ledger.schema_version SET version = 2")
    layout.published.unlink()
    for store in migrated(layout):
        assert store.read(lambda reader: reader.rows("SELECT * FROM price_runs")) == []
        versions = store.read(lambda reader: reader.rows("SELECT version FROM _ledger.schema_version ORDER BY 1"))
        assert versions == [(2,), (3,), (4,)]
    assert said(layout.published) == before
    assert sorted(layout.segments.iterdir()) == files
    assert len(backups(layout)) == 1


def without_version_4(connection: Any) -> None:
    for view in ("budgets", "budget_events"):
        connection.execute(f"DROP VIEW {view}")
    for table in TABLES_OF_VERSION_4:
        connection.execute(f"DROP TABLE _ledger.budget_{table}")
    for column in (*OF_VERSION_4.replace("'", "").split(", "), "unit"):
        connection.execute(f"ALTER TABLE _ledger.budget_event DROP COLUMN {column}")
    connection.execute("DELETE FROM _ledger.view_digest")


def test_version_3_gains_the_tables_of_budgets(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path / "costs.duckdb")
    for store in migrated(layout):
        store.append(batch([call(1, 2, 1), span(1, 1, agent="a")]), attribute)
    before = said(layout.published)
    with duckdb.connect(str(layout.ledger)) as connection:
        without_version_4(connection)
        connection.execute("UPDATE _ledger.schema_version SET version = 3")
    for store in migrated(layout):
        for table in TABLES_OF_VERSION_4:
            sql = f"SELECT * FROM _ledger.budget_{table}"
            assert store.read(partial(Reader.rows, sql=sql)) == []
    assert said(layout.published) == before
    assert len(backups(layout)) == 1
