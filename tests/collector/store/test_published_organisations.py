"""Views of the published file that group by the organisation: of one organisation, they do not read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from collector.store import Store, views
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

ONE, OTHER = "o'hara {agents}", "default"


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return found


def add(store: Store, trace: int, org_id: str) -> None:
    """Two calls, one without a price, whose agent comes later."""
    calls = [call(trace, number, 1, org_id=org_id, cost_pico_usd=None if number == 3 else 10**12) for number in (2, 3)]
    store.append(batch(calls), attribute)
    store.append(batch([span(trace, 1, org_id=org_id, agent="agent")]), attribute)


def groups(path: Path) -> bool:
    """Whether the views read the organisation of each call."""
    (text,) = rows(path, "SELECT sql FROM duckdb_views() WHERE view_name = 'agents'")[0]
    return "GROUP BY org_id" in text


def live(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows(sql))


def agree(store: Store, path: Path) -> None:
    for name in (*views.ROLLUPS, "unpriced"):
        sql = f"SELECT * FROM {name} ORDER BY ALL"
        assert rows(path, sql) == live(store, sql), name
        types = f"SELECT column_name, column_type FROM (DESCRIBE {name})"
        assert rows(path, types) == live(store, types), name


def test_one_organisation_is_not_grouped_by(open_store: OpenStore, ledger_path: Path) -> None:
    """Whatever its name. Views say it all the same, and nothing to who asks for another one."""
    store = open_store()
    for trace in (1, 2):
        add(store, trace, ONE)
        store.publish()
        agree(store, ledger_path)
        assert not groups(ledger_path)
    assert rows(ledger_path, "SELECT org_id, calls FROM agents") == [(ONE, 4)]
    assert rows(ledger_path, f"SELECT * FROM agents WHERE org_id = '{OTHER}'") == []


def test_a_second_organisation_has_lines_of_its_own_at_once(open_store: OpenStore, ledger_path: Path) -> None:
    """In the publication that has its first call, and after a restart."""
    store = open_store()
    add(store, 1, ONE)
    store.publish()
    add(store, 2, OTHER)
    store.publish()
    agree(store, ledger_path)
    assert groups(ledger_path)
    assert sorted(rows(ledger_path, "SELECT org_id, calls FROM agents")) == [(OTHER, 2), (ONE, 2)]
    store.stop()
    store = open_store()
    agree(store, ledger_path)
    assert groups(ledger_path)


def test_before_the_first_span_there_is_no_organisation(open_store: OpenStore, ledger_path: Path) -> None:
    open_store()
    assert rows(ledger_path, "SELECT count(*) FROM agents") == [(0,)]
    assert groups(ledger_path)
